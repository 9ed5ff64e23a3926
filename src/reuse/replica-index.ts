/** What one replica is believed to hold, and how many tokens of a prompt it will therefore not compute again. */
import { createBlockSet, type Confidence, type Tier } from './block-set.ts';
import { blocksOf, type Chain } from './chain.ts';
import { createEngineNames } from './engine-names.ts';
import { applyEvent } from './index-events.ts';
import type { At, GroupState, LayerGroup, ReplicaIndexOptions } from './index-options.ts';
import { judgeSequence, type KvEvent, type SequenceVerdict } from './kv-events.ts';

export type { LayerGroup, ReplicaIndexOptions };

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
  /**
   * After the answer: the engine itself reused `reported` tokens, so they are there. Only where blocks are named as the
   * engine names them: it will say when they go.
   */
  confirm(chain: Chain, reported: number, now: number): void;
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

function emptyGroup(group: LayerGroup, maxBlocks: number, width: 2 | 4): GroupState {
  const engine = createEngineNames();
  const onRemove = (entry: number): void => engine.unbind(entry);
  return { group, engine, blocks: createBlockSet({ maxBlocks, width, onRemove }) };
}

export function createReplicaIndex(options: ReplicaIndexOptions): ReplicaIndex {
  const width = options.names === 'engine' ? 2 : 4;
  const groups = options.groups.map((group) => emptyGroup(group, options.maxBlocks, width));
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
    confirm(chain, reported, now) {
      if (options.feed !== 'events' || options.names !== 'engine') return;
      const blocks = Math.floor(reported / options.blockTokens);
      confirmChain(groups, chain, { options, now, blocks });
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
      const held = options.feed === 'events' ? set.find(chain.words, block * 4) : -1;
      // After a loss: the engine does not announce again what it holds, so its word would be waited for in vain.
      const doubted = held >= 0 && set.confidenceOf(held) === 'estimated';
      const confidence = doubted ? 'estimated' : 'speculative';
      set.put(chain.words, block * 4, { confidence, tier: 'device', at: now });
    }
  }
}

function confirmChain(
  groups: readonly GroupState[],
  chain: Chain,
  { options, now, blocks }: At & { readonly blocks: number },
): void {
  for (const { group, blocks: set } of groups) {
    for (
      let block = blocks - 1;
      block >= keptFrom(group, blocks, options.blockTokens);
      block -= 1
    ) {
      set.put(chain.words, block * 4, { confidence: 'event', tier: 'device', at: now });
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
