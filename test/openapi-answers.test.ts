/** What the server really answers, against what the specification says. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSluice } from '../src/sluice.ts';
import type { Sluice } from '../src/sluice.ts';
import type { Node } from './specification.ts';
import { at, resolve, specification, validator } from './specification.ts';

let sluice: Sluice;
let base: string;
before(async () => {
  sluice = await createSluice({
    port: 0,
    log: { level: 'silent' },
    compress: { min_tokens: 20 },
    // For the answer of a method whose model is missing.
    score: { classifier: 'none' },
  });
  base = (await sluice.listen()).url;
});
after(() => sluice.close());

const document = [
  'The harbour of Saltmarsh was widened in 1931 under the engineer Ada Whitlock.',
  'The lighthouse, which dates from 1874, was not affected by these works.',
  'Its keeper complained about the noise in several letters to the council.',
  'The harbour was widened once more in 1987, when the old pier was removed.',
].join(' ');
const messages = [
  {
    role: 'user',
    content: `<document>\n${document}\n</document>\n\nWhen was the harbour widened last?`,
  },
];

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Calls a route and checks the answer's status, type, headers and body against the specification. */
async function call(route: string, path: string, body?: unknown): Promise<Answer> {
  const [method = '', template = ''] = route.split(' ');
  const response = await fetch(`${base}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
  const responses = at(specification, 'paths', template, method.toLowerCase(), 'responses');
  const told = resolve(
    at(responses, String(response.status) in responses ? String(response.status) : 'default'),
  );
  const schema: Node = at(told, 'content', type, 'schema');
  const value: unknown = type.endsWith('json') ? JSON.parse(text) : text;
  const result = validator(schema).safeParse(value);
  assert.ok(result.success, `${route} ${response.status}: ${result.error?.message}\n${text}`);
  return { status: response.status, headers: response.headers, body: value };
}

test('POST /v1/compress, both forms', async () => {
  const texts = await call('POST /v1/compress', '/v1/compress', {
    context: [document, document],
    question: 'When was the harbour widened?',
    rate: 0.5,
    explain: true,
  });
  assert.equal(texts.status, 200);
  const conversation = await call('POST /v1/compress', '/v1/compress', {
    model: 'scout',
    messages,
    config: { target_ratio: 0.5, protect_recent: 2 },
  });
  assert.equal(conversation.status, 200);
  const { tokens_before: before, tokens_after: after } = conversation.body as Record<
    string,
    number
  >;
  assert.ok(after! < before!, JSON.stringify(conversation.body));
  const [hash = ''] = (conversation.body as { ccr_hashes: string[] }).ccr_hashes;
  const original = await call('GET /v1/retrieve/{hash}', `/v1/retrieve/${hash}`);
  assert.equal(original.status, 200, hash);
});

test('POST /v1/windows, in one piece and in windows', async () => {
  const asked = { context: [document, document], question: 'When was it widened?', max_tokens: 4 };
  const whole = await call('POST /v1/windows', '/v1/windows', asked);
  assert.equal(whole.status, 200);
  const split = await call('POST /v1/windows', '/v1/windows', {
    ...asked,
    strategy: 'select',
    windows: 2,
    api: 'completions',
  });
  assert.equal(split.status, 200);
  const { windows, request_id: id } = split.body as { windows: object | null; request_id: string };
  assert.notEqual(windows, null);
  assert.equal((await call('GET /v1/requests/{id}', `/v1/requests/${id}`)).status, 200);
});

test('POST /v1/chat/completions and its report', async () => {
  const chat = await call('POST /v1/chat/completions', '/v1/chat/completions', {
    model: 'scout',
    messages,
    max_tokens: 4,
  });
  assert.equal(chat.status, 200);
  const told = at(
    specification,
    'paths',
    '/v1/chat/completions',
    'post',
    'responses',
    '200',
    'headers',
  );
  for (const name of chat.headers.keys())
    if (name.startsWith('x-sluice-')) assert.ok(name in told, `${name} is not described`);
  const id = chat.headers.get('x-sluice-request-id') ?? '';
  assert.equal((await call('GET /v1/requests/{id}', `/v1/requests/${id}`)).status, 200);
  assert.equal((await call('GET /v1/stats', '/v1/stats')).status, 200);
});

test('POST /v1/completions, /v1/explain and /compact', async () => {
  const prompt = `Context: ${document}\nQuestion: When was the harbour widened last?\nAnswer:`;
  const completion = { model: 'scout', prompt, max_tokens: 4 };
  for (const [route, path] of [
    ['POST /v1/completions', '/v1/completions'],
    ['POST /v1/explain', '/v1/explain'],
    ['POST /compact', '/compact'],
  ] as const)
    assert.equal((await call(route, path, completion)).status, 200, route);
  assert.equal((await call('POST /v1/explain', '/v1/explain', { messages })).status, 200);
});

test('POST /v1/plan, the extension form', async () => {
  const model = { model_type: 'llama', num_hidden_layers: 4, num_attention_heads: 4 };
  const config = { ...model, hidden_size: 256, max_position_embeddings: 4096 };
  for (const form of [
    { model_config: config, length: 16384, server: 'vllm' },
    { model_config: { ...config, intermediate_size: 512 }, length: 4096 },
  ]) {
    const { status, body } = await call('POST /v1/plan', '/v1/plan', form);
    assert.equal(status, 200);
    const { schemes } = body as { readonly schemes: readonly unknown[] };
    assert.equal(schemes.length, form.length === 4096 ? 1 : 6);
  }
  const scaling = { rope_type: 'polar' };
  const unknown = { model_config: { ...config, rope_scaling: scaling }, length: 8192 };
  const refused = await call('POST /v1/plan', '/v1/plan', unknown);
  assert.equal(refused.status, 400);
  assert.match(JSON.stringify(refused.body), /rope_type .*polar.* is not known/);
});

test('POST /v1/plan, both forms of a conversation', async () => {
  const answer = { role: 'assistant', content: 'In 1987.' };
  const last = [...messages, answer, { role: 'user', content: 'And before?' }];
  const forms = [
    { model: 'gpt-4o', messages: last, backend: 'openai', max_tokens: 20 },
    { requests: [{ messages, temperature: 0 }, { messages: last }], prefill_rate: 4000 },
  ];
  for (const form of forms) {
    const { status, body } = await call('POST /v1/plan', '/v1/plan', form);
    assert.equal(status, 200);
    const { turns } = body as { turns: { decision: string; mode: string }[] };
    assert.deepEqual(
      turns.map(({ decision, mode }) => [decision, mode]),
      [
        ['compressed', 'cold'],
        ['replayed', 'extend'],
      ],
    );
  }
  const refused = await call('POST /v1/plan', '/v1/plan', { messages: [] });
  assert.equal(refused.status, 400);
});

test('POST /llm/v1/compressPrompt', async () => {
  const { status } = await call('POST /llm/v1/compressPrompt', '/llm/v1/compressPrompt', {
    text: [{ msg_id: 1, text: document }],
    compressor_type: 'rate',
    compression_ranges: [{ min_tokens: 10, max_tokens: 1000, value: 0.5 }],
  });
  assert.equal(status, 200);
});

test('operations', async () => {
  for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.yaml', '/dashboard', '/status'])
    assert.equal((await call(`GET ${path}`, path)).status, 200, path);
});

test('errors are problem documents with a code of the table', async () => {
  const wrong = await call('POST /v1/compress', '/v1/compress', { text: 'a', ratio: 1 });
  assert.equal(wrong.status, 400);
  assert.equal((wrong.body as { code: string }).code, 'REQUEST_INVALID');
  assert.equal((await call('GET /v1/requests/{id}', '/v1/requests/none')).status, 404);
  assert.equal((await call('GET /v1/retrieve/{hash}', '/v1/retrieve/none')).status, 404);
  const missing = await call('POST /v1/compress', '/v1/compress', {
    text: document,
    method: 'llmlingua2',
  });
  assert.equal(missing.status, 409);
});
