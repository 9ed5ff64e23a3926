import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createClient } from '../../src/client/index.ts';
import type { CompressTextResponse, Problem } from '../../src/client/index.ts';

interface Recorded {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: unknown;
}

/** A server that records requests and gives one answer to all of them. */
async function serve(
  t: TestContext,
  answer: Answer,
): Promise<{ readonly url: string; readonly requests: Recorded[] }> {
  const requests: Recorded[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      requests.push({ method, url, headers, body });
      response.writeHead(answer.status, { 'content-type': answer.type });
      response.end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests };
}

const shortened: CompressTextResponse = {
  text: 'short',
  context: ['short'],
  report: {
    tokens_before: 2,
    tokens_after: 1,
    tokenizer: 'scout@1',
    estimated: true,
    budget_tokens: 1,
    segments: [],
    order: [0],
    notes: [],
    compress_ms: 1,
  },
};

const problem: Problem = {
  type: 'urn:sluice:error:NOT_FOUND',
  title: 'Not found',
  status: 404,
  detail: "No original text with hash 'abc'",
  code: 'NOT_FOUND',
  remedy: 'Check the identifier; old entries are evicted.',
  request_id: '1',
};

test('a POST sends the typed body and gives the typed answer', async (t) => {
  const { url, requests } = await serve(t, {
    status: 200,
    type: 'application/json',
    body: shortened,
  });
  const client = createClient({ baseUrl: url, headers: { 'x-sluice-tenant': 'a' } });
  const { data, error } = await client.POST('/v1/compress', {
    body: { text: 'a long text', rate: 0.5 },
  });
  assert.equal(error, undefined);
  assert.deepEqual(data, shortened);
  const [request] = requests;
  assert.equal(request?.method, 'POST');
  assert.equal(request.url, '/v1/compress');
  assert.deepEqual(JSON.parse(request.body), { text: 'a long text', rate: 0.5 });
  assert.equal(request.headers['x-sluice-tenant'], 'a');
  assert.equal(request.headers['content-type'], 'application/json');
});

test('path parameters are filled in and escaped', async (t) => {
  const { url, requests } = await serve(t, {
    status: 200,
    type: 'application/json',
    body: { original_content: 'text' },
  });
  const client = createClient({ baseUrl: url });
  const { data } = await client.GET('/v1/retrieve/{hash}', { params: { path: { hash: 'a/b' } } });
  assert.equal(data?.original_content, 'text');
  assert.equal(requests[0]?.url, '/v1/retrieve/a%2Fb');
});

test('an error is the problem document, not an exception', async (t) => {
  const { url } = await serve(t, { status: 404, type: 'application/problem+json', body: problem });
  const client = createClient({ baseUrl: url });
  const { data, error, response } = await client.GET('/v1/retrieve/{hash}', {
    params: { path: { hash: 'abc' } },
  });
  assert.equal(data, undefined);
  assert.equal(error?.code, 'NOT_FOUND');
  assert.equal(response.status, 404);
});

test('a fetch of the caller takes the place of the global one', async () => {
  const seen: string[] = [];
  const client = createClient({
    baseUrl: 'http://sluice.test',
    fetch: (request) => {
      seen.push(request.url);
      return Promise.resolve(Response.json({ status: 'ok', version: '1' }));
    },
  });
  const { data } = await client.GET('/healthz');
  assert.deepEqual(data, { status: 'ok', version: '1' });
  assert.deepEqual(seen, ['http://sluice.test/healthz']);
});

/** Never called: what must not compile. */
export function mustNotCompile(): void {
  const client = createClient({ baseUrl: '' });
  // @ts-expect-error no such route
  void client.GET('/v1/nothing');
  // @ts-expect-error compress is a POST
  void client.GET('/v1/compress');
  // @ts-expect-error the rate is a number
  void client.POST('/v1/compress', { body: { text: 'a', rate: 'half' } });
}
