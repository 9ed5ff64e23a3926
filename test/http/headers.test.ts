/** Header rules: as pure functions, and as both ends see them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connectionOptions,
  forwardedResponseHeaders,
  splitRequestHeaders,
} from '../../src/http/headers.ts';
import { startFakeUpstream } from '../helpers/fake-upstream.ts';
import { startProxy } from '../helpers/proxy.ts';
import { send } from '../helpers/raw-client.ts';

const requestCases: readonly {
  readonly name: string;
  readonly given: readonly string[];
  readonly want: readonly string[];
}[] = [
  {
    name: 'end-to-end fields keep case, order and duplicates',
    given: ['X-B', '2', 'accept', 'a/b', 'X-b', '3', 'Cookie', 'a=1'],
    want: ['X-B', '2', 'accept', 'a/b', 'X-b', '3', 'Cookie', 'a=1'],
  },
  {
    name: 'hop-by-hop fields stay behind',
    given: ['Keep-Alive', 'x', 'TE', 'trailers', 'Transfer-Encoding', 'chunked', 'Upgrade', 'h2c'],
    want: [],
  },
  {
    name: 'credentials for a proxy stay behind, those for the origin do not',
    given: ['Proxy-Authorization', 'Basic x', 'Authorization', 'Bearer y', 'Proxy-Connection', 'z'],
    want: ['Authorization', 'Bearer y'],
  },
  {
    name: 'fields that Connection names stay behind',
    given: ['Connection', 'close, X-Hop ,keep-alive', 'x-hop', '1', 'X-Stay', '2'],
    want: ['X-Stay', '2'],
  },
  {
    name: 'Connection cannot name framing away',
    given: ['Connection', 'Content-Length', 'Content-Type', 'a/b'],
    want: ['Content-Type', 'a/b'],
  },
  {
    name: 'wishes to Sluice, host and expectations stay behind',
    given: ['X-Sluice-Rate', '0.5', 'Host', 'h', 'Expect', '100-continue', 'Trailer', 'x'],
    want: [],
  },
  {
    name: 'accept-encoding goes on as it came',
    given: ['Accept-Encoding', 'gzip;q=1.0, br'],
    want: ['Accept-Encoding', 'gzip;q=1.0, br'],
  },
];

for (const { name, given, want } of requestCases) {
  test(`request: ${name}`, () => assert.deepEqual(splitRequestHeaders(given).forwarded, want));
}

test('the head tells framing, coding and wishes', () => {
  const head = splitRequestHeaders([
    'Content-Length',
    '12',
    'Content-Encoding',
    'gzip',
    'content-encoding',
    'br',
    'X-Sluice-Method',
    ' llmlingua2 ',
  ]);
  assert.equal(head.contentLength, 12);
  assert.equal(head.contentEncoding, 'gzip, br');
  assert.equal(head.chunked, false);
  assert.equal(head.sluice?.get('x-sluice-method'), 'llmlingua2');
  assert.equal(splitRequestHeaders(['Transfer-Encoding', 'chunked']).chunked, true);
});

test('response: duplicates stay, hop-by-hop fields and foreign x-sluice fields go', () => {
  const given = [
    'Set-Cookie',
    'a=1',
    'set-cookie',
    'b=2',
    'Connection',
    'X-Hop',
    'X-Hop',
    '1',
    'Keep-Alive',
    'timeout=5',
    'Transfer-Encoding',
    'chunked',
    'x-sluice-epoch',
    '3',
  ];
  assert.deepEqual(forwardedResponseHeaders(given), ['Set-Cookie', 'a=1', 'set-cookie', 'b=2']);
});

test('connectionOptions is null when nothing is named', () => {
  assert.equal(connectionOptions(['Connection', 'keep-alive', 'A', 'b']), null);
});

/** Raw list as lower-case name to values. */
function grouped(raw: readonly string[]): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    map.set(name, [...(map.get(name) ?? []), raw[at + 1]!]);
  }
  return map;
}

test('both ends see each other, with the hops taken out', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  upstream.script = {
    type: 'answer',
    status: 201,
    headers: [
      'Content-Type',
      'application/json',
      'Set-Cookie',
      'a=1; Path=/',
      'Set-Cookie',
      'b=2',
      'X-Request-Id',
      'up-1',
      'X-Latin',
      'caf\u00e9',
      'Connection',
      'X-Private',
      'X-Private',
      'secret',
      'Server',
      'fake',
      'Date',
      'Sat, 01 Jan 2000 00:00:00 GMT',
    ],
    body: Buffer.from('{}'),
  };
  // Bytes, since node:http writes the head in the encoding of a string body.
  const body = Buffer.from('{"model":"m","messages":[]}');
  const answer = await send({
    url: proxy.url,
    path: '/v1/chat/completions?api-version=1&x=%20y',
    body,
    headers: {
      authorization: 'Bearer sk-test',
      'openai-organization': 'org',
      'x-sluice-rate': '0.5',
      'X-Sluice-Session': 's1',
      'accept-encoding': 'gzip',
      'content-type': 'application/json',
      'content-length': String(body.length),
      connection: 'close, x-drop',
      'x-drop': 'me',
      'x-latin': 'caf\u00e9',
    },
  });
  const [seen] = upstream.requests;
  assert(seen !== undefined);
  assert.equal(seen.url, '/v1/chat/completions?api-version=1&x=%20y');
  assert.equal(seen.headers.authorization, 'Bearer sk-test');
  assert.equal(seen.headers['openai-organization'], 'org');
  assert.equal(seen.headers['accept-encoding'], 'gzip');
  assert.equal(seen.headers['x-latin'], 'caf\u00e9');
  assert.equal(seen.headers.host, `127.0.0.1:${upstream.port}`);
  assert.equal(seen.headers['content-length'], String(body.length));
  assert.equal(seen.headers['x-drop'], undefined);
  assert(!seen.rawHeaders.some((name) => name.toLowerCase().startsWith('x-sluice')));
  assert.deepEqual(proxy.gateway.prepared[0]?.wishes, { rate: 0.5, session: 's1' });

  assert.equal(answer.status, 201);
  const got = grouped(answer.rawHeaders);
  assert.deepEqual(got.get('set-cookie'), ['a=1; Path=/', 'b=2']);
  assert.deepEqual(got.get('x-latin'), ['caf\u00e9']);
  assert.deepEqual(got.get('server'), ['fake']);
  assert.deepEqual(got.get('date'), ['Sat, 01 Jan 2000 00:00:00 GMT']);
  assert.equal(got.get('x-private'), undefined);
  assert.equal(got.get('x-sluice-request-id')?.length, 1);
  assert.equal(got.get('via'), undefined);
});

test('a base path in the upstream URL stands before every path', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: `${upstream.url}/base/` });
  upstream.requests.length = 0;
  await send({ url: proxy.url, path: '/v1/models?a=1' });
  assert.equal(upstream.requests[0]?.url, '/base/v1/models?a=1');
});

test('an absolute request target is taken as its path', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  const answer = await send({ url: proxy.url, path: 'http://example.org/v1/models?a=1' });
  assert.equal(answer.status, 200);
  assert.equal(upstream.requests[0]?.url, '/v1/models?a=1');
});

const wrongWishes: readonly [string, string][] = [
  ['x-sluice-compress', 'maybe'],
  ['x-sluice-rate', '0'],
  ['x-sluice-rate', '1.5'],
  ['x-sluice-rate', 'half'],
  ['x-sluice-target-tokens', '-3'],
  ['x-sluice-method', 'magic'],
  ['x-sluice-windows', '0'],
  ['x-sluice-windows', '4000'],
  ['x-sluice-windows', 'many'],
];

test('a wish that cannot be understood is refused by name, in the dialect shape', async (t) => {
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.requests.length = 0;
  for (const [name, value] of wrongWishes) {
    const answer = await send({
      url: proxy.url,
      path: '/v1/chat/completions',
      body: '{}',
      headers: { [name]: value },
    });
    assert.equal(answer.status, 400, `${name}: ${value}`);
    const { error } = JSON.parse(answer.body.toString());
    assert.equal(error.type, 'invalid_request_error');
    assert.match(error.message, new RegExp(`^Header ${name}: '${value.replace('.', '\\.')}'`));
  }
  assert.equal(upstream.requests.length, 0);
});

test('the tenant header counts only behind a trusted hop', async (t) => {
  const upstream = await startFakeUpstream(t);
  for (const trustTenantHeader of [false, true]) {
    const proxy = await startProxy(t, { upstream: upstream.url, trustTenantHeader });
    await send({
      url: proxy.url,
      path: '/v1/chat/completions',
      body: '{}',
      headers: { 'x-sluice-tenant': 'acme' },
    });
    assert.equal(proxy.gateway.prepared[0]?.tenant, trustTenantHeader ? 'acme' : 'default');
  }
});
