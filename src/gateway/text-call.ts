/** A call of `compressText` as everybody makes it: with exact counts where the backend has them, and counted itself. */
import { randomUUID } from 'node:crypto';
import { SluiceError } from '../core/errors.ts';
import { skipReasons, type Decision, type RequestReport, type SkipReason } from '../core/report.ts';
import { countedTextReport, segmentTexts, textsToCount } from './count-reports.ts';
import type { ExactCounts } from './exact-counts.ts';
import { openReport, type ReportFacts } from './report.ts';
import { within, type Reports } from './reports.ts';
import { compressText, type CompressTextDeps } from './text.ts';
import type { CompressTextInput, CompressTextResult, CountedTexts, RequestRoute } from './types.ts';

export interface TextCallDeps extends CompressTextDeps {
  readonly exact: ExactCounts;
  readonly reports: Reports;
  /** Name of the backend, for metrics. */
  readonly backendName: string;
}

/** Time that a caller who asked for numbers waits for exact ones, milliseconds. */
export const countWaitMs = 1000;

/** @throws SluiceError as `compressText` */
export async function callCompressText(
  input: CompressTextInput,
  deps: TextCallDeps,
): Promise<CompressTextResult> {
  const startedAt = deps.clock.now();
  const started = deps.clock.monotonic();
  const note = (outcome: Noted): void => {
    const totalMs = deps.clock.monotonic() - started;
    noteCall(input, { ...outcome, startedAt, totalMs }, deps);
  };
  try {
    const result = await exactResult(input, await compressText(input, deps), deps.exact);
    note({ result });
    return result;
  } catch (error) {
    note({ error });
    throw error;
  }
}

/** The same result with the backend's own numbers, when they come in time. */
async function exactResult(
  input: CompressTextInput,
  result: CompressTextResult,
  exact: ExactCounts,
): Promise<CompressTextResult> {
  if (!exact.active) return result;
  const texts = segmentTexts(input.context, result);
  const counts = await within(exact.count(textsToCount(texts), null), countWaitMs);
  if (counts === null) return result;
  const { tokenizer } = exact;
  return { ...result, report: countedTextReport(result.report, texts, { counts, tokenizer }) };
}

/** Tokens of texts: the backend's own when they come in time, else the local tokenizer's. */
export async function countTexts(
  texts: readonly string[],
  call: { readonly tenant: string; readonly route: RequestRoute } | undefined,
  deps: TextCallDeps,
): Promise<CountedTexts> {
  const startedAt = deps.clock.now();
  const started = deps.clock.monotonic();
  const counted = await tokensOf(texts, deps);
  if (call === undefined) return counted;
  const { counts, tokenizer, estimated } = counted;
  const tokens = counts.reduce((sum, count) => sum + count, 0);
  const report = openReport({
    ...callFacts(deps, call.tenant, startedAt),
    decision: 'unchanged',
    skipped: {},
    tokenizer,
    estimated,
    compressMs: null,
  });
  const timings = { ...report.timings, totalMs: deps.clock.monotonic() - started };
  const numbers = { tokensBefore: tokens, tokensAfter: tokens, timings };
  deps.reports.note({ ...report, ...numbers }, call.route);
  return counted;
}

/** What the reports of all text calls have in common. */
function callFacts(
  deps: TextCallDeps,
  tenant: string | undefined,
  startedAt: number,
): Pick<ReportFacts, 'id' | 'startedAt' | 'tenant' | 'dialect' | 'backend' | 'spans' | 'readMs'> {
  return {
    id: randomUUID(),
    startedAt,
    tenant: tenant ?? 'default',
    dialect: 'text',
    backend: deps.backendName,
    spans: null,
    readMs: null,
  };
}

async function tokensOf(
  texts: readonly string[],
  { exact, tokenizer, config }: TextCallDeps,
): Promise<CountedTexts> {
  const chars = texts.reduce((sum, text) => sum + text.length, 0);
  if (chars > config.limits.compress_chars) {
    throw new SluiceError(
      'BODY_TOO_LARGE',
      `The texts have ${chars} characters, more than limits.compress_chars ${config.limits.compress_chars}`,
    );
  }
  const counts = exact.active ? await within(exact.count(texts, null), countWaitMs) : null;
  return counts === null
    ? {
        counts: texts.map((text) => tokenizer.count(text)),
        tokenizer: tokenizer.id,
        estimated: tokenizer.estimated,
      }
    : { counts: texts.map(counts), tokenizer: exact.tokenizer, estimated: false };
}

/** A call that did not succeed has a code in place of a result. */
type Noted = { readonly result: CompressTextResult } | { readonly error: unknown };

function noteCall(
  input: CompressTextInput,
  outcome: Noted & { readonly startedAt: number; readonly totalMs: number },
  deps: TextCallDeps,
): void {
  const failed = 'error' in outcome;
  const numbers = failed ? nothingCounted : numbersOf(outcome.result.report);
  const report = openReport({
    ...callFacts(deps, input.tenant, outcome.startedAt),
    decision: failed ? 'bypassed' : decisionOf(outcome.result.report),
    skipped: failed ? {} : skipsOf(outcome.result.report),
    tokenizer: numbers.tokenizer,
    estimated: numbers.estimated,
    compressMs: numbers.compressMs,
  });
  const { tokensBefore, tokensAfter } = numbers;
  const timings = { ...report.timings, totalMs: outcome.totalMs };
  const error = failed ? codeOf(outcome.error) : null;
  deps.reports.note(
    { ...report, tokensBefore, tokensAfter, timings, error },
    input.route ?? 'library',
  );
}

type Numbers = Pick<RequestReport, 'tokensBefore' | 'tokensAfter' | 'tokenizer' | 'estimated'> & {
  readonly compressMs: number | null;
};

const nothingCounted: Numbers = {
  tokensBefore: null,
  tokensAfter: null,
  tokenizer: null,
  estimated: false,
  compressMs: null,
};

function numbersOf(report: CompressTextResult['report']): Numbers {
  const { tokensBefore, tokensAfter, tokenizer, estimated, compressMs } = report;
  return { tokensBefore, tokensAfter, tokenizer, estimated, compressMs };
}

function decisionOf(report: CompressTextResult['report']): Decision {
  return report.segments.some(({ method }) => method !== null) ? 'compressed' : 'unchanged';
}

function skipsOf(report: CompressTextResult['report']): Partial<Record<SkipReason, number>> {
  const counts: Partial<Record<SkipReason, number>> = {};
  for (const { skipped } of report.segments) {
    const reason = skipReasons.find((known) => known === skipped);
    if (reason !== undefined) counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

function codeOf(error: unknown): string {
  return SluiceError.isInstance(error) ? error.code : 'INTERNAL';
}
