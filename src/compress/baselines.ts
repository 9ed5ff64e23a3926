/** Baselines for evaluation: what any method must beat at the same number of tokens. */
import type { BaselineName } from '../core/method.ts';
import { wordGroups } from '../tokenize/groups.ts';
import { bm25, indexTerms, queryTerms, terms, zScores } from './bm25.ts';
import { declaredOnly, survivorGroups } from './guards.ts';
import { runJob } from './job.ts';
import type { JobDecision, OpenJob, SegmentDecision } from './job.ts';
import type { GroupRanges } from './mask.ts';
import { whyCode } from './mask.ts';
import { selectSteps } from './select.ts';
import type { UnitSegment } from './select.ts';
import type { Compressor, CompressorDeps } from './types.ts';
import { splitUnits } from './units.ts';

export function createBaseline(method: BaselineName, deps: CompressorDeps): Compressor {
  return {
    method,
    id: `${method}@1:${deps.tokenizer.id}`,
    compress: (job) => runJob(job, deps, (input) => decideBaseline(method, input)),
  };
}

/** Words for `head`, `tail`, `middle` and `random-word`, whole documents for `bm25-document`, else sentences. */
async function decideBaseline(method: BaselineName, input: OpenJob): Promise<JobDecision> {
  const { open, deps, job } = input;
  if (method === 'identity')
    return {
      segments: new Map(
        open.map(({ index }) => [index, { mask: null, method, skipped: 'not-worth-it' }]),
      ),
    };
  const units = open.map(({ segment }) => unitsOf(method, segment.text));
  const scores = baselineScores(method, input, units);
  const segments = open.map(({ segment, encoding }, i): UnitSegment => {
    const own = units[i] ?? { starts: new Uint32Array(0), ends: new Uint32Array(0) };
    const declared = survivorGroups(segment.text, own, declaredOnly(job.survivors));
    return {
      text: segment.text,
      encoding,
      units: own,
      scores: scores[i] ?? [],
      forced: declared.map((marked) => (marked === 1 ? whyCode('survivor') : 0)),
    };
  });
  const { budgetTokens } = input;
  const { masks, rendered, belowSurvivors } = await input.turns.run(
    selectSteps({ segments, budgetTokens, tokenizer: deps.tokenizer, cutAway: null }),
  );
  const decided = open.map(({ index }, i): [number, SegmentDecision] => [
    index,
    { mask: masks[i] ?? null, method, guards: 'units', rendered: rendered[i] ?? null },
  ]);
  return { segments: new Map(decided), notes: belowSurvivors ? ['budget-below-survivors'] : [] };
}

function unitsOf(method: BaselineName, text: string): GroupRanges {
  if (method === 'bm25-document')
    return { starts: Uint32Array.of(0), ends: Uint32Array.of(text.length) };
  if (method.includes('sentence')) return splitUnits(text);
  return wordGroups(text);
}

function baselineScores(
  method: BaselineName,
  input: OpenJob,
  units: readonly GroupRanges[],
): Float64Array[] {
  const { job, open } = input;
  const total = units.reduce((sum, { starts }) => sum + starts.length, 0);
  if (method.startsWith('bm25')) {
    const texts = units.flatMap(({ starts, ends }, i) =>
      Array.from(starts, (start, u) => terms(open[i]?.segment.text.slice(start, ends[u]) ?? '')),
    );
    const own = bm25(indexTerms(texts), queryTerms(job.question));
    if (method !== 'bm25-sentence-document') return cut(own, units);
    const sentence = zScores(own);
    const document = zScores(documentScores(input, units));
    return cut(
      sentence.map((value, i) => value + documentShare * (document[i] ?? 0)),
      units,
    );
  }
  const random = randomNumbers(job.options.seed ?? 1);
  const all = Float64Array.from({ length: total }, (_, i) => {
    if (method === 'head') return -i;
    if (method === 'tail') return i;
    if (method === 'middle') return Math.abs(i - total / 2); // both ends stay, the middle goes
    return random();
  });
  return cut(all, units);
}

/** Weight of the document's z-score beside the sentence's. */
const documentShare = 0.6;

/** BM25 of each unit's document. */
function documentScores({ job, open }: OpenJob, units: readonly GroupRanges[]): number[] {
  const whole = indexTerms(open.map(({ segment }) => terms(segment.text)));
  const scores = bm25(whole, queryTerms(job.question));
  return units.flatMap(({ starts }, i) => Array.from(starts, () => scores[i] ?? 0));
}

function cut(values: Float64Array, units: readonly GroupRanges[]): Float64Array[] {
  let offset = 0;
  return units.map(({ starts }) => values.subarray(offset, (offset += starts.length)));
}

/** mulberry32: 32-bit state, uniform in [0, 1). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
