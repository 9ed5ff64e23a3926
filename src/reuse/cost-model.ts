/** Which costs a request is planned with: prices where tokens are paid for, measured time on own hardware. */
import type { BackendKind } from '../core/backend-kind.ts';
import { coarseRate } from './coarse.ts';
import { moneyCosts, timeCosts, type CostModel } from './costs.ts';
import { priceOf, type PriceRow } from './prices.ts';
import { nextRate, unmeasured, type MeasuredRate, type RateSample } from './rates.ts';

/** Before anything is measured: any speed, at which compressing is free and pays whenever it shortens. */
const unmeasuredPrefill = 2000;
/**
 * Time is all that is measured, but a shorter prompt also saves memory of the server and time in every step of its
 * answer: only when compressing takes more than this many times what it saves, it does not pay.
 */
const clearLoss = 2;

export interface CostSource {
  /** Costs for a model; null = none named. */
  of(model: string | null): CostModel;
  /** What the provider's price list says of its cache; null = it is not on it. */
  rules(model: string | null): Pick<PriceRow, 'ttlMs' | 'granularity' | 'minimumTokens'> | null;
  /** What the compressor read, and how long it took. */
  compressed(sample: Omit<RateSample, 'queuedTokens'>): void;
}

/**
 * @param prefillRate measured prompt tokens a second of the backend; null = not measured. Plans use both speeds in
 * steps of two with a wide hysteresis, so that they do not go back and forth with the load.
 */
export function createCostSource(options: {
  readonly backend: () => BackendKind;
  readonly prefillRate: () => number | null;
  /** The operator wants it: compressing counts as free, and no prompt as too short to be cached. */
  readonly always: boolean;
}): CostSource {
  const { backend, prefillRate, always } = options;
  let compressor: MeasuredRate = unmeasured;
  let compressStep: number | null = null;
  let prefillStep: number | null = null;
  const priced = (model: string | null): PriceRow | null => priceOf(backend(), model ?? '');
  return {
    of(model) {
      const row = priced(model);
      if (row !== null) return always ? { ...moneyCosts(row), minimumTokens: 0 } : moneyCosts(row);
      prefillStep = coarseRate(prefillRate(), prefillStep);
      compressStep = coarseRate(compressor.tokensPerSecond, compressStep);
      const measured = always || prefillStep === null ? null : compressStep;
      return timeCosts(
        prefillStep ?? unmeasuredPrefill,
        measured === null ? Infinity : measured * clearLoss,
      );
    },
    rules: priced,
    compressed(sample) {
      compressor = nextRate(compressor, { ...sample, queuedTokens: 0 });
    },
  };
}
