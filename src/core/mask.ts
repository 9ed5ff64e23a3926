/** The one result type of every compressor: which groups of a text are kept. */

/** Why a group is kept or dropped; stored as one byte per group. */
export const keepReasons = [
  'dropped', // 0: below the budget's cut
  'score', // 1: above the budget's cut
  'survivor', // 2: a guard says that it must survive (number, identifier, negation, declared pattern)
  'forced', // 3: asked for by the caller (force_tokens, keep_first_sentence, ...)
  'structure', // 4: syntax, list markers, newlines, brackets that keep the text well formed
  'pinned', // 5: not up for compression at all
] as const;
export type KeepReason = (typeof keepReasons)[number];

/**
 * Parallel arrays, one entry per group, ascending and without overlap. Text between two groups is separator
 * (white space) and belongs to neither.
 *
 * Example: text `The cat sat down.` in words, keeping `cat` and `sat`:
 *
 * ```
 * starts [0, 4, 8, 12, 16]   ends [3, 7, 11, 16, 17]
 * keep   [0, 1, 1,  0,  0]   why  [0, 1, 1,  0,  0]   scores [0.1, 4.2, 3.9, 0.7, 0.2]
 * render -> "cat sat"
 * ```
 */
export interface KeepMask {
  /** UTF-16 offset where each group starts. */
  readonly starts: Uint32Array;
  /** UTF-16 offset just after each group. */
  readonly ends: Uint32Array;
  /** 1 = kept, 0 = dropped. */
  readonly keep: Uint8Array;
  /** Index into `keepReasons`. */
  readonly why: Uint8Array;
  /** The value the choice was made by (unit depends on the method), or null where there was none. */
  readonly scores: Float32Array | null;
}
