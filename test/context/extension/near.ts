/** Equality of numbers that were written down with nine digits. */
import assert from 'node:assert/strict';

export function near(found: number, expected: number, relative = 1e-6): void {
  const allowed = relative * Math.abs(expected);
  assert.ok(Math.abs(found - expected) <= allowed, `${found} is not ${expected}`);
}

export function nearAll(
  found: readonly (number | undefined)[],
  expected: readonly number[],
  relative = 1e-6,
): void {
  assert.equal(found.length, expected.length);
  for (const [i, value] of expected.entries()) near(found[i] ?? NaN, value, relative);
}
