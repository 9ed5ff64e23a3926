/** Schemes that put nothing into the key: ALiBi. */
import { bareScheme, scaledDot } from './attention.ts';
import type { AttentionScheme } from './attention.ts';

/**
 * Slopes of the heads, 2^(-8h/n) for a power of two; otherwise those of the next smaller power followed by every
 * second one of the next larger (ALiBi, arXiv 2108.12409, section 3 and its published code).
 */
export function alibiSlopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const own = geometric(power);
  if (power === heads) return own;
  const between = geometric(2 * power).filter((_, i) => i % 2 === 0);
  return [...own, ...between.slice(0, heads - power)];
}

function geometric(heads: number): number[] {
  return Array.from({ length: heads }, (_, h) => 2 ** ((-8 * (h + 1)) / heads));
}

/** Linear bias on the distance, added to the scaled logit; `strength` multiplies all slopes (1 in the paper). */
export function alibi(heads: number, strength = 1): AttentionScheme {
  const slopes = alibiSlopes(heads);
  return {
    ...bareScheme,
    logit: (query, stored, { head, query: to, key: from }) =>
      scaledDot(query, stored) - strength * (slopes[head] ?? 0) * (to - from),
  };
}
