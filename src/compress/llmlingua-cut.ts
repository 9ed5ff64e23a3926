/** From scores to masks: the cut of every kept segment to its share of the budget. */
import type { KeepMask } from '../core/mask.ts';
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

/**
 * Cuts every kept segment to its quota. Where contexts compete for one budget (coarse stage, budget in tokens), what
 * one leaves over or takes too much goes to the next, so that the sum meets the budget, not only each part.
 */
export function cutSegments(input: OpenJob, plan: CutPlan): Map<number, SegmentDecision> {
  const { open, job, deps } = input;
  const { choice, method } = plan;
  const joint =
    open.length > 1 && (job.budget.type === 'tokens' || choice.kept.length < open.length);
  const decisions = new Map<number, SegmentDecision>();
  let carry = 0;
  open.forEach(({ index, segment, tokens, ownRate }, position) => {
    const words = plan.words[position];
    if (words === undefined || !choice.kept.includes(position)) {
      decisions.set(index, { mask: nothing(segment.text), method, guards: 'units' });
      return;
    }
    const quota = (choice.quotas[position] ?? 0) + (joint && !ownRate ? carry : 0);
    const banned = plan.banned[position] ?? null;
    if (job.options.use_token_level_filter === false && banned === null) {
      decisions.set(index, { mask: everything(words), method, guards: 'units' });
      return;
    }
    const noTokenStage = job.options.use_token_level_filter === false;
    const cut = cutWords({
      words: banned === null ? words : { ...words, fixed: unbanned(words.fixed, banned) },
      scores: plan.scores[position] ?? [],
      by: 'score-per-token',
      budgetTokens: noTokenStage ? tokens : Math.floor(quota + 1e-9),
      tokenizer: deps.tokenizer,
      ...(banned === null ? {} : { banned }),
    });
    if (!ownRate) carry = quota - cut.tokens;
    decisions.set(index, { mask: cut.mask, method, guards: banned === null ? 'words' : 'units' });
  });
  return decisions;
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
