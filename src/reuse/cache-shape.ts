/** How an engine cuts its cache into blocks and names them, as far as its events tell. */
import { vllmBlockHashes, type ExtraKey } from './vllm-hash.ts';
import type { BlockStored, EngineHash, KvEvent } from './kv-events.ts';
import type { LayerGroup } from './replica-index.ts';

export interface CacheShape {
  readonly blockTokens: number;
  /** Their order is the engine's `group_idx`. */
  readonly groups: readonly LayerGroup[];
  /** `engine`: blocks are named by hashes that we can compute as well. */
  readonly names: 'engine' | 'chain';
  /** Seed of the engine's hashes. */
  readonly seed: string | null;
  /** The engine has shown that its hashes are ours. */
  readonly verified: boolean;
}

/** More groups than any model has; events of further ones are not followed. */
const maxGroups = 16;

/**
 * The shape after these events; the same object when they say nothing new. The block size is that of the first group,
 * the one whose blocks all others follow. A first block (no parent) shows whether the engine's hash is the one that
 * vllm-hash.ts computes, under one of the seeds; if not, blocks get our own names.
 */
export function shapeAfter(
  shape: CacheShape,
  events: readonly KvEvent[],
  seeds: readonly (string | null)[],
): CacheShape {
  let next = shape;
  for (const event of events) {
    if (event.type !== 'stored') continue;
    next = withGroup(next, event);
    if (next.names === 'engine' && !next.verified) next = withNames(next, event, seeds);
  }
  return next;
}

/** Do indexes of these shapes name and count blocks alike? */
export function sameBlocks(a: CacheShape, b: CacheShape): boolean {
  return (
    a.blockTokens === b.blockTokens &&
    a.names === b.names &&
    JSON.stringify(a.groups) === JSON.stringify(b.groups)
  );
}

function withGroup(shape: CacheShape, event: BlockStored): CacheShape {
  const { group, blockTokens } = event;
  if (group >= maxGroups) return shape;
  const sized = group === 0 && blockTokens > 0 && blockTokens !== shape.blockTokens;
  const layer = layerOf(event) ?? shape.groups[group] ?? null;
  const known = shape.groups[group];
  const placed = layer === null || (known !== undefined && alike(known, layer));
  if (!sized && placed) return shape;
  const groups = placed || layer === null ? shape.groups : withLayer(shape.groups, group, layer);
  return { ...shape, groups, ...(sized ? { blockTokens } : {}) };
}

/** Groups that have not shown themselves yet keep everything, like the first one. */
function withLayer(
  groups: readonly LayerGroup[],
  at: number,
  layer: LayerGroup,
): readonly LayerGroup[] {
  const length = Math.max(groups.length, at + 1);
  return Array.from({ length }, (_, group) =>
    group === at ? layer : (groups[group] ?? { kind: 'full' }),
  );
}

function alike(a: LayerGroup, b: LayerGroup): boolean {
  if (a.kind !== b.kind) return false;
  return a.kind !== 'sliding' || b.kind !== 'sliding' || a.windowTokens === b.windowTokens;
}

/** null = the event does not say what its group is. */
function layerOf({ spec }: BlockStored): LayerGroup | null {
  if (spec === null) return null;
  if (spec.kind.includes('mamba') || spec.kind.includes('recurrent')) return { kind: 'recurrent' };
  if (spec.windowTokens !== null) return { kind: 'sliding', windowTokens: spec.windowTokens };
  return { kind: 'full' };
}

function withNames(
  shape: CacheShape,
  event: BlockStored,
  seeds: readonly (string | null)[],
): CacheShape {
  const [hash] = event.hashes;
  const { blockTokens, group, parent, tokens } = event;
  if (parent !== null || group !== 0 || hash === undefined || tokens.length < blockTokens) {
    return shape;
  }
  const extra = rootExtras(event);
  // Blocks with other keys (adapters, images) prove nothing: we do not know how those are hashed.
  if (extra === undefined) return shape;
  const first = tokens.subarray(0, blockTokens);
  const seed = seeds.find((candidate) =>
    shows(vllmBlockHashes(first, { blockTokens, seed: candidate, extra: () => extra }), hash),
  );
  return seed === undefined ? { ...shape, names: 'chain' } : { ...shape, seed, verified: true };
}

/** Salt of a first block as the engine hashes it; undefined = it has other keys. */
function rootExtras({ lora, extraKeys }: BlockStored): readonly ExtraKey[] | null | undefined {
  if (lora !== null) return undefined;
  const keys = extraKeys?.[0] ?? null;
  if (keys === null || keys.length === 0) return null;
  const [salt] = keys;
  return keys.length === 1 && typeof salt === 'string' ? [['cache_salt', salt]] : undefined;
}

function shows(digest: Uint8Array, hash: EngineHash): boolean {
  const view = new DataView(digest.buffer, digest.byteOffset + digest.length - 8, 8);
  return view.getUint32(0) === hash.high && view.getUint32(4) === hash.low;
}
