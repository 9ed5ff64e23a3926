/** Cells that several rows of the validity table share. */
import type { Condition, Operation, ValidityCell, ValidityRow, Verdict } from './validity.ts';

export type Cells = Readonly<Record<Operation, ValidityCell>>;

export const E = 'exact';
export const A = 'approximate';
export const X = 'invalid';

export function cell(stored: Verdict, repaired: Verdict = stored): ValidityCell {
  return { stored, repaired, when: 'always', otherwise: null };
}

export function under(
  when: Condition,
  stored: Verdict,
  otherwise: Verdict,
  repaired: Verdict = stored,
): ValidityCell {
  return { stored, repaired, when, otherwise };
}

export const exact: ValidityCell = cell(E);
export const approximate: ValidityCell = cell(A);
export const invalid: ValidityCell = cell(X);
export const never: ValidityCell = cell('none');
/** The key's position can be put right, its context cannot. */
export const positionOnly: ValidityCell = cell(X, A);

/** Keys cached after rotation by frequencies that never change. */
export const rotatedKeys: Cells = {
  append: exact,
  cross: exact,
  move: positionOnly,
  rescale: positionOnly,
  evict: positionOnly,
  rollback: exact,
};

/** Keys cached without position. */
export const bareKeys: Cells = {
  append: exact,
  cross: exact,
  move: approximate,
  rescale: approximate,
  evict: approximate,
  rollback: exact,
};

/** Frequencies follow a length; `when` says how far one set of them reaches. */
export function lengthBound(when: Condition): Cells {
  return {
    append: under(when, E, X),
    cross: positionOnly,
    move: positionOnly,
    rescale: positionOnly,
    evict: positionOnly,
    rollback: under(when, E, X),
  };
}

/** One state per layer: continues from where it was saved, and nothing else. */
export const recurrentState: Cells = {
  append: under('saved-state', E, X),
  cross: under('saved-state', E, X),
  move: invalid,
  rescale: never,
  evict: invalid,
  rollback: under('saved-state', E, X),
};

export const nothing: Cells = {
  append: invalid,
  cross: invalid,
  move: invalid,
  rescale: invalid,
  evict: invalid,
  rollback: invalid,
};

/** A mask that hides tokens for good, over rotated keys. */
export const hiding: Cells = {
  append: under('entries-resident', E, X),
  cross: under('entries-resident', E, X),
  move: positionOnly,
  rescale: positionOnly,
  evict: under('hidden-entries', E, X),
  rollback: under('entries-resident', E, X),
};

export function row(id: string, title: string, cells: Cells, note: string): ValidityRow {
  return { id, title, cells, executed: true, note };
}
