/** Measured speeds in coarse steps: what follows from them must not change with every sample. */

const base = 2;
/** A step is left when the measurement is this many steps away from it: 2 = four times as fast, or a quarter. */
const hysteresis = 2;

/**
 * The power of two that stands for a speed, in whatever unit. `previous` (what it was, or null) stays until the
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
