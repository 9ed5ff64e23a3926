/** Bytes in are bytes out, in both directions. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Agent } from 'node:http';
import { anyMentionsSluice } from '../../src/http/request-body.ts';
import { sha256, startFakeUpstream, type FakeUpstream } from '../helpers/fake-upstream.ts';
import { startProxy, type TestProxy } from '../helpers/proxy.ts';
import { send } from '../helpers/raw-client.ts';
import { adversarialBodies } from '../wire/fidelity-bodies.ts';

/** Many POSTs over one kept-alive connection; resolves with the statuses. */
async function postAll(
  proxy: TestProxy,
  cases: readonly { readonly path: string; readonly body: Buffer; readonly chunked?: boolean }[],
  headers: Record<string, string>,
): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const statuses: number[] = [];
  for (const { path, body, chunked } of cases) {
    statuses.push(
      await new Promise<number>((resolve, reject) => {
        const length: Record<string, string> =
          chunked === true
            ? { 'transfer-encoding': 'chunked' }
            : { 'content-length': String(body.length) };
        const request = httpRequest(
          `${proxy.url}${path}`,
          { method: 'POST', agent, headers: { ...headers, ...length } },
          (response) => {
            response.resume();
            response.on('end', () => resolve(response.statusCode ?? 0));
          },
        );
        request.on('error', reject);
        request.end(body);
      }),
    );
  }
  agent.destroy();
  return statuses;
}

async function replay(
  t: TestContext,
  options: { readonly enabled: boolean; readonly headers: Record<string, string> },
): Promise<void> {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url, enabled: options.enabled });
  upstream.requests.length = 0;
  // Bodies with `sluice` fields are the gateway's to clean; the rest must arrive as sent.
  const cases = adversarialBodies.filter(({ body, forwarded }) => body.equals(forwarded));
  assert(cases.length >= 190, `only ${cases.length} bodies`);
  const statuses = await postAll(proxy, cases, {
    'content-type': 'application/json',
    ...options.headers,
  });
  assert(statuses.every((status) => status === 200));
  assert.equal(upstream.requests.length, cases.length);
  for (const [at, { name, body, path }] of cases.entries()) {
    const seen = upstream.requests[at];
    assert.equal(seen?.sha256, sha256(body), name);
    assert.equal(seen?.url, path, name);
    assert.equal(seen?.headers['content-length'], String(body.length), name);
  }
}

test('adversarial bodies arrive as sent: switched off by header', (t) =>
  replay(t, { enabled: true, headers: { 'x-sluice-compress': 'off' } }));
test('adversarial bodies arrive as sent: switched off by configuration', (t) =>
  replay(t, { enabled: false, headers: {} }));
test('adversarial bodies arrive as sent: looked at and not changed', (t) =>
  replay(t, { enabled: true, headers: {} }));

test('a body with sluice fields goes through the gateway even when switched off', async (t) => {
  const upstream = await startFakeUpstream(t);
  const cleaned = Buffer.from('{"messages":[]}');
  const proxy = await startProxy(t, { upstream: upstream.url, prepare: async () => cleaned });
  upstream.requests.length = 0;
  const sent = Buffer.from('{"messages":[],"sluice":{"rate":0.5}}');
  await postAll(proxy, [{ path: '/v1/chat/completions', body: sent }], {
    'x-sluice-compress': 'off',
  });
  assert.equal(upstream.requests[0]?.body.toString(), cleaned.toString());
  assert.equal(upstream.requests[0]?.headers['content-length'], String(cleaned.length));
  assert.equal(proxy.gateway.prepared[0]?.wishes.compress, false);
});

test('a sluice field is seen wherever the chunks are cut', () => {
  const body = Buffer.from('{"messages":[],"sluice":{"rate":0.5}}');
  for (let size = 1; size <= body.length; size += 1) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < body.length; at += size) chunks.push(body.subarray(at, at + size));
    assert.equal(anyMentionsSluice(chunks), true, `chunks of ${size} bytes`);
  }
  assert.equal(
    anyMentionsSluice([Buffer.from('{"messages":[{"slu'), Buffer.from('g":1}]}')]),
    false,
  );
});

test('switched off, a long body streams through as it comes', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url, enabled: false });
  upstream.requests.length = 0;
  const path = '/v1/chat/completions';
  const body = Buffer.from(`{"messages":[{"role":"user","content":"${'long '.repeat(100_000)}"}]}`);
  await postAll(
    proxy,
    [
      { path, body },
      { path, body, chunked: true },
    ],
    {},
  );
  assert.deepEqual(
    upstream.requests.map(({ sha256: sum, headers }) => [sum, headers['content-length'] ?? null]),
    [
      [sha256(body), String(body.length)],
      [sha256(body), null],
    ],
  );
  assert.deepEqual(
    proxy.gateway.bypassed.map(({ reason }) => reason),
    ['off-by-config', 'off-by-config'],
  );
});

test('chunked, encoded and oversized bodies arrive as sent, with the reason', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url, inspectBytes: 100_000 });
  upstream.requests.length = 0;
  const path = '/v1/chat/completions';
  const small = Buffer.from('{"messages":[{"role":"user","content":"\u00e9"}]}');
  const large = Buffer.alloc(300_000, '{"messages": ');
  const cases = [
    { path, body: small, chunked: true },
    { path, body: large },
    { path, body: large, chunked: true },
  ];
  await postAll(proxy, cases, {});
  await postAll(proxy, [{ path, body: gzipSync(small) }], { 'content-encoding': 'gzip' });
  const want = [small, large, large, gzipSync(small)].map((body) => sha256(body));
  assert.deepEqual(
    upstream.requests.map((seen) => seen.sha256),
    want,
  );
  assert.equal(upstream.requests[3]?.headers['content-encoding'], 'gzip');
  assert.deepEqual(
    proxy.gateway.bypassed.map(({ reason }) => reason),
    ['body-too-large', 'body-too-large', 'content-encoding'],
  );
  assert.equal(proxy.gateway.prepared.length, 1);
});

test('a changed body gets its own length, other paths and methods pass as they are', async (t) => {
  const upstream = await startFakeUpstream(t);
  const shorter = Buffer.from('{"messages":[{"role":"user","content":"kurz \u00e9"}]}');
  const proxy = await startProxy(t, { upstream: upstream.url, prepare: async () => shorter });
  upstream.requests.length = 0;
  const url = proxy.url;
  await send({ url, path: '/v1/chat/completions', body: '{"messages":[]}' });
  assert.equal(upstream.requests[0]?.headers['content-length'], String(shorter.length));
  assert.equal(upstream.requests[0]?.sha256, sha256(shorter));
  const upload = Buffer.alloc(200_000, 7);
  await send({ url, method: 'DELETE', path: '/v1/files/f-1' });
  await send({ url, method: 'OPTIONS', path: '/v1/anything' });
  await send({ url, method: 'PUT', path: '/v1/files', body: upload });
  await send({ url, method: 'PATCH', path: '/x/../y//z?q', body: 'p' });
  await send({ url, method: 'GET', path: '/v1/chat/completions' });
  const seen = upstream.requests.slice(1);
  assert.deepEqual(
    seen.map(({ method, url: target }) => `${method} ${target}`),
    [
      'DELETE /v1/files/f-1',
      'OPTIONS /v1/anything',
      'PUT /v1/files',
      'PATCH /x/../y//z?q',
      'GET /v1/chat/completions',
    ],
  );
  assert.equal(seen[2]?.sha256, sha256(upload));
});

const event = (text: string): string => `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;

/** Event streams by what makes them hard. Bytes are split at every `|`. */
const streams: Readonly<Record<string, readonly (string | Uint8Array)[]>> = {
  'plain events and [DONE]': [event('a'), event('b'), 'data: [DONE]\n\n'],
  'comments and pings': [': ping\n\n', 'event: ping\ndata: {"type":"ping"}\n\n', event('a')],
  'multi-line data': ['data: {"a":\ndata: 1}\n\n', 'data:no space\n\n'],
  'CRLF line ends': ['data: 1\r\n\r\ndata: 2\r\n', '\r\n'],
  'lone CR line ends': ['data: 1\r\rdata: 2\r', '\r'],
  'a byte order mark': [Buffer.from([0xef, 0xbb, 0xbf]), event('a')],
  'UTF-8 split across chunks': [
    'data: "',
    Buffer.from('\u{1f600}').subarray(0, 1),
    Buffer.from('\u{1f600}').subarray(1, 3),
    Buffer.from('\u{1f600}').subarray(3),
    '"\n\n',
  ],
  'an event split inside its key': ['da', 'ta: {"x"', ':1}', '\n', '\n'],
  'an error event': ['event: error\ndata: {"error":{"message":"boom"}}\n\n'],
  'ids, retries and empty events': ['id: 7\nretry: 10\n\n', '\n\n', 'data\n\n', 'data: \n\n'],
  'invalid UTF-8': [Buffer.from([0x64, 0xff, 0xfe, 0x0a, 0x0a])],
  'no end of the last event': ['data: {"half":'],
  'one byte at a time': [...Buffer.from(event('xyz'))].map((byte) => Buffer.from([byte])),
};

async function streamThrough(
  upstream: FakeUpstream,
  proxy: TestProxy,
  chunks: readonly (string | Uint8Array)[],
  encoded = false,
): Promise<void> {
  const headers = ['content-type', 'text/event-stream', 'cache-control', 'no-cache'];
  if (encoded) headers.push('content-encoding', 'gzip');
  upstream.script = { type: 'chunks', chunks, headers };
  const answer = await send({
    url: proxy.url,
    path: '/v1/chat/completions',
    body: '{"stream":true}',
  });
  assert.equal(answer.complete, true);
  assert.equal(answer.headers['content-type'], 'text/event-stream');
  const sent = Buffer.concat(chunks.map((chunk) => Buffer.from(chunk)));
  assert.equal(sha256(answer.body), sha256(sent));
}

test('every event stream comes back with the same bytes', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  for (const chunks of Object.values(streams)) await streamThrough(upstream, proxy, chunks);
});

test('recorded streams come back with the same bytes and their usage is read', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  const folder = join('test', 'fixtures', 'wire');
  const recorded = readdirSync(folder).filter((name) => name.endsWith('.sse.txt'));
  assert(recorded.length >= 3);
  for (const name of recorded) {
    const bytes = readFileSync(join(folder, name));
    const chunks: Buffer[] = [];
    // Odd sizes, so that events and characters are cut anywhere.
    for (let at = 0, size = 7; at < bytes.length; at += size, size = (size * 3) % 257) {
      chunks.push(bytes.subarray(at, at + size));
    }
    await streamThrough(upstream, proxy, chunks);
    const outcome = [...proxy.gateway.settled.values()].at(-1);
    assert.equal(typeof outcome?.usage?.promptTokens, 'number', name);
  }
});

test('an encoded stream passes and nobody guesses its usage', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  const bytes = gzipSync('data: {"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n');
  await streamThrough(upstream, proxy, [bytes.subarray(0, 9), bytes.subarray(9)], true);
  assert.equal([...proxy.gateway.settled.values()].at(-1)?.usage, null);
});

test('chunks are passed on when they come, the head before the first of them', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  let sendMore: ((chunk: string | null) => void) | undefined;
  upstream.script = {
    type: 'custom',
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      sendMore = (chunk) => (chunk === null ? response.end() : response.write(chunk));
    },
  };
  const seen: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const request = httpRequest(
      `${proxy.url}/v1/chat/completions`,
      { method: 'POST', agent: false },
      (response) => {
        seen.push('head');
        sendMore?.('one');
        response.on('data', (chunk: Buffer) => {
          seen.push(chunk.toString());
          sendMore?.(chunk.toString() === 'one' ? 'two' : null);
        });
        response.on('end', resolve);
      },
    );
    request.on('error', reject);
    request.end('{}');
  });
  assert.deepEqual(seen, ['head', 'one', 'two']);
});

test('answers without a body, interim answers and trailers', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  const url = proxy.url;
  upstream.script = { type: 'answer', status: 204, headers: [] };
  const none = await send({ url, method: 'DELETE', path: '/v1/files/1' });
  assert.deepEqual([none.status, none.body.length, none.complete], [204, 0, true]);
  upstream.script = { type: 'answer', status: 304, headers: ['etag', '"x"'] };
  const same = await send({ url, path: '/v1/models' });
  assert.deepEqual([same.status, same.headers.etag], [304, '"x"']);
  upstream.script = { type: 'answer', headers: ['content-length', '42', 'content-type', 'a/b'] };
  const head = await send({ url, method: 'HEAD', path: '/v1/models' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '42', 0]);
  upstream.script = {
    type: 'custom',
    answer: (_request, response) => {
      response.writeProcessing();
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.writeHead(418, 'Short And Stout', { 'content-type': 'text/plain' });
      response.end('teapot');
    },
  };
  const odd = await send({ url, path: '/v1/models' });
  assert.deepEqual(
    [odd.status, odd.statusText, odd.body.toString()],
    [418, 'Short And Stout', 'teapot'],
  );
  upstream.script = {
    type: 'chunks',
    chunks: ['a', 'b'],
    headers: ['trailer', 'x-sum'],
    trailers: [['x-sum', '99']],
  };
  const trailed = await send({ url, path: '/v1/models' });
  assert.deepEqual([trailed.body.toString(), trailed.trailers['x-sum']], ['ab', '99']);
});

test('Expect: 100-continue is answered here and the body arrives', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  const continued = await new Promise<boolean>((resolve, reject) => {
    let asked = false;
    const request = httpRequest(
      `${proxy.url}/v1/chat/completions`,
      {
        method: 'POST',
        agent: false,
        headers: { expect: '100-continue', 'content-length': '15' },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(asked));
      },
    );
    request.on('error', reject);
    request.on('continue', () => {
      asked = true;
      request.end('{"messages":[]}');
    });
    request.flushHeaders();
  });
  assert.equal(continued, true);
  assert.equal(upstream.requests[0]?.body.toString(), '{"messages":[]}');
  assert.equal(upstream.requests[0]?.headers.expect, undefined);
});

test('an Upgrade offer is ignored, except that a WebSocket is refused aloud', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  const offer = await send({
    url: proxy.url,
    path: '/v1/chat/completions',
    body: '{}',
    headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAM' },
  });
  assert.equal(offer.status, 200);
  assert.equal(upstream.requests[0]?.headers.upgrade, undefined);
  assert.equal(upstream.requests[0]?.headers['http2-settings'], undefined);
  const refused = await send({
    url: proxy.url,
    path: '/v1/realtime',
    headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
  });
  assert.equal(refused.status, 400);
  assert.equal(JSON.parse(refused.body.toString()).error.code, 'REQUEST_INVALID');
  assert.equal(upstream.requests.length, 1);
});
