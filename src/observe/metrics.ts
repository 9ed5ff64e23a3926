/**
 * Metrics of one Sluice in a registry of its own, so that two in one process do not collide and a host application's
 * default registry stays untouched. Counting a request adds to plain numbers; label hashing happens at scrape time only.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestReport } from '../core/report.ts';
import type { Observer } from './types.ts';

/** Label sets that one counter may have; further ones are counted under `other`. */
const maxLabelSets = 500;

/** A counter over label sets, kept as plain numbers until somebody asks. */
interface Tally {
  add(labels: readonly string[], amount: number): void;
}

function createTally(
  registry: Registry,
  metric: { readonly name: string; readonly help: string; readonly labelNames: readonly string[] },
): Tally {
  const rest = { labels: metric.labelNames.map(() => 'other'), value: 0 };
  const rows = new Map<string, { readonly labels: readonly string[]; value: number }>();
  const counter: Counter = new Counter({
    name: metric.name,
    help: metric.help,
    labelNames: [...metric.labelNames],
    registers: [registry],
    collect() {
      counter.reset();
      for (const { labels, value } of rows.values()) counter.labels(...labels).inc(value);
      if (rest.value > 0) counter.labels(...rest.labels).inc(rest.value);
    },
  });
  const add = (labels: readonly string[], amount: number): void => {
    const key = labels.join('\n');
    const row = rows.get(key);
    if (row !== undefined) row.value += amount;
    else if (rows.size < maxLabelSets) rows.set(key, { labels, value: amount });
    else rest.value += amount;
  };
  return { add };
}

export interface Metrics {
  count(report: RequestReport, route: string): void;
  countTokens(report: RequestReport, route: string): void;
  upstreamAnswered(milliseconds: number): void;
  gauge(name: string, help: string, read: () => number): void;
  gauges: Observer['gauges'];
  counter(name: string, help: string, read: () => number): void;
  text(): Promise<string>;
  readonly contentType: string;
}

/** Bounds in seconds: from a replayed request to a compression at its deadline. */
const compressBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];
/** Bounds in seconds: from a cached answer to a long prefill. */
const upstreamBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

function createRequestCounts(registry: Registry): Metrics['count'] {
  const tally = (name: string, help: string, labelNames: readonly string[]): Tally =>
    createTally(registry, { name: `sluice_${name}`, help, labelNames });
  const requests = tally('requests_total', 'Requests that are over.', [
    'dialect',
    'decision',
    'backend',
    'route',
  ]);
  const skipped = tally('skipped_total', 'Texts left alone, by reason.', ['reason']);
  const errors = tally('errors_total', 'Requests that ended in an error of ours, by code.', [
    'code',
  ]);
  const countReuse = createReuseCounts(registry);
  const countLong = createLongInputCounts(registry);
  const amounts = { cached: 0, prompt: 0 };
  const sum = (name: string, help: string, read: () => number): void =>
    addCounter(registry, `sluice_${name}`, help, read);
  sum('cached_tokens_total', 'Cached prompt tokens as the backend reports.', () => amounts.cached);
  sum('prompt_tokens_total', 'Prompt tokens as the backend reports.', () => amounts.prompt);
  const compressSeconds = new Histogram({
    name: 'sluice_compress_seconds',
    help: 'Time for compressing one request.',
    buckets: compressBuckets,
    registers: [registry],
  });
  return (report, route) => {
    const { dialect, decision, backend } = report;
    requests.add([dialect ?? 'none', decision, backend ?? 'none', route], 1);
    for (const [reason, count] of Object.entries(report.skipped)) skipped.add([reason], count);
    if (report.error !== null) errors.add([report.error], 1);
    amounts.cached += report.usage?.cachedTokens ?? 0;
    amounts.prompt += report.usage?.promptTokens ?? 0;
    countReuse(report);
    countLong(report);
    if (report.timings.compressMs !== null)
      compressSeconds.observe(report.timings.compressMs / 1000);
  };
}

/** Bounds in tokens: from half a block of a server's cache to a whole prompt. */
const errorBuckets = [0, 1, 8, 16, 32, 64, 128, 256, 1024, 4096, 16_384, 65_536];

/** How requests go on with their conversations, and how well that was foreseen. */
function createReuseCounts(registry: Registry): (report: RequestReport) => void {
  const turns = createTally(registry, {
    name: 'sluice_turns_total',
    help: 'Requests of conversations, by how they go on and by backend.',
    labelNames: ['mode', 'backend'],
  });
  const misses = createTally(registry, {
    name: 'sluice_reuse_misses_total',
    help: 'Requests that reused less than the previous prompt could have given, by reason.',
    labelNames: ['reason'],
  });
  const tokens = createTally(registry, {
    name: 'sluice_reuse_tokens_total',
    help: 'Cached prompt tokens, planned and reported, of the requests for which both are known.',
    labelNames: ['side', 'backend'],
  });
  const errors = new Histogram({
    name: 'sluice_reuse_error_tokens',
    help: 'Difference between planned and reported cached prompt tokens, without sign.',
    buckets: errorBuckets,
    registers: [registry],
  });
  return ({ reuse, plannedReuse, reportedReuse, backend }) => {
    if (reuse !== null) turns.add([reuse.mode, backend ?? 'none'], 1);
    if (reuse !== null && reuse.missReason !== null) misses.add([reuse.missReason], 1);
    if (plannedReuse === null || reportedReuse === null) return;
    tokens.add(['planned', backend ?? 'none'], plannedReuse);
    tokens.add(['reported', backend ?? 'none'], reportedReuse);
    errors.observe(Math.abs(plannedReuse - reportedReuse));
  };
}

/** Requests that did not fit: read in windows, or without the middle of their conversation. */
function createLongInputCounts(registry: Registry): (report: RequestReport) => void {
  const runs = createTally(registry, {
    name: 'sluice_window_runs_total',
    help: 'Requests that were answered from windows, by strategy and cause.',
    labelNames: ['strategy', 'cause'],
  });
  const windows = createTally(registry, {
    name: 'sluice_windows_total',
    help: 'Windows of such requests, by what became of them.',
    labelNames: ['state'],
  });
  const tokens = createTally(registry, {
    name: 'sluice_window_tokens_total',
    help: 'Tokens of the requests to windows as the backend reports, without the final ones.',
    labelNames: ['side'],
  });
  const cuts = createTally(registry, {
    name: 'sluice_sink_requests_total',
    help: 'Requests without the middle of their conversation; fresh = the first one with a cut.',
    labelNames: ['fresh'],
  });
  return ({ windows: run, sinks }) => {
    if (sinks !== null) cuts.add([sinks.fresh ? 'yes' : 'no'], 1);
    if (run === null) return;
    runs.add([run.strategy, run.cause], 1);
    for (const { state } of run.windows) windows.add([state], 1);
    tokens.add(['prompt'], run.promptTokens);
    tokens.add(['cached'], run.cachedTokens);
    tokens.add(['completion'], run.completionTokens);
  };
}

/** Tokens before and after, by route and by who counted: the backend's own tokenizer, or another in its place. */
function createTokenCounts(registry: Registry): Metrics['countTokens'] {
  const labelNames = ['route', 'counted'];
  const before = createTally(registry, {
    name: 'sluice_tokens_before_total',
    help: 'Tokens of the texts that were looked at.',
    labelNames,
  });
  const after = createTally(registry, {
    name: 'sluice_tokens_after_total',
    help: 'Tokens of the same texts as forwarded.',
    labelNames,
  });
  return ({ tokensBefore, tokensAfter, estimated }, route) => {
    if (tokensBefore === null || tokensAfter === null) return;
    const labels = [route, estimated ? 'estimated' : 'exact'];
    before.add(labels, tokensBefore);
    after.add(labels, tokensAfter);
  };
}

function addCounter(registry: Registry, name: string, help: string, read: () => number): void {
  const counter: Counter = new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      counter.reset();
      counter.inc(read());
    },
  });
}

export function createMetrics(options: { readonly version: string }): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'sluice_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'node'],
    registers: [registry],
  })
    .labels(options.version, process.version)
    .set(1);
  const upstreamSeconds = new Histogram({
    name: 'sluice_upstream_seconds',
    help: "Time from forwarding a request to the upstream's response head.",
    buckets: upstreamBuckets,
    registers: [registry],
  });
  return {
    count: createRequestCounts(registry),
    countTokens: createTokenCounts(registry),
    upstreamAnswered: (milliseconds) => upstreamSeconds.observe(milliseconds / 1000),
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({
        name,
        help,
        registers: [registry],
        collect: () => gauge.set(read()),
      });
    },
    gauges(name, help, label, read) {
      const gauge: Gauge = new Gauge({
        name,
        help,
        labelNames: [label],
        registers: [registry],
        collect() {
          gauge.reset();
          for (const [value, amount] of read().slice(0, maxLabelSets)) {
            if (amount !== null) gauge.labels(value).set(amount);
          }
        },
      });
    },
    counter: (name, help, read) => addCounter(registry, name, help, read),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
