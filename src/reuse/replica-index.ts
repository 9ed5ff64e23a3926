/** What one replica is believed to hold, and how many tokens of a prompt it will therefore not compute again. */
import { createBlockSet, type BlockSet, type Confidence, type Tier } from './block-set.ts';
import { blocksOf, namesAfter, type Chain } from './chain.ts';
import { createEngineNames, type EngineNames } from './engine-names.ts';
import {
  judgeSequence,
  type BlockStored,
  type EngineHash,
  type KvEvent,
  type SequenceVerdict,
} from './kv-events.ts';

/**
 * Layers that cache alike.
 * - `full`: a hit needs every block from the start
 * - `sliding`: a hit needs the blocks that the last `windowTokens - 1` tokens lie in
 * - `recurrent`: a hit needs the state saved at exactly that boundary
 */
export type LayerGroup =
  | { readonly kind: 'full' }
  | { readonly kind: 'sliding'; readonly windowTokens: number }
  | { readonly kind: 'recurrent' };

export interface ReplicaIndexOptions {
  readonly blockTokens: number;
  /** At least one; their order is the engine's `group_idx`. */
  readonly groups: readonly LayerGroup[];
  /** Bound per group: the replica's real capacity, so that old blocks leave here when they leave there. */
  readonly maxBlocks: number;
  /** `events`: what was forwarded counts for `speculativeMs` (or until recorded again) if the engine does not confirm it. */
  readonly feed: 'events' | 'estimated';
  /**
   * `chain`: our own names; events are translated by their token ids and parents. `engine`: chains are made with the
   * engine's own hashes (see vllm-hash.ts), so that events name blocks directly, also for who came late and for
   * layers whose cache lacks the parent block. Those hashes know salt and adapter only: one index a process (each
   * data-parallel rank is one), and only for schemes with one regime.
   */
  readonly names: 'chain' | 'engine';
  readonly speculativeMs: number;
  /** Age in ms after which a block without the engine's word counts as gone; null = eviction by count only. */
  readonly expiryMs: number | null;
  /**
   * Domain and extras of the blocks of an event (`names: 'chain'` only); null = not ours. The domain counts for first
   * blocks, later ones have it from their parent. Without this function no event can be matched with a chain.
   */
  readonly eventDomain?: (event: BlockStored) => {
    readonly domain: Uint8Array;
    readonly extra?: (block: number) => string | null;
  } | null;
}

/** Expected reuse of a prompt on one replica. */
export interface Match {
  /** Tokens that will not be computed again: a multiple of the block size, below the prompt's length. */
  readonly tokens: number;
  /** The same weighted by tier and confidence, for comparing replicas. */
  readonly credit: number;
  /** The weakest confidence among the blocks counted; null when nothing is expected. */
  readonly confidence: Confidence | null;
  /** When the last expected block was last used; null when nothing is expected. */
  readonly lastUsed: number | null;
}

const noMatch: Match = { tokens: 0, credit: 0, confidence: null, lastUsed: null };

export interface IndexCounts {
  readonly blocks: number;
  readonly bytes: number;
  /** Events whose parent block is unknown here; the blocks could not be placed. */
  readonly orphans: number;
  /** Events of other block sizes, groups or domains. */
  readonly foreign: number;
  /** Times that batches were lost and confidence fell. */
  readonly losses: number;
}

export interface ReplicaIndex {
  readonly options: ReplicaIndexOptions;
  /** Never changes anything. */
  match(chain: Chain, now: number): Match;
  /** After forwarding: the replica now computes, and so holds, the whole prompt (and later the answer). */
  record(chain: Chain, now: number): void;
  /**
   * After the answer: `reported` tokens were reused of the `match` that was expected. Falling short by more than a
   * block means that the engine evicted what we believed in, and with least-recently-used eviction all that was used
   * before it as well. Nothing to do where events tell.
   */
  correct(match: Match, reported: number): void;
  /** The forwarding failed before anything was computed: only the first `held` tokens were there before it. */
  retract(chain: Chain, held: number): void;
  /** Applies a batch in order. On `gap` nothing was applied: replay what is missing, or `skipTo` it. */
  applyBatch(batch: EventBatch, now: number, source?: 'live' | 'replay'): SequenceVerdict;
  /** Missing batches cannot be had: go on with `sequence`, trust what is here less. */
  skipTo(sequence: number): void;
  /** Everything is gone: the engine restarted or another fingerprint was found. */
  clear(): void;
  counts(): IndexCounts;
}

export interface EventBatch {
  readonly sequence: number;
  readonly events: readonly KvEvent[];
}

/** Shares of a computed token that a hit saves, by where it lies and how sure it is. */
const tierWeight: Record<Tier, number> = { device: 1, host: 0.75, disk: 0.25 };
const confidenceWeight: Record<Confidence, number> = { event: 1, speculative: 1, estimated: 0.5 };

/** Longest possible hit of a prompt: the last token is always computed. */
export function reusableBlocks(tokens: number, blockTokens: number): number {
  return Math.max(0, Math.floor((tokens - 1) / blockTokens));
}

interface GroupState {
  readonly group: LayerGroup;
  readonly blocks: BlockSet;
  readonly engine: EngineNames;
}

export function createReplicaIndex(options: ReplicaIndexOptions): ReplicaIndex {
  const width = options.names === 'engine' ? 2 : 4;
  const groups: readonly GroupState[] = options.groups.map((group) => {
    const engine = createEngineNames();
    const onRemove = (entry: number): void => engine.unbind(entry);
    return {
      group,
      engine,
      blocks: createBlockSet({ maxBlocks: options.maxBlocks, width, onRemove }),
    };
  });
  const counts = { orphans: 0, foreign: 0, losses: 0 };
  let expected = 0;
  const clear = (): void => {
    for (const { blocks, engine } of groups) {
      blocks.clear();
      engine.clear();
    }
  };
  return {
    options,
    match: (chain, now) => matchGroups(groups, chain, { options, now }),
    record: (chain, now) => recordChain(groups, chain, { options, now }),
    correct(match, reported) {
      const short = match.tokens - reported > options.blockTokens;
      if (options.feed === 'events' || !short || match.lastUsed === null) return;
      for (const { blocks } of groups) blocks.evictBefore(match.lastUsed);
    },
    retract: (chain, held) => retractChain(groups, chain, Math.floor(held / options.blockTokens)),
    applyBatch(batch, now, source = 'live') {
      const verdict = judgeSequence(expected, batch.sequence, source);
      if (verdict.type === 'gap' || verdict.type === 'duplicate') return verdict;
      if (verdict.type === 'restart') {
        clear();
        if (batch.sequence > 0) {
          expected = 0;
          return { type: 'gap', from: 0 };
        }
      }
      expected = batch.sequence + 1;
      for (const event of batch.events) applyEvent(groups, event, { options, now, counts });
      return verdict;
    },
    skipTo(sequence) {
      expected = sequence;
      counts.losses += 1;
      for (const { blocks } of groups) blocks.distrust();
    },
    clear,
    counts: () => ({
      ...counts,
      blocks: groups.reduce((sum, { blocks }) => sum + blocks.size, 0),
      bytes: groups.reduce((sum, { blocks, engine }) => sum + blocks.bytes + engine.bytes, 0),
    }),
  };
}

interface At {
  readonly options: ReplicaIndexOptions;
  readonly now: number;
}

/** Entry of block i, or -1 when it is absent or too old to count. */
function liveEntry(state: GroupState, chain: Chain, block: number, { options, now }: At): number {
  const { blocks } = state;
  const entry = blocks.find(chain.words, block * 4);
  if (entry < 0) return entry;
  const confidence = blocks.confidenceOf(entry);
  if (confidence === 'event') return entry;
  const age = now - blocks.usedAt(entry);
  if (options.feed === 'events' && confidence === 'speculative') {
    return age < options.speculativeMs ? entry : -1;
  }
  return options.expiryMs !== null && age >= options.expiryMs ? -1 : entry;
}

/** Blocks before a boundary that a group must hold for a hit there. */
function neededBlocks(group: LayerGroup, boundary: number, blockTokens: number): number {
  switch (group.kind) {
    case 'full':
      return boundary;
    case 'sliding':
      return Math.min(boundary, Math.ceil((group.windowTokens - 1) / blockTokens));
    case 'recurrent':
      return Math.min(boundary, 1);
  }
}

/** The deepest boundary at which every group has what it needs. */
function matchGroups(groups: readonly GroupState[], chain: Chain, at: At): Match {
  const { blockTokens } = at.options;
  const limit = Math.min(blocksOf(chain), reusableBlocks(chain.tokens, blockTokens));
  const needsAll = groups.some(({ group }) => group.kind === 'full');
  const runs = groups.map(() => 0);
  let best = 0;
  for (let block = 0; block < limit; block += 1) {
    let holds = true;
    let broken = false;
    for (const [index, state] of groups.entries()) {
      const present = liveEntry(state, chain, block, at) >= 0;
      const run = present ? (runs[index] ?? 0) + 1 : 0;
      runs[index] = run;
      holds &&= run >= neededBlocks(state.group, block + 1, blockTokens);
      broken ||= !present && state.group.kind === 'full';
    }
    if (broken && needsAll) break;
    if (holds) best = block + 1;
  }
  return best === 0 ? noMatch : weigh(groups, chain, best, at);
}

/** Credit of a hit: the group that holds most of it tells tier and confidence. */
function weigh(groups: readonly GroupState[], chain: Chain, hit: number, at: At): Match {
  const { blockTokens, speculativeMs } = at.options;
  const state = groups.find(({ group }) => group.kind === 'full') ?? groups[0];
  if (state === undefined) return noMatch;
  const counted = neededBlocks(state.group, hit, blockTokens);
  let credit = 0;
  let weakest: Confidence = 'event';
  let lastUsed = 0;
  for (let block = hit - counted; block < hit; block += 1) {
    const facts = state.blocks.facts(state.blocks.find(chain.words, block * 4));
    const stale = facts.confidence === 'speculative' && at.now - facts.at >= speculativeMs;
    const confidence = stale ? 'estimated' : facts.confidence;
    lastUsed = facts.at;
    credit += tierWeight[facts.tier] * confidenceWeight[confidence];
    if (confidence === 'estimated' || weakest === 'event') weakest = confidence;
  }
  const share = counted === 0 ? 0 : credit / counted;
  const tokens = hit * blockTokens;
  return { tokens, credit: share * tokens, confidence: weakest, lastUsed };
}

/**
 * Which blocks of a computed prompt a group surely keeps: all of full attention, the last window of a sliding one,
 * the last state of a recurrent one.
 */
function keptFrom(group: LayerGroup, blocks: number, blockTokens: number): number {
  return blocks - neededBlocks(group, blocks, blockTokens);
}

function recordChain(groups: readonly GroupState[], chain: Chain, { options, now }: At): void {
  const blocks = blocksOf(chain);
  for (const { group, blocks: set } of groups) {
    const from = keptFrom(group, blocks, options.blockTokens);
    // Last block first: engines free the tail of a prompt before its head, so the head must be the newest here.
    for (let block = blocks - 1; block >= from; block -= 1) {
      set.put(chain.words, block * 4, { confidence: 'speculative', tier: 'device', at: now });
    }
  }
}

function retractChain(groups: readonly GroupState[], chain: Chain, fromBlock: number): void {
  for (const { blocks: set } of groups) {
    for (let block = fromBlock; block < blocksOf(chain); block += 1) {
      const entry = set.find(chain.words, block * 4);
      if (entry >= 0 && set.facts(entry).confidence !== 'event') set.remove(entry);
    }
  }
}

interface EventContext extends At {
  readonly counts: { orphans: number; foreign: number };
}

function applyEvent(groups: readonly GroupState[], event: KvEvent, context: EventContext): void {
  if (event.type === 'cleared') {
    for (const { blocks, engine } of groups) {
      blocks.clear();
      engine.clear();
    }
    return;
  }
  const state = groups[event.group];
  if (state === undefined) {
    context.counts.foreign += 1;
    return;
  }
  if (event.type === 'stored') {
    applyStored(groups, event, context);
    return;
  }
  for (const hash of event.hashes) {
    const entry =
      context.options.names === 'engine'
        ? state.blocks.find(Uint32Array.of(0, 0, hash.high, hash.low), 0)
        : state.engine.entryOf(hash);
    if (entry >= 0) state.blocks.remove(entry, tierOf(event.medium));
  }
}

function applyStored(
  groups: readonly GroupState[],
  event: BlockStored,
  context: EventContext,
): void {
  const { options, now, counts } = context;
  const state = groups[event.group];
  if (state === undefined) return;
  if (event.blockTokens !== options.blockTokens) {
    counts.foreign += 1;
    return;
  }
  const facts = { confidence: 'event', tier: tierOf(event.medium), at: now } as const;
  if (options.names === 'engine') {
    const name = new Uint32Array(4);
    for (const { high, low } of event.hashes) {
      name[2] = high;
      name[3] = low;
      state.blocks.put(name, 0, facts);
    }
    return;
  }
  const above = event.parent === null ? null : parentName(groups, event.parent);
  const origin = options.eventDomain?.(event) ?? null;
  if (origin === null || (event.parent !== null && above === null)) {
    if (origin === null) counts.foreign += 1;
    else counts.orphans += 1;
    return;
  }
  const names = namesAfter(above, event.tokens, { ...origin, blockTokens: event.blockTokens });
  for (const [block, hash] of event.hashes.entries()) {
    if (block * 4 >= names.length) break;
    state.engine.bind(hash, state.blocks.put(names, block * 4, facts));
  }
}

/** A window or a saved state may hold a block without the one before it; another group then knows its name. */
function parentName(groups: readonly GroupState[], parent: EngineHash): Uint32Array | null {
  for (const { engine, blocks } of groups) {
    const entry = engine.entryOf(parent);
    if (entry >= 0) return blocks.nameOf(entry).slice();
  }
  return null;
}

function tierOf(medium: string | null): Tier {
  switch (medium?.toLowerCase()) {
    case 'cpu':
    case 'cpu_pinned':
    case 'host':
      return 'host';
    case 'disk':
    case 'storage':
    case 'external':
    case 'remote':
      return 'disk';
    default:
      return 'device';
  }
}
