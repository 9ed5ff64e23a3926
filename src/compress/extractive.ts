/** Sentence and document selection: whole units stay or go, nothing is dropped inside a sentence. */
import { mapSteps, type Steps } from '../core/steps.ts';
import { declaredOnly, survivorGroups, survivorSteps } from './guards.ts';
import { runJob } from './job.ts';
import type { JobDecision, OpenJob, OpenSegment, SegmentDecision } from './job.ts';
import { whyCode } from './mask.ts';
import { relevanceSteps, salienceSteps } from './relevance.ts';
import type { PoolUnit } from './relevance.ts';
import { selectSteps } from './select.ts';
import type { PoolResult, UnitSegment } from './select.ts';
import { wordGroups } from '../tokenize/groups.ts';
import type { Compressor, CompressorDeps, Survivors } from './types.ts';
import { splitSteps } from './units.ts';
import type { Units } from './units.ts';

/** Content whose sentences or lines stand on their own. Others need their syntax kept: see structural/. */
const ownKinds = new Set(['prose', 'search', 'log']);

export function createExtractive(deps: CompressorDeps): Compressor {
  return {
    method: 'extractive',
    id: `extractive@1:${deps.tokenizer.id}`,
    compress: (job) => runJob(job, deps, decideExtractive),
  };
}

/**
 * All segments compete for one budget, except those with a rate of their own. With a question units are ranked by BM25
 * with a document prior, without one by position, or by facts in conversations (relevance.ts).
 */
export async function decideExtractive(input: OpenJob): Promise<JobDecision> {
  const segments = new Map<number, SegmentDecision>();
  const notes: string[] = [];
  const fit = input.open.filter(({ segment }) => ownKinds.has(segment.content));
  const shared = fit.filter((segment) => !segment.ownRate);
  const pools = [shared, ...fit.filter((segment) => segment.ownRate).map((own) => [own])];
  for (const pool of pools) {
    if (pool.length === 0) continue;
    const steps = poolSteps(input, pool);
    const { masks, rendered, belowSurvivors } = await input.turns.run(steps);
    if (belowSurvivors) notes.push('budget-below-survivors');
    pool.forEach(({ index }, i) => {
      const mask = masks[i] ?? null;
      const known = rendered[i] ?? null;
      segments.set(index, { mask, method: 'extractive', guards: 'units', rendered: known });
    });
  }
  return { segments, notes };
}

function* poolSteps({ job, deps }: OpenJob, pool: readonly OpenSegment[]): Steps<PoolResult> {
  const split: Units[] = [];
  const flat: PoolUnit[] = [];
  for (const [document, { segment }] of pool.entries()) {
    const units = yield* splitSteps(segment.text);
    split.push(units);
    for (const unit of poolUnits(units, segment.text, document)) flat.push(unit);
  }
  const asked = job.question.trim() !== '';
  const scores = yield* asked ? relevanceSteps(flat, job.question) : salienceSteps(flat);
  yield* demoteRepeats(flat, scores);
  let offset = 0;
  const segments: UnitSegment[] = [];
  for (const [i, units] of split.entries()) {
    const own = pool[i];
    if (own === undefined) continue;
    const { text } = own.segment;
    const count = units.starts.length;
    const declared = yield* survivorSteps(text, units, declaredOnly(job.survivors));
    segments.push({
      text,
      encoding: own.encoding,
      units,
      scores: scores.subarray(offset, offset + count),
      forced: declared.map((marked) => (marked === 1 ? whyCode('survivor') : 0)),
      companions: headingsOf(units),
    });
    offset += count;
  }
  const budgetTokens = pool.reduce((sum, segment) => sum + segment.budgetTokens, 0);
  const cutAway = job.options.fill_partial === true ? freeOfSurvivors(job.survivors) : null;
  return yield* selectSteps({ segments, budgetTokens, tokenizer: deps.tokenizer, cutAway });
}

/** True for text that may be cut off a sentence: nothing in it is to survive. */
function freeOfSurvivors(survivors: Survivors): (rest: string) => boolean {
  return (rest) =>
    survivorGroups(rest, wordGroups(rest), survivors).every((marked) => marked === 0);
}

function poolUnits(units: Units, text: string, document: number): PoolUnit[] {
  let paragraph = -1;
  let position = 0;
  return Array.from(units.starts, (start, i) => {
    const own = units.paragraphs[i] ?? 0;
    if (own !== paragraph) [paragraph, position] = [own, 0];
    return {
      text: text.slice(start, units.ends[i]),
      document,
      paragraph,
      position: position++,
      turn: units.kinds[i] === 'turn',
    };
  });
}

/** Text that was there before (overlapping chunks, boilerplate) ranks after everything else. */
function* demoteRepeats(units: readonly PoolUnit[], scores: Float64Array): Steps<void> {
  const seen = new Set<string>();
  const demote = ({ text }: PoolUnit, i: number): void => {
    const key = text.replace(/\s+/gu, ' ').toLowerCase();
    if (seen.has(key)) scores[i] = (scores[i] ?? 0) - 1e3;
    seen.add(key);
  };
  yield* mapSteps(units, demote, ({ text }) => text.length);
}

/** The heading that each unit stands under, or -1. */
function headingsOf(units: Units): Int32Array {
  let heading = -1;
  return Int32Array.from(units.starts, (_, i) => {
    if (units.kinds[i] !== 'heading') return heading;
    heading = i;
    return -1;
  });
}
