/** Bootstrap over items, seeded, so that a table can be computed again. */
import type { Estimate } from './types.ts';

/** Small well-known generator (mulberry32); quality is ample for resampling. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The mean and its 95 % percentile interval over `resamples` resamples of the items; of differences: paired. */
export function estimate(values: readonly number[], resamples = 1000): Estimate {
  const random = generator(20261121);
  const means: number[] = [];
  for (let round = 0; round < resamples; round += 1) {
    let sum = 0;
    for (let draw = 0; draw < values.length; draw += 1) {
      sum += values[Math.floor(random() * values.length)] ?? 0;
    }
    means.push(sum / values.length);
  }
  means.sort((a, b) => a - b);
  const low = means[Math.floor(resamples * 0.025)] ?? 0;
  const high = means[Math.ceil(resamples * 0.975) - 1] ?? 0;
  return { mean: mean(values), interval: [low, high] };
}
