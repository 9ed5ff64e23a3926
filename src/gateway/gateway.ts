/** The gateway: what the stages make of each request, where it goes, and what is told about it. */
import { boundedCache, type BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { RequestReport, SkipReason } from '../core/report.ts';
import type { Backend } from '../backends/types.ts';
import type { Survivors } from '../compress/types.ts';
import type { SinkTools } from '../context/types.ts';
import type { WindowTools } from '../context/windows/types.ts';
import type { Config } from '../config/types.ts';
import type { Observer } from '../observe/types.ts';
import type { Placement, Reuse } from '../reuse/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { dialectOf } from '../wire/dialect.ts';
import { contextWindowOf } from './context-window.ts';
import { createExactCounts, type ExactCounts } from './exact-counts.ts';
import { createFitRules } from './fit.ts';
import { createFlights, type Flights } from './flights.ts';
import { createPasses, type Pass, type Passes } from './pass.ts';
import { responseHeaders } from './report.ts';
import { createReports, type Reports } from './reports.ts';
import type { SinkRules } from './sinks.ts';
import { survivorsOf, type CompressorSource } from './settings.ts';
import { explainPieces } from './text.ts';
import { callCompressText, countTexts, countWaitMs, type TextCallDeps } from './text-call.ts';
import { createWindows, type Windows } from './windows/windows.ts';
import type { ExplainedRequest, Gateway, Outcome, PrepareInput, Prepared } from './types.ts';

/** Milliseconds that a request waits for a server's count of a text that may not fit. */
const mostCountMs = 500;

export interface GatewayDeps {
  readonly config: Config;
  /** At least one; the first one answers what is not placed. */
  readonly backends: readonly Backend[];
  /** Chooses among the backends; null = the first one gets everything. */
  readonly placement: Placement | null;
  /** Counts for reports and budgets: the backend's own tokenizer, or the shipped one marked estimated. */
  readonly tokenizer: TextTokenizer;
  readonly compressors: CompressorSource;
  /** Left out = nothing is read in windows. */
  readonly windows?: WindowTools;
  /** Left out = no turns are left out. */
  readonly sinks?: SinkTools;
  readonly reuse: Reuse;
  /** Label of everything that decides how a text is shortened: what another policy has decided is not replayed. */
  readonly policy: string;
  readonly observer: Observer;
  readonly clock: Clock;
  /** Further readiness checks by name (models warm, ...). */
  readonly checks: Readonly<Record<string, () => Promise<{ ok: boolean; detail: string }>>>;
  /** Closes what the composition root opened for this gateway. */
  readonly close: () => Promise<void>;
}

export function createGateway(deps: GatewayDeps): Gateway {
  return new SluiceGateway(deps);
}

class SluiceGateway implements Gateway {
  readonly backend: Backend;
  readonly enabled: boolean;
  readonly routes: boolean;
  readonly windows: boolean;
  readonly inspectBytes: number;
  readonly #deps: GatewayDeps;
  readonly #exact: ExactCounts;
  readonly #reports: Reports;
  readonly #passes: Passes;
  readonly #flights: Flights;
  readonly #windows: Windows | null;
  readonly #originals: BoundedCache<string>;
  readonly #survivors: Survivors;

  constructor(deps: GatewayDeps) {
    const { config, backends, placement, tokenizer, observer, clock } = deps;
    const [backend] = backends;
    if (backend === undefined) throw new SluiceError('INTERNAL', 'A gateway needs a backend');
    this.#deps = deps;
    this.backend = backend;
    this.enabled = config.compress.enabled;
    this.routes = placement !== null && backends.length > 1;
    this.inspectBytes = config.limits.inspect_bytes;
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
    this.#survivors = survivorsOf(config);
    this.#passes = createPasses({
      ...deps,
      survivors: this.#survivors,
      sinkRules: () => sinkRulesOf(deps, backend),
      fit: createFitRules({
        backend,
        tokenizer,
        limitTokens: config.windows.limit_tokens,
        sinks: deps.sinks !== undefined && config.sinks.enabled ? config.sinks : null,
        waitMs: Math.min(mostCountMs, config.limits.compress_ms / 4),
      }),
      backendName: backend.name,
      originals: this.#originals,
    });
    this.#flights = createFlights({
      backends,
      placement,
      observer,
      reports: this.#reports,
      first: backend,
    });
    this.windows = deps.windows !== undefined && config.windows.mode !== 'off';
    this.#windows = this.#createWindows();
  }

  isDialect(path: string): boolean {
    return dialectOf(path) !== null;
  }

  async prepare(input: PrepareInput): Promise<Prepared> {
    const arrived = this.#deps.clock.monotonic();
    const pass = await this.#passes
      .run(input, { replay: true })
      .catch((error: unknown) => this.#failed(input, error, arrived));
    const { countable } = pass;
    const route = input.route ?? 'inference';
    const report = this.#reports.open({ report: pass.report, arrived, route, countable });
    const prepared = await this.#flights.depart(input, pass, report);
    const forwards = input.forwards === true;
    return forwards && this.#windows !== null
      ? this.#windows.wrap(input, pass, prepared)
      : prepared;
  }

  bypass(path: string, reason: SkipReason, tenant: string): Prepared {
    const backend = this.#flights.anyBackend();
    const report = { ...this.#passes.bypassed({ path, tenant }, reason), backend: backend.name };
    const arrived = this.#deps.clock.monotonic();
    this.#reports.open({ report, arrived, route: 'inference', countable: null });
    return {
      id: report.id,
      body: new Uint8Array(0),
      responseHeaders: responseHeaders(report),
      backend,
      progress: null,
    };
  }

  settle(id: string, outcome: Outcome): void {
    this.#flights.arrived(id, outcome);
    this.#reports.settle(id, outcome);
  }

  compressText: Gateway['compressText'] = (input) => callCompressText(input, this.#textDeps());

  countTexts: Gateway['countTexts'] = (texts, call) => countTexts(texts, call, this.#textDeps());

  async explain(input: PrepareInput): Promise<ExplainedRequest> {
    const pass = await this.#passes.run(input, { replay: false });
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
    const { reuse, placement } = this.#deps;
    const sums = this.#reports.totals(tenant);
    return {
      ...sums,
      reuse: { ...sums.reuse, ...reuse.totals() },
      replicas: placement?.state() ?? [],
    };
  }

  async ready(): Promise<{ ok: boolean; checks: Record<string, string> }> {
    const checks: Record<string, string> = {};
    let ok = true;
    const all = { ledger: () => this.#deps.reuse.check(), ...this.#deps.checks };
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

  #createWindows(): Windows | null {
    const { windows: tools, config, tokenizer, observer, clock } = this.#deps;
    if (tools === undefined) return null;
    return createWindows({
      config: config.windows,
      maxChars: config.limits.compress_chars,
      tools,
      tokenizer,
      reports: this.#reports,
      observer,
      clock,
      onWindows: (id) => this.#flights.detach(id),
    });
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

  /** `prepare` failed before anything was decided: the original goes out, or the failure is counted and thrown. */
  #failed(input: PrepareInput, error: unknown, arrived: number): Pass {
    const pass = this.#passes.failed(input, error);
    try {
      this.#passes.mayFailOpen(error);
    } catch (fatal) {
      const code = SluiceError.isInstance(fatal) ? fatal.code : 'INTERNAL';
      this.#reports.open({
        report: { ...pass.report, decision: 'bypassed' },
        arrived,
        route: input.route ?? 'inference',
        countable: null,
      });
      this.settle(pass.report.id, { status: null, usage: null, error: code });
      throw fatal;
    }
    return pass;
  }
}

function sinkRulesOf({ sinks: tools, config }: GatewayDeps, backend: Backend): SinkRules | null {
  if (tools === undefined || !config.sinks.enabled) return null;
  const { limit_tokens: limit } = config.windows;
  const windowOf = (model: string | null): number | null => contextWindowOf(backend, model, limit);
  return { tools, config: config.sinks, windowOf };
}
