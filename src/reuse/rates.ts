/** Speeds as measured on the way: prompt tokens a second of an engine, text tokens a second of the compressor. */

/** A smoothed rate in tokens a second; null = nothing measured yet. */
export interface MeasuredRate {
  readonly tokensPerSecond: number | null;
  readonly samples: number;
}

export const unmeasured: MeasuredRate = { tokensPerSecond: null, samples: 0 };

export interface RateSample {
  /** Tokens that were really computed: prompt less reported hit, or tokens that the compressor read. */
  readonly tokens: number;
  /** Milliseconds until the first token, or of the compressor's work. */
  readonly ms: number;
  /** Tokens that waited in front of it; a sample with a queue says nothing about speed. */
  readonly queuedTokens: number;
}

/** Shorter runs measure the network and the scheduler, not the speed. */
const minTokens = 256;
const smoothing = 0.2;

/**
 * Pure. The first samples are averaged, later ones blended in. What is too short, had to wait or took no time is
 * left out.
 */
export function nextRate(rate: MeasuredRate, sample: RateSample): MeasuredRate {
  const { tokens, ms, queuedTokens } = sample;
  if (tokens < minTokens || ms <= 0 || queuedTokens > tokens / 10) return rate;
  const now = (tokens * 1000) / ms;
  const samples = rate.samples + 1;
  const weight = Math.max(smoothing, 1 / samples);
  const before = rate.tokensPerSecond ?? now;
  return { tokensPerSecond: before + weight * (now - before), samples };
}

/** Samples that a smoothed rate remembers: (2 - w) / w. */
const remembered = 2 / smoothing - 1;
/** Replicas that differ by less than this factor from the mean are taken to be alike. */
const alike = 2;

/**
 * One replica's speed as far as it is told from the others': its own once enough was measured and it is far from the
 * mean of all, else that mean. Replicas of one service are mostly alike, measurements on the way are not; by its own
 * numbers a replica with one slow first answer would stay empty, and so unmeasured, for good. null = nothing was
 * measured anywhere.
 */
export function pooledRate(own: MeasuredRate, all: readonly MeasuredRate[]): number | null {
  const rates = all.flatMap(({ tokensPerSecond }) => tokensPerSecond ?? []);
  if (rates.length === 0) return null;
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  if (own.tokensPerSecond === null || own.samples < remembered) return mean;
  const factor = own.tokensPerSecond / mean;
  return factor > alike || factor < 1 / alike ? own.tokensPerSecond : mean;
}
