/** KV-cache events of engines: both encodings that exist, as plain data; and the order they must be applied in. */

/** 64 bits of an engine's block hash: the integer that events show, or the last 8 bytes of a digest. */
export interface EngineHash {
  readonly high: number;
  readonly low: number;
}

export interface BlockStored {
  readonly type: 'stored';
  readonly hashes: readonly EngineHash[];
  readonly parent: EngineHash | null;
  readonly tokens: Uint32Array;
  readonly blockTokens: number;
  readonly medium: string | null;
  readonly lora: string | null;
  /** One entry a block: its extra keys, untagged, or null. */
  readonly extraKeys: readonly (readonly unknown[] | null)[] | null;
  readonly group: number;
  /** What the group's layers keep, in the engine's words (`full_attention`, ...); null = not told. */
  readonly spec: { readonly kind: string; readonly windowTokens: number | null } | null;
}

export interface BlockRemoved {
  readonly type: 'removed';
  readonly hashes: readonly EngineHash[];
  readonly medium: string | null;
  readonly group: number;
}

export interface AllCleared {
  readonly type: 'cleared';
}

export type KvEvent = BlockStored | BlockRemoved | AllCleared;

/** Position of each field in the older encoding (arrays that start with the type); newer ones append only. */
const positions: Record<string, readonly string[]> = {
  BlockStored: [
    'type',
    'block_hashes',
    'parent_block_hash',
    'token_ids',
    'block_size',
    'lora_id',
    'medium',
    'lora_name',
    'extra_keys',
    'group_idx',
    'kv_cache_spec_kind',
    'kv_cache_spec_sliding_window',
  ],
  BlockRemoved: ['type', 'block_hashes', 'medium', 'group_idx'],
  AllBlocksCleared: ['type'],
};

type Fields = (name: string) => unknown;

/**
 * One decoded event, an object with `type` (vLLM since 0.26) or an array (before, and SGLang). Unknown fields are
 * ignored. @returns null when it is no event that we know or when a field has another shape
 */
export function readKvEvent(raw: unknown): KvEvent | null {
  const field = fieldsOf(raw);
  switch (field?.('type')) {
    case 'BlockStored':
      return field === null ? null : readStored(field);
    case 'BlockRemoved': {
      const hashes = readHashes(field?.('block_hashes'));
      if (field === null || hashes === null) return null;
      return { type: 'removed', hashes, medium: text(field('medium')), group: group(field) };
    }
    case 'AllBlocksCleared':
      return { type: 'cleared' };
    default:
      return null;
  }
}

function fieldsOf(raw: unknown): Fields | null {
  if (Array.isArray(raw)) {
    const names = positions[String(raw[0])] ?? [];
    return (name) => (names.includes(name) ? raw[names.indexOf(name)] : undefined);
  }
  if (typeof raw !== 'object' || raw === null) return null;
  const entries = new Map<string, unknown>(Object.entries(raw));
  return (name) => entries.get(name);
}

function readStored(field: Fields): BlockStored | null {
  const hashes = readHashes(field('block_hashes'));
  const tokens = readTokens(field('token_ids'));
  const blockTokens = field('block_size');
  const parent = field('parent_block_hash') ?? null;
  const parentHash = parent === null ? null : readHash(parent);
  if (hashes === null || tokens === null || typeof blockTokens !== 'number') return null;
  if (parent !== null && parentHash === null) return null;
  const extra = field('extra_keys');
  return {
    type: 'stored',
    hashes,
    parent: parentHash,
    tokens,
    blockTokens,
    medium: text(field('medium')),
    lora: text(field('lora_name')) ?? loraId(field('lora_id')),
    extraKeys: Array.isArray(extra)
      ? extra.map((keys) => (Array.isArray(keys) ? keys : null))
      : null,
    group: group(field),
    spec: spec(field),
  };
}

function spec(field: Fields): BlockStored['spec'] {
  const kind = text(field('kv_cache_spec_kind'));
  const window = field('kv_cache_spec_sliding_window');
  if (kind === null) return null;
  return { kind, windowTokens: typeof window === 'number' && window > 0 ? window : null };
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function loraId(value: unknown): string | null {
  return typeof value === 'number' ? `id:${value}` : null;
}

function group(field: Fields): number {
  const value = field('group_idx');
  return typeof value === 'number' && value >= 0 ? value : 0;
}

function readTokens(value: unknown): Uint32Array | null {
  if (value instanceof Uint32Array) return value;
  if (!Array.isArray(value)) return null;
  return value.every((id) => typeof id === 'number') ? Uint32Array.from(value) : null;
}

function readHashes(value: unknown): readonly EngineHash[] | null {
  if (!Array.isArray(value)) return null;
  const hashes: EngineHash[] = [];
  for (const item of value) {
    const hash = readHash(item);
    if (hash === null) return null;
    hashes.push(hash);
  }
  return hashes;
}

/** Integers above 2^53 must arrive as bigint: as a number they have lost bits already and are refused. */
function readHash(value: unknown): EngineHash | null {
  if (typeof value === 'bigint') {
    const bits = BigInt.asUintN(64, value);
    return { high: Number(bits >> 32n), low: Number(bits & 0xffffffffn) };
  }
  if (typeof value === 'number' && Number.isSafeInteger(value)) return readHash(BigInt(value));
  if (!(value instanceof Uint8Array) || value.length < 8) return null;
  const view = new DataView(value.buffer, value.byteOffset + value.length - 8, 8);
  return { high: view.getUint32(0), low: view.getUint32(4) };
}

/**
 * What to do with a batch.
 * - `apply`: the next one, or the first one of a fresh engine
 * - `duplicate`: seen already (a replay overlaps with the live feed)
 * - `gap`: batches `from` up to it are missing; apply those first, or give up on them
 * - `restart`: the engine started anew, nothing from before holds
 */
export type SequenceVerdict =
  | { readonly type: 'apply' }
  | { readonly type: 'duplicate' }
  | { readonly type: 'gap'; readonly from: number }
  | { readonly type: 'restart' };

/** `expected`: number of the next batch; a live feed never goes back unless its engine restarted. */
export function judgeSequence(
  expected: number,
  sequence: number,
  source: 'live' | 'replay',
): SequenceVerdict {
  if (sequence === expected) return { type: 'apply' };
  if (sequence > expected) return { type: 'gap', from: expected };
  return source === 'replay' ? { type: 'duplicate' } : { type: 'restart' };
}
