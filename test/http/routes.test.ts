/** Sluice's own routes: shapes, problem documents, tenants. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { errorTable } from '../../src/core/errors.ts';
import type { CompressTextInput, CompressTextResult } from '../../src/gateway/types.ts';
import type { ServerDeps } from '../../src/http/server.ts';
import { startFakeUpstream } from '../helpers/fake-upstream.ts';
import { startProxy, type TestProxy, type TestProxyOptions } from '../helpers/proxy.ts';
import { send, type RawAnswer } from '../helpers/raw-client.ts';

interface Served extends TestProxy {
  /** Paths that reached the upstream. */
  readonly passed: () => string[];
}

async function serve(
  t: TestContext,
  options: Omit<TestProxyOptions, 'upstream'> = {},
): Promise<Served> {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { ...options, upstream: upstream.url });
  upstream.requests.length = 0;
  return { ...proxy, passed: () => upstream.requests.map(({ url }) => url) };
}

const post = (proxy: TestProxy, path: string, body: unknown, headers = {}): Promise<RawAnswer> =>
  send({
    url: proxy.url,
    path,
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of any shape
const json = (answer: RawAnswer): any => JSON.parse(answer.body.toString());

/** Keeps every second word; counts words. */
async function everySecondWord(input: CompressTextInput): Promise<CompressTextResult> {
  const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');
  const keepAll = input.rate === 1;
  const context = input.context.map((text) =>
    words(text)
      .filter((_, at) => keepAll || at % 2 === 0)
      .join(' '),
  );
  const total = (texts: readonly string[]): number =>
    texts.reduce((sum, text) => sum + words(text).length, 0);
  return {
    text: context.join('\n\n'),
    context,
    report: {
      tokensBefore: total(input.context),
      tokensAfter: total(context),
      tokenizer: 'words',
      estimated: true,
      budgetTokens: null,
      segments: input.context.map((text, at) => ({
        method: keepAll ? null : 'llmlingua2',
        content: 'prose',
        skipped: null,
        tokensBefore: words(text).length,
        tokensAfter: words(context[at] ?? '').length,
      })),
      order: input.context.map((_, at) => at),
      notes: [],
      compressMs: 1,
    },
  };
}

test('POST /v1/compress with text gives text and report', async (t) => {
  let seen: CompressTextInput | null = null;
  const proxy = await serve(t, {
    compressText: (input) => {
      seen = input;
      return everySecondWord(input);
    },
  });
  const answer = await post(proxy, '/v1/compress', {
    text: 'one two three four',
    question: 'which?',
    rate: 0.5,
    target_tokens: 3,
    method: 'llmlingua2',
    kind: 'prose',
    tokenizer: 'gpt-4',
    explain: true,
  });
  assert.equal(answer.status, 200);
  const body = json(answer);
  assert.equal(body.text, 'one three');
  assert.deepEqual(body.context, ['one three']);
  assert.equal(body.report.tokens_before, 4);
  assert.equal(body.report.tokens_after, 2);
  assert.deepEqual(body.report.notes, ['tokenizer-not-loaded']);
  const { signal: _signal, ...input } = seen!;
  assert.deepEqual(input, {
    context: ['one two three four'],
    tenant: 'default',
    route: 'compress',
    rate: 0.5,
    targetTokens: 3,
    method: 'llmlingua2',
    kind: 'prose',
    question: 'which?',
    explain: true,
  });
  const many = json(await post(proxy, '/v1/compress', { context: ['a b', 'c d'] }));
  assert.deepEqual(many.context, ['a', 'c']);
});

test('POST /v1/compress with messages answers as guardrail callers expect', async (t) => {
  const shorter = { messages: [{ role: 'user', content: 'short' }] };
  const proxy = await serve(t, {
    prepare: async () => Buffer.from(JSON.stringify(shorter)),
  });
  const answer = await post(proxy, '/v1/compress', {
    messages: [{ role: 'user', content: 'a long text' }],
    model: 'm',
    config: { target_ratio: 0.5, session_id: 's', protect_recent: 2 },
  });
  assert.equal(answer.status, 200);
  const body = json(answer);
  assert.deepEqual(body.messages, shorter.messages);
  assert.equal(body.tokens_before, 10);
  assert.equal(body.tokens_after, 10);
  assert.equal(body.tokens_saved, 0);
  assert.equal(body.compression_ratio, 1);
  assert.deepEqual(body.transforms_applied, []);
  assert.deepEqual(body.ccr_hashes, []);
  assert.deepEqual(body.report.ignored_config, ['protect_recent']);
  const [input] = proxy.gateway.prepared;
  assert.deepEqual(input?.wishes, { rate: 0.5, session: 's' });
  assert.equal(input?.path, '/v1/chat/completions');
});

const refusals: readonly {
  readonly path: string;
  readonly body: unknown;
  readonly says: RegExp;
}[] = [
  { path: '/v1/compress', body: 'not json', says: /is not JSON/ },
  { path: '/v1/compress', body: '[]', says: /an array of 0, not an object/ },
  { path: '/v1/compress', body: {}, says: /'text' is missing/ },
  { path: '/v1/compress', body: { text: 1 }, says: /'text' is 1, not a string/ },
  { path: '/v1/compress', body: { text: 'a', context: ['b'] }, says: /exclude each other/ },
  { path: '/v1/compress', body: { context: ['a', 5] }, says: /'context\/1' is 5/ },
  { path: '/v1/compress', body: { text: 'a', rate: 2 }, says: /'rate' is 2/ },
  { path: '/v1/compress', body: { text: 'a', target_tokens: 1.5 }, says: /'target_tokens' is 1.5/ },
  {
    path: '/v1/compress',
    body: { text: 'a', method: 'zip' },
    says: /'method' is .* not one of auto/,
  },
  { path: '/v1/compress', body: { text: 'a', rte: 0.5 }, says: /Unknown field 'rte'/ },
  { path: '/v1/compress', body: { messages: {} }, says: /'messages' is an object/ },
  { path: '/v1/explain', body: {}, says: /neither 'messages' nor 'prompt'/ },
  { path: '/v1/plan', body: '[]', says: /an array of 0, not an object/ },
  { path: '/v1/plan', body: {}, says: /'messages' is missing/ },
  {
    path: '/v1/plan',
    body: { messages: [], tools: [] },
    says: /Unknown field 'tools'.*'requests'/,
  },
  { path: '/v1/plan', body: { messages: [], requests: [] }, says: /exclude each other/ },
  { path: '/v1/plan', body: { requests: [] }, says: /'requests' is an array of 0/ },
  { path: '/v1/plan', body: { model_config: 5, length: 1 }, says: /'model_config' is 5/ },
  { path: '/v1/plan', body: { model_config: {} }, says: /'length' is missing/ },
  { path: '/v1/plan', body: { model_config: {}, length: 0 }, says: /'length' is 0/ },
  { path: '/v1/plan', body: { model_config: {}, length: 1 }, says: /is no configuration/ },
  {
    path: '/v1/plan',
    body: { model_config: {}, length: 1, server: 'tgi' },
    says: /'server' is a string of 3 characters, not one of vllm/,
  },
  { path: '/v1/plan', body: { model_config: {}, length: 1, rate: 1 }, says: /field 'rate'/ },
  { path: '/v1/plan', body: { requests: [{}] }, says: /'requests\/0\/messages' is missing/ },
  { path: '/v1/plan', body: { requests: [{ messages: [] }, 5] }, says: /'requests\/1' is 5/ },
  { path: '/v1/plan', body: { requests: [{ messages: [] }], model: 'm' }, says: /field 'model'/ },
  { path: '/v1/plan', body: { messages: [], backend: 'aix' }, says: /not one of openai/ },
  { path: '/v1/plan', body: { messages: [], prefill_rate: 0 }, says: /'prefill_rate' is 0/ },
  { path: '/v1/plan', body: { messages: [], block_size: 1.5 }, says: /'block_size' is 1.5/ },
  { path: '/compact', body: 'x', says: /is not JSON/ },
  { path: '/llm/v1/compressPrompt', body: { text: 'a' }, says: /'compression_ranges' is missing/ },
];

test('refusals are problem documents that name the field, never its text', async (t) => {
  const proxy = await serve(t);
  for (const { path, body, says } of refusals) {
    const answer = await post(proxy, path, body);
    assert.equal(answer.status, 400, path);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    const problem = json(answer);
    assert.equal(problem.type, 'urn:sluice:error:REQUEST_INVALID');
    assert.equal(problem.title, 'Request invalid');
    assert.equal(problem.status, 400);
    assert.match(problem.detail, says);
    assert.equal(problem.code, 'REQUEST_INVALID');
    assert.equal(problem.remedy, errorTable.REQUEST_INVALID.remedy);
    assert.equal(problem.request_id, answer.headers['x-sluice-request-id']);
  }
});

test('a body above the limit is a 413, announced or not', async (t) => {
  const proxy = await serve(t, { maxBodyBytes: 1000 });
  const body = JSON.stringify({ text: 'x'.repeat(2000) });
  const announced = await post(proxy, '/v1/compress', body);
  const chunked = await post(proxy, '/v1/compress', body, { 'transfer-encoding': 'chunked' });
  for (const answer of [announced, chunked]) {
    assert.equal(answer.status, 413);
    assert.equal(json(answer).code, 'BODY_TOO_LARGE');
  }
});

test('errors of the gateway keep their code and status', async (t) => {
  const proxy = await serve(t);
  const answer = await post(proxy, '/v1/compress', { text: 'a' });
  assert.equal(answer.status, 409);
  assert.equal(json(answer).code, 'METHOD_UNAVAILABLE');
  const broken = await serve(t, {
    compressText: () => Promise.reject(new TypeError('secret text')),
  });
  const defect = await post(broken, '/v1/compress', { text: 'a' });
  assert.equal(defect.status, 500);
  assert.equal(json(defect).code, 'INTERNAL');
  assert(!defect.body.includes('secret'));
  assert.equal(broken.defects.length, 1);
});

test('a client that leaves aborts what it asked for', async (t) => {
  let aborted: (() => void) | undefined;
  const seen = new Promise<void>((resolve) => (aborted = resolve));
  let started: (() => void) | undefined;
  const running = new Promise<void>((resolve) => (started = resolve));
  const proxy = await serve(t, {
    compressText: ({ signal }) => {
      started?.();
      signal?.addEventListener('abort', () => aborted?.());
      return new Promise(() => undefined);
    },
  });
  const controller = new AbortController();
  const asked = fetch(`${proxy.url}/v1/compress`, {
    method: 'POST',
    body: '{"text":"a"}',
    signal: controller.signal,
  }).catch(() => undefined);
  await running;
  controller.abort();
  await seen;
  await asked;
});

test('POST /v1/explain and /compact take a request body as it is', async (t) => {
  const shorter = Buffer.from('{"prompt":"short"}');
  const proxy = await serve(t, { prepare: async () => shorter });
  const explained = json(await post(proxy, '/v1/explain', { prompt: 'a' }));
  assert.equal(explained.dialect, '/v1/completions');
  assert.equal(explained.report.tokens_before, 10);
  const compact = await post(proxy, '/compact', { prompt: 'a long one' });
  assert.equal(compact.status, 200);
  assert.equal(compact.headers['content-type'], 'application/json');
  assert.equal(compact.headers['x-sluice-decision'], 'compressed');
  assert.equal(compact.body.toString(), shorter.toString());
});

test('POST /v1/plan hands on what was asked, and answers in snake_case', async (t) => {
  const calls: Parameters<ServerDeps['plan']>[] = [];
  const proxy = await serve(t, {
    plan: async (...call) => {
      calls.push(call);
      return { turns: [{ turn: 1, tokensBefore: 5 }], unit: 'ms', assumptions: ['speedOfLight'] };
    },
  });
  const messages = [{ role: 'user', content: 'a b' }];
  const answer = await post(
    proxy,
    '/v1/plan',
    { model: 'm', messages, backend: 'vllm', prefill_rate: 900, block_size: 32 },
    { 'x-sluice-rate': '0.7' },
  );
  assert.equal(answer.status, 200);
  assert.deepEqual(json(answer), {
    turns: [{ turn: 1, tokens_before: 5 }],
    unit: 'ms',
    assumptions: ['speedOfLight'],
  });
  const requests = [{ messages, temperature: 1 }, { messages: [] }];
  await post(proxy, '/v1/plan', { requests });
  const asked = calls.map(([input, { signal, ...options }]) => {
    assert.equal(signal.aborted, false);
    return [input, options];
  });
  assert.deepEqual(asked, [
    [
      { messages, model: 'm' },
      { backend: 'vllm', prefillRate: 900, blockTokens: 32, wishes: { rate: 0.7 } },
    ],
    [requests, { wishes: {} }],
  ]);
  assert.deepEqual(proxy.passed(), []);
});

test('a plan that nobody waits for any more is told so', async (t) => {
  let started: (() => void) | undefined;
  const running = new Promise<void>((resolve) => (started = resolve));
  let aborted: (() => void) | undefined;
  const seen = new Promise<void>((resolve) => (aborted = resolve));
  const proxy = await serve(t, {
    plan: (_, { signal }) => {
      started?.();
      signal.addEventListener('abort', () => aborted?.());
      return new Promise(() => undefined);
    },
  });
  const controller = new AbortController();
  const { signal } = controller;
  const init = { method: 'POST', body: '{"messages":[]}', signal };
  const asked = fetch(`${proxy.url}/v1/plan`, init).catch(() => undefined);
  await running;
  controller.abort();
  await seen;
  await asked;
});

test('POST /llm/v1/compressPrompt: ranges, ids and tags', async (t) => {
  const proxy = await serve(t, { compressText: everySecondWord });
  const ranges = [
    { min_tokens: 0, max_tokens: 3, value: 0.8 },
    { min_tokens: 4, max_tokens: 100, value: 0.5 },
  ];
  const answer = json(
    await post(proxy, '/llm/v1/compressPrompt', {
      text: [
        { msg_id: 1, text: 'one two three four' },
        { msg_id: 7, text: 'keep this <LLMLINGUA>a b c d e f</LLMLINGUA> and this' },
      ],
      compressor_type: 'rate',
      compression_ranges: ranges,
      model_name: 'gpt-4',
    }),
  );
  assert.deepEqual(
    answer.text.map((item: { msg_id: number; compress_prompt: string }) => [
      item.msg_id,
      item.compress_prompt,
    ]),
    [
      [1, 'one three'],
      [7, 'keep this a c e and this'],
    ],
  );
  const results = answer.text[1].compressor_results;
  assert.equal(results.original_token_count, 6);
  assert.equal(results.save_token_count, 3);
  assert.equal(results.compress_value, 0.5);
  assert.equal(results.compress_type, 'rate');
  assert.equal(results.compressor_model, 'llmlingua2');
  assert.equal(typeof answer.duration, 'number');
  const outside = json(
    await post(proxy, '/llm/v1/compressPrompt', {
      text: 'one two',
      compressor_type: 'target_token',
      compression_ranges: [{ min_tokens: 50, max_tokens: 60, value: 20 }],
    }),
  );
  assert.equal(outside.text[0].compress_prompt, 'one two');
  assert.equal(outside.text[0].compressor_results.save_token_count, 0);
  assert.match(outside.text[0].compressor_results.information, /outside the given ranges/);
});

test('reports and originals belong to their tenant', async (t) => {
  const proxy = await serve(t, { trustTenantHeader: true });
  proxy.gateway.originals.set('acme/abc123', 'the original');
  const acme = { 'x-sluice-tenant': 'acme' };
  const forwarded = await post(proxy, '/v1/chat/completions', { messages: [] }, acme);
  const id = String(forwarded.headers['x-sluice-request-id']);
  const get = (path: string, headers = {}): Promise<RawAnswer> =>
    send({ url: proxy.url, path, headers });
  const report = await get(`/v1/requests/${id}`, acme);
  assert.equal(report.status, 200);
  assert.equal(json(report).id, id);
  assert.equal(json(report).tokens_before, 10);
  assert.equal((await get(`/v1/requests/${id}`)).status, 404);
  const original = await get('/v1/retrieve/abc123', acme);
  assert.deepEqual(json(original), { original_content: 'the original' });
  const foreign = await get('/v1/retrieve/abc123');
  assert.equal(foreign.status, 404);
  assert.equal(json(foreign).code, 'NOT_FOUND');
});

test('operations: health, readiness, metrics, specification, dashboard, totals', async (t) => {
  const proxy = await serve(t);
  const get = (path: string): Promise<RawAnswer> => send({ url: proxy.url, path });
  assert.deepEqual(json(await get('/healthz')), { status: 'ok', version: '0.0.0-test' });
  assert.deepEqual(json(await get('/readyz')), { status: 'ready', checks: { models: 'ok' } });
  assert.equal(json(await get('/status')).status, 'ok');
  const metrics = await get('/metrics');
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4');
  assert.match(metrics.body.toString(), /sluice_up 1/);
  assert.match((await get('/openapi.yaml')).body.toString(), /^openapi: 3/);
  const page = await get('/dashboard');
  assert.match(String(page.headers['content-type']), /^text\/html/);
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'/);
  assert.equal(json(await get('/v1/stats')).uptime_seconds, 0);
  const starting = await serve(t, { ready: false });
  assert.equal((await send({ url: starting.url, path: '/readyz' })).status, 503);
  assert.deepEqual(proxy.passed(), []);
});

test('what is ours stays here, what is not goes on', async (t) => {
  const proxy = await serve(t);
  const wrongMethod = await send({ url: proxy.url, path: '/v1/compress' });
  assert.equal(wrongMethod.status, 405);
  assert.equal(wrongMethod.headers.allow, 'POST');
  const empty = await post(proxy, '/v1/windows', {});
  assert.equal(empty.status, 400);
  assert.match(json(empty).detail, /'text' and 'context'/);
  const id = await send({ url: proxy.url, path: '/v1/requests/a%2Fb' });
  assert.equal(id.status, 400);
  assert.deepEqual(proxy.passed(), []);
  for (const path of ['/v1/models', '/', '/v1/embeddings', '/v1/compressed', '/health']) {
    await send({ url: proxy.url, path });
  }
  assert.deepEqual(proxy.passed(), [
    '/v1/models',
    '/',
    '/v1/embeddings',
    '/v1/compressed',
    '/health',
  ]);
});
