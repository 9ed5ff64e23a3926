/**
 * Regimes: ranges of total length inside which a position scheme uses one set of frequencies. Entries never cross
 * from one to another, in either direction. An entry belongs to the regime of the request that wrote it: when a short
 * conversation grows past a border, its old entries stay good for short requests.
 */
import { layerProfiles } from '../core/attention-profiles.ts';
import type { LayerKind } from '../core/model-config.ts';
import type { PositionScheme } from './position.ts';
import type { LayerGroup } from './index-options.ts';
import type { Condition, ValidityRow } from './validity.ts';
import { validityTable } from './validity-table.ts';

/** Regime of entries that no other request may use, not even one of the same length. */
export const unshared = 'unshared';

/**
 * Names the regime that a sequence of `totalTokens` (prompt and everything generated so far) is computed in. Same
 * name, same frequencies; '' for schemes that have one only.
 *
 * - LongRoPE by length: `short` up to and including the original length, else `long`.
 * - Dynamic NTK in steps of two: `step-n`, n = ceil(log2(total / original)), at least 0.
 * - Dynamic NTK by the process's longest sequence: `base` below the original length (transformers goes back to the
 *   model's own base only for calls that are shorter than it), else `unshared`. Any other
 *   scheme with such a history: `unshared`.
 * - Decided by the batch, or by an unknown border: `unshared`.
 */
export function regime(position: PositionScheme, totalTokens: number): string {
  const { scheme, originalLength } = position;
  if (position.switch === 'static') return '';
  if (position.switch === 'per-batch' || originalLength === null) return unshared;
  if (position.switch === 'process-history')
    return scheme === 'ntk-dynamic' && totalTokens < originalLength ? 'base' : unshared;
  if (scheme === 'ntk-stepped') return `step-${stepOf(originalLength, totalTokens)}`;
  return totalTokens <= originalLength ? 'short' : 'long';
}

/** May entries of one regime serve a request in another? Only inside the same one, and never `unshared`. */
export function sharesRegime(cached: string, wanted: string): boolean {
  return cached === wanted && cached !== unshared;
}

/**
 * Will a request that grows from `fromTokens` (its prompt) to at most `toTokens` (prompt and the most it may
 * generate) leave entries that the next turn cannot use? To be asked before forwarding.
 */
export function willCross(position: PositionScheme, fromTokens: number, toTokens: number): boolean {
  return !sharesRegime(regime(position, fromTokens), regime(position, toTokens));
}

/**
 * Longest total that stays in the regime of `totalTokens`; null where the regime has no end, or where nothing is
 * shared anyway. What a prompt that is to be made smaller should be kept below.
 */
export function regimeEnd(position: PositionScheme, totalTokens: number): number | null {
  const name = regime(position, totalTokens);
  const { originalLength } = position;
  if (name === '' || name === 'long' || name === unshared || originalLength === null) return null;
  if (name === 'base') return originalLength - 1;
  if (name === 'short') return originalLength;
  return originalLength * 2 ** stepOf(originalLength, totalTokens);
}

function stepOf(originalLength: number, totalTokens: number): number {
  return totalTokens <= originalLength ? 0 : Math.ceil(Math.log2(totalTokens / originalLength));
}

/**
 * Rows of the validity table that hold for a served model: its positions, its masks, its states. An operation is as
 * good as the worst of their cells.
 */
export function validityRows(position: PositionScheme): readonly ValidityRow[] {
  const ids = new Set<string>();
  const scheme = schemeRow(position);
  if (scheme !== null) ids.add(scheme);
  for (const { row } of layerProfiles(layersOf(position))) if (row !== null) ids.add(row);
  return validityTable.filter(({ id }) => ids.has(id));
}

/** Conditions that nobody outside the engine can see: entries and states that may have been given up. */
const unseen: ReadonlySet<Condition> = new Set([
  'entries-resident',
  'saved-state',
  'before-first-slide',
]);

/**
 * Whether a request that leaves the cached text before its end may count on what precedes that place. Not where a
 * window or a state has moved on: what they held there is gone, unless the engine says otherwise.
 */
export function keepsBranches(position: PositionScheme): boolean {
  return validityRows(position).every(
    ({ cells: { rollback } }) => rollback.stored === 'exact' && !unseen.has(rollback.when),
  );
}

/** Groups of layers as a cache keeps them; full attention alone where nothing else is known. */
export function layerGroups(position: PositionScheme | null): readonly LayerGroup[] {
  const groups = (position === null ? [] : layersOf(position)).flatMap((kind): LayerGroup[] => {
    switch (kind) {
      case 'full':
        return [{ kind: 'full' }];
      case 'recurrent':
        return [{ kind: 'recurrent' }];
      case 'window': {
        const windowTokens = position?.window ?? null;
        return windowTokens === null ? [] : [{ kind: 'sliding', windowTokens }];
      }
    }
  });
  return groups.length === 0 ? [{ kind: 'full' }] : groups;
}

/** Kinds of layers; a window that no sequence outgrows hides nothing. */
function layersOf({ layers, window, maxLength }: PositionScheme): readonly LayerKind[] {
  const outgrown = window === null || maxLength === null || maxLength > window;
  return outgrown
    ? layers
    : [...new Set(layers.map((kind) => (kind === 'window' ? 'full' : kind)))];
}

function schemeRow(position: PositionScheme): string | null {
  switch (position.scheme) {
    case 'none':
      return null;
    case 'unknown':
      return 'opaque';
    case 'longrope':
      return longRopeRow(position);
    default:
      return position.scheme;
  }
}

function longRopeRow(position: PositionScheme): string {
  if (position.switch === 'static') return 'longrope-constant';
  return position.switch === 'per-request-length' ? 'longrope-length' : 'longrope-batch';
}
