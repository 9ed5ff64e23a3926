/** Small numeric rules of the Python libraries that the reference modes repeat exactly. */

/**
 * Linear-interpolation percentile (numpy's default): h = (n - 1) * q / 100, a[floor h] + frac * (a[floor h + 1] - a[floor h]).
 * `q` in [0, 100]. NaN values are left out; an empty list gives NaN.
 */
export function percentile(values: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(Array.from(values).filter((value) => !Number.isNaN(value)));
  sorted.sort();
  if (sorted.length === 0) return Number.NaN;
  const place = ((sorted.length - 1) * q) / 100;
  const below = Math.floor(place);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? low;
  return low + (place - below) * (high - low);
}

/** Mean as a plain sum over a count; NaN for an empty list. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  return values.length === 0 ? Number.NaN : sum / values.length;
}

/** A slice border as Python reads it: negative counts from the end, everything is clamped to the length. */
export function pythonBorder(border: number, length: number): number {
  const place = border < 0 ? border + length : border;
  return Math.min(Math.max(place, 0), length);
}

/**
 * `context_budget` of LongLLMLingua: a sign and a number applied to the target (`+100`, `*2`, `-50`, `/2`).
 * The reference evaluates the string as code; here anything else is refused by returning null.
 */
export function applyContextBudget(target: number, rule: string): number | null {
  const match = /^\s*([+\-*/])\s*(\d+(?:\.\d+)?)\s*$/u.exec(rule);
  if (match === null) return null;
  const amount = Number(match[2]);
  switch (match[1]) {
    case '+':
      return target + amount;
    case '-':
      return target - amount;
    case '*':
      return target * amount;
    default:
      return amount === 0 ? null : target / amount;
  }
}
