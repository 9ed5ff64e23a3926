/** A method for long input as a row: what it changes in a backend's costs, and what of its cache may be used again. */

/**
 * What may be reused of a cached text.
 * - `A`: any prefix; the tail can be cut
 * - `W`: a prefix while its last window is still there: append, but no early branch
 * - `S`: the state at exactly the saved point; nothing can be cut off it
 * - `N`: nothing, there is no such cache (encoders)
 * - `T`: whatever the model allows without the method
 */
export type ReuseClass = 'A' | 'W' | 'S' | 'N' | 'T';

export const reuseClasses: Readonly<Record<ReuseClass, string>> = {
  A: 'any cached prefix, the tail can be cut',
  W: 'a prefix while its last window is resident: append, no early branch',
  S: 'the state at exactly the saved point, nothing can be cut off',
  N: 'nothing: no cache of a decoder',
  T: 'as the model without it',
};

export interface AttentionProfile {
  readonly id: string;
  readonly title: string;
  readonly group: ProfileGroup;
  /** Change of the backend's cost; L tokens, d channels, w window. */
  readonly cost: string;
  readonly reuse: ReuseClass;
  readonly maxContext: string;
  /** A cached chunk after other text or at another position. */
  readonly movable: string;
  readonly note: string;
  /** Row of the validity table (docs/validity.md); null = none of its own. */
  readonly row: string | null;
}

export type ProfileGroup = (typeof profileGroups)[number];

export const profileGroups = [
  'Length extrapolation',
  'Windows and compression',
  'Attention approximation',
  'Attention-free',
  'Model compression',
  'Hardware-aware',
] as const;

export type ProfileCells = readonly [
  title: string,
  cost: string,
  reuse: ReuseClass,
  maxContext: string,
  movable: string,
  note: string,
];

export const onlyRotated = 'approximate, after re-rotation';

/** @param validity rows of the validity table, by profile */
export function profileRows(
  group: ProfileGroup,
  table: Readonly<Record<string, ProfileCells>>,
  validity: Readonly<Record<string, string>> = {},
): readonly AttentionProfile[] {
  return Object.entries(table).map(([id, [title, cost, reuse, maxContext, movable, note]]) => ({
    id,
    title,
    group,
    cost,
    reuse,
    maxContext,
    movable,
    note,
    row: validity[id] ?? null,
  }));
}
