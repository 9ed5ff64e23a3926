/** `auto`: the best known method for each segment, by what it is and whether a question is known. */
import { assertNever } from '../core/errors.ts';
import type { MethodName } from '../core/method.ts';
import type { ScorerSet } from '../score/types.ts';
import {
  autoMethod,
  autoPolicy,
  messagesKeep,
  toolResultShare,
  withoutModel,
} from './auto-policy.ts';
import { decideExtractive } from './extractive.ts';
import { runJob } from './job.ts';
import type { JobDecision, OpenJob, OpenSegment, SegmentDecision } from './job.ts';
import { createLlmlingua } from './llmlingua.ts';
import { createLlmlingua2 } from './llmlingua2.ts';
import { createLongLlmlingua } from './longllmlingua.ts';
import { createSelectiveContext } from './selective-context.ts';
import { modelsOf } from './signals.ts';
import { decideStructural } from './structural/structural.ts';
import { defaultTier } from './tiers.ts';
import type { Compressor, CompressorDeps } from './types.ts';

type Concrete = Exclude<MethodName, 'auto'>;

export function createAuto(deps: CompressorDeps): Compressor {
  const methods = [...new Set(autoPolicy.map((row) => row.method))].sort().join(',');
  const { surprisal, keep } = deps.scorers;
  const tier = deps.tier ?? defaultTier;
  const { table, vectors, pairs } = modelsOf(tier, deps.scorers);
  const scorers = [surprisal, keep, table, vectors, pairs].map((model) => model?.id ?? '-').join();
  return {
    method: 'auto',
    id: `auto@2(${methods}):${deps.tokenizer.id}:${tier}:${scorers}`,
    compress: (job) => runJob(job, deps, decideAuto),
  };
}

/**
 * Segments of one method are decided together, so that documents compete for one budget. A method whose model is
 * missing is replaced, with the note `method-unavailable`.
 */
async function decideAuto(input: OpenJob): Promise<JobDecision> {
  const asked = input.job.question.trim() !== '';
  const groups = new Map<Concrete, OpenSegment[]>();
  const notes = new Set<string>();
  for (const segment of sharedOut(input.open)) {
    const wanted = autoMethod(segment.segment.content, asked);
    const method = isAvailable(wanted, input.deps.scorers) ? wanted : withoutModel;
    if (method !== wanted) notes.add('method-unavailable');
    groups.set(method, [...(groups.get(method) ?? []), segment]);
  }
  const segments = new Map<number, SegmentDecision>();
  for (const [method, open] of groups) {
    const budgetTokens = open.reduce((sum, segment) => sum + segment.budgetTokens, 0);
    const decided = await decideBy(method, { ...input, open, budgetTokens });
    decided.segments.forEach((decision, index) => segments.set(index, decision));
    decided.notes?.forEach((note) => notes.add(note));
  }
  return { segments, notes: [...notes] };
}

/** The segments with shares moved from the messages of a conversation to the results of its tools. */
function sharedOut(open: readonly OpenSegment[]): readonly OpenSegment[] {
  const isResult = ({ segment, ownRate }: OpenSegment): boolean =>
    !ownRate && segment.kind === 'tool-result' && segment.content === 'json';
  const isMessage = ({ segment, ownRate }: OpenSegment): boolean =>
    !ownRate && segment.kind === 'history';
  const shareOf = (those: (one: OpenSegment) => boolean): number =>
    open.reduce((sum, one) => sum + (those(one) ? one.budgetTokens : 0), 0);
  const results = shareOf(isResult);
  const messages = shareOf(isMessage);
  // Never more than the results have: what is over would be lost to the messages.
  const most = open.reduce((sum, one) => sum + (isResult(one) ? one.tokens : 0), 0) - results;
  const wanted = (toolResultShare - 1) * results;
  const moved = Math.floor(Math.min(wanted, most, (1 - messagesKeep) * messages));
  if (moved <= 0) return open;
  const scaled = (one: OpenSegment, factor: number): OpenSegment => {
    return { ...one, budgetTokens: Math.floor(one.budgetTokens * factor) };
  };
  return open.map((one) => {
    if (isResult(one)) return scaled(one, 1 + moved / results);
    return isMessage(one) ? scaled(one, 1 - moved / messages) : one;
  });
}

function isAvailable(method: Concrete, scorers: ScorerSet): boolean {
  switch (method) {
    case 'extractive':
    case 'structural':
      return true;
    case 'llmlingua2':
      return scorers.keep !== null;
    case 'llmlingua':
    case 'longllmlingua':
    case 'selective-context':
      return scorers.surprisal !== null;
    default:
      return assertNever(method);
  }
}

function decideBy(method: Concrete, input: OpenJob): JobDecision | Promise<JobDecision> {
  switch (method) {
    case 'extractive':
      return decideExtractive(input, modelsOf(input.deps.tier ?? defaultTier, input.deps.scorers));
    case 'structural':
      return decideStructural(input);
    case 'llmlingua':
      return decideWith(createLlmlingua(input.deps), input);
    case 'longllmlingua':
      return decideWith(createLongLlmlingua(input.deps), input);
    case 'llmlingua2':
      return decideWith(createLlmlingua2(input.deps), input);
    case 'selective-context':
      return decideWith(createSelectiveContext(input.deps), input);
    default:
      return assertNever(method);
  }
}

/** Runs a whole compressor on the segments of `input` alone, within the sum of their shares. */
async function decideWith(compressor: Compressor, input: OpenJob): Promise<JobDecision> {
  const { job, open, budgetTokens } = input;
  if (budgetTokens < 1) return { segments: new Map() };
  const result = await compressor.compress({
    ...job,
    segments: open.map(({ segment }) => segment),
    budget: { type: 'tokens', tokens: budgetTokens },
    minTokens: 0,
  });
  const decided = result.segments.map(({ mask, skipped, method }, i): [number, SegmentDecision] => [
    open[i]?.index ?? 0,
    {
      mask: skipped === null ? mask : null,
      method: method ?? compressor.method,
      ...(skipped === null ? {} : { skipped }),
    },
  ]);
  return { segments: new Map(decided), notes: result.notes };
}
