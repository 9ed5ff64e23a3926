/** Segments that may be left out as a whole (demonstrations): which ones stay under their budget. */
import type { Steps } from '../core/steps.ts';
import { bm25Steps, indexSteps, inverseFrequency, queryTerms, termsSteps } from './bm25.ts';
import type { TermIndex } from './bm25.ts';
import { survivorRanges, declaredOnly } from './guards.ts';
import type { CompressJob, Segment } from './types.ts';

/** A segment that may be left out. */
export interface DroppableSegment {
  /** Index into the job's segments. */
  readonly index: number;
  readonly segment: Segment;
  /** Tokens of the whole text, and its share of the budget. */
  readonly tokens: number;
  readonly budgetTokens: number;
}

/**
 * Indices of the droppable segments to leave out. Segments are taken whole in rank order while they fit the sum of
 * their shares: by BM25 to the question, and in any case by what they add to those already taken (weight of the terms
 * not seen yet), so that few examples stay different ones. Segments with declared survivors stay. At least one
 * segment stays even where it alone is above the budget: a format shown once is worth more than a saved example.
 */
export function* chooseDroppable(
  job: CompressJob,
  candidates: readonly DroppableSegment[],
): Steps<ReadonlySet<number>> {
  const dropped = new Set(candidates.map((candidate) => candidate.index));
  if (candidates.length === 0) return dropped;
  const texts = candidates.map(({ segment }) => segment.text);
  const index = yield* indexSteps(yield* termsSteps(texts));
  const relevance = yield* bm25Steps(index, queryTerms(job.question));
  const best = Math.max(...relevance, 1e-9);
  const seen = new Set<string>();
  let left = candidates.reduce((sum, candidate) => sum + candidate.budgetTokens, 0);
  const take = (position: number): void => {
    const candidate = candidates[position];
    if (candidate === undefined) return;
    dropped.delete(candidate.index);
    left -= candidate.tokens;
    for (const term of index.counts[position]?.keys() ?? []) seen.add(term);
  };
  candidates.forEach(({ segment }, position) => {
    if (survivorRanges(segment.text, declaredOnly(job.survivors)).length > 0) take(position);
  });
  for (;;) {
    let pick = -1;
    let value = -Infinity;
    for (const [position, candidate] of candidates.entries()) {
      if (!dropped.has(candidate.index)) continue;
      if (candidate.tokens > left && dropped.size < candidates.length) continue;
      yield;
      const worth = (relevance[position] ?? 0) / best + novelty(index, position, seen);
      if (worth > value + 1e-12) [pick, value] = [position, worth];
    }
    if (pick < 0) return dropped;
    take(pick);
  }
}

/** Share of a unit's term weight that is not covered yet, 0 to 1. */
function novelty(index: TermIndex, unit: number, seen: ReadonlySet<string>): number {
  let all = 0;
  let fresh = 0;
  for (const term of index.counts[unit]?.keys() ?? []) {
    const weight = inverseFrequency(index, term);
    all += weight;
    if (!seen.has(term)) fresh += weight;
  }
  return all === 0 ? 0 : fresh / all;
}
