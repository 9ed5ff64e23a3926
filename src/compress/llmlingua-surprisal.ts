/** Surprisal of a text in windows, each token scored once, with a bounded left context. */
import { throwIfAborted } from '../core/abort.ts';
import { SluiceError } from '../core/errors.ts';
import type { SurprisalScorer } from '../score/types.ts';
import { groupCosts, selectWithinBudget } from './budget.ts';
import { mean } from './reference/numbers.ts';
import { shareTokens } from './llmlingua-words.ts';
import type { GroupRanges } from './mask.ts';

/** Tokens of left context that a window reads beside its own: enough for agreement and topic, cheap to read again. */
export const leftContextTokens = 40;

/** Tokens per window of the iterative pruning when `iterative_size` is not given. */
const defaultIterativeSize = 200;
/** Segments of one job that are scored at the same time. */
export const scoringLanes = 4;

export function requireSurprisal(scorer: SurprisalScorer | null, method: string): SurprisalScorer {
  if (scorer !== null) return scorer;
  throw new SluiceError(
    'METHOD_UNAVAILABLE',
    `Method ${method} needs a causal scorer, and none is installed`,
  );
}

/** @throws SluiceError REQUEST_INVALID below one token */
export function iterativeSize(asked: number | undefined): number {
  const size = asked ?? defaultIterativeSize;
  if (size >= 1) return Math.floor(size);
  throw new SluiceError('REQUEST_INVALID', `iterative_size must be at least 1, found ${size}`);
}

export interface TextSurprisal {
  readonly ids: Uint32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** -ln p(token | left context), nats. */
  readonly values: Float32Array;
  /** Mean surprisal of the ids `after` each window; empty when none were asked for. */
  readonly afterMeans: readonly number[];
}

export interface SurprisalInput {
  readonly scorer: SurprisalScorer;
  readonly text: string;
  /** Windows are cut where a group starts. */
  readonly groups: GroupRanges;
  /** Tokens per window. */
  readonly windowTokens: number;
  /** Ids read before every window (question); not scored. */
  readonly condition?: Uint32Array;
  /** Ids scored after every window, as if the text ended there (question after document). */
  readonly after?: Uint32Array;
  /** Ids right before the text, of which the first window reads the last few; not scored. */
  readonly before?: Uint32Array;
  /**
   * Left context of later windows: `original` = the text as it stands; `compressed` = what the top-k at `rate` keeps of
   * it, window by window (iterative compression, LLMLingua section 4.2).
   */
  readonly left: { readonly kind: 'original' } | CompressedLeft;
  readonly signal: AbortSignal | null;
}

export interface CompressedLeft {
  readonly kind: 'compressed';
  readonly rate: number;
  /** Groups that stay in any case. */
  readonly fixed: Uint8Array;
}

/**
 * Scores every token of the text once. One pass per window over [BOS, condition, left context, window, after].
 *
 * @throws SluiceError what the scorer throws; ABORTED, DEADLINE_EXCEEDED
 */
export async function textSurprisal(input: SurprisalInput): Promise<TextSurprisal> {
  const { scorer, text, signal } = input;
  const encoding = scorer.encode(text);
  const values = new Float32Array(encoding.ids.length);
  const owner = tokenGroups(encoding, input.groups);
  const head = [...(scorer.bosId === null ? [] : [scorer.bosId]), ...(input.condition ?? [])];
  const after = input.after ?? new Uint32Array(0);
  const room = Math.max(1, scorer.contextLength - head.length - leftContextTokens - after.length);
  const afterMeans: number[] = [];
  const size = Math.max(1, Math.min(Math.floor(input.windowTokens), room));
  let left = Array.from(input.before ?? []).slice(-leftContextTokens);
  for (let from = 0; from < encoding.ids.length;) {
    throwIfAborted(signal);
    const to = windowEnd(owner, { from, size, room });
    const prefix = [...head, ...left];
    const window = encoding.ids.subarray(from, to);
    const fed = Uint32Array.of(...prefix, ...window, ...after);
    const scored = await scorer.scoreIds(fed, { signal });
    values.set(scored.subarray(prefix.length, prefix.length + window.length), from);
    if (after.length > 0) afterMeans.push(mean(scored.subarray(prefix.length + window.length)));
    if (prefix.length === 0) values[from] = firstValue(values.subarray(from, to));
    const kept =
      input.left.kind === 'original'
        ? Array.from(window)
        : keptIds(input, input.left, { encoding, values, owner, from, to });
    left = [...left, ...kept].slice(-leftContextTokens);
    from = to;
  }
  return { ...encoding, values, afterMeans };
}

/** The group that a token belongs to: the first one that ends after the token's start, else the last one. */
function tokenGroups(encoding: { readonly starts: Uint32Array }, groups: GroupRanges): Uint32Array {
  let group = 0;
  return encoding.starts.map((start) => {
    while (group < groups.ends.length - 1 && (groups.ends[group] ?? 0) <= start) group++;
    return group;
  });
}

/**
 * End of the window that starts at `from`: the first group border at or after `size` tokens; where that is further
 * than `room`, the last border within it; inside a group only when the group alone is longer than that.
 */
function windowEnd(
  owner: Uint32Array,
  at: { readonly from: number; readonly size: number; readonly room: number },
): number {
  const { from, size, room } = at;
  const last = Math.min(owner.length, from + room);
  const isBorder = (to: number): boolean => to === owner.length || owner[to] !== owner[to - 1];
  for (let to = Math.min(owner.length, from + size); to <= last; to++) if (isBorder(to)) return to;
  for (let to = last; to > from; to--) if (isBorder(to)) return to;
  return last;
}

/** Without any token before it the first one has no probability: it counts as much as the most surprising one. */
function firstValue(values: Float32Array): number {
  return values.subarray(1).reduce((most, value) => Math.max(most, value), 0);
}

interface Window {
  readonly encoding: {
    readonly ids: Uint32Array;
    readonly starts: Uint32Array;
    readonly ends: Uint32Array;
  };
  readonly values: Float32Array;
  readonly owner: Uint32Array;
  readonly from: number;
  readonly to: number;
}

/** Ids of the window's groups that the exact top-k at the rate keeps. */
function keptIds(input: SurprisalInput, left: CompressedLeft, window: Window): number[] {
  const { encoding, values, owner, from, to } = window;
  const firstGroup = owner[from] ?? 0;
  const lastGroup = (owner[to - 1] ?? 0) + 1;
  const groups = {
    starts: input.groups.starts.subarray(firstGroup, lastGroup),
    ends: input.groups.ends.subarray(firstGroup, lastGroup),
  };
  const tokens = {
    ids: encoding.ids.subarray(from, to),
    starts: encoding.starts.subarray(from, to),
    ends: encoding.ends.subarray(from, to),
    values: values.subarray(from, to),
  };
  const keep = selectWithinBudget({
    scores: shareTokens(tokens, groups).sums,
    costs: groupCosts(tokens, groups),
    forced: left.fixed.subarray(firstGroup, lastGroup),
    budgetTokens: left.rate * (to - from),
    by: 'score-per-token',
  });
  return Array.from(tokens.ids).filter((_, i) => keep[(owner[from + i] ?? 0) - firstGroup] === 1);
}

/** Mean surprisal of the tokens whose start lies in [start, end); NaN without any. */
export function meanSurprisal(
  scored: TextSurprisal,
  start = 0,
  end: number = Number.POSITIVE_INFINITY,
): number {
  return mean(scored.values.subarray(tokenAt(scored, start), tokenAt(scored, end)));
}

/** First token that starts at or after the offset. */
function tokenAt({ starts }: TextSurprisal, offset: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
