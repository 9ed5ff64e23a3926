/** How long a prompt may get where the position scheme changes its behaviour at a length: stay below, or cross once. */

export interface RegimeTarget {
  /** Tokens that the new compressible text may have, so that the prompt stays below; null = no such aim. */
  readonly tokens: number | null;
  /**
   * - `no-border`: the scheme has one regime, or the prompt is far from the border
   * - `stay-below`: compressing keeps prompt and answer below
   * - `cross-once`: it cannot stay below; it crosses now, without being squeezed for nothing
   * - `already-above`: the replayed text alone is above
   */
  readonly reason: 'no-border' | 'stay-below' | 'cross-once' | 'already-above';
  /** Prompt or answer pass the border in this turn: its KV does not serve the next turn. */
  readonly crosses: boolean;
}

/**
 * Pure. `border`: longest total (prompt and answer) of the lower regime; exactly that many tokens are still below.
 * The reserve is a share of the border that stays free, so that the next turns do not cross either.
 */
export function regimeTarget(input: {
  readonly border: number | null;
  /** Tokens that stay as they are: replayed units and new pinned text. */
  readonly kept: number;
  readonly compressible: number;
  readonly maxNew: number;
  /** Least share that compressing may leave. */
  readonly minRate: number;
  readonly reserve: number;
  readonly mayCompress: boolean;
}): RegimeTarget {
  const { border, kept, compressible, maxNew } = input;
  if (border === null) return { tokens: null, reason: 'no-border', crosses: false };
  if (kept > border) return { tokens: null, reason: 'already-above', crosses: false };
  const total = kept + compressible + maxNew;
  const aim = Math.floor(border * (1 - input.reserve));
  if (total <= aim) return { tokens: null, reason: 'no-border', crosses: false };
  const least = Math.ceil(compressible * input.minRate);
  if (input.mayCompress && least > 0) {
    const room = aim - kept - maxNew;
    if (room >= least) return { tokens: room, reason: 'stay-below', crosses: false };
    // Without the reserve it still fits this turn.
    const last = border - kept - maxNew;
    if (last >= least) return { tokens: last, reason: 'stay-below', crosses: false };
  }
  if (total <= border) return { tokens: null, reason: 'no-border', crosses: false };
  // The prompt is computed in the upper regime as a whole when it is above itself; only then nothing is mixed.
  return { tokens: null, reason: 'cross-once', crosses: kept + compressible <= border };
}
