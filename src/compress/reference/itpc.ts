/**
 * Iterative token-level prompt compression with the variable semantics of llmlingua 0.2.2:
 * first window one short, losses shifted by one, threshold over a mixed loss array, strict comparison. For comparison
 * with the reference only; the product's own token stage is in `llmlingua-tokens.ts`.
 *
 * The reference reuses a KV cache between windows; here every window is computed again from its first token, which
 * gives the same numbers. Its eviction of the cache beyond the model's positions (ids and cache then describe
 * different tokens) is not repeated: `overflow` is set and the window is scored on its last positions alone.
 */
import { pythonBorder } from './numbers.ts';

/** `losses(ids)[k]` = surprisal of `ids[k + 1]` given everything before it; length `ids.length - 1`. */
export type LossFunction = (ids: Uint32Array) => Promise<Float32Array>;

export interface RatePiece {
  readonly tokens: number;
  readonly rate: number;
}

/** Windows of `size` tokens out of consecutive pieces. The counter starts at 1, so the first window is one short. */
export function referenceWindows(pieces: readonly RatePiece[], size: number): RatePiece[][] {
  const windows: RatePiece[][] = [];
  let current: RatePiece[] = [];
  let last = 1;
  for (const { tokens, rate } of pieces) {
    if (last + tokens < size) {
      last += tokens;
      current.push({ tokens, rate });
      continue;
    }
    current.push({ tokens: size - last, rate });
    windows.push(current);
    last += tokens - size;
    if (last > size) {
      const whole = Math.floor(last / size);
      for (let k = 0; k < whole; k++) windows.push([{ tokens: size, rate }]);
      last -= whole * size;
    }
    current = last === 0 ? [] : [{ tokens: last, rate }];
  }
  if (current.length > 0) windows.push(current);
  return windows;
}

/** Value at index clamp(floor(n * rate) - 1) of the values sorted downwards; minus infinity for rate 1. */
export function referenceThreshold(values: Float32Array, rate: number): number {
  if (rate === 1) return Number.NEGATIVE_INFINITY;
  const used = values.filter((value) => value !== 10000).sort();
  const index = Math.max(0, Math.min(used.length - 1, Math.trunc(used.length * rate) - 1));
  return used[used.length - 1 - index] ?? Number.NaN;
}

export interface ThresholdRecord {
  readonly rate: number;
  readonly value: number;
  readonly values: number;
}

export interface ItpcInput {
  /** Prefix (question) and text. */
  readonly ids: Uint32Array;
  /** Tokens of the prefix; they are condition only. */
  readonly start: number;
  readonly windows: readonly (readonly RatePiece[])[];
  readonly iterativeSize: number;
  readonly maxPositions: number;
  /** Contrastive scores: also compute losses without the prefix. */
  readonly compare: boolean;
  /** Id of the separator whose runs `keep_split` protects, or null. */
  readonly splitId: number | null;
  readonly losses: LossFunction;
}

export interface ItpcResult {
  /** Kept ids after the prefix. */
  readonly keptIds: Uint32Array;
  /** Their positions in the text after the prefix. */
  readonly keptPositions: Uint32Array;
  readonly thresholds: readonly ThresholdRecord[];
  /** True when a window ended beyond the model's positions; results then differ from the reference. */
  readonly overflow: boolean;
}

/** One loss array that is filled window by window, with the bookkeeping of the reference. */
interface LossTrack {
  ids: Uint32Array;
  losses: Float32Array | null;
  /** Tokens that the reference would have in its cache before the next call. */
  cached: number;
  readyEnd: number;
}

interface State {
  main: LossTrack;
  bare: LossTrack;
  positions: Uint32Array;
  splitFlags: Uint8Array | null;
  end: number;
}

export async function referenceItpc(input: ItpcInput): Promise<ItpcResult> {
  const { ids, start, iterativeSize: size, compare } = input;
  const thresholds: ThresholdRecord[] = [];
  let overflow = false;
  const state: State = {
    main: { ids, losses: null, cached: 0, readyEnd: 0 },
    bare: { ids: ids.slice(start), losses: null, cached: 0, readyEnd: 0 },
    positions: Uint32Array.from(ids, (_, i) => i),
    splitFlags: input.splitId === null ? null : splitFlags(ids, input.splitId),
    end: Math.min(size + start, ids.length),
  };
  for (let round = 0; state.end <= state.main.ids.length; round++) {
    const window = input.windows[round];
    if (window === undefined) break;
    overflow ||= state.end > input.maxPositions;
    const first = start > 0 && round === 0;
    if (!(await advance(state.main, { input, end: state.end, round }))) break;
    state.main.readyEnd = first ? 0 : state.end - size;
    state.main.cached = round === 0 ? 0 : state.end - size;
    if (compare) {
      await advance(state.bare, { input, end: state.end - start, round });
      state.bare.readyEnd = first ? 0 : state.end - start - size;
      state.bare.cached = round === 0 ? 0 : Math.max(0, state.end - size - start);
    }
    for (const piece of window) thresholds.push(dropPiece(state, piece, input));
  }
  return {
    keptIds: state.main.ids.slice(start),
    keptPositions: state.positions.slice(start).map((position) => position - start),
    thresholds,
    overflow,
  };
}

/** Scores the tokens up to `end` and writes the losses that the reference would have computed now. */
async function advance(
  track: LossTrack,
  at: { readonly input: ItpcInput; readonly end: number; readonly round: number },
): Promise<boolean> {
  const { maxPositions, losses } = at.input;
  const wanted = at.round === 0 ? track.ids.length : at.end;
  const until = Math.min(wanted, track.cached + maxPositions, track.ids.length);
  const from = Math.max(0, until - maxPositions);
  const all = await losses(track.ids.slice(from, until));
  const fresh = all.slice(Math.max(0, track.cached - from));
  if (fresh.length === 0) return false;
  if (track.losses === null) {
    track.losses = fresh;
    return true;
  }
  const length = Math.max(track.losses.length, at.end - 1);
  const merged = new Float32Array(length);
  merged.set(track.losses);
  const place = pythonBorder(track.readyEnd, length);
  merged.set(fresh.subarray(0, length - place), place);
  track.losses = merged;
  return true;
}

/** Drops the tokens of one piece of the window and compacts every array, in the order the reference does it. */
function dropPiece(state: State, piece: RatePiece, input: ItpcInput): ThresholdRecord {
  const { start, compare, iterativeSize: size } = input;
  const losses = state.main.losses ?? new Float32Array(0);
  const bare = state.bare.losses ?? new Float32Array(0);
  const scores = compare ? contrast(losses.subarray(start), bare) : losses;
  const threshold = referenceThreshold(scores, piece.rate);
  const end = state.end - size + piece.tokens;
  const need = needFlags({ losses, scores, threshold, start: compare ? start : 0 });
  need.fill(1, pythonBorder(end, need.length));
  need.fill(1, 0, pythonBorder(end - piece.tokens, need.length));
  state.main.losses = losses.filter((_, i) => need[i] === 1);
  if (compare) {
    const padded = paddedWithOnes(need, bare.length + start + 1);
    state.bare.losses = bare.filter((_, i) => padded[start + i] === 1);
  }
  const flags = paddedWithOnes(need, state.main.ids.length).slice(0, state.main.ids.length);
  protectSplits(flags, state, { from: end - piece.tokens, end, splitId: input.splitId });
  state.main.ids = state.main.ids.filter((_, i) => flags[i] === 1);
  state.positions = state.positions.filter((_, i) => flags[i] === 1);
  if (compare) state.bare.ids = state.bare.ids.filter((_, i) => flags[i + start] === 1);
  state.splitFlags = state.splitFlags?.filter((_, i) => flags[i] === 1) ?? null;
  const border = pythonBorder(end, flags.length);
  state.end = end - flags.subarray(0, border).reduce((sum, flag) => sum + 1 - flag, 0) + size;
  return { rate: piece.rate, value: threshold, values: scores.length };
}

/** Flags of tokens above the threshold. The flag of token i looks at loss i, which belongs to token i + 1. */
function needFlags(at: {
  readonly losses: Float32Array;
  readonly scores: Float32Array;
  readonly threshold: number;
  readonly start: number;
}): Uint8Array {
  const { losses, scores, threshold, start } = at;
  const need = new Uint8Array(start + scores.length + 1);
  for (let i = 0; i < start; i++) need[i] = (losses[i] ?? 0) > 0 ? 1 : 0;
  for (let i = 0; i < scores.length; i++) need[start + i] = (scores[i] ?? 0) > threshold ? 1 : 0;
  need[need.length - 1] = (losses[0] ?? 0) > 0 ? 1 : 0;
  return need;
}

/** Loss without the prefix minus loss with it, as far as both reach. */
function contrast(conditioned: Float32Array, bare: Float32Array): Float32Array {
  const length = Math.min(conditioned.length, bare.length);
  return Float32Array.from({ length }, (_, i) => (bare[i] ?? 0) - (conditioned[i] ?? 0));
}

function paddedWithOnes(flags: Uint8Array, length: number): Uint8Array {
  if (flags.length >= length) return flags;
  const padded = new Uint8Array(length).fill(1);
  padded.set(flags);
  return padded;
}

/** 1 for every separator token that has another one beside it. */
function splitFlags(ids: Uint32Array, splitId: number): Uint8Array {
  return Uint8Array.from(ids, (id, i) =>
    id === splitId && (ids[i - 1] === splitId || ids[i + 1] === splitId) ? 1 : 0,
  );
}

/** Keeps runs of the separator and removes one that a deletion has put right after another. */
function protectSplits(
  flags: Uint8Array,
  state: State,
  at: { readonly from: number; readonly end: number; readonly splitId: number | null },
): void {
  const marks = state.splitFlags;
  if (marks === null) return;
  for (let i = 0; i < flags.length; i++) if (marks[i] === 1) flags[i] = 1;
  let last = -1;
  for (let i = Math.max(0, at.from); i < at.end; i++) {
    if (flags[i] !== 1) continue;
    const now = state.main.ids[i] ?? -1;
    if (now === at.splitId && last === at.splitId && marks[i] === 0) flags[i] = 0;
    else last = now;
  }
}
