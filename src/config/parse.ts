/** Layers of plain values -> one checked `Config`. Pure: everything outside comes in as `Surroundings`. */
import { join, resolve } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import type { ConfigKey } from './keys.ts';
import { isRecord, knownPaths, listKeys, nearestPath, setPath } from './keys.ts';
import { presets } from './presets.ts';
import type { Settings } from './schema.ts';
import { checkSettings } from './schema.ts';
import type { Config, StoreName } from './types.ts';

/** One source of values. */
export interface Layer {
  /** As it is told in errors: `sluice.yaml`, `environment`, `command line`. */
  readonly where: string;
  readonly values: unknown;
}

/** What the defaults depend on. */
export interface Surroundings {
  /** Cores this process may use. */
  readonly cores: number;
  /** The user's directory for state, without `sluice`. */
  readonly stateHome: string;
}

/** A value and the layer that it came from. */
interface Origin {
  readonly where: string;
  readonly value: unknown;
}

function show(path: string, value: unknown): string {
  if (path === 'reuse.salt_secret') return 'something else';
  // A URL may carry a password: what was found is then told without it.
  const text = JSON.stringify(value) ?? String(value);
  const isUrl = path === 'upstream' || path === 'reuse.redis_url';
  const safe = isUrl ? text.replaceAll(/\/\/[^/@"]*@/g, '//***@') : text;
  return safe.length > 200 ? `${safe.slice(0, 200)}...` : safe;
}

/** Problems of one layer's shape: unknown keys, and values where a section belongs. */
function shapeProblems(
  layer: Layer,
  known: ReadonlySet<string>,
  leaves: ReadonlySet<string>,
): string[] {
  const problems: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (node === null || node === undefined) return;
    if (!isRecord(node)) {
      const name = path === '' ? 'The configuration' : path;
      problems.push(
        `${name} in ${layer.where}: expected keys and values, found ${show(path, node)}`,
      );
      return;
    }
    for (const [name, value] of Object.entries(node)) {
      const child = path === '' ? name : `${path}.${name}`;
      if (leaves.has(child)) continue;
      if (known.has(child)) visit(value, child);
      else {
        const nearest = nearestPath(child, known);
        const hint = nearest === null ? '' : `; did you mean ${nearest}?`;
        problems.push(`unknown key ${child} in ${layer.where}${hint}`);
      }
    }
  };
  visit(layer.values, '');
  return problems;
}

/** The value at a dotted path; undefined when a part of it is missing. */
function valueAt(tree: unknown, path: string): unknown {
  let node = tree;
  for (const part of path.split('.')) {
    if (!isRecord(node) || !Object.hasOwn(node, part)) return undefined;
    node = node[part];
  }
  return node;
}

/** For every key the value of the last layer that has it. */
function mergeLayers(layers: readonly Layer[], keys: readonly ConfigKey[]): Map<string, Origin> {
  const merged = new Map<string, Origin>();
  for (const { path } of keys) {
    for (const { where, values } of layers) {
      const value = valueAt(values, path);
      if (value !== undefined) merged.set(path, { where, value });
    }
  }
  return merged;
}

function toTree(values: ReadonlyMap<string, Origin>): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const [path, { value }] of values) setPath(tree, path, value);
  return tree;
}

/** Adds the preset's values for keys that no layer sets. */
function addPreset(merged: Map<string, Origin>): void {
  const name = merged.get('preset')?.value;
  const preset = Object.entries(presets).find(([known]) => known === name)?.[1];
  if (preset === undefined) return;
  for (const [key, value] of Object.entries(preset)) {
    const path = `compress.${key}`;
    if (!merged.has(path)) merged.set(path, { where: `preset ${String(name)}`, value });
  }
}

function fail(problems: readonly string[]): never {
  throw new SluiceError('CONFIG_INVALID', `Configuration: ${problems.join('; ')}`);
}

/** One sentence per key whose value is wrong; a wrong list entry counts for its list. */
function valueProblems(
  wrong: readonly string[],
  merged: ReadonlyMap<string, Origin>,
  keys: readonly ConfigKey[],
): string[] {
  const blamed = keys.filter(({ path }) =>
    wrong.some((place) => place === path || place.startsWith(`${path}.`)),
  );
  return blamed.map(({ path, expects }) => {
    const origin = merged.get(path);
    const where = origin?.where ?? 'defaults';
    return `${path} in ${where}: expected ${expects}, found ${show(path, origin?.value)}`;
  });
}

/** Rules between keys. */
function crossProblems(settings: Settings, workers: number, surroundings: Surroundings): string[] {
  const problems: string[] = [];
  const { threads } = settings.score;
  const { cores } = surroundings;
  if (workers * threads > cores) {
    problems.push(
      `score.workers x score.threads is ${workers} x ${threads} = ${workers * threads}, more than the ${cores} cores here`,
    );
  }
  const { backend, upstream } = settings;
  if (backend === 'embedded' && upstream.length > 0)
    problems.push('backend is embedded, which has no upstream, but upstream is set');
  if (backend !== 'embedded' && backend !== 'auto' && upstream.length === 0)
    problems.push(`backend is ${backend}, but upstream is empty: it needs the server's URL`);
  if (settings.sinks.enabled && !settings.compress.enabled)
    problems.push(
      'sinks.enabled is true, but compress.enabled is false, so that no conversation is read; compress.rate 1 reads them and shortens no text that fits',
    );
  return [...problems, ...priceProblems(settings), ...reuseProblems(settings)];
}

function priceProblems({ windows }: Settings): string[] {
  const missing = (['input_price', 'output_price'] as const)
    .filter((name) => windows[name] === null)
    .map((name) => `windows.${name}`);
  if (missing.length === 0) return [];
  const not = `${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not`;
  if (windows.max_cost !== null)
    return [`windows.max_cost is set, but ${not}: it needs both prices`];
  return missing.length === 1 ? [`one price of windows is set, but ${not}: costs need both`] : [];
}

function reuseProblems({ reuse, upstream }: Settings): string[] {
  const problems: string[] = [];
  if (reuse.store === 'redis' && reuse.redis_url === null)
    problems.push('reuse.store is redis, but reuse.redis_url is not set');
  for (const name of ['events', 'event_replays'] as const) {
    const { length } = reuse[name];
    if (length > 0 && length !== upstream.length)
      problems.push(
        `reuse.${name} has ${length} entries for ${upstream.length} in upstream; write none for a server without events`,
      );
  }
  return problems;
}

/** Who names a folder for state wants state there. */
function storeOf({ reuse, state_dir: folder }: Settings): StoreName {
  return reuse.store ?? (folder === null ? 'memory' : 'disk');
}

/**
 * Checks and joins layers, weakest first, and fills in the defaults.
 * @throws SluiceError CONFIG_INVALID naming every key, where it is set, what was found and what was expected
 */
export function parseLayers(layers: readonly Layer[], surroundings: Surroundings): Config {
  const keys = listKeys();
  const known = knownPaths(keys);
  const leaves = new Set(keys.map((key) => key.path));
  const shape = layers.flatMap((layer) => shapeProblems(layer, known, leaves));
  if (shape.length > 0) fail(shape);

  const merged = mergeLayers(layers, keys);
  addPreset(merged);
  const checked = checkSettings(toTree(merged));
  if ('wrong' in checked) fail(valueProblems(checked.wrong, merged, keys));

  const { settings } = checked;
  const workers =
    settings.score.workers ??
    Math.max(1, Math.floor((surroundings.cores - 1) / settings.score.threads));
  const problems = crossProblems(settings, workers, surroundings);
  if (problems.length > 0) fail(problems);
  return {
    ...settings,
    score: { ...settings.score, workers },
    reuse: { ...settings.reuse, store: storeOf(settings) },
    state_dir: resolve(settings.state_dir ?? join(surroundings.stateHome, 'sluice')),
  };
}
