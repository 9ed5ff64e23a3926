/** Measured speeds in coarse steps: what follows from them must not change with every sample. */

const base = 4;
/** A step is left when the measurement is this far outside of it, as a share of the step. */
const hysteresis = 0.75;

/**
 * The power of four that stands for a speed, in whatever unit. `previous` (what it was, or null) stays until the
 * measured value is well inside another step; null = not measured yet.
 */
export function coarseRate(measured: number | null, previous: number | null): number | null {
  if (measured === null || !(measured > 0)) return previous;
  const exact = Math.log(measured) / Math.log(base);
  if (previous !== null) {
    const before = Math.log(previous) / Math.log(base);
    if (Math.abs(exact - before) < hysteresis) return previous;
  }
  return base ** Math.round(exact);
}
