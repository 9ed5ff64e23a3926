/** What one request's handling looked like; the body of `/v1/requests/{id}` and of `req.sluice`. */
import type { ContentKind, Policy, SpanKind, SpanReason } from './span.ts';
import type { MethodName } from './method.ts';
import type { AdmissionReason, Exactness, MissReason, Mode, RewriteReason } from './reuse-words.ts';
import type { FitReport, SinksReport, WindowsReport } from './window-words.ts';

/**
 * - `compressed`: at least one span was decided anew and is shorter
 * - `replayed`: every shortened span was decided by an earlier request
 * - `unchanged`: looked at, nothing was worth changing
 * - `bypassed`: not looked at (switched off, not a dialect, unreadable body); forwarded byte for byte
 * - `failed-open`: compressing failed; the original bytes were forwarded
 */
export type Decision = 'compressed' | 'replayed' | 'unchanged' | 'bypassed' | 'failed-open';

/**
 * Why something was not compressed. One vocabulary for header, metric, log and report.
 * - `off-by-client`, `off-by-config`: switched off
 * - `not-a-dialect`: path or method carries no text that we read
 * - `not-json`, `duplicate-key`, `lone-surrogate`, `too-deep`, `content-encoding`, `body-too-large`, `unexpected-shape`:
 *   the body was passed through untouched
 * - `pinned`: policy forbids it
 * - `too-short`: below the minimum number of tokens; `too-long`: above limits.compress_chars
 * - `no-method`: no method for this content kind is configured or available
 * - `method-unavailable`: the model that the method needs is missing or not warm
 * - `not-worth-it`: the result would not be shorter, or projected cost not lower
 * - `survivor-lost`: a declared survivor would be missing; the span goes out as it came
 * - `deadline`: the scorer was late; `queue-full`: its queue was; `scorer-error`: it failed
 * - `internal-error`: a defect of ours; the original was forwarded
 * - `client-gone`: the client went away
 * - `turn-left-out`: a message of an earlier turn that a cut has left out; the marker says so
 * - `window-left-out`, `window-failed`: windows of a text that no answer was made from (the report has the offsets)
 * - `windows-off`: the client asked for windows, the operator allows none
 * - `windows-unfit`: the request does not fit, or windows were asked for, and it cannot be read in windows
 */
export const skipReasons = [
  'off-by-client',
  'off-by-config',
  'not-a-dialect',
  'not-json',
  'duplicate-key',
  'lone-surrogate',
  'too-deep',
  'content-encoding',
  'body-too-large',
  'unexpected-shape',
  'pinned',
  'too-short',
  'too-long',
  'no-method',
  'method-unavailable',
  'not-worth-it',
  'survivor-lost',
  'deadline',
  'queue-full',
  'scorer-error',
  'internal-error',
  'client-gone',
  'turn-left-out',
  'window-left-out',
  'window-failed',
  'windows-off',
  'windows-unfit',
] as const;
export type SkipReason = (typeof skipReasons)[number];

export interface SpanReport {
  readonly pointer: string;
  /** UTF-16 offsets into the decoded string at `pointer`. */
  readonly start: number;
  readonly end: number;
  readonly kind: SpanKind;
  readonly content: ContentKind;
  readonly policy: Policy;
  readonly reason: SpanReason;
  readonly detail: string;
  /** Method that decided, or null when the span was left alone. */
  readonly method: MethodName | null;
  readonly tokensBefore: number | null;
  readonly tokensAfter: number | null;
  /** True when the forwarded bytes were decided by an earlier request. */
  readonly replayed: boolean;
  readonly skipped: SkipReason | null;
  /** Hash under which `/v1/retrieve/{hash}` has the original text, or null when nothing was shortened. */
  readonly original: string | null;
}

export interface Usage {
  /** As reported by the backend; null = not reported, never 0 for unknown. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly cachedTokens: number | null;
}

/** How a request went on with its conversation. */
export interface ReuseReport {
  readonly mode: Mode;
  /** How `plannedReuse` is known. */
  readonly exactness: Exactness;
  /** Whether compressing the newest text pays. */
  readonly admission: AdmissionReason;
  /** Why the forwarded prefix was kept or given up. */
  readonly rewrite: RewriteReason;
  /** Why less was reused than the previous prompt could have given; null = nothing was missing, or nobody knows. */
  readonly missReason: MissReason | null;
  /** Regime of the model's position scheme; null = not known. */
  readonly regime: string | null;
  /** Replica that was chosen; null = there was nothing to choose. */
  readonly replica: string | null;
}

export interface RequestReport {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly tenant: string;
  readonly dialect: string | null;
  readonly backend: string | null;
  readonly decision: Decision;
  /** Tokens of all text spans; null when the body was not looked at. */
  readonly tokensBefore: number | null;
  readonly tokensAfter: number | null;
  /** Tokenizer that counted; `estimated` when it is not the backend's own. */
  readonly tokenizer: string | null;
  readonly estimated: boolean;
  /** Stretch of the conversation in which the forwarded prefix only grows; null = nothing is remembered. */
  readonly epoch: number | null;
  /** Tokens that the backend was expected to reuse; null = not known. */
  readonly plannedReuse: number | null;
  /** Tokens that it says it has reused; null = it does not tell. */
  readonly reportedReuse: number | null;
  readonly reuse: ReuseReport | null;
  readonly usage: Usage | null;
  /** Shortened further than configured, so that it fits the context window; null = not in this request. */
  readonly fit: FitReport | null;
  /** How the request was answered from windows; null = it went out in one piece. */
  readonly windows: WindowsReport | null;
  /** Turns that were left out; null = none. */
  readonly sinks: SinksReport | null;
  readonly spans: readonly SpanReport[];
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
  /** Milliseconds, wall clock. */
  readonly timings: {
    readonly readMs: number | null;
    readonly compressMs: number | null;
    /** From forwarding to the upstream's response head. */
    readonly upstreamMs: number | null;
    readonly totalMs: number | null;
  };
  readonly status: number | null;
  readonly error: string | null;
}
