/** The budget: what groups cost, which ones fit, and the recount that makes it exact. */
import type { Encoding, TextTokenizer } from '../tokenize/types.ts';
import type { KeepMask } from '../core/mask.ts';
import { runSteps, type Steps } from '../core/steps.ts';
import { maskFromKeep, renderMask, whyCode } from './mask.ts';
import type { GroupRanges } from './mask.ts';

/**
 * Tokens attributed to each group; the sum is the number of tokens. A token that overlaps several groups is shared
 * by overlap in characters; one that overlaps none (white space) goes to the group after it, at the end to the last.
 */
export function groupCosts(encoding: Encoding, groups: GroupRanges): Float64Array {
  return runSteps(costSteps(encoding, groups));
}

/** Tokens shared out between two places to stop. */
const tokenStride = 2_048;

/** `groupCosts` in steps. */
export function* costSteps(encoding: Encoding, groups: GroupRanges): Steps<Float64Array> {
  const { starts, ends } = groups;
  const count = starts.length;
  const costs = new Float64Array(count);
  yield;
  if (count === 0) return costs;
  let first = 0;
  for (let token = 0; token < encoding.starts.length; token++) {
    if (token % tokenStride === tokenStride - 1) yield;
    const from = encoding.starts[token] ?? 0;
    const to = Math.max(from + 1, encoding.ends[token] ?? 0);
    while (first < count - 1 && (ends[first] ?? 0) <= from) first++;
    // no other group reaches into the token: it is this one's alone
    if (first === count - 1 || (starts[first + 1] ?? 0) >= to)
      costs[first] = (costs[first] ?? 0) + 1;
    else shareToken({ costs, groups, first, from, to });
  }
  return costs;
}

function shareToken(token: {
  costs: Float64Array;
  groups: GroupRanges;
  first: number;
  from: number;
  to: number;
}): void {
  const { costs, groups, first, from, to } = token;
  const overlap = (group: number): number =>
    Math.min(to, groups.ends[group] ?? 0) - Math.max(from, groups.starts[group] ?? 0);
  let total = 0;
  let last = first;
  for (; last < groups.starts.length && (groups.starts[last] ?? 0) < to; last++)
    total += Math.max(0, overlap(last));
  if (total === 0) {
    costs[first] = (costs[first] ?? 0) + 1;
    return;
  }
  for (let group = first; group < last; group++) {
    const share = overlap(group);
    if (share > 0) costs[group] = (costs[group] ?? 0) + share / total;
  }
}

export type RankBy = 'score' | 'score-per-token';

/**
 * Group indices from the most to the least worth keeping. Ties go to the earlier group, so the order depends on the
 * text alone. `score` suits values that are comparable per group (keep probability), `score-per-token` additive ones
 * (summed surprisal). NaN ranks last.
 */
export function rankGroups(
  scores: ArrayLike<number>,
  costs: ArrayLike<number>,
  by: RankBy,
): Uint32Array {
  const values = Float64Array.from(scores, (score, i) => {
    const value = by === 'score' ? score : score / Math.max(costs[i] ?? 0, 1e-9);
    return Number.isNaN(value) ? -Infinity : value;
  });
  return Uint32Array.from(values, (_, i) => i).sort((a, b) => {
    const left = values[a] ?? 0;
    const right = values[b] ?? 0;
    return left === right ? a - b : right > left ? 1 : -1;
  });
}

export interface BudgetChoice {
  readonly scores: ArrayLike<number>;
  /** Tokens per group, as `groupCosts` gives them. */
  readonly costs: ArrayLike<number>;
  /** 1 = kept whatever it costs; its cost is taken from the budget first. */
  readonly forced?: ArrayLike<number>;
  readonly budgetTokens: number;
  readonly by: RankBy;
}

/**
 * The exact global top-k under a budget: groups in rank order up to the first one that does not fit. A smaller budget
 * therefore keeps a subset. Forced groups are kept even when they alone exceed it.
 */
export function selectWithinBudget(choice: BudgetChoice): Uint8Array {
  const { scores, costs, forced, budgetTokens, by } = choice;
  const keep = new Uint8Array(scores.length);
  let left = budgetTokens;
  for (let i = 0; i < keep.length; i++) {
    if (!forced?.[i]) continue;
    keep[i] = 1;
    left -= costs[i] ?? 0;
  }
  for (const group of rankGroups(scores, costs, by)) {
    if (keep[group] === 1) continue;
    const cost = costs[group] ?? 0;
    if (cost > left + 1e-9) break;
    keep[group] = 1;
    left -= cost;
  }
  return keep;
}

export interface FitInput {
  readonly text: string;
  /** First guess. Groups kept for any reason but `score` (survivor, forced, structure, pinned) are never dropped. */
  readonly mask: KeepMask;
  readonly tokenizer: TextTokenizer;
  readonly budgetTokens: number;
  readonly scores: ArrayLike<number>;
  /** Rank order if it is not by score alone (`rankGroups`). */
  readonly order?: Uint32Array;
}

export interface FitResult {
  readonly mask: KeepMask;
  readonly text: string;
  /** Tokens of `text`. */
  readonly tokens: number;
  /** True when the groups that must stay are above the budget on their own: report `budget-below-survivors`. */
  readonly belowSurvivors: boolean;
}

/**
 * Makes the budget exact: counts the rendered text and moves the cut along the ranking until it fits and one group
 * more would not. The result is a prefix of the ranking plus the groups that must stay; about log2(error) counts.
 */
export function fitToBudget(input: FitInput): FitResult {
  const { text, mask, tokenizer } = input;
  const score = whyCode('score');
  const fixed = mask.keep.map((kept, i) => (kept === 1 && mask.why[i] !== score ? 1 : 0));
  const zero = new Float64Array(fixed.length);
  const order = (input.order ?? rankGroups(input.scores, zero, 'score')).filter(
    (group) => fixed[group] === 0,
  );
  const budget = Math.min(input.budgetTokens, tokenizer.count(text));
  const at = (kept: number): FitResult => {
    const keep = Uint8Array.from(fixed);
    const why = mask.why.map((code, i) => (fixed[i] === 1 ? code : score));
    for (let i = 0; i < kept; i++) keep[order[i] ?? 0] = 1;
    const trial = maskFromKeep({ groups: mask, keep, why, scores: input.scores });
    const rendered = renderMask(text, trial);
    return {
      mask: trial,
      text: rendered,
      tokens: tokenizer.count(rendered),
      belowSurvivors: false,
    };
  };
  const guess = order.reduce((sum, group) => sum + (mask.keep[group] ?? 0), 0);
  const fit = searchCut(at, { guess, most: order.length, budget });
  return fit ?? { ...at(0), belowSurvivors: true };
}

/**
 * A cut that fits the budget while the next one does not, found by widening steps around `guess` and bisection; null
 * when not even `at(0)` fits. Tokens need not grow with the cut at every step.
 */
export function searchCut<T extends { readonly tokens: number }>(
  at: (kept: number) => T,
  range: CutRange,
): T | null {
  return runSteps(
    searchCutSteps(function* (kept) {
      yield;
      return at(kept);
    }, range),
  );
}

export interface CutRange {
  readonly guess: number;
  readonly most: number;
  readonly budget: number;
}

/** `searchCut` in steps. */
export function* searchCutSteps<T extends { readonly tokens: number }>(
  at: (kept: number) => Steps<T>,
  range: CutRange,
): Steps<T | null> {
  const { most, budget } = range;
  let low = -1;
  let high = most + 1;
  let best: T | null = null;
  let probe = range.guess;
  let step = 1;
  while (high - low > 1) {
    const trial = yield* at(probe);
    const fits = trial.tokens <= budget;
    if (fits) {
      low = probe;
      best = trial;
    } else {
      high = probe;
    }
    const bracketed = low >= 0 && high <= most;
    const over = Math.abs(trial.tokens - budget);
    step = Math.max(step * 2, over);
    if (bracketed) probe = (low + high) >> 1;
    else probe = fits ? Math.min(most, low + step) : Math.max(0, high - step);
    if (probe <= low) probe = low + 1;
    if (probe >= high) probe = high - 1;
  }
  return best;
}
