/** What a prompt costs with and without compression: one arithmetic for milliseconds and for money. */
import type { PriceRow } from './prices.ts';

/** Cost of one prompt token in each of the things that can happen to it, all in `unit`. */
export interface CostModel {
  /** `ms` on own hardware, plain input tokens at a price otherwise. */
  readonly unit: 'ms' | 'input-tokens';
  /** Computed, not to be cached. */
  readonly plain: number;
  /** Computed and left in the cache. */
  readonly write: number;
  /** Found in the cache. */
  readonly read: number;
  /** Read by the compressor. */
  readonly compress: number;
  /** Shorter prompts are not cached. */
  readonly minimumTokens: number;
}

/** Own hardware: a hit costs nothing, a computed token its time. Rates in tokens a second, as measured. */
export function timeCosts(prefillRate: number, compressRate: number): CostModel {
  const write = 1000 / prefillRate;
  return {
    unit: 'ms',
    plain: write,
    write,
    read: 0,
    compress: 1000 / compressRate,
    minimumTokens: 0,
  };
}

/** Hosted: prices relative to a plain input token. `compress`: what compressing one token costs in that currency. */
export function moneyCosts(row: PriceRow, compress = 0): CostModel {
  const { write, read, minimumTokens } = row;
  return { unit: 'input-tokens', plain: 1, write, read, compress, minimumTokens };
}

/** Cost of a replayed token in a later turn when `hitShare` of what could be reused is. */
export function laterCost(costs: CostModel, hitShare: number): number {
  return hitShare * costs.read + (1 - hitShare) * costs.write;
}

/**
 * Turns (this one included) after which giving up a cached prefix pays: keeping `before` tokens costs n * r * before,
 * rewriting them to `after` costs w * after + (n - 1) * r * after + compressing. Infinity = never.
 */
export function breakEvenTurns(
  costs: CostModel,
  sizes: { readonly before: number; readonly after: number; readonly compressing: number },
): number {
  const { before, after, compressing } = sizes;
  const saved = costs.read * (before - after);
  if (saved <= 0) return Infinity;
  return ((costs.write - costs.read) * after + compressing) / saved;
}

/** Cost over `turns` of a prompt of `tokens`, of which `cached` are in the cache now and all are afterwards. */
export function projectedCost(
  costs: CostModel,
  prompt: {
    readonly tokens: number;
    readonly cached: number;
    readonly turns: number;
    readonly hitShare: number;
  },
): number {
  const { tokens, cached, turns, hitShare } = prompt;
  if (tokens < costs.minimumTokens) return turns * tokens * costs.plain;
  const first = costs.read * cached + costs.write * (tokens - cached);
  return first + (turns - 1) * tokens * laterCost(costs, hitShare);
}
