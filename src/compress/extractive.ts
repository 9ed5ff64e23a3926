/** Sentence and document selection: whole units stay or go, nothing is dropped inside a sentence. */
import { mapSteps, type Steps } from '../core/steps.ts';
import { declaredOnly, survivorGroups, survivorSteps } from './guards.ts';
import { runJob } from './job.ts';
import type { JobDecision, OpenJob, OpenSegment, SegmentDecision } from './job.ts';
import { whyCode } from './mask.ts';
import type { PoolUnit } from './pool-unit.ts';
import { relevanceSteps } from './relevance.ts';
import { salienceSteps } from './salience.ts';
import { gatherSignals, noSignals, type Signals, type TierModels } from './signals.ts';
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

/** No model is asked. */
const rulesOnly: TierModels = { table: null, vectors: null, pairs: null, complete: true };

/**
 * All segments compete for one budget, except those with a rate of their own. With a question units are ranked by BM25
 * with a document prior, and by what the models say that are given (relevance.ts); without one by position, or by facts
 * in conversations (salience.ts).
 */
export async function decideExtractive(
  input: OpenJob,
  models: TierModels = rulesOnly,
): Promise<JobDecision> {
  const segments = new Map<number, SegmentDecision>();
  const notes: string[] = [];
  const fit = input.open.filter(({ segment }) => ownKinds.has(segment.content));
  const shared = fit.filter((segment) => !segment.ownRate);
  const pools = [shared, ...fit.filter((segment) => segment.ownRate).map((own) => [own])];
  for (const open of pools) {
    if (open.length === 0) continue;
    const pool = await input.turns.run(splitPool(open));
    const asked = input.job.question.trim() !== '';
    const found = asked ? await gatherSignals(pool.units, models, input) : null;
    if (found !== null) notes.push(...found.notes);
    const steps = poolSteps(input, pool, found?.signals ?? noSignals);
    const { masks, rendered, belowSurvivors } = await input.turns.run(steps);
    if (belowSurvivors) notes.push('budget-below-survivors');
    open.forEach(({ index }, i) => {
      const mask = masks[i] ?? null;
      const known = rendered[i] ?? null;
      segments.set(index, { mask, method: 'extractive', guards: 'units', rendered: known });
    });
  }
  return { segments, notes };
}

interface SplitPool {
  readonly open: readonly OpenSegment[];
  /** Units of each segment. */
  readonly split: readonly Units[];
  /** The same units in one list. */
  readonly units: readonly PoolUnit[];
}

/** Messages of the same conversation are one document, and each is a turn of it. */
function* splitPool(open: readonly OpenSegment[]): Steps<SplitPool> {
  const split: Units[] = [];
  const flat: PoolUnit[] = [];
  let messages = 0;
  for (const [at, { segment }] of open.entries()) {
    const units = yield* splitSteps(segment.text);
    split.push(units);
    const spoken = segment.kind === 'history';
    // Documents count from 1, so that 0 is free for the conversation.
    const place = spoken ? { document: 0, turn: messages++ } : { document: at + 1, turn: null };
    for (const unit of poolUnits(units, segment.text, place)) flat.push(unit);
  }
  return { open, split, units: flat };
}

function* poolSteps(
  { job, deps }: OpenJob,
  { open, split, units: flat }: SplitPool,
  signals: Signals,
): Steps<PoolResult> {
  const asked = job.question.trim() !== '';
  const scores = yield* asked ? relevanceSteps(flat, job.question, signals) : salienceSteps(flat);
  yield* demoteRepeats(flat, scores);
  let offset = 0;
  const segments: UnitSegment[] = [];
  for (const [i, units] of split.entries()) {
    const own = open[i];
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
  const budgetTokens = open.reduce((sum, segment) => sum + segment.budgetTokens, 0);
  const cutAway = job.options.fill_partial === true ? freeOfSurvivors(job.survivors) : null;
  return yield* selectSteps({ segments, budgetTokens, tokenizer: deps.tokenizer, cutAway });
}

/** True for text that may be cut off a sentence: nothing in it is to survive. */
function freeOfSurvivors(survivors: Survivors): (rest: string) => boolean {
  return (rest) =>
    survivorGroups(rest, wordGroups(rest), survivors).every((marked) => marked === 0);
}

function poolUnits(
  units: Units,
  text: string,
  place: { readonly document: number; readonly turn: number | null },
): PoolUnit[] {
  let paragraph = -1;
  let position = 0;
  return Array.from(units.starts, (start, i) => {
    const own = units.paragraphs[i] ?? 0;
    if (own !== paragraph) [paragraph, position] = [own, 0];
    return {
      text: text.slice(start, units.ends[i]),
      document: place.document,
      paragraph,
      position: position++,
      // A transcript is a conversation of its own, one turn a line.
      turn: place.turn ?? (units.kinds[i] === 'turn' ? i : null),
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
