/** What the HTTP layer and the library may ask of the gateway. Bytes and plain data only. */
import type { Backend } from '../backends/types.ts';
import type { RequestReport, SpanReport, Usage } from '../core/report.ts';
import type { MethodName } from '../core/method.ts';
import type { ContentKind } from '../core/span.ts';
import type { WindowStrategy } from '../core/window-words.ts';
import type { Placement, ReuseTotals } from '../reuse/types.ts';

/** Where a request came in: an inference request, one of our own routes, or a call of the library. */
export type RequestRoute = 'inference' | 'compress' | 'compact' | 'compress-prompt' | 'library';

/** A client's wishes; it can only ever ask for less than the operator allows. */
export interface Wishes {
  readonly compress?: boolean;
  readonly rate?: number;
  readonly targetTokens?: number;
  readonly method?: MethodName;
  readonly session?: string;
  /** Windows for what does not fit, in so many windows whether it fits or not, or none; left out = as configured. */
  readonly windows?: 'off' | 'auto' | number;
  /** How the answer comes of them; left out = as configured. */
  readonly windowStrategy?: WindowStrategy;
}

export interface PrepareInput {
  /** Path without query. */
  readonly path: string;
  readonly contentEncoding: string | null;
  readonly body: Uint8Array;
  readonly wishes: Wishes;
  readonly tenant: string;
  /** Fires when the client goes away. */
  readonly signal: AbortSignal | null;
  /** Label under which the request is counted; default: `inference`. */
  readonly route?: RequestRoute;
  /** The caller forwards the result to `Prepared.backend`; left out = it goes elsewhere, or nowhere. */
  readonly forwards?: boolean;
}

export interface Prepared {
  readonly id: string;
  /** What to forward; the same object as the input's body when nothing changed. */
  readonly body: Uint8Array;
  /** Values for the `x-sluice-*` response headers, in order: name, value, ... */
  readonly responseHeaders: readonly string[];
  /** Where to forward it. */
  readonly backend: Backend;
  /** Wants to know how the forwarding goes; null = nobody does. Its end is told by `settle`. */
  readonly progress: Progress | null;
}

/** What a forwarded request lets its router know, and the way out when its server cannot be reached. */
export interface Progress {
  /** `Prepared.responseHeaders` as known by now: a forecast may have become better beside the forwarding. */
  headers(): readonly string[];
  /** The first byte of the answer's body came. */
  answering(): void;
  /** The server could not be reached and no byte was sent: where to try next, or null. */
  elsewhere(): Prepared | null;
}

/** What became of a prepared or bypassed request; completes its report. */
export interface Outcome {
  readonly status: number | null;
  readonly usage: Usage | null;
  /** Error code of ours, or null. */
  readonly error: string | null;
  /** Milliseconds from forwarding to the upstream's response head; left out or null = there was none. */
  readonly upstreamMs?: number | null;
}

export interface CompressTextInput {
  readonly context: readonly string[];
  readonly question?: string;
  readonly instruction?: string;
  readonly rate?: number;
  readonly targetTokens?: number;
  readonly method?: MethodName;
  readonly kind?: ContentKind;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly tenant?: string;
  readonly signal?: AbortSignal | null;
  /** Label under which the call is counted; default: `library`. */
  readonly route?: RequestRoute;
  /** Adds the kept/dropped pieces to the result. */
  readonly explain?: boolean;
}

export interface ExplainedPiece {
  readonly start: number;
  readonly end: number;
  readonly kept: boolean;
  /** One of `keepReasons`. */
  readonly why: string;
  readonly score: number | null;
}

export interface CompressTextResult {
  /** Segments joined by a blank line. */
  readonly text: string;
  readonly context: readonly string[];
  readonly report: {
    readonly tokensBefore: number;
    readonly tokensAfter: number;
    readonly tokenizer: string;
    readonly estimated: boolean;
    readonly budgetTokens: number | null;
    readonly segments: readonly {
      readonly method: string | null;
      readonly content: ContentKind;
      readonly skipped: string | null;
      readonly tokensBefore: number;
      readonly tokensAfter: number;
      readonly pieces?: readonly ExplainedPiece[];
    }[];
    readonly order: readonly number[];
    readonly notes: readonly string[];
    readonly compressMs: number;
  };
}

export interface CountedTexts {
  readonly counts: readonly number[];
  readonly tokenizer: string;
  readonly estimated: boolean;
}

/** The span-level map of what would happen to a body. */
export interface ExplainedRequest {
  readonly dialect: string | null;
  readonly report: RequestReport;
  readonly spans: readonly (SpanReport & { readonly pieces: readonly ExplainedPiece[] })[];
}

export interface Totals {
  readonly requests: number;
  readonly byDecision: Readonly<Record<string, number>>;
  readonly byRoute: Readonly<Record<string, number>>;
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  /** The part of `tokensBefore` that another tokenizer than the backend's counted. */
  readonly tokensEstimated: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly cachedTokens: number;
  readonly promptTokensReported: number;
  readonly uptimeSeconds: number;
  readonly reuse: ReuseSums & ReuseTotals;
  /** The servers behind this Sluice, where it chooses among them. */
  readonly replicas: ReturnType<Placement['state']>;
}

/** Sums over a tenant's requests that are part of a conversation. */
export interface ReuseSums {
  readonly byMode: Readonly<Record<string, number>>;
  readonly byMiss: Readonly<Record<string, number>>;
  /** Tokens planned and reported, over the requests for which both are known. */
  readonly plannedTokens: number;
  readonly reportedTokens: number;
  /** Sum of the differences between planned and reported, without sign. */
  readonly errorTokens: number;
}

export interface Gateway {
  /** The first of them; it answers what is not placed. */
  readonly backend: Backend;
  /** True when the path (without query) is a dialect route whose bodies are read. Cheap; called for every request. */
  isDialect(path: string): boolean;
  /** False when compression is switched off for everyone: bodies then need not be buffered. */
  readonly enabled: boolean;
  /** There are several backends: bodies are read also where nothing is compressed, to find out who has their beginning. */
  readonly routes: boolean;
  /** Texts may be read in windows where a client asks for it, whether they are compressed or not. */
  readonly windows: boolean;
  readonly inspectBytes: number;
  /** Reads, plans and compresses; never throws when failing open. @throws SluiceError when configured to fail closed */
  prepare(input: PrepareInput): Promise<Prepared>;
  /** Registers a request that is forwarded without being read; cheap. */
  bypass(
    path: string,
    reason:
      'off-by-client' | 'off-by-config' | 'not-a-dialect' | 'body-too-large' | 'content-encoding',
    tenant: string,
  ): Prepared;
  settle(id: string, outcome: Outcome): void;
  compressText(input: CompressTextInput): Promise<CompressTextResult>;
  /**
   * Tokens of texts, and who counted them.
   * @param call notes a call that leaves these texts as they are
   */
  countTexts(
    texts: readonly string[],
    call?: { readonly tenant: string; readonly route: RequestRoute },
  ): Promise<CountedTexts>;
  explain(input: PrepareInput): Promise<ExplainedRequest>;
  /** Original text behind a hash, scoped to the tenant; null = unknown. */
  retrieve(hash: string, tenant: string): string | null;
  report(id: string, tenant: string): RequestReport | null;
  /** The report of a settled request once its token counts are final; estimated when that takes too long. */
  countedReport(id: string, tenant: string): Promise<RequestReport | null>;
  totals(tenant: string): Totals;
  ready(): Promise<{ readonly ok: boolean; readonly checks: Readonly<Record<string, string>> }>;
  close(): Promise<void>;
}
