/** A gateway without models: it records what it is asked and changes a body only as the test says. */
import { randomUUID } from 'node:crypto';
import { SluiceError } from '../../src/core/errors.ts';
import type { RequestReport } from '../../src/core/report.ts';
import type {
  CompressTextInput,
  CompressTextResult,
  Gateway,
  Outcome,
  PrepareInput,
} from '../../src/gateway/types.ts';

export interface FakeGatewayOptions {
  readonly backend: Gateway['backend'];
  readonly enabled?: boolean;
  readonly inspectBytes?: number;
  /** What `prepare` makes of a body; default: the same bytes. */
  readonly prepare?: (input: PrepareInput) => Promise<Uint8Array>;
  readonly compressText?: (input: CompressTextInput) => Promise<CompressTextResult>;
  readonly ready?: boolean;
}

export interface FakeGateway extends Gateway {
  readonly prepared: PrepareInput[];
  readonly bypassed: { readonly path: string; readonly reason: string; readonly tenant: string }[];
  readonly settled: Map<string, Outcome>;
  readonly originals: Map<string, string>;
}

const dialects = new Set(['/v1/chat/completions', '/v1/completions']);

export function fakeReport(id: string, changes: Partial<RequestReport> = {}): RequestReport {
  return {
    id,
    startedAt: 0,
    tenant: 'default',
    dialect: 'openai-chat',
    backend: 'fake',
    decision: 'unchanged',
    tokensBefore: 10,
    tokensAfter: 10,
    tokenizer: 'fake',
    estimated: true,
    epoch: null,
    plannedReuse: null,
    reportedReuse: null,
    reuse: null,
    usage: null,
    fit: null,
    windows: null,
    sinks: null,
    spans: [],
    skipped: {},
    timings: { readMs: 1, compressMs: 1, upstreamMs: null, totalMs: null },
    status: null,
    error: null,
    ...changes,
  };
}

export function createFakeGateway(options: FakeGatewayOptions): FakeGateway {
  const reports = new Map<string, RequestReport>();
  const remember = (report: RequestReport): string[] => {
    reports.set(report.id, report);
    return ['x-sluice-request-id', report.id, 'x-sluice-decision', report.decision];
  };
  const gateway: FakeGateway = {
    backend: options.backend,
    enabled: options.enabled ?? true,
    routes: false,
    windows: false,
    inspectBytes: options.inspectBytes ?? 32 << 20,
    prepared: [],
    bypassed: [],
    settled: new Map(),
    originals: new Map(),
    isDialect: (path) => dialects.has(path),
    async prepare(input) {
      gateway.prepared.push(input);
      const body = (await options.prepare?.(input)) ?? input.body;
      const decision = body === input.body ? 'unchanged' : 'compressed';
      const report = fakeReport(randomUUID(), { tenant: input.tenant, decision });
      const { backend } = options;
      const responseHeaders = remember(report);
      return { id: report.id, body, responseHeaders, backend, progress: null };
    },
    bypass(path, reason, tenant) {
      gateway.bypassed.push({ path, reason, tenant });
      const report = fakeReport(randomUUID(), {
        tenant,
        decision: 'bypassed',
        tokensBefore: null,
        tokensAfter: null,
        skipped: { [reason]: 1 },
      });
      const { backend } = options;
      const responseHeaders = remember(report);
      return { id: report.id, body: new Uint8Array(0), responseHeaders, backend, progress: null };
    },
    settle(id, outcome) {
      if (gateway.settled.has(id)) throw new Error(`request ${id} was settled twice`);
      gateway.settled.set(id, outcome);
    },
    async compressText(input) {
      if (options.compressText !== undefined) return options.compressText(input);
      throw new SluiceError('METHOD_UNAVAILABLE', 'No method in this test');
    },
    async explain(input) {
      return { dialect: input.path, report: fakeReport('explained'), spans: [] };
    },
    retrieve: (hash, tenant) => gateway.originals.get(`${tenant}/${hash}`) ?? null,
    report(id, tenant) {
      const report = reports.get(id);
      return report !== undefined && report.tenant === tenant ? report : null;
    },
    countedReport: async (id, tenant) => gateway.report(id, tenant),
    countTexts: async (texts) => ({
      counts: texts.map((text) => text.length),
      tokenizer: 'characters',
      estimated: true,
    }),
    totals: () => ({
      requests: gateway.settled.size,
      byDecision: {},
      byRoute: {},
      tokensBefore: 0,
      tokensAfter: 0,
      tokensEstimated: 0,
      skipped: {},
      cachedTokens: 0,
      promptTokensReported: 0,
      uptimeSeconds: 0,
      reuse: {
        byMode: {},
        byMiss: {},
        plannedTokens: 0,
        reportedTokens: 0,
        errorTokens: 0,
        conversations: 0,
        stoppedSessions: 0,
        storeErrors: 0,
      },
      replicas: [],
    }),
    ready: async () => ({ ok: options.ready ?? true, checks: { models: 'ok' } }),
    close: async () => undefined,
  };
  return gateway;
}
