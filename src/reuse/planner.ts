/**
 * What to do with a request: compress its new text or not, keep or give up the forwarded prefix, and how many tokens
 * to aim for. Pure; nothing is ever compressed that was forwarded before, except by a rewrite that starts an epoch.
 */
import type { AdmissionReason, Exactness, Mode, RewriteReason } from '../core/reuse-words.ts';
import { projectedCost, type CostModel } from './costs.ts';
import type { MissReason } from './miss.ts';
import type { ModeDecision } from './mode.ts';
import { regimeTarget, type RegimeTarget } from './regime-target.ts';
import type { SessionState } from './session.ts';

export type { AdmissionReason, RewriteReason };

export interface PlanInput {
  readonly mode: ModeDecision;
  /** Tokens that the chosen replica is expected to reuse (see ReplicaIndex.match). */
  readonly expectedHit: number;
  /** How that is known; `unknown` where there is no index. */
  readonly exactness: Exactness;
  readonly epoch: number;
  /** Tokens of the units that are replayed. */
  readonly replayedTokens: number;
  /** Tokens of the new units that may be compressed, and of those that may not. */
  readonly compressibleTokens: number;
  readonly fixedTokens: number;
  /** Tokens of the answer at most. */
  readonly maxNewTokens: number;
  /** A shorter form of the replayed units, if one is known: its tokens, and how many the compressor must read for it. */
  readonly shorter: { readonly tokens: number; readonly compressed: number } | null;
  /** Turns that the conversation is expected to have from now on, this one included; at least 1. */
  readonly expectedTurns: number;
  /** Context window; null = not known. */
  readonly limitTokens: number | null;
  /** Length at which the position scheme changes its regime; null = it has none. */
  readonly regimeBorder: number | null;
}

export interface PlannerOptions {
  /** Shares of the context window. */
  readonly highWater: number;
  readonly lowWater: number;
  /** Smallest saving of a rewrite that is worth an epoch, in tokens. */
  readonly minClearTokens: number;
  /** Least share that compressing may leave; the operator's rate. */
  readonly minRate: number;
  /** Part of the regime border that is kept free, against going back and forth. */
  readonly regimeReserve: number;
}

export const defaultPlannerOptions: PlannerOptions = {
  highWater: 0.8,
  lowWater: 0.4,
  minClearTokens: 1024,
  minRate: 0.3,
  regimeReserve: 0.1,
};

export interface Plan {
  readonly mode: Mode;
  readonly epoch: number;
  readonly compress: boolean;
  readonly admission: AdmissionReason;
  readonly rewrite: boolean;
  readonly rewriteReason: RewriteReason;
  /** Tokens that the new text should have at most; null = the rate decides. */
  readonly targetTokens: number | null;
  readonly target: RegimeTarget['reason'];
  /** Multiple of the block size; 0 after a rewrite of everything. */
  readonly reuseTokensExpected: number;
  readonly exactness: PlanInput['exactness'];
  /** True: this turn's KV is not expected to serve the next one. */
  readonly willCross: boolean;
  readonly miss: MissReason | null;
  /** Over the expected turns, in `unit`. */
  readonly projected: { readonly plan: number; readonly passThrough: number };
  readonly unit: CostModel['unit'];
}

/** Law 9: whatever is not cheaper by plan passes through. */
export function planRequest(
  input: PlanInput,
  session: SessionState,
  costs: CostModel,
  options: PlannerOptions = defaultPlannerOptions,
): Plan {
  const rewriteReason = rewriteOf(input, session, costs, options);
  const rewrite = isRewrite(rewriteReason);
  const history = rewrite ? (input.shorter?.tokens ?? input.replayedTokens) : input.replayedTokens;
  const hit = rewrite ? 0 : input.expectedHit;
  const admission = admissionOf(input, { session, costs, history, hit });
  const target = regimeTarget({
    border: input.regimeBorder,
    kept: history + input.fixedTokens,
    compressible: input.compressibleTokens,
    maxNew: input.maxNewTokens,
    minRate: options.minRate,
    reserve: options.regimeReserve,
    mayCompress: admission === 'pays',
  });
  const compress = admission === 'pays';
  return {
    mode: rewrite ? 'rewrite' : input.mode.mode,
    epoch: rewrite ? input.epoch + 1 : input.epoch,
    compress,
    admission,
    rewrite,
    rewriteReason,
    targetTokens: compress ? target.tokens : null,
    target: target.reason,
    reuseTokensExpected: hit,
    exactness: input.exactness,
    willCross: target.crosses,
    miss: rewrite ? 'rewritten' : input.mode.miss,
    projected: projectedOf(input, {
      session,
      costs,
      history,
      hit,
      shrunk: compress ? Math.min(shrunkTokens(input, session), target.tokens ?? Infinity) : null,
      rewrite,
    }),
    unit: costs.unit,
  };
}

/** Cost of the plan and of pass-through over the expected turns. */
function projectedOf(
  input: PlanInput,
  plan: AdmissionContext & { readonly shrunk: number | null; readonly rewrite: boolean },
): Plan['projected'] {
  const { session, costs, history, hit, shrunk, rewrite } = plan;
  const shape = { turns: input.expectedTurns, hitShare: session.hitShare };
  const raw = input.replayedTokens + input.fixedTokens + input.compressibleTokens;
  const tokens = history + input.fixedTokens + (shrunk ?? input.compressibleTokens);
  const read =
    (shrunk === null ? 0 : input.compressibleTokens) +
    (rewrite ? (input.shorter?.compressed ?? 0) : 0);
  return {
    plan: projectedCost(costs, { ...shape, tokens, cached: hit }) + costs.compress * read,
    passThrough: projectedCost(costs, { ...shape, tokens: raw, cached: input.expectedHit }),
  };
}

function shrunkTokens(input: PlanInput, session: SessionState): number {
  return Math.ceil(input.compressibleTokens * session.rate);
}

interface AdmissionContext {
  readonly session: SessionState;
  readonly costs: CostModel;
  /** Tokens in front of the new text. */
  readonly history: number;
  readonly hit: number;
}

function admissionOf(input: PlanInput, context: AdmissionContext): AdmissionReason {
  const { session, costs, history, hit } = context;
  if (input.compressibleTokens === 0) return 'nothing-new';
  if (session.stopped) return 'session-loss';
  const kept = history + input.fixedTokens;
  const shape = { cached: hit, turns: input.expectedTurns, hitShare: session.hitShare };
  const raw = kept + input.compressibleTokens;
  const shrunk = kept + shrunkTokens(input, session);
  const without = projectedCost(costs, { ...shape, tokens: raw });
  const compressing = costs.compress * input.compressibleTokens;
  if (projectedCost(costs, { ...shape, tokens: shrunk }) + compressing < without) return 'pays';
  const fallsBelow = raw >= costs.minimumTokens && shrunk < costs.minimumTokens;
  return fallsBelow ? 'cacheable-minimum' : 'costs-more';
}

function isRewrite(reason: RewriteReason): boolean {
  return reason === 'cold' || reason === 'break-even' || reason === 'limit';
}

function rewriteOf(
  input: PlanInput,
  session: SessionState,
  costs: CostModel,
  options: PlannerOptions,
): RewriteReason {
  const { shorter, replayedTokens, limitTokens } = input;
  if (shorter === null || replayedTokens <= shorter.tokens) return 'nothing-to-gain';
  const fresh = input.fixedTokens + input.compressibleTokens;
  const total = replayedTokens + fresh;
  if (limitTokens !== null && total + input.maxNewTokens > limitTokens) return 'limit';
  if (session.stopped) return 'session-loss';
  if (replayedTokens - shorter.tokens < options.minClearTokens) return 'nothing-to-gain';
  const cold = input.mode.mode === 'cold';
  if (!cold) {
    if (limitTokens === null || total < options.highWater * limitTokens) return 'below-high-water';
    if (shorter.tokens + fresh > options.lowWater * limitTokens) return 'above-low-water';
  }
  const shape = { turns: input.expectedTurns, hitShare: session.hitShare };
  const kept = projectedCost(costs, { ...shape, tokens: total, cached: input.expectedHit });
  const rewritten = projectedCost(costs, { ...shape, tokens: shorter.tokens + fresh, cached: 0 });
  const pays = rewritten + costs.compress * shorter.compressed < kept;
  if (cold) return pays ? 'cold' : 'costs-more';
  return pays ? 'break-even' : 'too-few-turns';
}
