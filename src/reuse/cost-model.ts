/** Which costs a request is planned with: prices where tokens are paid for, measured time on own hardware. */
import type { BackendKind } from '../core/backend-kind.ts';
import { coarseRate } from './coarse.ts';
import { moneyCosts, timeCosts, type CostModel } from './costs.ts';
import { priceOf } from './prices.ts';
import { nextRate, unmeasured, type MeasuredRate, type RateSample } from './rates.ts';

/** Before anything is measured: any speed, at which compressing is free and pays whenever it shortens. */
const unmeasuredPrefill = 2000;

export interface CostSource {
  /** Costs for a model; null = none named. */
  of(model: string | null): CostModel;
  /** Milliseconds without use after which the backend's cache is cold; null = not known from prices. */
  lifetimeMs(model: string | null): number | null;
  /** What the compressor read, and how long it took. */
  compressed(sample: Omit<RateSample, 'queuedTokens'>): void;
}

/**
 * @param prefillRate measured prompt tokens a second of the backend; null = not measured. Plans use both speeds in
 * steps of four with hysteresis, so that they do not go back and forth with the load.
 */
export function createCostSource(
  backend: () => BackendKind,
  prefillRate: () => number | null,
): CostSource {
  let compressor: MeasuredRate = unmeasured;
  let compressStep: number | null = null;
  let prefillStep: number | null = null;
  const priced = (model: string | null) => priceOf(backend(), model ?? '');
  return {
    of(model) {
      const row = priced(model);
      if (row !== null) return moneyCosts(row);
      prefillStep = coarseRate(prefillRate(), prefillStep);
      compressStep = coarseRate(compressor.tokensPerSecond, compressStep);
      if (prefillStep === null || compressStep === null) {
        return timeCosts(prefillStep ?? unmeasuredPrefill, Infinity);
      }
      return timeCosts(prefillStep, compressStep);
    },
    lifetimeMs: (model) => priced(model)?.ttlMs ?? null,
    compressed(sample) {
      compressor = nextRate(compressor, { ...sample, queuedTokens: 0 });
    },
  };
}
