/**
 * What a cached state may be used for, per position or mixing scheme: the validity table as data. Every executed row
 * is derived again by test/reuse/validity-executed.test.ts from reference layers in double precision; docs/validity.md
 * is this table in words.
 *
 * The law behind it: key and value of a token in layer l depend on the tokens that it saw through all layers below,
 * on the position function and mask that were used, and on the weights. Position can be taken out of a stored key
 * and put in anew (`repaired`); what a token saw cannot.
 */

/**
 * - `append`: the cached text is a prefix of the new one.
 * - `cross`: the same, and the new length passes the length that the model (or its scheme) was made for.
 * - `move`: a cached chunk is wanted after another text, at another offset.
 * - `rescale`: factor, base or table of the scheme changes.
 * - `evict`: earlier tokens are dropped and later entries kept.
 * - `rollback`: the tail is cut off and another one follows (regenerate, branch).
 */
export const operations = ['append', 'cross', 'move', 'rescale', 'evict', 'rollback'] as const;

export type Operation = (typeof operations)[number];

/**
 * - `exact`: equals what a cold run computes, in every layer (1e-9 in double precision).
 * - `approximate`: the first layer is exact, deeper layers were computed in another context; only on request.
 * - `invalid`: not even the first layer, or entries are missing, or a state holds tokens that cannot be taken out.
 * - `none`: cannot happen with this scheme.
 */
export type Verdict = 'exact' | 'approximate' | 'invalid' | 'none';

/** What has to hold for a cell's verdict; `always` where nothing has to. */
export const conditions = {
  always: 'always',
  'below-original': 'while all lengths stay below the original length',
  'fresh-process': 'while no request of the process was longer than the original length',
  'inside-regime': 'while all lengths stay inside one regime',
  'inside-neighbours': 'while all lengths stay inside the neighbour window',
  'within-limit': 'up to the length of the learned table',
  'entries-resident': 'while every entry that a new token sees is still there',
  'hidden-entries': 'when only entries go that no later token sees',
  'same-session':
    'in the live session only: the state is a function of how it was fed, not of the text',
  'before-first-slide': 'before the first entry was dropped',
  'saved-state': 'from a state saved at exactly that token',
  'single-token-steps': 'in steps of one token',
  'chunk-multiple': 'by a multiple of the chunk length',
  'whole-segments': 'for whole segments of the longest dilation, at a segment border',
  'same-windows': 'with the same windows or groups in front',
  'same-common-end': 'while the common end position of the groups stays',
} as const;

export type Condition = keyof typeof conditions;

export interface ValidityCell {
  /** The state as it lies in the cache, under `when`. */
  readonly stored: Verdict;
  /** After a repair of position alone (keys re-rotated or re-scaled, no model run), under `when`. */
  readonly repaired: Verdict;
  readonly when: Condition;
  /** `stored` where the condition does not hold; null for `always`. */
  readonly otherwise: Verdict | null;
}

export interface ValidityRow {
  readonly id: string;
  readonly title: string;
  readonly cells: Readonly<Record<Operation, ValidityCell>>;
  /** False where no reference layer can stand for the row; its cells are a rule of caution. */
  readonly executed: boolean;
  /** Where the scheme is defined, and what a reader must know beyond the cells. */
  readonly note: string;
}

/** May be used without asking: exact as stored, and the condition is known to hold. */
export function usable(cell: ValidityCell, conditionHolds: boolean): boolean {
  if (conditionHolds || cell.when === 'always') return cell.stored === 'exact';
  return cell.otherwise === 'exact';
}
