import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { RequestReport } from '../../src/core/report.ts';
import type { ObserverOptions } from '../../src/observe/observer.ts';
import { createObserver } from '../../src/observe/observer.ts';
import { silentObserver } from '../../src/observe/silent.ts';
import type { Observer } from '../../src/observe/types.ts';

const secret = 'the patient is called Ada';

function report(changes: Partial<RequestReport> = {}): RequestReport {
  return {
    id: 'r1',
    startedAt: 0,
    tenant: 'default',
    dialect: 'openai-chat',
    backend: 'vllm 127.0.0.1:8000',
    decision: 'compressed',
    tokensBefore: 1000,
    tokensAfter: 400,
    tokenizer: 'scout@1',
    estimated: false,
    epoch: 0,
    plannedReuse: null,
    reportedReuse: null,
    reuse: null,
    fit: null,
    windows: null,
    sinks: null,
    usage: { promptTokens: 450, completionTokens: 3, cachedTokens: 64 },
    spans: [],
    skipped: { 'too-short': 2, pinned: 1 },
    timings: { readMs: 1, compressMs: 30, upstreamMs: 50, totalMs: 90 },
    status: 200,
    error: null,
    ...changes,
  };
}

function observe(level: ObserverOptions['level']): { observer: Observer; lines: () => unknown[] } {
  const written: string[] = [];
  const observer = createObserver({
    level,
    version: '9.9.9',
    write: (line) => written.push(line),
  });
  return {
    observer,
    lines: () => written.map((line): unknown => JSON.parse(line)),
  };
}

test('requests are counted by dialect, decision, backend and route, tokens by route and who counted', async () => {
  const { observer } = observe('silent');
  for (const estimated of [false, false, true]) {
    observer.requestSettled(report({ estimated }), 'inference');
    observer.tokensCounted(report({ estimated }), 'inference');
  }
  observer.requestSettled(report({ dialect: 'text' }), 'compress');
  observer.tokensCounted(report({ dialect: 'text' }), 'compress');
  observer.requestSettled(
    report({
      decision: 'bypassed',
      dialect: null,
      tokensBefore: null,
      tokensAfter: null,
      usage: null,
      skipped: { 'not-a-dialect': 1 },
      timings: { readMs: null, compressMs: null, upstreamMs: null, totalMs: 2 },
    }),
    'inference',
  );
  const text = await observer.metricsText();
  for (const line of [
    'sluice_requests_total{dialect="openai-chat",decision="compressed",backend="vllm 127.0.0.1:8000",route="inference"} 3',
    'sluice_requests_total{dialect="none",decision="bypassed",backend="vllm 127.0.0.1:8000",route="inference"} 1',
    'sluice_requests_total{dialect="text",decision="compressed",backend="vllm 127.0.0.1:8000",route="compress"} 1',
    'sluice_skipped_total{reason="too-short"} 8',
    'sluice_skipped_total{reason="not-a-dialect"} 1',
    'sluice_tokens_before_total{route="inference",counted="exact"} 2000',
    'sluice_tokens_before_total{route="inference",counted="estimated"} 1000',
    'sluice_tokens_before_total{route="compress",counted="exact"} 1000',
    'sluice_tokens_after_total{route="inference",counted="exact"} 800',
    'sluice_cached_tokens_total 256',
    'sluice_prompt_tokens_total 1800',
    'sluice_compress_seconds_count 4',
    'sluice_compress_seconds_sum 0.12',
    `sluice_build_info{version="9.9.9",node="${process.version}"} 1`,
  ])
    assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
  assert.match(text, /^process_cpu_seconds_total /m);
});

test('asking twice does not count twice', async () => {
  const { observer } = observe('silent');
  observer.requestSettled(report(), 'inference');
  await observer.metricsText();
  assert.match(await observer.metricsText(), /^sluice_requests_total\{.*\} 1$/m);
});

test('errors are counted by code, upstream answers by time', async () => {
  const { observer } = observe('silent');
  observer.requestSettled(report({ error: 'UPSTREAM_REFUSED', status: 502 }), 'inference');
  observer.upstreamAnswered(250);
  const text = await observer.metricsText();
  assert.match(text, /^sluice_errors_total\{code="UPSTREAM_REFUSED"\} 1$/m);
  assert.match(text, /^sluice_upstream_seconds_bucket\{le="0\.1"\} 0$/m);
  assert.match(text, /^sluice_upstream_seconds_bucket\{le="0\.25"\} 1$/m);
});

test('gauges and counters read their value when asked', async () => {
  const { observer } = observe('silent');
  let depth = 3;
  observer.gauge('sluice_scorer_queue', 'Chunks that wait.', () => depth);
  observer.counter('sluice_scorer_tokens_total', 'Tokens fed.', () => depth * 10);
  assert.match(await observer.metricsText(), /^sluice_scorer_queue 3$/m);
  depth = 4;
  const text = await observer.metricsText();
  assert.match(text, /^sluice_scorer_queue 4$/m);
  assert.match(text, /^sluice_scorer_tokens_total 40$/m);
});

test('the number of label sets is bounded', async () => {
  const { observer } = observe('silent');
  for (let index = 0; index < 2000; index += 1)
    observer.requestSettled(report({ backend: `b${index}` }), 'inference');
  const lines = (await observer.metricsText())
    .split('\n')
    .filter((line) => line.startsWith('sluice_requests_total{'));
  assert.ok(lines.length <= 501, String(lines.length));
  assert.ok(
    lines.includes(
      'sluice_requests_total{dialect="other",decision="other",backend="other",route="other"} 1500',
    ),
    lines.at(-1),
  );
});

test('two observers in one process do not share metrics', async () => {
  const one = observe('silent').observer;
  const two = observe('silent').observer;
  one.requestSettled(report(), 'inference');
  assert.doesNotMatch(await two.metricsText(), /^sluice_requests_total\{/m);
});

test('a settled request is one line that identifies and measures', () => {
  const { observer, lines } = observe('info');
  observer.requestSettled(report(), 'inference');
  const [line] = lines();
  assert.equal(lines().length, 1);
  assert.deepEqual(
    { ...Object(line), time: undefined },
    {
      level: 30,
      time: undefined,
      id: 'r1',
      route: 'inference',
      dialect: 'openai-chat',
      backend: 'vllm 127.0.0.1:8000',
      decision: 'compressed',
      tokensBefore: 1000,
      tokensAfter: 400,
      estimated: false,
      skipped: { 'too-short': 2, pinned: 1 },
      status: 200,
      error: null,
      mode: null,
      plannedReuse: null,
      reportedReuse: null,
      missReason: null,
      compressMs: 30,
      upstreamMs: 50,
      totalMs: 90,
      msg: 'request',
    },
  );
});

test('what a report says about spans reaches neither log nor metrics', async () => {
  const { observer, lines } = observe('debug');
  observer.requestSettled(
    report({
      spans: [
        {
          pointer: '/messages/0/content',
          start: 0,
          end: 9,
          kind: 'document',
          content: 'prose',
          policy: 'compressible',
          reason: 'document-section',
          detail: secret,
          original: null,
          method: null,
          tokensBefore: 9,
          tokensAfter: 9,
          replayed: false,
          skipped: null,
        },
      ],
    }),
    'inference',
  );
  assert.doesNotMatch(JSON.stringify(lines()) + (await observer.metricsText()), /patient/);
});

test('a bypassed request is a debug line, unless it failed', () => {
  const info = observe('info');
  info.observer.requestSettled(report({ decision: 'bypassed' }), 'inference');
  assert.equal(info.lines().length, 0);
  info.observer.requestSettled(
    report({ decision: 'bypassed', error: 'UPSTREAM_RESET' }),
    'inference',
  );
  assert.equal(info.lines().length, 1);
  const debug = observe('debug');
  debug.observer.requestSettled(report({ decision: 'bypassed' }), 'inference');
  assert.equal(debug.lines().length, 1);
});

test('levels below the configured one are not written', () => {
  const { observer, lines } = observe('warn');
  observer.log.debug({}, 'd');
  observer.log.info({}, 'i');
  observer.log.warn({ at: 1 }, 'w');
  observer.log.error({ err: new Error('boom') }, 'e');
  assert.equal(lines().length, 2);
  assert.match(JSON.stringify(lines()[1]), /boom/);
});

test('log lines go to stderr and are complete when the process ends at once', () => {
  const script = `
    const { createObserver } = await import('./src/observe/observer.ts');
    const observer = createObserver({ level: 'info' });
    for (let i = 0; i < 500; i += 1) observer.log.info({ i }, 'line');
    observer.close();
    process.exit(0);`;
  const result = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    { encoding: 'utf8' },
  );
  assert.equal(result.stdout, '');
  const lines = result.stderr.split('\n').filter((line) => line.startsWith('{'));
  assert.equal(lines.length, 500, result.stderr.slice(0, 500));
});

test('the silent observer answers everything', async () => {
  silentObserver.requestSettled(report(), 'inference');
  silentObserver.log.error({}, 'nothing');
  assert.equal(await silentObserver.metricsText(), '');
});

test('turns are counted by mode, misses by reason, planned and reported reuse and their difference in tokens', async () => {
  const { observer } = observe('silent');
  const reuse = {
    mode: 'extend',
    exactness: 'exact',
    admission: 'pays',
    rewrite: 'nothing-to-gain',
    missReason: 'block-floor',
    regime: null,
    replica: null,
  } as const;
  observer.requestSettled(report({ reuse, plannedReuse: 960, reportedReuse: 944 }), 'inference');
  observer.requestSettled(
    report({ reuse: { ...reuse, mode: 'cold', missReason: null }, plannedReuse: 16 }),
    'inference',
  );
  const text = await observer.metricsText();
  const backend = 'backend="vllm 127.0.0.1:8000"';
  for (const line of [
    `sluice_turns_total{mode="extend",${backend}} 1`,
    `sluice_turns_total{mode="cold",${backend}} 1`,
    'sluice_reuse_misses_total{reason="block-floor"} 1',
    `sluice_reuse_tokens_total{side="planned",${backend}} 960`,
    `sluice_reuse_tokens_total{side="reported",${backend}} 944`,
    'sluice_reuse_error_tokens_bucket{le="8"} 0',
    'sluice_reuse_error_tokens_bucket{le="16"} 1',
    'sluice_reuse_error_tokens_count 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
  }
});

test('values of several replicas stand under one name, and what is not known is left out', async () => {
  const { observer } = observe('silent');
  let rows: readonly (readonly [string, number | null])[] = [
    ['a', 1],
    ['b', null],
  ];
  observer.gauges('sluice_replica_running', 'Running.', 'replica', () => rows);
  const first = await observer.metricsText();
  assert.ok(first.includes('sluice_replica_running{replica="a"} 1\n'));
  assert.ok(!first.includes('replica="b"'));
  rows = [['b', 2]];
  const second = await observer.metricsText();
  assert.ok(!second.includes('replica="a"'));
  assert.ok(second.includes('sluice_replica_running{replica="b"} 2\n'));
});
