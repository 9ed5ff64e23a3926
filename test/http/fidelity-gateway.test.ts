/** Fidelity with compression on: the real gateway between a client and a recording upstream. */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { test, type TestContext } from 'node:test';
import { createRemoteBackend } from '../../src/backends/remote.ts';
import type { Gateway } from '../../src/gateway/types.ts';
import { readRequest } from '../../src/wire/read.ts';
import { sha256, startFakeUpstream, type FakeUpstream } from '../helpers/fake-upstream.ts';
import { serveGateway } from '../helpers/proxy.ts';
import { createModellessGateway } from '../helpers/real-gateway.ts';
import { adversarialBodies } from '../wire/fidelity-bodies.ts';

interface Served {
  readonly upstream: FakeUpstream;
  readonly gateway: Gateway;
  /** POSTs over one connection; resolves with status and request id. */
  readonly post: (
    path: string,
    body: Uint8Array,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; id: string }>;
}

async function serve(
  t: TestContext,
  compress: Readonly<Record<string, unknown>> = {},
): Promise<Served> {
  const upstream = await startFakeUpstream(t);
  const backend = await createRemoteBackend({
    url: upstream.url,
    kind: 'openai',
    connectMs: 2000,
    headMs: 30_000,
    idleMs: 30_000,
    tokenizer: null,
  });
  upstream.requests.length = 0;
  const gateway = createModellessGateway(backend, compress);
  const { url } = await serveGateway(t, gateway);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(async () => {
    agent.destroy();
    await backend.close();
    await gateway.close();
  });
  return {
    upstream,
    gateway,
    post: (path, body, headers = {}) =>
      new Promise((resolve, reject) => {
        const length = { 'content-length': String(body.length) };
        const request = httpRequest(
          `${url}${path}`,
          { method: 'POST', agent, headers: { ...headers, ...length } },
          (response) => {
            response.resume();
            const id = String(response.headers['x-sluice-request-id']);
            response.on('end', () => resolve({ status: response.statusCode ?? 0, id }));
          },
        );
        request.on('error', reject);
        request.end(body);
      }),
  };
}

for (const { name, headers, compress } of [
  { name: 'on, nothing long enough', headers: {}, compress: { min_tokens: 100_000 } },
  { name: 'off by header', headers: { 'x-sluice-compress': 'off' }, compress: {} },
  { name: 'off by configuration', headers: {}, compress: { enabled: false } },
]) {
  test(`adversarial bodies leave as they came, less their sluice fields: ${name}`, async (t) => {
    const { upstream, post } = await serve(t, compress);
    assert(adversarialBodies.length >= 200);
    for (const { path, body } of adversarialBodies) {
      assert.equal((await post(path, body, headers)).status, 200);
    }
    for (const [at, { name: what, forwarded }] of adversarialBodies.entries()) {
      assert.equal(upstream.requests[at]?.sha256, sha256(forwarded), what);
    }
  });
}

const sentences = Array.from(
  { length: 40 },
  (_, at) => `Section ${at} tells of the harbour at ${at + 3} degrees and its ${at * 7} boats.`,
).join(' ');
const document = `<document>${sentences}</document>`;
const question = 'How many boats are in section 12?';

/** Bodies with one long document and, around it, what a parser would not keep. */
const documents: readonly string[] = [
  `{"model":"m","temperature":1.0,"seed":12345678901234567890,"messages":[{"role":"user","content":${JSON.stringify(`${document}\n\n${question}`)}}],"x":1e-7}`,
  `\n{ "messages" : [ {"role":"system","content":"caf\\u00e9 \\ud83d\\ude00"}, {"content":${JSON.stringify(document)} ,"role":"user"},\t{"role":"user","content":"${question}"}] ,"stream":true, "unknown":{"b":[1.00,-0],"a":null}}\n`,
  `{"messages":[{"role":"user","content":[{"type":"text","text":${JSON.stringify(document)}},{"type":"image_url","image_url":{"url":"data:;base64,AA\\/BB=="}},{"type":"text","text":"${question}"}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2.50}}}]}`,
];

test('with compression on, every byte outside the shortened spans stays', async (t) => {
  const { upstream, gateway, post } = await serve(t);
  for (const text of documents) {
    const body = Buffer.from(text);
    const { id } = await post('/v1/chat/completions', body);
    const received = upstream.requests.at(-1)?.body;
    assert(received !== undefined);
    const report = gateway.report(id, 'default');
    assert.equal(report?.decision, 'compressed');
    assert(received.length < body.length);
    assert.equal(upstream.requests.at(-1)?.headers['content-length'], String(received.length));
    const read = readRequest(body, '/v1/chat/completions', {
      contentEncoding: null,
      inspectBytes: 1 << 20,
      bodyWishes: true,
    });
    assert(read.ok);
    const shortened = read.request.spans.filter((_, at) => report?.spans[at]?.original !== null);
    assert(shortened.length > 0);
    // What lies between the shortened spans, in the body as sent, must be found in order in the body as received.
    const untouched: Buffer[] = [];
    const kept: Buffer[] = [];
    let sentAt = 0;
    let receivedAt = 0;
    for (const { byteStart, byteEnd } of [...shortened, { byteStart: body.length, byteEnd: 0 }]) {
      const piece = body.subarray(sentAt, byteStart);
      const found = sentAt === 0 ? 0 : received.indexOf(piece, receivedAt);
      assert(found >= 0, 'an untouched part is missing');
      untouched.push(piece);
      kept.push(received.subarray(found, found + piece.length));
      receivedAt = found + piece.length;
      sentAt = byteEnd;
    }
    assert.equal(receivedAt, received.length);
    assert.equal(sha256(Buffer.concat(kept)), sha256(Buffer.concat(untouched)));
    assert.doesNotThrow(() => JSON.parse(received.toString()));
  }
});

test('ten turns: what was forwarded of earlier messages is forwarded again, 9 of 9', async (t) => {
  const { upstream, post } = await serve(t);
  const messages: unknown[] = [];
  let previous: readonly unknown[] = [];
  let same = 0;
  for (let turn = 0; turn < 10; turn += 1) {
    const text = `<document>${sentences.replaceAll('harbour', `harbour ${turn}`)}</document>\n\n${question}`;
    messages.push({ role: 'user', content: text });
    const body = { tools: [{ b: 1, a: 2 }], messages, temperature: 1.5, model: 'm' };
    const sent = Buffer.from(JSON.stringify(body));
    await post('/v1/chat/completions', sent);
    assert((upstream.requests.at(-1)?.body.length ?? Infinity) < sent.length);
    const received = JSON.parse(upstream.requests.at(-1)?.body.toString() ?? '');
    assert.deepEqual(Object.keys(received), ['tools', 'messages', 'temperature', 'model']);
    const earlier = received.messages.slice(0, previous.length);
    if (turn > 0 && JSON.stringify(earlier) === JSON.stringify(previous)) same += 1;
    previous = received.messages;
    messages.push({ role: 'assistant', content: `Answer ${turn}.` });
  }
  assert.equal(same, 9);
});
