/** What several readers of a model's `config.json` share. Nothing here throws, nothing is believed. */

export type ConfigObject = Readonly<Record<string, unknown>>;

/** - `window`: a layer that sees a bounded number of tokens back; `recurrent`: one that keeps a state */
export type LayerKind = 'full' | 'window' | 'recurrent';

/** The value if it is an object, else an empty one. */
export function objectOf(value: unknown): ConfigObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {};
}

/** A finite number above 0. */
export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The language model of a configuration: of models with more parts, the `text_config` over the outer fields. */
export function languageModelOf(config: unknown): ConfigObject {
  const outer = objectOf(config);
  return { ...outer, ...objectOf(outer['text_config']) };
}

/** All rope settings (`rope_parameters`, or the older `rope_scaling`), and those of the full layers. */
export function ropeSectionOf(model: ConfigObject): {
  readonly section: ConfigObject;
  readonly rope: ConfigObject;
} {
  const section = objectOf(model['rope_parameters'] ?? model['rope_scaling']);
  // Where every kind of layer has its own.
  const rope = 'full_attention' in section ? objectOf(section['full_attention']) : section;
  return { section, rope };
}

/** Families without positions: their layers keep a state. */
export const recurrentModels: readonly string[] = ['mamba', 'mamba2', 'falcon_mamba', 'rwkv'];

/** The kind of each layer that `layer_types` names; null where it does not. */
export function namedLayersOf(model: ConfigObject): readonly LayerKind[] | null {
  const layers = listOf(model['layer_types']);
  return layers.length === 0 ? null : layers.map(kindOf);
}

function kindOf(layer: unknown): LayerKind {
  if (layer === 'sliding_attention' || layer === 'chunked_attention') return 'window';
  return layer === 'full_attention' || layer === 'attention' ? 'full' : 'recurrent';
}

/** Qwen 2 names a window that it does not use unless told to. */
export function usesWindow(model: ConfigObject): boolean {
  return numberOf(model['sliding_window']) !== undefined && model['use_sliding_window'] !== false;
}

/** Below 0, 0 or above 0, by the leading dotted numbers; a missing number counts as 0. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((version) => version.match(/\d+/g)?.map(Number) ?? []);
  for (let i = 0; i < 3; i += 1) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
