/** Parts that most schemes share: masks over slots, and positions counted from zero or from a near origin. */
import { emptySlot, hidden } from './types.ts';
import type { SchemeInputs, StepView } from './types.ts';

/** May the query at one position see the key at another one, which is not later? */
export type Sees = (query: number, key: number) => boolean;

/** Row-major T x K: causal, empty slots hidden, and what `sees` refuses hidden too. */
export function maskOf(view: StepView, sees: Sees | null): Float32Array {
  const { past, start, fresh } = view;
  const slots = past.length;
  const keys = slots + fresh;
  const mask = new Float32Array(fresh * keys);
  for (let row = 0; row < fresh; row += 1) {
    const base = row * keys;
    if (row > 0 && sees === null) mask.copyWithin(base, 0, slots);
    else hidePast(mask.subarray(base, base + slots), view, sees && { sees, query: start + row });
    mask.fill(hidden, base + slots + row + 1, base + keys);
    if (sees === null) continue;
    for (let key = 0; key < row; key += 1) {
      if (!sees(start + row, start + key)) mask[base + slots + key] = hidden;
    }
  }
  return mask;
}

function hidePast(
  row: Float32Array,
  { past }: StepView,
  rule: { readonly sees: Sees; readonly query: number } | null,
): void {
  for (let slot = 0; slot < past.length; slot += 1) {
    const key = past[slot] ?? emptySlot;
    if (key === emptySlot || (rule !== null && !rule.sees(rule.query, key))) row[slot] = hidden;
  }
}

/**
 * Positions of the keys and of the queries as `place` says, less `origin`. Only differences of positions matter, and
 * angles of small ones are more exact in single precision.
 */
export function placed(
  { past, start, fresh }: StepView,
  origin = 0,
  place: (position: number) => number = (position) => position,
): Pick<SchemeInputs, 'queryPositions' | 'keyPositions'> {
  const keyPositions = new Float32Array(past.length + fresh);
  for (let slot = 0; slot < past.length; slot += 1) {
    const position = past[slot] ?? emptySlot;
    keyPositions[slot] = position === emptySlot ? 0 : place(position) - origin;
  }
  for (let row = 0; row < fresh; row += 1) {
    keyPositions[past.length + row] = place(start + row) - origin;
  }
  return { queryPositions: keyPositions.subarray(past.length), keyPositions };
}
