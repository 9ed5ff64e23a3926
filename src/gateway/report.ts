/** Building of request reports: plain data from the stages' results. */
import type { Decision, RequestReport, SkipReason, SpanReport, Usage } from '../core/report.ts';
import type { Span } from '../core/span.ts';
import type { FitReport, SinksReport, WindowsReport } from '../core/window-words.ts';

export function spanReport(
  span: Span,
  facts: Pick<SpanReport, 'method' | 'tokensBefore' | 'tokensAfter' | 'skipped' | 'original'>,
): SpanReport {
  return {
    pointer: span.pointer,
    start: span.start,
    end: span.end,
    kind: span.kind,
    content: span.content,
    policy: span.policy,
    reason: span.reason,
    detail: span.detail,
    replayed: false,
    ...facts,
  };
}

/** Reasons that mean that something of ours failed, as opposed to a choice. */
const failures: ReadonlySet<SkipReason> = new Set([
  'deadline',
  'queue-full',
  'scorer-error',
  'internal-error',
  'method-unavailable',
]);

/** What the request's header says, from its spans. */
export function decisionOf(
  spans: readonly SpanReport[],
  sinks: SinksReport | null = null,
): Decision {
  if (sinks?.fresh === true) return 'compressed';
  let replayed = sinks !== null;
  let failed = false;
  for (const span of spans) {
    const shorter = span.original !== null;
    if (shorter && !span.replayed) return 'compressed';
    if (shorter) replayed = true;
    if (span.skipped !== null && failures.has(span.skipped)) failed = true;
  }
  if (failed) return 'failed-open';
  return replayed ? 'replayed' : 'unchanged';
}

export function countSkips(spans: readonly SpanReport[]): Partial<Record<SkipReason, number>> {
  const counts: Partial<Record<SkipReason, number>> = {};
  for (const { skipped } of spans) {
    if (skipped !== null) counts[skipped] = (counts[skipped] ?? 0) + 1;
  }
  return counts;
}

/** Null when one of them is not known: a sum of the others would be a wrong number. */
export function sumOf(values: readonly (number | null)[]): number | null {
  let total = 0;
  for (const value of values) {
    if (value === null) return null;
    total += value;
  }
  return total;
}

export interface ReportFacts {
  readonly id: string;
  readonly startedAt: number;
  readonly tenant: string;
  readonly dialect: string | null;
  readonly backend: string;
  readonly decision: Decision;
  readonly spans: readonly SpanReport[] | null;
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
  readonly tokenizer: string | null;
  readonly estimated: boolean;
  readonly readMs: number | null;
  readonly compressMs: number | null;
  readonly fit?: FitReport | null;
}

/** A report before its outcome is known. */
export function openReport(facts: ReportFacts): RequestReport {
  const { spans, readMs, compressMs, fit = null, ...rest } = facts;
  return {
    ...rest,
    tokensBefore: spans === null ? null : sumOf(spans.map((span) => span.tokensBefore)),
    tokensAfter: spans === null ? null : sumOf(spans.map((span) => span.tokensAfter)),
    epoch: null,
    plannedReuse: null,
    reportedReuse: null,
    reuse: null,
    usage: null,
    fit,
    windows: null,
    sinks: null,
    spans: spans ?? [],
    timings: { readMs, compressMs, upstreamMs: null, totalMs: null },
    status: null,
    error: null,
  };
}

export function closeReport(
  report: RequestReport,
  outcome: {
    readonly status: number | null;
    readonly usage: Usage | null;
    readonly error: string | null;
    readonly upstreamMs?: number | null;
    readonly totalMs: number;
  },
): RequestReport {
  return {
    ...report,
    status: outcome.status,
    usage: outcome.usage,
    reportedReuse: outcome.usage?.cachedTokens ?? null,
    error: outcome.error,
    timings: {
      ...report.timings,
      upstreamMs: outcome.upstreamMs ?? null,
      totalMs: outcome.totalMs,
    },
  };
}

/** `reason;n=count` list for the `x-sluice-skipped` header; empty when nothing was skipped. */
export function skippedHeader(skipped: Readonly<Partial<Record<SkipReason, number>>>): string {
  return Object.entries(skipped)
    .map(([reason, count]) => `${reason};n=${count}`)
    .join(', ');
}

/** `strategy;n=windows;asked=windows` of a request that was answered from windows. */
function windowsHeader({ strategy, windows }: WindowsReport): string {
  const asked = windows.filter(({ state }) => state !== 'left-out').length;
  return `${strategy};n=${windows.length};asked=${asked}`;
}

/** The `x-sluice-*` response headers: name, value, ... Unknown values are left out, never 0. */
export function responseHeaders(report: RequestReport): string[] {
  const headers = ['x-sluice-request-id', report.id, 'x-sluice-decision', report.decision];
  if (report.tokensBefore !== null && report.tokensAfter !== null) {
    headers.push('x-sluice-tokens-before', String(report.tokensBefore));
    headers.push('x-sluice-tokens-after', String(report.tokensAfter));
  }
  if (report.epoch !== null) headers.push('x-sluice-epoch', String(report.epoch));
  if (report.plannedReuse !== null) {
    headers.push('x-sluice-planned-reuse', String(report.plannedReuse));
  }
  const skipped = skippedHeader(report.skipped);
  if (skipped !== '') headers.push('x-sluice-skipped', skipped);
  if (report.windows !== null) headers.push('x-sluice-windows', windowsHeader(report.windows));
  if (report.backend !== null) headers.push('x-sluice-backend', report.backend);
  return headers;
}
