/** From scores to masks: the cut of every kept segment to its share of the budget. */
import type { KeepMask } from '../core/mask.ts';
import type { FitResult } from './budget.ts';
import type { OpenJob, SegmentDecision } from './job.ts';
import { declaredOnly, survivorRanges } from './guards.ts';
import { chooseSentences, sentencesWithTokens } from './llmlingua-contexts.ts';
import type { ContextChoice, SentenceScores } from './llmlingua-contexts.ts';
import type { TextRange } from '../tokenize/types.ts';
import { cutWords } from './llmlingua-words.ts';
import type { SegmentWords } from './llmlingua-words.ts';
import { maskFromKeep } from './mask.ts';

export interface SentenceFilter {
  readonly choice: ContextChoice;
  readonly words: readonly SegmentWords[];
  /** Scores of a segment's sentences, higher = kept sooner. */
  readonly scoresOf: (
    position: number,
    ranges: readonly TextRange[],
  ) => readonly number[] | Promise<readonly number[]>;
}

/**
 * Groups that the sentence filter leaves out, per position; null where it is off or the segment is not kept. Sentences
 * with a declared survivor stay.
 */
export async function sentenceBans(
  input: OpenJob,
  filter: SentenceFilter,
): Promise<(Uint8Array | null)[]> {
  const { job, open, deps } = input;
  const bans: (Uint8Array | null)[] = open.map(() => null);
  if (job.options.use_sentence_level_filter !== true) return bans;
  const entries: SentenceScores[] = [];
  for (const position of [...filter.choice.kept].sort((a, b) => a - b)) {
    const text = open[position]?.segment.text ?? '';
    const { ranges, tokens } = sentencesWithTokens(text, (part) => deps.tokenizer.count(part));
    const scores = await filter.scoresOf(position, ranges);
    entries.push({ position, ranges, scores, tokens });
  }
  const budget = filter.choice.quotas.reduce((sum, quota) => sum + quota, 0);
  const kept = chooseSentences(input, entries, budget);
  entries.forEach(({ position, ranges }, e) => {
    const words = filter.words[position];
    if (words === undefined) return;
    const declared = survivorRanges(words.text, declaredOnly(job.survivors));
    const stays = ranges.filter(
      (range, s) =>
        kept[e]?.[s] === true ||
        declared.some(({ start, end }) => start < range.end && end > range.start),
    );
    bans[position] = groupsOutside(words.groups.starts, stays);
  });
  return bans;
}

/** 1 for every group that starts in none of the ranges (ascending). */
function groupsOutside(
  starts: Uint32Array,
  ranges: readonly { readonly start: number; readonly end: number }[],
): Uint8Array {
  let range = 0;
  return Uint8Array.from(starts, (start) => {
    while (range < ranges.length && (ranges[range]?.end ?? 0) <= start) range++;
    return start >= (ranges[range]?.start ?? Number.POSITIVE_INFINITY) ? 0 : 1;
  });
}

export interface CutPlan {
  readonly method: 'llmlingua' | 'longllmlingua' | 'llmlingua2';
  readonly choice: ContextChoice;
  readonly words: readonly SegmentWords[];
  /** Additive score per group, per position. */
  readonly scores: readonly ArrayLike<number>[];
  readonly banned: readonly (Uint8Array | null)[];
}

export interface CutResult {
  readonly segments: ReadonlyMap<number, SegmentDecision>;
  readonly notes: readonly string[];
}

/** Reported when what must stay is longer than the budget. */
export const belowSurvivorsNote = 'budget-below-survivors';

/** The decision for one cut. A text that is one single group cannot be cut: it comes back whole. */
export function decisionOf(
  cut: FitResult,
  more: Pick<SegmentDecision, 'method' | 'guards'>,
): SegmentDecision {
  const whole = cut.mask.keep.length === 1 && cut.mask.keep[0] === 0;
  return whole ? { ...more, mask: null, skipped: 'not-worth-it' } : { ...more, mask: cut.mask };
}

/**
 * Cuts every kept segment to its quota. Where contexts compete for one budget (coarse stage, budget in tokens), what
 * one leaves over or takes too much goes to the next, so that the sum meets the budget, not only each part.
 */
export function cutSegments(input: OpenJob, plan: CutPlan): CutResult {
  const { open, job } = input;
  const { choice, method } = plan;
  const joint =
    open.length > 1 && (job.budget.type === 'tokens' || choice.kept.length < open.length);
  const segments = new Map<number, SegmentDecision>();
  const notes = new Set<string>();
  let carry = 0;
  open.forEach(({ index, segment, ownRate }, position) => {
    const words = plan.words[position];
    const banned = plan.banned[position] ?? null;
    if (words === undefined || !choice.kept.includes(position)) {
      segments.set(index, { mask: nothing(segment.text), method, guards: 'units' });
      return;
    }
    if (job.options.use_token_level_filter === false && banned === null) {
      segments.set(index, { mask: everything(words), method, guards: 'units' });
      return;
    }
    const quota = (choice.quotas[position] ?? 0) + (joint && !ownRate ? carry : 0);
    const cut = cutSegment(input, { plan, position, words, quota });
    if (!ownRate) carry = quota - cut.tokens;
    if (cut.belowSurvivors) notes.add(belowSurvivorsNote);
    segments.set(index, decisionOf(cut, { method, guards: banned === null ? 'words' : 'units' }));
  });
  return { segments, notes: [...notes] };
}

function cutSegment(
  { open, job, deps }: OpenJob,
  at: {
    readonly plan: CutPlan;
    readonly position: number;
    readonly words: SegmentWords;
    readonly quota: number;
  },
): FitResult {
  const { plan, position, words, quota } = at;
  const banned = plan.banned[position] ?? null;
  const whole = open[position]?.tokens ?? 0;
  const sentencesOnly = job.options.use_token_level_filter === false;
  return cutWords({
    words: banned === null ? words : { ...words, fixed: unbanned(words.fixed, banned) },
    scores: plan.scores[position] ?? [],
    by: 'score-per-token',
    budgetTokens: sentencesOnly ? whole : Math.floor(quota + 1e-9),
    tokenizer: deps.tokenizer,
    ...(banned === null ? {} : { banned }),
  });
}

/** Inside a sentence that goes, only what the caller declared or forced stays; see guards.ts on units. */
function unbanned(fixed: Uint8Array, banned: Uint8Array): Uint8Array {
  return fixed.map((code, group) => (banned[group] === 1 ? 0 : code));
}

function everything(words: SegmentWords): KeepMask {
  return maskFromKeep({ groups: words.groups, keep: new Uint8Array(words.fixed.length).fill(1) });
}

function nothing(text: string): KeepMask {
  const groups = { starts: Uint32Array.of(0), ends: Uint32Array.of(text.length) };
  return maskFromKeep({ groups, keep: Uint8Array.of(0) });
}
