/** The stages of a request's way, in order: read, plan, decide or replay, splice, report. */
import { createHash, randomUUID } from 'node:crypto';
import { boundedCache, type BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import type { KeepMask } from '../core/mask.ts';
import type { Steps } from '../core/steps.ts';
import type { RequestReport, SkipReason } from '../core/report.ts';
import { SluiceError } from '../core/errors.ts';
import type { Config } from '../config/types.ts';
import type { Backend } from '../backends/types.ts';
import type { Survivors } from '../compress/types.ts';
import type { Ledger } from '../reuse/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { defectFields } from '../observe/defect.ts';
import type { Observer } from '../observe/types.ts';
import { dialectOf } from '../wire/dialect.ts';
import { mentionsSluice, readRequest } from '../wire/read.ts';
import { applySplices } from '../wire/splice.ts';
import type { ReadRequest } from '../wire/types.ts';
import type { CompressorSource } from './settings.ts';
import { combineWishes, settingsFor, survivorsOf } from './settings.ts';
import { decideRequest, type DecideRequestDeps } from './decide-request.ts';
import { reasonOf } from './decide.ts';
import { countSkips, decisionOf, openReport, responseHeaders } from './report.ts';
import { countableOf, type Countable } from './count-reports.ts';
import { createExactCounts, type ExactCounts } from './exact-counts.ts';
import { createReports, type Reports } from './reports.ts';
import { explainPieces } from './text.ts';
import { callCompressText, countTexts, countWaitMs, type TextCallDeps } from './text-call.ts';
import type { ExplainedRequest, Gateway, Outcome, PrepareInput, Prepared } from './types.ts';

export interface GatewayDeps {
  readonly config: Config;
  readonly backend: Backend;
  /** Counts for reports and budgets: the backend's own tokenizer, or the shipped one marked estimated. */
  readonly tokenizer: TextTokenizer;
  readonly compressors: CompressorSource;
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly clock: Clock;
  /** Further readiness checks by name (models warm, ...). */
  readonly checks: Readonly<Record<string, () => Promise<{ ok: boolean; detail: string }>>>;
  /** Closes what the composition root opened for this gateway. */
  readonly close: () => Promise<void>;
}

/** What one pass over a body produced. */
interface Pass {
  readonly body: Uint8Array;
  readonly report: RequestReport;
  readonly masks: ReadonlyMap<number, KeepMask>;
  readonly request: ReadRequest | null;
  /** Null = its numbers are final, or there are none. */
  readonly countable: Countable | null;
}

export function createGateway(deps: GatewayDeps): Gateway {
  return new SluiceGateway(deps);
}

class SluiceGateway implements Gateway {
  readonly backend: Backend;
  readonly enabled: boolean;
  readonly inspectBytes: number;
  readonly #deps: GatewayDeps;
  readonly #exact: ExactCounts;
  readonly #reports: Reports;
  readonly #originals: BoundedCache<string>;
  readonly #counts: BoundedCache<number>;
  readonly #survivors: Survivors;

  constructor(deps: GatewayDeps) {
    const { config } = deps;
    this.#deps = deps;
    this.backend = deps.backend;
    this.enabled = config.compress.enabled;
    this.inspectBytes = config.limits.inspect_bytes;
    const { backend, tokenizer, observer, clock } = deps;
    this.#exact = createExactCounts({ backend, tokenizer, cacheEntries: 50_000 });
    this.#reports = createReports({
      maxReports: config.limits.reports,
      exact: this.#exact,
      observer,
      clock,
    });
    this.#originals = boundedCache<string>({
      maxEntries: 100_000,
      maxSize: config.limits.originals_bytes,
      sizeOf: (text) => text.length * 2,
    });
    this.#counts = boundedCache({ maxEntries: 20_000 });
    this.#survivors = survivorsOf(config);
  }

  isDialect(path: string): boolean {
    return dialectOf(path) !== null;
  }

  async prepare(input: PrepareInput): Promise<Prepared> {
    const arrived = this.#deps.clock.monotonic();
    const pass = await this.#pass(input, { replay: true }).catch((error: unknown) =>
      this.#failed(input, error, arrived),
    );
    const { body, countable } = pass;
    const route = input.route ?? 'inference';
    const report = this.#reports.open({ report: pass.report, arrived, route, countable });
    return { id: report.id, body, responseHeaders: responseHeaders(report) };
  }

  bypass(path: string, reason: SkipReason, tenant: string): Prepared {
    const report = this.#bypassed({ path, tenant }, reason);
    const arrived = this.#deps.clock.monotonic();
    this.#reports.open({ report, arrived, route: 'inference', countable: null });
    return { id: report.id, body: new Uint8Array(0), responseHeaders: responseHeaders(report) };
  }

  settle(id: string, outcome: Outcome): void {
    this.#reports.settle(id, outcome);
  }

  compressText: Gateway['compressText'] = (input) => callCompressText(input, this.#textDeps());

  countTexts: Gateway['countTexts'] = (texts, call) => countTexts(texts, call, this.#textDeps());

  async explain(input: PrepareInput): Promise<ExplainedRequest> {
    const pass = await this.#pass(input, { replay: false });
    const { report, masks, request } = pass;
    const spans = request?.spans ?? [];
    return {
      dialect: report.dialect,
      report,
      spans: report.spans.map((span, at) => {
        const source = spans[at];
        const mask = source === undefined ? undefined : masks.get(source.index);
        return { ...span, pieces: explainPieces(span, mask) };
      }),
    };
  }

  retrieve(hash: string, tenant: string): string | null {
    return this.#originals.get(`${tenant}\n${hash}`) ?? null;
  }

  report(id: string, tenant: string): RequestReport | null {
    const report = this.#reports.get(id);
    return report?.tenant === tenant ? report : null;
  }

  async countedReport(id: string, tenant: string): Promise<RequestReport | null> {
    await this.#reports.counted(id, countWaitMs);
    return this.report(id, tenant);
  }

  totals(tenant: string): ReturnType<Gateway['totals']> {
    return this.#reports.totals(tenant);
  }

  async ready(): Promise<{ ok: boolean; checks: Record<string, string> }> {
    const checks: Record<string, string> = {};
    let ok = true;
    const all = { ledger: () => this.#deps.ledger.check(), ...this.#deps.checks };
    for (const [name, check] of Object.entries(all)) {
      const result = await check().catch((error: unknown) => ({
        ok: false,
        detail: error instanceof Error ? error.message : 'failed',
      }));
      ok &&= result.ok;
      checks[name] = result.ok ? `ok: ${result.detail}` : result.detail;
    }
    return { ok, checks };
  }

  close(): Promise<void> {
    this.#exact.close();
    return this.#deps.close();
  }

  async #pass(input: PrepareInput, options: { readonly replay: boolean }): Promise<Pass> {
    const { config, clock } = this.#deps;
    const started = clock.monotonic();
    const off = switchedOff(config, input);
    if (off !== null && !mentionsSluice(input.body)) return this.#untouched(input, off);
    const read = readRequest(input.body, input.path, {
      contentEncoding: input.contentEncoding,
      inspectBytes: config.limits.inspect_bytes,
      bodyWishes: config.compress.body_wishes,
    });
    if (!read.ok) return this.#untouched(input, off ?? read.reason, read.detail);
    const { request } = read;
    const wishes = combineWishes(input.wishes, request.wishes);
    if (off !== null || wishes.compress === false) {
      const body = applySplices(input.body, request.removals);
      return { ...this.#untouched(input, off ?? 'off-by-client'), body };
    }
    const readMs = clock.monotonic() - started;
    const settings = settingsFor(config, this.#survivors, wishes);
    const decided = await decideRequest(
      input,
      request,
      { settings, replay: options.replay },
      this.#decideDeps(input.tenant),
    );
    const compressMs = clock.monotonic() - started - readMs;
    const splices = [...decided.splices, ...request.removals].sort(
      (a, b) => a.byteStart - b.byteStart,
    );
    const report = openReport({
      id: randomUUID(),
      startedAt: clock.now(),
      tenant: input.tenant,
      dialect: request.dialect,
      backend: this.backend.name,
      decision: decided.spans === null ? 'failed-open' : decisionOf(decided.spans),
      spans: decided.spans,
      skipped:
        decided.failure === null ? countSkips(decided.spans ?? []) : { [decided.failure]: 1 },
      tokenizer: this.#deps.tokenizer.id,
      estimated: this.#deps.tokenizer.estimated,
      readMs,
      compressMs,
    });
    const body = splices.length === 0 ? input.body : applySplices(input.body, splices);
    const countable = decided.spans === null ? null : countableOf(request, decided.splices);
    return { body, report, masks: decided.masks, request, countable };
  }

  #textDeps(): TextCallDeps {
    return {
      ...this.#deps,
      survivors: this.#survivors,
      exact: this.#exact,
      reports: this.#reports,
      backendName: this.backend.name,
    };
  }

  /** The reason under which the original goes out. @throws SluiceError when it must not: caller gone, failing closed */
  #mayFailOpen(error: unknown): SkipReason {
    const reason = reasonOf(error);
    const closed = this.#deps.config.compress.on_failure === 'closed';
    if (reason !== 'client-gone' && !closed) {
      this.#report(error, 'a request is forwarded as it came');
      return reason;
    }
    if (SluiceError.isInstance(error)) throw error;
    throw new SluiceError('INTERNAL', 'The request could not be compressed', { cause: error });
  }

  /** `prepare` failed before anything was decided: the original goes out, or the failure is counted and thrown. */
  #failed(input: PrepareInput, error: unknown, arrived: number): Pass {
    const report = { ...this.#bypassed(input, reasonOf(error)), decision: 'failed-open' as const };
    try {
      this.#mayFailOpen(error);
    } catch (fatal) {
      const code = SluiceError.isInstance(fatal) ? fatal.code : 'INTERNAL';
      this.#reports.open({
        report: { ...report, decision: 'bypassed' },
        arrived,
        route: input.route ?? 'inference',
        countable: null,
      });
      this.settle(report.id, { status: null, usage: null, error: code });
      throw fatal;
    }
    return { body: input.body, report, masks: new Map(), request: null, countable: null };
  }

  /** Logs a failure without its message: parsers quote their input there. */
  #report(error: unknown, message: string): void {
    this.#deps.observer.log.error(defectFields(error), message);
  }

  #decideDeps(tenant: string): DecideRequestDeps {
    const { config, ledger } = this.#deps;
    return {
      ledger,
      deadlineMs: config.limits.compress_ms,
      maxCountedChars: config.limits.compress_chars,
      mayFailOpen: (error) => this.#mayFailOpen(error),
      compressor: (method) => this.#deps.compressors(method),
      countSteps: (text) => this.#count(text),
      keepOriginal: (text) => {
        const hash = createHash('sha256').update(text).digest('hex').slice(0, 24);
        this.#originals.set(`${tenant}\n${hash}`, text);
        return hash;
      },
      onFailure: (error) => this.#report(error, 'a stage of a request failed'),
    };
  }

  *#count(text: string): Steps<number> {
    const { tokenizer } = this.#deps;
    // Short texts cost less to count than to hash.
    if (text.length < 256) return tokenizer.count(text);
    const key = createHash('sha1').update(text).digest('base64');
    const known = this.#counts.get(key);
    if (known !== undefined) return known;
    yield;
    const count =
      tokenizer.countSteps === undefined
        ? tokenizer.count(text)
        : yield* tokenizer.countSteps(text);
    this.#counts.set(key, count);
    return count;
  }

  #untouched(input: PrepareInput, reason: SkipReason, detail?: string): Pass {
    const report = this.#bypassed(input, reason);
    if (detail !== undefined) this.#deps.observer.log.debug({ reason, detail }, 'body not read');
    return { body: input.body, report, masks: new Map(), request: null, countable: null };
  }

  #bypassed(input: { path: string; tenant: string }, reason: SkipReason): RequestReport {
    return openReport({
      id: randomUUID(),
      startedAt: this.#deps.clock.now(),
      tenant: input.tenant,
      dialect: dialectOf(input.path),
      backend: this.backend.name,
      decision: 'bypassed',
      spans: null,
      skipped: { [reason]: 1 },
      tokenizer: null,
      estimated: false,
      readMs: null,
      compressMs: null,
    });
  }
}

function switchedOff(config: Config, input: PrepareInput): SkipReason | null {
  if (!config.compress.enabled) return 'off-by-config';
  return input.wishes.compress === false ? 'off-by-client' : null;
}
