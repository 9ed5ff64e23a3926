/** Which position scheme a served model runs, as plain data: part of what makes cached KV interchangeable. */
import { createHash } from 'node:crypto';
import {
  compareVersions,
  languageModelOf,
  namedLayersOf,
  numberOf,
  objectOf,
  recurrentModels,
  ropeSectionOf,
  textOf,
  usesWindow,
} from '../core/model-config.ts';
import type { ConfigObject, LayerKind } from '../core/model-config.ts';

export type PositionSchemeName =
  | 'rope'
  | 'linear'
  | 'ntk-static'
  | 'ntk-dynamic'
  | 'ntk-stepped'
  | 'yarn'
  | 'llama3'
  | 'longrope'
  | 'mrope'
  | 'dual-chunk'
  | 'alibi'
  | 'learned'
  /** No positions at all: recurrent models. */
  | 'none'
  | 'unknown';

/**
 * What changes the scheme's frequencies while a server runs.
 * - `static`: nothing
 * - `per-request-length`: the total length of the sequence itself
 * - `per-batch`: the longest sequence that happens to be computed with it
 * - `process-history`: the longest sequence that the process has seen
 */
export type PositionSwitch = 'static' | 'per-request-length' | 'per-batch' | 'process-history';

/** null = not known or not used by the scheme. */
export interface PositionScheme {
  readonly scheme: PositionSchemeName;
  readonly switch: PositionSwitch;
  readonly theta: number | null;
  readonly factor: number | null;
  readonly attentionFactor: number | null;
  /** Tokens that the unscaled model was trained for; the border between regimes. */
  readonly originalLength: number | null;
  /** Longest sequence that the server accepts. */
  readonly maxLength: number | null;
  /** Hash of every further parameter (factor tables, bands, betas). */
  readonly parameters: string | null;
  /** Tokens that a windowed layer sees. */
  readonly window: number | null;
  /** Kinds of layers, each once, sorted. */
  readonly layers: readonly LayerKind[];
}

/** Server as far as positions differ by it. */
export interface PositionServer {
  readonly kind: 'transformers' | 'vllm' | 'sglang' | 'llamacpp' | 'ollama' | 'other';
  /** Dotted numbers; null = not known. */
  readonly version: string | null;
  /** Longest sequence that the server was started for; null = the model's own limit. */
  readonly maxLength: number | null;
}

/** First vLLM release that chooses LongRoPE's table once per server (vLLM PR 27431). */
const vllmConstantLongRope = '0.11.1';

/**
 * Reads a Hugging Face `config.json` (both `rope_scaling` and the newer `rope_parameters`). Never throws: what cannot
 * be read makes the scheme `unknown`, for which only equal prefixes are reused.
 */
export function positionOf(config: unknown, server: PositionServer): PositionScheme {
  const model = languageModelOf(config);
  const { section, rope } = ropeSectionOf(model);
  const scheme = schemeOf(model, rope, server);
  const originalLength = originalLengthOf(model, rope, scheme);
  const maxLength = server.maxLength ?? numberOf(model['max_position_embeddings']) ?? null;
  const layers = layersOf(model);
  return {
    scheme,
    switch: switchOf(scheme, server, { originalLength, maxLength }),
    theta: numberOf(rope['rope_theta']) ?? numberOf(model['rope_theta']) ?? null,
    factor: numberOf(rope['factor']) ?? null,
    attentionFactor: numberOf(rope['attention_factor']) ?? null,
    originalLength,
    maxLength,
    parameters: Object.keys(section).length === 0 ? null : hashOf(section),
    window: layers.includes('window') ? (numberOf(model['sliding_window']) ?? null) : null,
    layers,
  };
}

/**
 * All of the scheme in one line, equal for equal schemes; for `Fingerprint.position`. The server's limit is left out
 * but where it decides the frequencies: LongRoPE's table, when that is chosen once.
 */
export function positionLabel({ maxLength, ...position }: PositionScheme): string {
  const { scheme, originalLength } = position;
  const chosenOnce = scheme === 'longrope' && position.switch === 'static';
  const known = maxLength !== null && originalLength !== null;
  const table = known && maxLength <= originalLength ? 'short' : 'long';
  return canonicalJson({ ...position, table: chosenOnce && known ? table : null });
}

const plainTypes: Readonly<Record<string, PositionSchemeName>> = {
  default: 'rope',
  linear: 'linear',
  ntk: 'ntk-static',
  yarn: 'yarn',
  deepseek_yarn: 'yarn',
  llama3: 'llama3',
  longrope: 'longrope',
  su: 'longrope',
  mrope: 'mrope',
};

const learnedModels: readonly string[] = ['gpt2', 'opt', 'gpt_bigcode'];

function schemeOf(
  model: ConfigObject,
  rope: ConfigObject,
  { kind }: PositionServer,
): PositionSchemeName {
  const named = namedByModel(model);
  if (named !== null) return named;
  const servesChunks = kind === 'vllm' || kind === 'sglang';
  if (servesChunks && model['dual_chunk_attention_config'] != null) return 'dual-chunk';
  if (rope['mrope_section'] != null) return 'mrope';
  const type = textOf(rope['rope_type'] ?? rope['type']);
  if (type === 'dynamic') return dynamicOf(kind);
  if (type !== undefined) return plainTypes[type] ?? 'unknown';
  return numberOf(rope['rope_theta'] ?? model['rope_theta']) === undefined ? 'unknown' : 'rope';
}

/** Families whose scheme does not stand in a rope section; null for all others. */
function namedByModel(model: ConfigObject): PositionSchemeName | null {
  const family = textOf(model['model_type']) ?? '';
  if (recurrentModels.includes(family)) return 'none';
  if (learnedModels.includes(family)) return 'learned';
  const alibi = model['alibi'] === true || objectOf(model['attn_config'])['alibi'] === true;
  if (alibi || family === 'bloom') return 'alibi';
  if (family === 'qwen') return model['use_dynamic_ntk'] === true ? 'ntk-stepped' : 'rope';
  return null;
}

/** Dynamic NTK is dynamic in transformers alone: vLLM and SGLang compute one base for the whole limit. */
function dynamicOf(kind: PositionServer['kind']): PositionSchemeName {
  if (kind === 'vllm' || kind === 'sglang') return 'ntk-static';
  return kind === 'llamacpp' || kind === 'ollama' ? 'unknown' : 'ntk-dynamic';
}

function originalLengthOf(
  model: ConfigObject,
  rope: ConfigObject,
  scheme: PositionSchemeName,
): number | null {
  const named =
    rope['original_max_position_embeddings'] ?? model['original_max_position_embeddings'];
  const fallback =
    scheme === 'ntk-stepped' ? model['seq_length'] : model['max_position_embeddings'];
  return numberOf(named) ?? numberOf(fallback) ?? null;
}

interface Lengths {
  readonly originalLength: number | null;
  readonly maxLength: number | null;
}

function switchOf(
  scheme: PositionSchemeName,
  server: PositionServer,
  { originalLength, maxLength }: Lengths,
): PositionSwitch {
  if (scheme === 'ntk-dynamic') return 'process-history';
  // Qwen 1's own code continues with the step of whatever ran cold before.
  if (scheme === 'ntk-stepped')
    return server.kind === 'transformers' ? 'process-history' : 'per-request-length';
  if (scheme !== 'longrope') return 'static';
  // A server that never passes the border has one table for all.
  const never = originalLength !== null && maxLength !== null && maxLength <= originalLength;
  if (never || server.kind === 'llamacpp' || server.kind === 'ollama') return 'static';
  if (server.kind === 'transformers') return 'per-request-length';
  const constant =
    server.kind === 'vllm' &&
    server.version !== null &&
    compareVersions(server.version, vllmConstantLongRope) >= 0;
  // SGLang as read, older vLLM, and every server of which it is not known: the batch may decide.
  return constant ? 'static' : 'per-batch';
}

function layersOf(model: ConfigObject): readonly LayerKind[] {
  if (recurrentModels.includes(textOf(model['model_type']) ?? '')) return ['recurrent'];
  const kinds = new Set<LayerKind>(namedLayersOf(model));
  if (kinds.size === 0) kinds.add(usesWindow(model) ? 'window' : 'full');
  const alternating = numberOf(model['sliding_window_pattern']) !== undefined;
  if (kinds.has('window') && alternating) kinds.add('full');
  return [...kinds].sort();
}

function hashOf(value: ConfigObject): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 32);
}

/** JSON with the keys of every object sorted. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
