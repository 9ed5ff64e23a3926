/** Several backends behind the real gateway and server: where requests go, and what their placement hears. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { createRemoteBackend } from '../../src/backends/remote.ts';
import type { Backend } from '../../src/backends/types.ts';
import type { RequestReport } from '../../src/core/report.ts';
import type { Placed, Placement, PlacementRequest } from '../../src/reuse/types.ts';
import { startFakeUpstream, type FakeUpstream } from '../helpers/fake-upstream.ts';
import { longDocument, testGateway } from '../helpers/gateway.ts';
import { serveGateway } from '../helpers/proxy.ts';

const answer = (cached: number): string =>
  JSON.stringify({
    choices: [],
    usage: {
      prompt_tokens: 900,
      completion_tokens: 2,
      prompt_tokens_details: { cached_tokens: cached },
    },
  });

/** Gives places in a fixed order and notes what it hears. */
function scripted(order: readonly number[]): {
  readonly placement: Placement;
  readonly asked: PlacementRequest[];
  readonly heard: string[];
} {
  const asked: PlacementRequest[] = [];
  const heard: string[] = [];
  const placedAt = (replicas: readonly number[]): Placed | null => {
    const [replica, ...rest] = replicas;
    if (replica === undefined) return null;
    return {
      replica,
      id: `r${replica}`,
      fields: { cache_salt: 's', id_slot: replica },
      forecast: () => ({ tokens: 64 * (replica + 1), exactness: 'exact', blockTokens: 16 }),
      firstToken: () => heard.push(`${replica} first`),
      finish: (reported) => heard.push(`${replica} finish ${reported}`),
      fail(sent) {
        heard.push(`${replica} fail ${sent}`);
        return sent ? null : placedAt(rest);
      },
      cancel: () => heard.push(`${replica} cancel`),
    };
  };
  const placement: Placement = {
    async place(request) {
      asked.push(request);
      return placedAt(order);
    },
    drain: () => undefined,
    state: () => [],
    close: async () => undefined,
  };
  return { placement, asked, heard };
}

function remote(url: string): Promise<Backend> {
  return createRemoteBackend({
    url,
    kind: 'openai',
    connectMs: 2000,
    headMs: 30_000,
    idleMs: 30_000,
    tokenizer: null,
  });
}

async function serve(
  t: TestContext,
  urls: readonly string[],
  placement: Placement,
): Promise<{
  readonly post: (body: object, headers?: Record<string, string>) => Promise<Response>;
  readonly report: (response: Response) => Promise<RequestReport | null>;
}> {
  const backends = await Promise.all(urls.map(remote));
  t.after(() => Promise.all(backends.map((backend) => backend.close())));
  const gateway = testGateway({ backends, placement });
  const { url } = await serveGateway(t, gateway);
  return {
    post: (body, headers = {}) =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    async report(response) {
      await response.text();
      return gateway.report(response.headers.get('x-sluice-request-id') ?? '', 'default');
    },
  };
}

const chat = {
  model: 'm',
  messages: [
    { role: 'user', content: `<document>\n${longDocument(1)}\n</document>\n\nWhich one?` },
  ],
};

async function upstreams(t: TestContext, count: number): Promise<FakeUpstream[]> {
  return Promise.all(
    Array.from({ length: count }, () => startFakeUpstream(t, { type: 'answer', body: answer(64) })),
  );
}

test('a request goes where it was placed, with the fields of the place, and the place hears its end', async (t) => {
  const [one, two] = await upstreams(t, 2);
  assert.ok(one !== undefined && two !== undefined);
  const { placement, asked, heard } = scripted([1]);
  const { post, report } = await serve(t, [one.url, two.url], placement);
  one.requests.length = 0;
  two.requests.length = 0;
  const response = await post(chat, { 'x-sluice-session': 'mine' });
  assert.equal(response.headers.get('x-sluice-planned-reuse'), '128');
  const settled = await report(response);
  assert.equal(one.requests.length, 0);
  const [request] = two.requests;
  assert.ok(request !== undefined);
  const forwarded = JSON.parse(request.body.toString()) as Record<string, unknown>;
  assert.equal(forwarded['cache_salt'], 's');
  assert.equal(forwarded['id_slot'], 1);
  assert.equal(request.headers['content-length'], String(request.body.byteLength));
  assert.equal(asked[0]?.session, JSON.stringify(['default', 'mine']));
  assert.equal(asked[0]?.model, 'm');
  assert.deepEqual(heard, ['1 finish 64']);
  assert.equal(settled?.reuse?.replica, 'r1');
  assert.equal(settled.reuse.exactness, 'exact');
  assert.equal(settled.plannedReuse, 128);
  assert.equal(settled.reportedReuse, 64);
});

test('with compression off requests are placed by their bytes all the same', async (t) => {
  const [one, two] = await upstreams(t, 2);
  assert.ok(one !== undefined && two !== undefined);
  const { placement, asked } = scripted([1]);
  const { post } = await serve(t, [one.url, two.url], placement);
  two.requests.length = 0;
  await (await post(chat, { 'x-sluice-compress': 'off' })).text();
  assert.equal(asked.length, 1);
  const forwarded = JSON.parse(two.requests[0]?.body.toString() ?? '') as typeof chat;
  assert.deepEqual(forwarded.messages, chat.messages);
});

test('a request that could not be sent goes to the next place, once for each backend', async (t) => {
  const [one, two] = await upstreams(t, 2);
  assert.ok(one !== undefined && two !== undefined);
  const { placement, heard } = scripted([0, 1]);
  const { post, report } = await serve(t, [one.url, two.url], placement);
  await one.stop();
  const response = await post(chat);
  assert.equal(response.status, 200);
  const settled = await report(response);
  assert.equal(settled?.reuse?.replica, 'r1');
  assert.match(response.headers.get('x-sluice-backend') ?? '', new RegExp(`${two.port}`));
  assert.equal(response.headers.get('x-sluice-planned-reuse'), '128');
  assert.deepEqual(heard, ['0 fail false', '1 finish 64']);
  heard.length = 0;
  await two.stop();
  const failed = await post(chat);
  assert.equal(failed.status, 502);
  assert.deepEqual(heard, ['0 fail false', '1 fail false'], 'each place ends once');
});

test('a request that was sent is not sent again', async (t) => {
  const [one, two] = await upstreams(t, 2);
  assert.ok(one !== undefined && two !== undefined);
  const { placement, heard } = scripted([0, 1]);
  const { post } = await serve(t, [one.url, two.url], placement);
  one.script = { type: 'close' };
  two.requests.length = 0;
  assert.equal((await post(chat)).status, 502);
  assert.equal(two.requests.length, 0);
  assert.deepEqual(heard, ['0 fail true']);
  heard.length = 0;
  one.script = { type: 'answer', status: 503, body: '{}' };
  assert.equal((await post(chat)).status, 503);
  one.script = { type: 'answer', status: 400, body: '{}' };
  assert.equal((await post(chat)).status, 400);
  assert.deepEqual(heard, ['0 fail true', '0 finish null']);
});

test('the first byte of a stream is told, and a client that goes away cancels', async (t) => {
  const [one, two] = await upstreams(t, 2);
  assert.ok(one !== undefined && two !== undefined);
  const { placement, heard } = scripted([0]);
  const { post } = await serve(t, [one.url, two.url], placement);
  one.script = { type: 'chunks', chunks: ['data: {}\n\n', 'data: [DONE]\n\n'] };
  await (await post({ ...chat, stream: true })).text();
  assert.deepEqual(heard, ['0 first', '0 finish null']);
  heard.length = 0;
  one.script = { type: 'stall', chunks: ['data: {}\n\n'] };
  const response = await post({ ...chat, stream: true });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  while (heard.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(heard, ['0 first', '0 cancel']);
});

test('a forecast that comes while the request is on its way stands in the header and in the report', async (t) => {
  const [one] = await upstreams(t, 1);
  assert.ok(one !== undefined);
  const { placement } = scripted([0]);
  let known = false;
  const late: Placement = {
    ...placement,
    async place(request) {
      const placed = await placement.place(request);
      if (placed === null) return null;
      const forecast = placed.forecast();
      return { ...placed, forecast: () => (known ? forecast : null) };
    },
  };
  const { post, report } = await serve(t, [one.url], late);
  one.script = {
    type: 'custom',
    answer: (_request, response) => {
      known = true;
      response.end(answer(64));
    },
  };
  const response = await post(chat);
  assert.equal(response.headers.get('x-sluice-planned-reuse'), '64');
  assert.equal((await report(response))?.plannedReuse, 64);
});
