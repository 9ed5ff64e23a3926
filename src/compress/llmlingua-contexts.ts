/** The coarse stages of the LLMLingua family: which contexts and sentences stay, and what each may cost. */
import { SluiceError } from '../core/errors.ts';
import { sentenceRanges } from '../tokenize/sentences.ts';
import type { TextRange } from '../tokenize/types.ts';
import { bm25, indexTerms, queryTerms, terms } from './bm25.ts';
import { declaredOnly, survivorRanges } from './guards.ts';
import type { OpenJob, OpenSegment } from './job.ts';
import { applyContextBudget } from './reference/numbers.ts';
import { clampedRate, dynamicRatios, twoStage } from './reference/contexts.ts';

/** What the rank of an open segment decided. Positions are indices into `OpenJob.open`. */
export interface ContextChoice {
  /** Kept positions, best first. */
  readonly kept: readonly number[];
  /** Backend tokens that each position may have; 0 for the dropped ones. */
  readonly quotas: readonly number[];
}

/**
 * Budget controller (LLMLingua section 4.1, LongLLMLingua section 4.2): contexts are taken best first until their
 * tokens exceed the budget widened by `context_budget`; the one that overflows is still taken. The budget is then
 * shared among the taken ones at one rate, plus their `dynamic_context_compression_ratio` by rank; the base rate is
 * solved for, so that the sum is the budget (the reference adds to a fixed base and misses it).
 *
 * When nothing is cut inside contexts afterwards (`use_token_level_filter` off), only those are taken that fit the
 * budget as it is, and at least one.
 *
 * Segments with a rate of their own, forced ones (`force_context_ids`, indices of the job's segments) and those that
 * hold a declared survivor always stay. `force_context_number` is the most that are taken beside these.
 *
 * @param scores Rank value per position, higher = kept sooner.
 */
export function chooseContexts(input: OpenJob, scores: readonly number[]): ContextChoice {
  const { open, job } = input;
  const { options } = job;
  const ranked = open.map((_, position) => position).sort((a, b) => betterFirst(scores, a, b));
  const kept = new Set<number>();
  const coarse = options.use_context_level_filter !== false && open.length > 1;
  const pool = open.filter((segment) => !segment.ownRate);
  const budget = pool.reduce((sum, segment) => sum + segment.budgetTokens, 0);
  const strict = wholeContextsOnly(input);
  let left = strict ? budget : widened(budget, options.context_budget ?? '+100');
  const take = (position: number): void => {
    if (kept.has(position)) return;
    kept.add(position);
    left -= open[position]?.tokens ?? 0;
  };
  open.forEach((segment, position) => {
    if (!coarse || segment.ownRate) kept.add(position);
    else if (mustStay(input, segment)) take(position);
  });
  const most = kept.size + (options.force_context_number ?? Number.POSITIVE_INFINITY);
  for (const position of ranked) {
    if (left < 0 || kept.size >= most) break;
    const tooLong = strict && kept.size > 0 && (open[position]?.tokens ?? 0) > left;
    if (!tooLong) take(position);
  }
  const order = ranked.filter((position) => kept.has(position));
  return { kept: order, quotas: contextQuotas(input, order) };
}

/** Without a later stage that cuts inside them, contexts must fit the budget as they are. */
function wholeContextsOnly({ job: { options } }: OpenJob): boolean {
  return options.use_token_level_filter === false && options.use_sentence_level_filter !== true;
}

/** Rank values by BM25 of the question (`rank_method: bm25`). */
export function lexicalRanks({ job, open }: OpenJob): number[] {
  const index = indexTerms(open.map(({ segment }) => terms(segment.text)));
  return Array.from(bm25(index, queryTerms(job.question)));
}

function betterFirst(scores: readonly number[], a: number, b: number): number {
  const left = scores[a] ?? Number.NaN;
  const right = scores[b] ?? Number.NaN;
  if (Number.isNaN(left) || Number.isNaN(right))
    return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a - b;
  return right - left || a - b;
}

function widened(budget: number, rule: string): number {
  const value = applyContextBudget(budget, rule);
  if (value === null)
    throw new SluiceError(
      'REQUEST_INVALID',
      `context_budget must be a sign (+ - * /) and a number, found ${JSON.stringify(rule)}`,
    );
  return value;
}

function mustStay({ job }: OpenJob, { index, segment }: OpenSegment): boolean {
  if (job.options.force_context_ids?.includes(index) === true) return true;
  return survivorRanges(segment.text, declaredOnly(job.survivors)).length > 0;
}

/**
 * Tokens per position: clamp(base + addition by rank) x tokens, with the base that makes the sum the budget.
 *
 * Where all stay and none is preferred, that is each segment's own share.
 *
 * @param order Kept positions, best first.
 */
export function contextQuotas({ open, job }: OpenJob, order: readonly number[]): number[] {
  const budget = open.reduce((sum, s) => sum + (s.ownRate ? 0 : s.budgetTokens), 0);
  const delta = job.options.dynamic_context_compression_ratio ?? 0;
  const shared = order.filter((position) => open[position]?.ownRate === false);
  if (delta === 0 && order.length === open.length) return open.map((s) => s.budgetTokens);
  const additions = dynamicRatios(shared.length, delta);
  const tokens = shared.map((position) => open[position]?.tokens ?? 0);
  const spent = (base: number): number =>
    tokens.reduce((sum, n, rank) => sum + n * clampedRate(base, additions[rank] ?? 0), 0);
  let low = -1 - Math.abs(delta);
  let high = 1 + Math.abs(delta);
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (spent(middle) <= budget) low = middle;
    else high = middle;
  }
  return open.map((segment, position) => {
    if (segment.ownRate) return segment.budgetTokens;
    const rank = shared.indexOf(position);
    return rank < 0 ? 0 : segment.tokens * clampedRate(low, additions[rank] ?? 0);
  });
}

/**
 * Order of all segments of the job: open ones trade places among themselves, everything else stays where it is.
 * `sort` = best first; `two_stage` = best at both ends (readers attend to the ends of long inputs).
 */
export function orderOf(input: OpenJob, kept: readonly number[]): number[] {
  const { open, job } = input;
  const identity = job.segments.map((_, i) => i);
  const how = job.options.reorder_context ?? 'original';
  if (how === 'original') return identity;
  const dropped = open.map((_, position) => position).filter((p) => !kept.includes(p));
  const placed = [...(how === 'two_stage' ? twoStage(kept) : kept), ...dropped];
  const order = [...identity];
  open.forEach(({ index }, place) => {
    order[index] = open[placed[place] ?? place]?.index ?? index;
  });
  return order;
}

export interface SentenceScores {
  /** Position of the segment in `OpenJob.open`. */
  readonly position: number;
  readonly ranges: readonly TextRange[];
  /** Higher = kept sooner. */
  readonly scores: readonly number[];
  readonly tokens: readonly number[];
}

/**
 * Sentences that stay when `use_sentence_level_filter` is on: best first until their tokens exceed
 * the budget times `token_budget_ratio`; the one that overflows stays too. With the token stage off, those that fit
 * the budget itself. `keep_first_sentence`,
 * `keep_last_sentence` (of all sentences) and `keep_sentence_number` (best of each context) get
 * `high_priority_bonus` towards staying, whichever way the scores run.
 *
 * @returns per entry one flag per sentence
 */
export function chooseSentences(
  input: OpenJob,
  entries: readonly SentenceScores[],
  budgetTokens: number,
): boolean[][] {
  const { options } = input.job;
  const bonus = options.high_priority_bonus ?? 100;
  const all = entries.flatMap((entry, e) =>
    entry.ranges.map((_, s) => ({ e, s, score: entry.scores[s] ?? Number.NaN, bonus: 0 })),
  );
  const first = options.keep_first_sentence ?? 0;
  const last = options.keep_last_sentence ?? 0;
  all.forEach((sentence, i) => {
    if (i < first || i >= all.length - last) sentence.bonus = bonus;
  });
  entries.forEach((_, e) => {
    const own = all.filter((sentence) => sentence.e === e).sort((a, b) => b.score - a.score);
    for (const sentence of own.slice(0, options.keep_sentence_number ?? 0)) sentence.bonus = bonus;
  });
  const kept = entries.map((entry) => entry.ranges.map(() => false));
  const strict = options.use_token_level_filter === false;
  let left = budgetTokens * (strict ? 1 : (options.token_budget_ratio ?? 1.4));
  for (const { e, s } of all.sort((a, b) => b.score + b.bonus - (a.score + a.bonus))) {
    if (left < 0) break;
    const tokens = entries[e]?.tokens[s] ?? 0;
    if (strict && tokens > left) continue;
    const flags = kept[e];
    if (flags !== undefined) flags[s] = true;
    left -= tokens;
  }
  return kept;
}

/** Sentences of a text with the tokens that each has. */
export function sentencesWithTokens(
  text: string,
  count: (text: string) => number,
): { readonly ranges: TextRange[]; readonly tokens: number[] } {
  const ranges = sentenceRanges(text).filter(
    ({ start, end }) => text.slice(start, end).trim() !== '',
  );
  return { ranges, tokens: ranges.map(({ start, end }) => count(text.slice(start, end))) };
}
