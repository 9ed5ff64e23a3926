/** What clients see when something breaks, and what the upstream is spared. */
import assert from 'node:assert/strict';
import { createServer, connect, type Socket } from 'node:net';
import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import { test, type TestContext } from 'node:test';
import { bufferBody } from '../../src/http/request-body.ts';
import { startFakeUpstream, type UpstreamScript } from '../helpers/fake-upstream.ts';
import { startProxy, type TestProxy } from '../helpers/proxy.ts';
import { send } from '../helpers/raw-client.ts';

const path = '/v1/chat/completions';
const body = '{"model":"m","messages":[{"role":"user","content":"hi"}]}';
const sse = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n';

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert(typeof address === 'object' && address !== null);
  return address.port;
}

/** A client on a bare socket, which can leave whenever the test says. */
async function rawClient(t: TestContext, port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write(text);
  return socket;
}

const rawPost = (content: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(content)}\r\n\r\n${content}`;

test('an upstream that refuses is a 502 at once, with the reason in the dialect shape', async (t) => {
  const port = await freePort();
  const proxy = await startProxy(t, { upstream: `http://127.0.0.1:${port}` });
  const started = performance.now();
  const answer = await send({ url: proxy.url, path, body });
  assert(performance.now() - started < 1000);
  assert.equal(answer.status, 502);
  assert.equal(answer.headers['content-type'], 'application/json');
  const { error } = JSON.parse(answer.body.toString());
  assert.equal(error.code, 'UPSTREAM_REFUSED');
  assert.equal(error.type, 'upstream_error');
  assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*ECONNREFUSED`));
  const id = answer.headers['x-sluice-request-id'];
  assert.equal(proxy.gateway.settled.get(String(id))?.error, 'UPSTREAM_REFUSED');
  assert.equal(proxy.gateway.settled.get(String(id))?.upstreamMs, null, 'there was no head');
});

test('an upstream name that does not resolve is a 502', async (t) => {
  const proxy = await startProxy(t, { upstream: 'http://nobody.invalid:1' });
  const answer = await send({ url: proxy.url, path, body });
  assert.equal(answer.status, 502);
  assert.equal(JSON.parse(answer.body.toString()).error.code, 'UPSTREAM_REFUSED');
});

test('429 and Retry-After pass at once and are not tried again', async (t) => {
  const upstream = await startFakeUpstream(t, {
    type: 'answer',
    status: 429,
    headers: ['Content-Type', 'application/json', 'Retry-After', '7'],
    body: '{"error":{"message":"slow down"}}',
  });
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  const answer = await send({ url: proxy.url, path, body });
  assert.equal(answer.status, 429);
  assert.equal(answer.headers['retry-after'], '7');
  assert.equal(answer.body.toString(), '{"error":{"message":"slow down"}}');
  assert.equal(upstream.requests.length, 1);
  const [outcome] = proxy.gateway.settled.values();
  assert.ok((outcome?.upstreamMs ?? -1) >= 0, 'the time until the head is known');
});

test('a POST whose connection closes without an answer is never repeated', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.script = { type: 'answer', body: '{}' };
  // The first one warms a connection, so that the second meets the case in which clients like to retry.
  await send({ url: proxy.url, path, body });
  upstream.requests.length = 0;
  upstream.script = { type: 'close' };
  const answer = await send({ url: proxy.url, path, body });
  assert.equal(answer.status, 502);
  assert.equal(JSON.parse(answer.body.toString()).error.code, 'UPSTREAM_RESET');
  assert.equal(upstream.requests.length, 1);
});

test('an upstream that sends no head in time is a 504', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url, remote: { headMs: 300 } });
  upstream.script = { type: 'hang' };
  const answer = await send({ url: proxy.url, path, body });
  assert.equal(answer.status, 504);
  assert.equal(JSON.parse(answer.body.toString()).error.code, 'UPSTREAM_TIMEOUT');
});

test('an upstream that does not speak HTTP is a 502', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.script = { type: 'raw', bytes: 'hello\r\n\r\n' };
  const answer = await send({ url: proxy.url, path, body });
  assert.equal(answer.status, 502);
  assert.equal(JSON.parse(answer.body.toString()).error.code, 'UPSTREAM_RESET');
});

for (const reset of [true, false]) {
  const how = reset ? 'resets' : 'closes';
  test(`an upstream that ${how} in mid-stream never becomes a clean end`, async (t) => {
    const upstream = await startFakeUpstream(t);
    const proxy = await startProxy(t, { upstream: upstream.url });
    upstream.script = { type: 'break', chunks: [sse, sse], reset };
    const answer = await send({ url: proxy.url, path, body });
    assert.equal(answer.status, 200);
    assert.equal(answer.complete, false);
    assert(!answer.body.includes('[DONE]'));
    const [outcome] = proxy.gateway.settled.values();
    assert.equal(outcome?.error, 'UPSTREAM_RESET');
    assert.equal(outcome?.status, 200);
  });

  test(`an upstream that ${how} before its announced length breaks the client's too`, async (t) => {
    const upstream = await startFakeUpstream(t);
    const proxy = await startProxy(t, { upstream: upstream.url });
    const headers = ['content-type', 'application/json', 'content-length', '1000'];
    upstream.script = { type: 'break', chunks: ['{"half":'], headers, reset };
    const answer = await send({ url: proxy.url, path, body });
    assert.equal(answer.complete, false);
    assert.equal(answer.body.toString(), '{"half":');
  });
}

test('an HTTP/1.0 client without a length sees a reset, not an end', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.script = { type: 'break', chunks: [sse], reset: true };
  const text = rawPost(body).replace('HTTP/1.1', 'HTTP/1.0');
  const socket = await rawClient(t, proxy.port, text);
  const ended = await new Promise<string>((resolve) => {
    socket.on('data', () => undefined);
    socket.on('end', () => resolve('clean end'));
    socket.on('error', (error) => resolve('code' in error ? String(error.code) : 'error'));
  });
  assert.equal(ended, 'ECONNRESET');
});

test('silence in mid-stream beyond the limit breaks the stream', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url, remote: { idleMs: 300 } });
  upstream.script = { type: 'stall', chunks: [sse] };
  const answer = await send({ url: proxy.url, path, body });
  assert.equal(answer.complete, false);
  assert.equal([...proxy.gateway.settled.values()][0]?.error, 'UPSTREAM_TIMEOUT');
});

/** Milliseconds from a client's leaving to the upstream's closed connection: the median of five rounds. */
async function closesAfter(
  t: TestContext,
  script: UpstreamScript,
  leave: (socket: Socket) => Promise<void>,
): Promise<{ readonly milliseconds: number; readonly proxy: TestProxy }> {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  upstream.script = script;
  const took: number[] = [];
  for (let round = 1; round <= 5; round += 1) {
    const socket = await rawClient(t, proxy.port, rawPost(body));
    const seen = await upstream.arrived(round);
    await leave(socket);
    const left = performance.now();
    socket.destroy();
    took.push((await seen.closed) - left);
  }
  took.sort((one, other) => one - other);
  return { milliseconds: took[2] ?? Infinity, proxy };
}

test('a client that leaves before the head closes the upstream within 50 ms', async (t) => {
  const { milliseconds, proxy } = await closesAfter(t, { type: 'hang' }, async () => undefined);
  assert(milliseconds < 50, `upstream closed after ${milliseconds.toFixed(1)} ms`);
  const outcomes = [...proxy.gateway.settled.values()];
  assert.equal(outcomes.length, 5);
  for (const { status, error } of outcomes) assert.deepEqual([status, error], [null, 'ABORTED']);
});

test('a client that leaves in mid-stream closes the upstream within 50 ms', async (t) => {
  const { milliseconds, proxy } = await closesAfter(
    t,
    { type: 'stall', chunks: [sse] },
    (socket) => new Promise((resolve) => socket.once('data', () => resolve())),
  );
  assert(milliseconds < 50, `upstream closed after ${milliseconds.toFixed(1)} ms`);
  for (const { status, error } of proxy.gateway.settled.values()) {
    assert.deepEqual([status, error], [200, 'ABORTED']);
  }
});

test('a client that leaves in mid-upload closes the upstream', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  upstream.script = { type: 'custom', early: true, answer: (request) => void request.resume() };
  const head = 'POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nstart';
  const socket = await rawClient(t, proxy.port, head);
  const seen = await upstream.arrived(1);
  socket.destroy();
  await seen.closed;
});

test('a client that half-closes politely is gone as well', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  upstream.script = { type: 'hang' };
  const socket = await rawClient(t, proxy.port, rawPost(body));
  const seen = await upstream.arrived(1);
  const left = performance.now();
  socket.end();
  const took = (await seen.closed) - left;
  assert(took < 50, `upstream closed after ${took.toFixed(1)} ms`);
});

test('a client that leaves while its prompt is scored aborts the scoring and nothing is sent', async (t) => {
  const upstream = await startFakeUpstream(t);
  let aborted: ((at: number) => void) | null = null;
  const abortedAt = new Promise<number>((resolve) => (aborted = resolve));
  let started: (() => void) | null = null;
  const scoring = new Promise<void>((resolve) => (started = resolve));
  const proxy = await startProxy(t, {
    upstream: upstream.url,
    prepare: ({ signal, body: bytes }) =>
      new Promise((resolve) => {
        started?.();
        signal?.addEventListener('abort', () => {
          aborted?.(performance.now());
          resolve(bytes);
        });
      }),
  });
  upstream.requests.length = 0;
  const socket = await rawClient(t, proxy.port, rawPost(body));
  await scoring;
  const left = performance.now();
  socket.destroy();
  assert((await abortedAt) - left < 50);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(upstream.requests.length, 0);
  assert.equal([...proxy.gateway.settled.values()][0]?.error, 'ABORTED');
});

test('a client that leaves while it sends its body costs nothing upstream', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  const socket = await rawClient(t, proxy.port, rawPost(body).slice(0, -20));
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(upstream.requests.length, 0);
  assert.equal(proxy.gateway.settled.size, 0);
});

test('a defect of ours does not lose the request', async (t) => {
  const upstream = await startFakeUpstream(t, { type: 'answer', body: '{"ok":1}' });
  const proxy = await startProxy(t, {
    upstream: upstream.url,
    prepare: () => Promise.reject(new TypeError('a defect')),
  });
  upstream.requests.length = 0;
  const answer = await send({ url: proxy.url, path, body });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['x-sluice-decision'], 'failed-open');
  assert.equal(upstream.requests[0]?.body.toString(), body);
  assert.equal(proxy.defects.length, 1);
});

test('an upstream that answers before it has read an upload still reaches the client', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.script = {
    type: 'custom',
    early: true,
    answer: (request, response) => {
      request.resume();
      response.writeHead(413, { 'content-type': 'text/plain' });
      response.end('too large');
    },
  };
  const answer = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const { hostname, port } = new URL(proxy.url);
    const request = httpRequest(
      { hostname, port, method: 'POST', path: '/v1/files', agent: false },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on('error', reject);
    request.write(Buffer.alloc(256 * 1024));
    setTimeout(() => request.end(), 200);
  });
  assert.deepEqual(answer, { status: 413, text: 'too large' });
});

test('a client that falls silent within its body is cut off', async (t) => {
  let ended: ((result: unknown) => void) | undefined;
  const result = new Promise((resolve) => (ended = resolve));
  const server = createHttpServer((request) => {
    void bufferBody(request, { limit: 1000, silenceMs: 100 }).then(ended);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  const socket = await rawClient(t, address.port, rawPost('x'.repeat(100)).slice(0, -50));
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  assert.equal(await result, null);
});
