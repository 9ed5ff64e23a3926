/** What a conversation has taught: how well its cache holds, how far its text shrinks, and whether compressing pays. */
import type { CostModel } from './costs.ts';
import type { MissReason } from './miss.ts';

export interface SessionState {
  readonly turns: number;
  /** Share of the reusable tokens that backends really reused, smoothed; between 0 and 1. */
  readonly hitShare: number;
  /** Tokens after over tokens before of compressed text, smoothed. */
  readonly rate: number;
  /** Cost so far of what was forwarded and of what pass-through would have cost, in the cost model's unit. */
  readonly cost: number;
  readonly passThroughCost: number;
  /** Compressing lost: no new text of this conversation is compressed any more. */
  readonly stopped: boolean;
}

export interface SessionOptions {
  /** Turns before a loss is believed. */
  readonly minTurns: number;
  /** Loss, as a share of the pass-through cost, that ends compressing. */
  readonly tolerance: number;
  /** Weight of the newest turn in smoothed values. */
  readonly smoothing: number;
}

export const defaultSessionOptions: SessionOptions = {
  minTurns: 3,
  tolerance: 0.02,
  smoothing: 0.3,
};

export const newSession: SessionState = {
  turns: 0,
  hitShare: 1,
  rate: 0.5,
  cost: 0,
  passThroughCost: 0,
  stopped: false,
};

/**
 * Turns to expect from now on, this one included: as many again as there were (lengths of conversations are heavy-
 * tailed), at least 1 and at most `most`.
 */
export function expectedTurns(state: SessionState, most = 50): number {
  return Math.min(most, Math.max(1, state.turns + 1));
}

export interface TurnOutcome {
  readonly promptTokens: number;
  /** Tokens of the same request as the client sent it. */
  readonly rawTokens: number;
  /** Forwarded before and expected to be reused. */
  readonly planned: number;
  /** As the backend reported; null = it does not tell, then the plan is believed. */
  readonly reported: number | null;
  /** Tokens that pass-through would have expected to be reused. */
  readonly passThroughReusable: number;
  /** Tokens that the compressor read in this turn, and what it left of them. */
  readonly compressedBefore: number;
  readonly compressedAfter: number;
  readonly miss: MissReason | null;
}

/** Misses that pass-through would have met as well: its reuse is scaled down like ours. */
const sharedMisses: readonly MissReason[] = [
  'ttl',
  'prefix-changed-by-client',
  'evicted',
  'other-replica',
];

/** Pure: the state after a turn. A conversation that has stopped compressing stays so. */
export function learnFrom(
  state: SessionState,
  turn: TurnOutcome,
  costs: CostModel,
  options: SessionOptions = defaultSessionOptions,
): SessionState {
  const reused = Math.min(turn.promptTokens, turn.reported ?? turn.planned);
  const share = turn.planned > 0 ? Math.min(1, reused / turn.planned) : null;
  const shared = turn.miss !== null && sharedMisses.includes(turn.miss);
  const passed = turn.passThroughReusable * (shared ? (share ?? 1) : 1);
  const cost =
    state.cost +
    turnCost(costs, turn.promptTokens, reused) +
    costs.compress * turn.compressedBefore;
  const passThroughCost = state.passThroughCost + turnCost(costs, turn.rawTokens, passed);
  const turns = state.turns + 1;
  const lost = cost - passThroughCost > options.tolerance * passThroughCost;
  const blend = (old: number, now: number): number => old + options.smoothing * (now - old);
  return {
    turns,
    hitShare: share === null ? state.hitShare : blend(state.hitShare, share),
    rate:
      turn.compressedBefore > 0
        ? blend(state.rate, turn.compressedAfter / turn.compressedBefore)
        : state.rate,
    cost,
    passThroughCost,
    stopped: state.stopped || (turns >= options.minTurns && lost),
  };
}

function turnCost(costs: CostModel, tokens: number, reused: number): number {
  if (tokens < costs.minimumTokens) return tokens * costs.plain;
  return reused * costs.read + (tokens - reused) * costs.write;
}
