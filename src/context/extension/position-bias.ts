/** Positions that are not a rotation alone: ALiBi's slopes and xPos's scales. */

/**
 * Slope of every head; the logit of a query at i and a key at j gets -slope (i - j) (arXiv 2108.12409, section 3).
 * A number of heads that is no power of two takes those of the next lower power and then every second one of the next
 * higher power.
 */
export function alibiSlopes(heads: number): Float64Array {
  const lower = 2 ** Math.floor(Math.log2(heads));
  const ofPower = (count: number): readonly number[] =>
    Array.from({ length: count }, (_, head) => 2 ** ((-8 * (head + 1)) / count));
  const between = ofPower(2 * lower).filter((_, head) => head % 2 === 0);
  return Float64Array.from([...ofPower(lower), ...between.slice(0, heads - lower)]);
}

/** Positions over which a pair decays by its zeta (torchscale). */
const xposScaleBase = 512;

/** zeta_i = (2i/d + 0.4) / 1.4 of every pair (arXiv 2212.10554, section 3.1). */
export function xposZeta(headDim: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => ((2 * i) / headDim + 0.4) / 1.4);
}

/** Scale of a query's pairs at a position; of a key's, at the negative position. */
export function xposScale(headDim: number, position: number): Float64Array {
  return xposZeta(headDim).map((zeta) => zeta ** (position / xposScaleBase));
}
