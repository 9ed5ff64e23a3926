/**
 * A prefix cache that behaves like an engine's, written independently of src/reuse: a tree of token blocks with
 * residency per layer group, eviction, events in both encodings, and KV that remembers the position regime it was
 * computed in. Using KV of another regime poisons an answer, silently in real engines, counted here.
 */

export type SimulatedGroup =
  | { readonly kind: 'full' }
  | { readonly kind: 'sliding'; readonly windowTokens: number }
  | { readonly kind: 'recurrent'; readonly checkpoints: number };

export interface SimulatedBackendOptions {
  readonly blockTokens: number;
  readonly groups: readonly SimulatedGroup[];
  /** Blocks per group (checkpoints bound recurrent ones). */
  readonly capacityBlocks: number;
  /** Regime of the KV computed while the sequence has this many tokens. The cache itself does not look at it. */
  readonly regimeOf: (totalTokens: number) => string;
  readonly events: 'map' | 'array' | null;
  /** 64-bit hashes of the blocks of a prompt, as its events show them; left out = hashes that nobody can recompute. */
  readonly hashesOf?: (tokens: Uint32Array, salt: string | null) => readonly bigint[];
}

export interface SimulatedRequest {
  readonly tokens: Uint32Array;
  readonly salt: string | null;
  /** Tokens that it generates. */
  readonly answer: Uint32Array;
}

export interface SimulatedBatch {
  readonly sequence: number;
  readonly events: readonly unknown[];
}

export interface SimulatedAnswer {
  readonly cachedTokens: number;
  /** KV of another regime was used. */
  readonly poisoned: boolean;
  readonly batch: SimulatedBatch | null;
}

export interface SimulatedBackend {
  serve(request: SimulatedRequest): SimulatedAnswer;
  /** Batches from `sequence` on, as a replay endpoint gives them. */
  replay(sequence: number): readonly SimulatedBatch[];
  /** A new process: cold, sequence numbers from 0. */
  restart(): void;
}

interface Node {
  readonly id: number;
  readonly hash: bigint;
  readonly parent: Node | null;
  readonly tokens: readonly number[];
  readonly salt: string | null;
}

interface GroupCache {
  readonly group: SimulatedGroup;
  readonly index: number;
  /** Node id -> node and regime, oldest first. */
  readonly held: Map<number, { readonly node: Node; readonly regime: string }>;
}

export function createSimulatedBackend(options: SimulatedBackendOptions): SimulatedBackend {
  const { blockTokens } = options;
  const nodes = new Map<string, Node>();
  let groups = emptyGroups(options);
  let batches: SimulatedBatch[] = [];
  const pathOf = (tokens: Uint32Array, salt: string | null): readonly Node[] => {
    const path: Node[] = [];
    const hashes = options.hashesOf?.(tokens, salt);
    for (let end = blockTokens; end <= tokens.length; end += blockTokens) {
      const block = Array.from(tokens.subarray(end - blockTokens, end));
      const parent = path.at(-1) ?? null;
      const key = `${parent === null ? `root ${salt === null ? '' : JSON.stringify(salt)}` : parent.id}|${block.join(',')}`;
      let node = nodes.get(key);
      if (node === undefined) {
        // Spread over 64 bits and one to one, so that most pass 2^53 as real hashes do.
        const hash =
          hashes?.[path.length] ?? BigInt.asUintN(64, BigInt(nodes.size + 1) * 0x9e3779b97f4a7c15n);
        node = { id: nodes.size, hash, parent, tokens: block, salt: parent === null ? salt : null };
        nodes.set(key, node);
      }
      path.push(node);
    }
    return path;
  };
  return {
    serve({ tokens, salt, answer }) {
      const path = pathOf(tokens, salt);
      const most = Math.floor((tokens.length - 1) / blockTokens);
      let hit = Math.min(path.length, most);
      while (hit > 0 && !groups.every((cache) => holds(cache, path, hit, blockTokens))) hit -= 1;
      const regime = options.regimeOf(tokens.length);
      const poisoned = groups.some((cache) =>
        usedNodes(cache.group, path, hit, blockTokens).some(
          (node) => cache.held.get(node.id)?.regime !== regime,
        ),
      );
      const all = Uint32Array.of(...tokens, ...answer);
      const events: unknown[] = [];
      const whole = pathOf(all, salt);
      const regimeAt = (block: number): string =>
        block < path.length ? regime : options.regimeOf((block + 1) * blockTokens);
      for (const cache of groups) {
        events.push(...store(cache, { path, whole, all: all.length, regimeAt, options }));
      }
      let batch: SimulatedBatch | null = null;
      if (options.events !== null && events.length > 0) {
        batch = { sequence: batches.length, events };
        batches.push(batch);
      }
      return { cachedTokens: hit * blockTokens, poisoned, batch };
    },
    replay: (sequence) => batches.slice(sequence),
    restart() {
      groups = emptyGroups(options);
      batches = [];
    },
  };
}

function emptyGroups(options: SimulatedBackendOptions): readonly GroupCache[] {
  return options.groups.map((group, index) => ({ group, index, held: new Map() }));
}

/** Blocks of the path that a group reads for a hit of `hit` blocks. */
function usedNodes(
  group: SimulatedGroup,
  path: readonly Node[],
  hit: number,
  blockTokens: number,
): readonly Node[] {
  if (group.kind === 'full') return path.slice(0, hit);
  if (group.kind === 'recurrent') return path.slice(Math.max(0, hit - 1), hit);
  // The next token sees itself and windowTokens - 1 before it.
  const firstSeen = Math.max(0, hit * blockTokens - (group.windowTokens - 1));
  return path.slice(Math.floor(firstSeen / blockTokens), hit);
}

function holds(
  cache: GroupCache,
  path: readonly Node[],
  hit: number,
  blockTokens: number,
): boolean {
  return usedNodes(cache.group, path, hit, blockTokens).every(({ id }) => cache.held.has(id));
}

interface StoreContext {
  readonly path: readonly Node[];
  /** The path with the answer's blocks. */
  readonly whole: readonly Node[];
  readonly all: number;
  readonly regimeAt: (block: number) => string;
  readonly options: SimulatedBackendOptions;
}

function store(cache: GroupCache, context: StoreContext): readonly unknown[] {
  const { path, whole, all, regimeAt, options } = context;
  const { group, held, index } = cache;
  const kept = new Set<Node>();
  if (group.kind === 'full') for (const node of whole) kept.add(node);
  else if (group.kind === 'recurrent') {
    for (const node of [path.at(-1), whole.at(-1)]) if (node !== undefined) kept.add(node);
  } else {
    const first = Math.floor(Math.max(0, all - (group.windowTokens - 1)) / options.blockTokens);
    for (const node of whole.slice(first)) kept.add(node);
  }
  const stored: Node[] = [];
  const removed: Node[] = [];
  // Tail first: the head of a prompt is evicted last.
  for (let block = whole.length - 1; block >= 0; block -= 1) {
    const node = whole[block];
    if (node === undefined) continue;
    const before = held.get(node.id);
    if (kept.has(node)) {
      held.delete(node.id);
      held.set(node.id, before ?? { node, regime: regimeAt(block) });
      if (before === undefined) stored.push(node);
    } else if (before !== undefined && group.kind === 'sliding') {
      held.delete(node.id);
      removed.push(node);
    }
  }
  const bound = group.kind === 'recurrent' ? group.checkpoints : options.capacityBlocks;
  for (const [id, { node }] of held) {
    if (held.size <= bound) break;
    held.delete(id);
    const fresh = stored.indexOf(node);
    if (fresh >= 0) stored.splice(fresh, 1);
    else removed.push(node);
  }
  stored.reverse();
  return [
    ...removed.map((node) => removedEvent(node, index, options.events)),
    ...stored.map((node) => storedEvent(node, index, options)),
  ];
}

function removedEvent(node: Node, group: number, encoding: 'map' | 'array' | null): unknown {
  if (encoding === 'array') return ['BlockRemoved', [node.hash], 'GPU', group];
  return { type: 'BlockRemoved', block_hashes: [node.hash], medium: 'GPU', group_idx: group };
}

function storedEvent(node: Node, group: number, options: SimulatedBackendOptions): unknown {
  const parent = node.parent?.hash ?? null;
  const extra = node.salt === null ? [null] : [[node.salt]];
  const { blockTokens } = options;
  if (options.events === 'array') {
    return [
      'BlockStored',
      [node.hash],
      parent,
      node.tokens,
      blockTokens,
      null,
      'GPU',
      null,
      extra,
      group,
    ];
  }
  return {
    type: 'BlockStored',
    block_hashes: [node.hash],
    parent_block_hash: parent,
    token_ids: node.tokens,
    block_size: blockTokens,
    lora_id: null,
    medium: 'GPU',
    lora_name: null,
    extra_keys: extra,
    group_idx: group,
  };
}
