/** What the model-based methods share: token scores on word groups, what must stay, and the cut under the budget. */
import type { Encoding, TextTokenizer, WordGroups } from '../tokenize/types.ts';
import { wordGroups } from '../tokenize/groups.ts';
import { fitToBudget, groupCosts, rankGroups, selectWithinBudget } from './budget.ts';
import type { FitResult, RankBy } from './budget.ts';
import { survivorGroups } from './guards.ts';
import { why } from './job.ts';
import { maskFromKeep } from './mask.ts';
import type { GroupRanges } from './mask.ts';
import type { MethodOptions, Survivors } from './types.ts';

/** Token values laid over groups: per group the sum of value x share, and the sum of the shares. */
export interface GroupShares {
  readonly sums: Float64Array;
  readonly weights: Float64Array;
}

/**
 * Distributes token values to groups by overlap of their UTF-16 ranges: a token that covers several
 * groups is shared among them in proportion; white space counts for none.
 */
export function shareTokens(
  tokens: Pick<Encoding, 'starts' | 'ends'> & { readonly values: ArrayLike<number> },
  groups: GroupRanges,
): GroupShares {
  const count = groups.starts.length;
  const sums = new Float64Array(count);
  const weights = new Float64Array(count);
  let first = 0;
  for (let token = 0; token < tokens.starts.length; token++) {
    const from = tokens.starts[token] ?? 0;
    const to = tokens.ends[token] ?? 0;
    while (first < count && (groups.ends[first] ?? 0) <= from) first++;
    let covered = 0;
    const overlap = (group: number): number =>
      Math.min(to, groups.ends[group] ?? 0) - Math.max(from, groups.starts[group] ?? 0);
    let last = first;
    for (; last < count && (groups.starts[last] ?? 0) < to; last++) covered += overlap(last);
    if (covered <= 0) continue;
    const value = tokens.values[token] ?? 0;
    for (let group = first; group < last; group++) {
      const share = overlap(group) / covered;
      sums[group] = (sums[group] ?? 0) + share * value;
      weights[group] = (weights[group] ?? 0) + share;
    }
  }
  return { sums, weights };
}

/** Mean value per group; NaN for a group that no token covers. */
export function groupMeans({ sums, weights }: GroupShares): Float32Array {
  return Float32Array.from(sums, (sum, i) => {
    const weight = weights[i] ?? 0;
    return weight > 0 ? sum / weight : Number.NaN;
  });
}

export interface SegmentWords {
  readonly text: string;
  readonly groups: WordGroups;
  /** Backend tokens per group. */
  readonly costs: Float64Array;
  /** Reason code (`why`) of groups that stay in any case, 0 for the others. */
  readonly fixed: Uint8Array;
}

export type ForceOptions = Pick<
  MethodOptions,
  'force_tokens' | 'force_reserve_digit' | 'keep_split'
>;

/** Groups of a text, their costs, and which of them must stay: survivors, forced tokens, digits, newline runs. */
export function segmentWords(
  text: string,
  deps: { readonly tokenizer: TextTokenizer; readonly survivors: Survivors },
  options: ForceOptions,
): SegmentWords {
  const groups = wordGroups(text);
  const costs = groupCosts(deps.tokenizer.encode(text), groups);
  const survivors = survivorGroups(text, groups, deps.survivors);
  const forced = forcedGroups(text, groups, options);
  const fixed = survivors.map((survives, i) => {
    if (survives === 1) return why.survivor;
    if (forced[i] !== 0) return why.forced;
    return options.keep_split === true && groups.kinds[i] === 'newline' ? why.structure : 0;
  });
  return { text, groups, costs, fixed };
}

const anyDigit = /\p{Nd}/u;

/**
 * For every group 1 + the index of the force token that it is (part of), or 0. With `force_reserve_digit` groups with
 * a digit count too, under the number after the last token.
 */
export function forcedGroups(
  text: string,
  groups: GroupRanges,
  options: ForceOptions,
): Uint32Array {
  const tokens = options.force_tokens ?? [];
  const { starts, ends } = groups;
  const marks = new Uint32Array(starts.length);
  tokens.forEach((token, number) => {
    if (token === '') return;
    let group = 0;
    for (let at = text.indexOf(token); at >= 0; at = text.indexOf(token, at + token.length)) {
      while (group < marks.length && (ends[group] ?? 0) <= at) group++;
      const end = at + token.length;
      for (let i = group; i < marks.length && (starts[i] ?? 0) < end; i++)
        if (marks[i] === 0) marks[i] = number + 1;
    }
  });
  if (options.force_reserve_digit !== true) return marks;
  return marks.map((mark, i) =>
    mark === 0 && anyDigit.test(text.slice(starts[i], ends[i])) ? tokens.length + 1 : mark,
  );
}

export interface CutInput {
  readonly words: Pick<SegmentWords, 'text' | 'costs' | 'fixed'> & { readonly groups: GroupRanges };
  /** Higher = stays longer. */
  readonly scores: ArrayLike<number>;
  readonly by: RankBy;
  readonly budgetTokens: number;
  readonly tokenizer: TextTokenizer;
  /** 1 = goes unless it must stay (dropped sentence, repeated force token). */
  readonly banned?: Uint8Array;
}

/**
 * The exact top-k of a segment: forced groups, then groups in rank order, recounted with the backend's tokenizer until
 * one more would not fit. Line breaks are never ranked: a gap that holds one renders it.
 */
export function cutWords(input: CutInput): FitResult {
  const { words, scores, by, tokenizer, banned } = input;
  const { text, groups, costs, fixed } = words;
  const budgetTokens = Math.max(0, input.budgetTokens);
  const excluded = (group: number): boolean =>
    banned?.[group] === 1 || isLineBreak(text, groups, group);
  const order = rankGroups(scores, costs, by).filter((group) => !excluded(group));
  const usable = Float64Array.from(scores, (score, group) =>
    excluded(group) ? Number.NaN : score,
  );
  const keep = selectWithinBudget({ scores: usable, costs, forced: fixed, budgetTokens, by });
  const chosen = keep.map((kept, group) => (fixed[group] === 0 && excluded(group) ? 0 : kept));
  const mask = maskFromKeep({ groups, keep: chosen, why: fixed, scores });
  return fitToBudget({ text, mask, tokenizer, budgetTokens, scores, order });
}

function isLineBreak(text: string, groups: GroupRanges, group: number): boolean {
  const code = text.charCodeAt(groups.starts[group] ?? 0);
  return code === 10 || code === 13 || code === 0x85 || code === 0x2028 || code === 0x2029;
}

/** Runs `work` over the items, at most `limit` at once, results in order. The first error stops the rest. */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Map<number, R>();
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const index = next++;
      const item = items[index];
      if (item === undefined) continue;
      try {
        results.set(index, await work(item, index));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result);
}
