/** The adapter of remote servers: what it finds out about them, what it sends and how it fails. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { noLimits } from '../../src/backends/limits.ts';
import { LoadedModels } from '../../src/backends/loaded-models.ts';
import { createRemoteBackend, type RemoteOptions } from '../../src/backends/remote.ts';
import type { Backend, ForwardRequest, RawHeaders } from '../../src/backends/types.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { startFakeUpstream } from '../helpers/fake-upstream.ts';

const limits = { connectMs: 1000, headMs: 5000, idleMs: 5000, tokenizer: null } as const;

async function remote(
  t: TestContext,
  url: string,
  changes: Partial<RemoteOptions> = {},
): Promise<Backend> {
  const backend = await createRemoteBackend({ url, kind: 'auto', ...limits, ...changes });
  t.after(() => backend.close());
  return backend;
}

interface Answered {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: string;
}

function call(backend: Backend, request: Partial<ForwardRequest>): Promise<Answered> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let headers: RawHeaders = [];
    let body = '';
    backend.forward(
      { method: 'POST', path: '/v1/x', headers: [], body: null, ...request },
      {
        onHead: (code, fields) => {
          status = code;
          headers = fields;
        },
        onData: (chunk) => {
          body += chunk.toString();
          return true;
        },
        onEnd: () => resolve({ status, headers, body }),
        onError: reject,
      },
    );
  });
}

type Routes = Readonly<Record<string, unknown>>;

/** A server with these JSON routes; all others are 404, as is usual. */
function playRoutes(routes: Routes, server?: string): Parameters<typeof createServer>[1] {
  return (request, response) => {
    const found = routes[request.url ?? ''];
    if (server !== undefined) response.setHeader('server', server);
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? { error: 'not found' }));
  };
}

async function serve(t: TestContext, routes: Routes, server?: string): Promise<string> {
  const listening = createServer(playRoutes(routes, server));
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    listening.closeAllConnections();
    listening.close();
  });
  const address = listening.address();
  assert(typeof address === 'object' && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

const model = (owner: string, more = {}): Routes => ({
  '/v1/models': { object: 'list', data: [{ id: 'm', owned_by: owner, ...more }] },
});

const servers: readonly {
  readonly name: string;
  readonly routes: Routes;
  readonly server?: string;
  readonly kind: string;
  readonly window: number | null;
}[] = [
  { name: 'vLLM', routes: model('vllm', { max_model_len: 4096 }), kind: 'vllm', window: 4096 },
  {
    name: 'SGLang',
    routes: model('sglang', { max_model_len: 8192 }),
    kind: 'sglang',
    window: 8192,
  },
  {
    name: 'llama.cpp',
    routes: { ...model('llamacpp'), '/props': { default_generation_settings: { n_ctx: 2048 } } },
    kind: 'llamacpp',
    window: 2048,
  },
  { name: 'Ollama', routes: model('library'), kind: 'ollama', window: null },
  {
    name: 'TGI',
    routes: {
      '/info': { router: 'text-generation-router', model_id: 'm', max_total_tokens: 1024 },
    },
    kind: 'tgi',
    window: 1024,
  },
  {
    name: 'SGLang behind a key',
    routes: { '/get_model_info': { model_path: 'm' } },
    kind: 'sglang',
    window: null,
  },
  {
    name: 'Ollama without models',
    routes: { '/api/version': { version: '0.9' } },
    kind: 'ollama',
    window: null,
  },
  {
    name: 'vLLM behind a key',
    routes: { '/version': { version: '0.32.0' } },
    kind: 'vllm',
    window: null,
  },
  {
    name: 'Anthropic',
    routes: { '/v1/models': { type: 'error', error: { type: 'authentication_error' } } },
    kind: 'anthropic',
    window: null,
  },
  { name: 'some other server', routes: model('somebody'), kind: 'openai', window: null },
  { name: 'a server that knows nothing', routes: {}, kind: 'openai', window: null },
];

for (const { name, routes, server, kind, window } of servers) {
  test(`detects ${name}`, async (t) => {
    const url = await serve(t, routes, server);
    const backend = await remote(t, url);
    assert.equal(backend.kind, kind);
    assert.equal(backend.capabilities.contextWindow, window);
    assert.equal(backend.name, `${kind}@${new URL(url).host}`);
  });
}

test("Ollama's context windows are learned when models are loaded, and again later", async (t) => {
  let seconds = 0;
  t.mock.method(performance, 'now', () => seconds * 1000);
  const loaded: { models: { name: string; context_length: number }[] } = { models: [] };
  let asked = 0;
  const routes = { ...model('library'), '/api/ps': loaded };
  const upstream = await startFakeUpstream(t, {
    type: 'custom',
    answer: (request, response) => {
      if (request.url === '/api/ps') asked += 1;
      playRoutes(routes)?.(request, response);
    },
  });
  const backend = await remote(t, upstream.url);
  const windows = (): (number | null | undefined)[] =>
    ['chat', 'embed:v1', 'other', null].map((name) => backend.contextWindowOf?.(name));
  assert.deepEqual(windows(), [null, null, null, null]);
  const answered = async (): Promise<void> => {
    const before = asked;
    await call(backend, {});
    // Asked beside the answer, in nobody's way.
    for (let turn = 0; turn < 200 && asked === before; turn++) await pause(5);
    await pause(20);
  };
  loaded.models = [{ name: 'chat:latest', context_length: 32_768 }];
  await answered();
  assert.deepEqual([asked, ...windows()], [2, 32_768, null, null, 32_768], 'at once');
  loaded.models = [{ name: 'embed:v1', context_length: 2048 }];
  await call(backend, {});
  await pause(50);
  assert.equal(asked, 2, 'not after every answer');
  seconds += 61;
  await answered();
  assert.deepEqual(windows(), [32_768, 2048, null, 2048], 'what was unloaded is not forgotten');
  const refusal = { error: { message: 'maximum context length is 1024 tokens' } };
  backend.refusedLength?.(400, Buffer.from(JSON.stringify(refusal)));
  seconds += 61;
  await answered();
  assert.deepEqual(windows(), [1024, 1024, 1024, 1024], 'a refusal is believed');
});

test('a model that is not known yet is asked about sooner, and under any of its names', async (t) => {
  let seconds = 100;
  t.mock.method(performance, 'now', () => seconds * 1000);
  const loaded = new Map([['embed:latest', 2048]]);
  let asked = 0;
  const models = new LoadedModels(() => {
    asked += 1;
    return Promise.resolve({ ...noLimits, modelWindows: new Map(loaded) });
  }, new Map());
  assert.equal(await models.answered(), true);
  loaded.set('Chat-7B:latest', 8192);
  seconds += 5;
  assert.equal(await models.answered(), false, 'known models are asked about each minute');
  assert.equal(models.windowOf('library/chat-7b'), null);
  assert.equal(await models.answered(), true);
  for (const name of ['chat-7b', 'Chat-7B:latest', 'registry.ollama.ai/library/chat-7b']) {
    assert.equal(models.windowOf(name), 8192, name);
  }
  assert.equal(models.windowOf('chat-7b:q4'), null);
  assert.equal(asked, 2);
});

test('a kind that the operator names is not doubted', async (t) => {
  const url = await serve(t, model('vllm', { max_model_len: 4096 }));
  const named = await remote(t, url, { kind: 'tgi' });
  assert.equal(named.kind, 'tgi');
  assert.equal(named.capabilities.contextWindow, null);
  const same = await remote(t, url, { kind: 'vllm' });
  assert.equal(same.capabilities.contextWindow, 4096);
});

test('a server that is down stops nothing, has the same fingerprint, and says so when asked', async (t) => {
  const url = await serve(t, {});
  const up = await remote(t, url);
  const { fingerprint } = up;
  const down = await remote(t, 'http://127.0.0.1:1/base/');
  assert.equal(down.kind, 'openai');
  assert.equal(down.capabilities.prefixCache, null);
  assert.equal(fingerprint, `remote:${url}`);
  assert.equal(down.fingerprint, 'remote:http://127.0.0.1:1/base');
  const { ok, detail } = await down.check(null);
  assert.equal(ok, false);
  assert.match(detail, /127\.0\.0\.1:1 could not be reached \(ECONNREFUSED\)/);
  const fine = await up.check(null);
  assert.equal(fine.ok, true);
});

test('a server that hangs delays the start by two probes at most', async (t) => {
  const upstream = await startFakeUpstream(t, { type: 'hang' });
  const started = performance.now();
  const backend = await remote(t, upstream.url);
  assert(performance.now() - started < 5000);
  assert.equal(backend.kind, 'openai');
});

for (const url of ['nonsense', 'ftp://host/', 'http://user:pass@host/']) {
  test(`refuses the upstream URL ${url}`, async () => {
    await assert.rejects(
      createRemoteBackend({ url, kind: 'openai', ...limits }),
      (error) =>
        SluiceError.isInstance(error) &&
        error.code === 'CONFIG_INVALID' &&
        !error.message.includes('pass'),
    );
  });
}

test('bodies: bytes, streams of known and of unknown length', async (t) => {
  const upstream = await startFakeUpstream(t);
  const backend = await remote(t, upstream.url, { kind: 'openai' });
  upstream.requests.length = 0;
  await call(backend, { body: Buffer.from('bytes') });
  await call(backend, { body: Readable.from([Buffer.from('ab'), Buffer.from('cd')]) });
  await call(backend, {
    body: Readable.from([Buffer.from('ab'), Buffer.from('c')]),
    headers: ['content-length', '3'],
  });
  assert.deepEqual(
    upstream.requests.map(({ body, headers }) => [
      body.toString(),
      headers['content-length'] ?? null,
      headers['transfer-encoding'] ?? null,
    ]),
    [
      ['bytes', '5', null],
      ['abcd', null, 'chunked'],
      ['abc', '3', null],
    ],
  );
});

test('errors are ours, with the original as cause, and nothing follows them', async (t) => {
  const refused = await remote(t, 'http://127.0.0.1:1');
  await assert.rejects(call(refused, {}), (error) => {
    assert(SluiceError.isInstance(error));
    assert.equal(error.code, 'UPSTREAM_REFUSED');
    assert(error.cause instanceof Error);
    return true;
  });
  const upstream = await startFakeUpstream(t);
  const backend = await remote(t, upstream.url, { kind: 'openai' });
  await assert.rejects(call(backend, { headers: ['bad name', 'x'] }), (error) =>
    SluiceError.isInstance(error) ? error.code === 'REQUEST_INVALID' : false,
  );
  await backend.close();
  await assert.rejects(call(backend, {}), (error) =>
    SluiceError.isInstance(error) ? error.code === 'NOT_READY' : false,
  );
});

test('after abort nothing is called, and a request that waits for its connection is not sent', async (t) => {
  const upstream = await startFakeUpstream(t);
  const backend = await remote(t, upstream.url, { kind: 'openai' });
  upstream.requests.length = 0;
  const fail = (): never => assert.fail('called after abort');
  const handler = { onHead: fail, onData: fail, onEnd: fail, onError: fail };
  const request = { method: 'POST', path: '/v1/x', headers: [], body: Buffer.from('x') };
  // The first takes the kept-alive connection's place in the pool; none has been written yet.
  for (let n = 0; n < 3; n += 1) backend.forward(request, handler).abort();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(upstream.requests.length, 0);
  assert.equal((await call(backend, {})).status, 200);
});
