/** Counting by a server's own tokenize route: the two shapes, what is learned from refusals, and the bounds. */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import { createRemoteBackend } from '../../src/backends/remote.ts';
import type { Backend } from '../../src/backends/types.ts';
import { startFakeUpstream, type FakeUpstream } from '../helpers/fake-upstream.ts';

interface Question {
  readonly prompt: string;
  readonly content: string;
  readonly model?: string;
}
type Answer = (question: Question) => [number, unknown] | null;

const models = (owner: string): unknown => ({ data: [{ id: 'm', owned_by: owner }] });
const forever = new AbortController().signal;

/** A server that is recognised as `owner`; `tokenize` answers its tokenize route, null = never. */
async function serve(
  t: TestContext,
  owner: string,
  tokenize: Answer,
): Promise<{ upstream: FakeUpstream; backend: Backend; asked: () => Question[] }> {
  const answer = (request: IncomingMessage, response: ServerResponse, body: Buffer): void => {
    const url = request.url ?? '';
    const result: [number, unknown] | null =
      url === '/v1/models'
        ? [200, models(owner)]
        : url === '/tokenize'
          ? tokenize(JSON.parse(body.toString()))
          : [404, { detail: 'Not Found' }];
    if (result === null) return;
    response.writeHead(result[0], { 'content-type': 'application/json' });
    response.end(JSON.stringify(result[1]));
  };
  const upstream = await startFakeUpstream(t, { type: 'custom', answer });
  const backend = await createRemoteBackend({
    url: upstream.url,
    kind: 'auto',
    connectMs: 1000,
    headMs: 5000,
    idleMs: 5000,
    tokenizer: null,
  });
  t.after(() => backend.close());
  const asked = (): Question[] =>
    upstream.requests
      .filter(({ url }) => url === '/tokenize')
      .map(({ body }) => JSON.parse(body.toString()));
  return { upstream, backend, asked };
}

const count = (
  backend: Backend,
  texts: readonly string[],
  model: string | null = null,
): Promise<readonly (number | null)[]> | undefined =>
  backend.countTokens?.(texts, { model, signal: forever });

test('vLLM is asked for the prompt of a model without special tokens', async (t) => {
  const { backend, asked } = await serve(t, 'vllm', (json) => [
    200,
    { count: json.prompt.length, max_model_len: 10, tokens: [] },
  ]);
  assert.deepEqual(await count(backend, ['ab', '', 'abc'], 'lora'), [2, 0, 3]);
  assert.deepEqual(
    asked().toSorted((one, other) => one.prompt.length - other.prompt.length),
    [
      { model: 'lora', prompt: 'ab', add_special_tokens: false },
      { model: 'lora', prompt: 'abc', add_special_tokens: false },
    ],
  );
});

test('llama.cpp is asked for the content, its tokens are counted here', async (t) => {
  const { backend, asked } = await serve(t, 'llamacpp', (json) => [
    200,
    { tokens: [...json.content].map((_, at) => at) },
  ]);
  assert.deepEqual(await count(backend, ['abcd'], 'm'), [4]);
  assert.deepEqual(asked(), [{ content: 'abcd', add_special: false }]);
});

for (const status of [401, 404, 405]) {
  test(`a server that answers ${status} is not asked again`, async (t) => {
    const { backend, asked } = await serve(t, 'vllm', () => [status, { error: 'no' }]);
    assert.deepEqual(await count(backend, ['a']), [null]);
    assert.equal(backend.countTokens, null);
    assert.equal(asked().length, 1);
  });
}

test('a model that the server does not know says nothing about the route', async (t) => {
  const { backend } = await serve(t, 'vllm', (json) =>
    json.model === 'other' ? [404, { error: {} }] : [200, { count: 7 }],
  );
  assert.deepEqual(await count(backend, ['a'], 'other'), [null]);
  assert.deepEqual(await count(backend, ['a'], 'm'), [7]);
});

test('after a failure the server is left alone for a while, and not given up', async (t) => {
  const { backend, asked } = await serve(t, 'vllm', () => [500, {}]);
  assert.deepEqual(await count(backend, ['a', 'b', 'c', 'd']), [null, null, null, null]);
  assert.ok(asked().length <= 2, `${asked().length} questions`);
  assert.notEqual(backend.countTokens, null);
});

test('an answer of another shape is no count', async (t) => {
  const { backend } = await serve(t, 'vllm', () => [200, { tokens: 'three' }]);
  assert.deepEqual(await count(backend, ['a']), [null]);
});

test('at most two texts are asked for at once, and an abort ends them all', async (t) => {
  const { backend, upstream } = await serve(t, 'vllm', () => null);
  const controller = new AbortController();
  const texts = Array.from({ length: 20 }, (_, at) => `text ${at}`);
  const counting = backend.countTokens?.(texts, { model: null, signal: controller.signal });
  const detected = upstream.requests.filter(({ url }) => url !== '/tokenize').length;
  await upstream.arrived(detected + 2);
  controller.abort();
  assert.deepEqual(
    await counting,
    texts.map(() => null),
  );
  assert.equal(upstream.requests.length, detected + 2);
});

test('one text gets its turn among many of another caller, whose signal is not crowded', async (t) => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const { backend, asked } = await serve(t, 'vllm', () => [200, { count: 1 }]);
  const texts = Array.from({ length: 60 }, (_, at) => `text ${at}`);
  const { signal } = new AbortController();
  const many = backend.countTokens?.(texts, { model: null, signal });
  assert.deepEqual(await count(backend, ['the one']), [1]);
  const place = asked().findIndex(({ prompt }) => prompt === 'the one');
  assert.ok(place >= 0 && place < 10, `asked as number ${place}`);
  assert.deepEqual(
    await many,
    texts.map(() => 1),
  );
  assert.deepEqual(warnings, []);
});

test('texts beyond the bound are not sent', async (t) => {
  const { backend, asked } = await serve(t, 'vllm', () => [200, { count: 1 }]);
  assert.deepEqual(await count(backend, ['x'.repeat(600_000), 'y']), [null, 1]);
  assert.equal(asked().length, 1);
});

test('a server that is found anew after it was down may be asked again', async (t) => {
  let status = 404;
  const { backend } = await serve(t, 'vllm', () => [status, { count: 1 }]);
  await count(backend, ['a']);
  assert.equal(backend.countTokens, null);
  status = 200;
  if (!('detect' in backend) || typeof backend.detect !== 'function') assert.fail('no detection');
  await backend.detect();
  assert.deepEqual(await count(backend, ['a']), [1]);
});

for (const owner of ['library', 'somebody', 'sglang']) {
  test(`a server of owner ${owner} is not known to count`, async (t) => {
    const { backend } = await serve(t, owner, () => [200, { count: 1 }]);
    assert.equal(backend.countTokens, null);
  });
}
