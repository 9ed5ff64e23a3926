/**
 * What every method does around its own choice, in one place: which segments are up for compression, what the budget
 * is in tokens, whole droppable segments, and the checks afterwards. A method only supplies `decide`.
 */
import { throwIfAborted } from '../core/abort.ts';
import { SluiceError } from '../core/errors.ts';
import type { KeepMask } from '../core/mask.ts';
import type { BaselineName, MethodName } from '../core/method.ts';
import type { SkipReason } from '../core/report.ts';
import type { Steps } from '../core/steps.ts';
import { countInSteps, encodeInSteps } from '../tokenize/in-steps.ts';
import type { Encoding } from '../tokenize/types.ts';
import type {
  CompressJob,
  CompressorDeps,
  CompressResult,
  Segment,
  SegmentResult,
} from './types.ts';
import { chooseDroppable } from './droppable.ts';
import { declaredOnly, verifySteps } from './guards.ts';
import { maskFromKeep, renderSteps, subsequenceSteps, whyCode, wholeMask } from './mask.ts';
import type { RenderedText } from './select.ts';
import { createTurns, type Turns } from '../core/turns.ts';

/** A segment that `decide` must decide about. */
export interface OpenSegment {
  /** Index into the job's segments. */
  readonly index: number;
  readonly segment: Segment;
  /** Of the whole text, by the job's tokenizer: nobody needs to encode it again. */
  readonly encoding: Encoding;
  /** Tokens of the whole text. */
  readonly tokens: number;
  /** This segment's own share of the budget. Methods that decide jointly use the pool's sum instead. */
  readonly budgetTokens: number;
  /** True when the segment has a rate of its own: its share must not be given to other segments. */
  readonly ownRate: boolean;
}

export interface OpenJob {
  readonly job: CompressJob;
  readonly deps: CompressorDeps;
  /** Compressible segments that are long enough, in order. Droppable and pinned ones are not among them. */
  readonly open: readonly OpenSegment[];
  /** Sum of the shares. */
  readonly budgetTokens: number;
  /** Long work goes through these, so that the event loop turns in between. */
  readonly turns: Turns;
}

export interface SegmentDecision {
  /**
   * A mask that keeps everything is a choice where units of several segments competed (`skipped` null), and
   * `not-worth-it` otherwise. Null = the segment comes back whole, for the reason `skipped`.
   */
  readonly mask: KeepMask | null;
  readonly method: MethodName | BaselineName;
  readonly skipped?: SkipReason;
  /**
   * `words`: survivor classes are verified as well; `units`: only what the caller declared (see guards.ts).
   * Left out = `words`.
   */
  readonly guards?: 'words' | 'units';
  /** What the mask renders to, where the method has rendered and counted it anyway. */
  readonly rendered?: RenderedText | null;
}

export interface JobDecision {
  /** By segment index; a missing one comes back whole (`no-method`). */
  readonly segments: ReadonlyMap<number, SegmentDecision>;
  readonly order?: readonly number[];
  readonly notes?: readonly string[];
}

const nothing: JobDecision = { segments: new Map() };

export type Decide = (input: OpenJob) => JobDecision | Promise<JobDecision>;

/**
 * Runs one job: measures, splits the budget, lets `decide` choose, then renders, recounts and verifies.
 *
 * Budget in tokens: a rate gives every segment rate x its tokens (its own rate if it has one), rounded down with the
 * fraction carried on to the next segment; a number of tokens is what all compressible and droppable segments together
 * may have, shared in proportion to their tokens after those with a rate of their own and those that are too short.
 *
 * Too short: documents (or demonstrations, or earlier turns) of one job are chosen among each other, so their tokens
 * count together against `minTokens`; every other segment counts alone.
 *
 * @throws SluiceError BUDGET_IMPOSSIBLE when the budget asks for less than one token; ABORTED, DEADLINE_EXCEEDED
 */
export async function runJob(
  job: CompressJob,
  deps: CompressorDeps,
  decide: Decide,
): Promise<CompressResult> {
  throwIfAborted(job.signal);
  checkBudget(job);
  const turns = createTurns(job.signal);
  const encodings = await turns.run(encodeAll(job, deps));
  const counts = encodings.map(({ tokens }) => tokens);
  const skipped = job.segments.map((segment, i) => skipBeforehand(job, segment, counts, i));
  const shares = budgetShares(job, counts, skipped);
  const notes: string[] = shares.note === null ? [] : [shares.note];
  const openAll = job.segments.flatMap((segment, index): OpenSegment[] => {
    const { encoding = null, tokens = 0 } = encodings[index] ?? {};
    if (skipped[index] !== null || encoding === null) return [];
    const budgetTokens = shares.tokens[index] ?? 0;
    const ownRate = segment.rate !== undefined;
    return [{ index, segment, encoding, tokens, budgetTokens, ownRate }];
  });
  const droppable = openAll.filter(({ segment }) => segment.policy === 'droppable');
  const open = openAll.filter(({ segment }) => segment.policy !== 'droppable');
  const dropped = await turns.run(chooseDroppable(job, droppable));
  const sum = (of: readonly OpenSegment[]): number => of.reduce((n, s) => n + s.budgetTokens, 0);
  const decision: JobDecision =
    open.length === 0 ? nothing : await decide({ job, deps, open, budgetTokens: sum(open), turns });
  throwIfAborted(job.signal);
  const alone = open.length === 1;
  const segments: SegmentResult[] = [];
  for (const [i, segment] of job.segments.entries()) {
    const before = counts[i] ?? 0;
    const reason = skipped[i] ?? null;
    const known = { segment, before, decided: decision.segments.get(i), alone };
    if (reason !== null) segments.push(whole(segment, before, reason));
    else if (segment.policy !== 'droppable')
      segments.push(await turns.run(resultSteps(job, deps, known)));
    else segments.push(droppableResult(segment, before, dropped.has(i)));
  }
  notes.push(...keepBlank(segments, open));
  notes.push(...(decision.notes ?? []));
  if (segments.some((result) => result.skipped === 'survivor-lost')) notes.push('survivor-lost');
  const total = (key: 'tokensBefore' | 'tokensAfter'): number =>
    segments.reduce((n, result) => n + result[key], 0);
  return {
    segments,
    order: decision.order ?? segments.map((_, i) => i),
    tokensBefore: total('tokensBefore'),
    tokensAfter: total('tokensAfter'),
    budgetTokens: openAll.length === 0 ? null : sum(openAll),
    notes: [...new Set(notes)],
  };
}

/**
 * When nothing visible would be left of anything (a budget below the smallest unit), the segments stay whole: nobody is
 * served by an empty text. @returns notes
 */
function keepBlank(results: SegmentResult[], open: readonly OpenSegment[]): string[] {
  const blank = open.every(({ index }) => results[index]?.text.trim() === '');
  if (open.length === 0 || !blank) return [];
  for (const { index, segment, tokens } of open)
    results[index] = whole(segment, tokens, 'not-worth-it');
  return ['budget-below-one-unit'];
}

/** The one time that texts of a job are read by the tokenizer; pinned ones are only counted. */
function* encodeAll(
  job: CompressJob,
  { tokenizer }: CompressorDeps,
): Steps<{ encoding: Encoding | null; tokens: number }[]> {
  const all: { encoding: Encoding | null; tokens: number }[] = [];
  for (const { text, policy } of job.segments) {
    const encoding = policy === 'pinned' ? null : yield* encodeInSteps(tokenizer, text);
    const tokens = encoding?.ids.length ?? (yield* countInSteps(tokenizer, text));
    all.push({ encoding, tokens });
  }
  return all;
}

function checkBudget({ budget }: CompressJob): void {
  if (budget.type === 'tokens' && !(budget.tokens >= 1))
    throw new SluiceError('BUDGET_IMPOSSIBLE', `A budget of ${budget.tokens} tokens is below one`);
  if (budget.type === 'rate' && !(budget.rate > 0 && budget.rate <= 1))
    throw new SluiceError('BUDGET_IMPOSSIBLE', `A rate of ${budget.rate} is not in (0, 1]`);
}

function skipBeforehand(
  job: CompressJob,
  segment: Segment,
  counts: readonly number[],
  index: number,
): SkipReason | null {
  if (segment.policy === 'pinned') return 'pinned';
  const pooled =
    segment.kind === 'document' || segment.kind === 'demonstration' || segment.kind === 'history';
  const together = pooled
    ? job.segments.reduce(
        (n, other, i) =>
          other.kind === segment.kind && other.policy === segment.policy ? n + (counts[i] ?? 0) : n,
        0,
      )
    : (counts[index] ?? 0);
  return together < job.minTokens || segment.text.trim() === '' ? 'too-short' : null;
}

interface Shares {
  /** Tokens per segment of the job; 0 for those that are not up for compression. */
  readonly tokens: readonly number[];
  readonly note: string | null;
}

function budgetShares(
  job: CompressJob,
  counts: readonly number[],
  skipped: readonly (SkipReason | null)[],
): Shares {
  const { budget, segments } = job;
  const byRate = (i: number, rate: number): number => Math.floor((counts[i] ?? 0) * rate + 1e-9);
  const sharesAt = (ratio: number): number[] => {
    // Fractions are carried on, so that many short segments get together what their sum would get.
    let carried = 0;
    return segments.map(({ rate }, i) => {
      if (skipped[i] !== null) return 0;
      if (rate !== undefined) return byRate(i, rate);
      const exact = (counts[i] ?? 0) * ratio + carried;
      const tokens = Math.floor(exact + 1e-9);
      carried = exact - tokens;
      return tokens;
    });
  };
  if (budget.type === 'rate') return { tokens: sharesAt(budget.rate), note: null };
  let left = Math.floor(budget.tokens);
  let shared = 0;
  segments.forEach(({ rate }, i) => {
    if (skipped[i] === 'pinned') return;
    if (skipped[i] !== null) left -= counts[i] ?? 0;
    else if (rate !== undefined) left -= byRate(i, rate);
    else shared += counts[i] ?? 0;
  });
  const note = left < 0 ? 'budget-below-whole-segments' : null;
  const ratio = shared === 0 ? 0 : Math.min(1, Math.max(0, left) / shared);
  return { tokens: sharesAt(ratio), note };
}

function whole(segment: Segment, tokens: number, skipped: SkipReason): SegmentResult {
  return {
    mask: wholeMask(segment.text),
    text: segment.text,
    method: null,
    skipped,
    tokensBefore: tokens,
    tokensAfter: tokens,
  };
}

function droppableResult(segment: Segment, tokens: number, dropped: boolean): SegmentResult {
  const groups = { starts: Uint32Array.of(0), ends: Uint32Array.of(segment.text.length) };
  return {
    mask: maskFromKeep({ groups, keep: Uint8Array.of(dropped ? 0 : 1) }),
    text: dropped ? '' : segment.text,
    method: 'extractive',
    skipped: null,
    tokensBefore: tokens,
    tokensAfter: dropped ? 0 : tokens,
  };
}

function* renderCounted(
  segment: Segment,
  mask: KeepMask,
  { tokenizer }: CompressorDeps,
): Steps<RenderedText> {
  const text = yield* renderSteps(segment.text, mask);
  return { text, tokens: yield* countInSteps(tokenizer, text) };
}

function* resultSteps(
  job: CompressJob,
  deps: CompressorDeps,
  input: {
    segment: Segment;
    before: number;
    decided: SegmentDecision | undefined;
    alone: boolean;
  },
): Steps<SegmentResult> {
  yield;
  const { segment, before, decided, alone } = input;
  if (!decided?.mask) return whole(segment, before, decided?.skipped ?? 'no-method');
  const { mask } = decided;
  const { text, tokens: after } = decided.rendered ?? (yield* renderCounted(segment, mask, deps));
  if (!(yield* subsequenceSteps(text, segment.text)))
    throw new SluiceError('INTERNAL', `Method ${decided.method} made text that is no subsequence`);
  const chosenWhole = text === segment.text && decided.guards === 'units' && !alone;
  if (!chosenWhole && after >= before) return whole(segment, before, 'not-worth-it');
  const survivors = decided.guards === 'units' ? declaredOnly(job.survivors) : job.survivors;
  if ((yield* verifySteps(segment.text, text, survivors)).length > 0)
    return whole(segment, before, 'survivor-lost');
  return {
    mask,
    text,
    method: decided.method,
    skipped: null,
    tokensBefore: before,
    tokensAfter: after,
  };
}

/** Codes of the reasons, for methods that fill `why` themselves. */
export const why: Readonly<Record<'survivor' | 'forced' | 'structure' | 'score', number>> = {
  survivor: whyCode('survivor'),
  forced: whyCode('forced'),
  structure: whyCode('structure'),
  score: whyCode('score'),
};
