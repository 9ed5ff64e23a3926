/** Two upstreams behind one Sluice, over real sockets. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import { createSluice } from '../../src/sluice.ts';
import { startFakeUpstream, type FakeUpstream } from '../helpers/fake-upstream.ts';
import { send, type RawAnswer } from '../helpers/raw-client.ts';

interface Message {
  readonly role: string;
  readonly content: string;
}

/** A vLLM that tokenises (a token a byte), and says that it has cached all but the last message. */
function engine(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const json = (value: unknown): void => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  if (request.url === '/v1/models') {
    return json({ object: 'list', data: [{ id: 'm', owned_by: 'vllm', max_model_len: 100_000 }] });
  }
  const asked = body.length === 0 ? {} : (JSON.parse(body.toString()) as { messages?: Message[] });
  const bytes = Buffer.from((asked.messages ?? []).map(({ content }) => content).join('\n'));
  if (request.url === '/tokenize') {
    return json({ count: bytes.length, max_model_len: 100_000, tokens: Array.from(bytes) });
  }
  const usage = { prompt_tokens: bytes.length, completion_tokens: 1, prompt_tokens_details: null };
  return json({
    id: 'x',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: 'ok' } }],
    usage,
  });
}

async function served(
  t: TestContext,
  config: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly url: string; readonly upstreams: readonly FakeUpstream[] }> {
  const upstreams = [
    await startFakeUpstream(t, { type: 'custom', answer: engine }),
    await startFakeUpstream(t, { type: 'custom', answer: engine }),
  ];
  const sluice = await createSluice({
    port: 0,
    upstream: upstreams.map(({ url }) => url),
    backend: 'vllm',
    log: { level: 'silent' },
    compress: { tier: 'express' },
    ...config,
  });
  t.after(() => sluice.close());
  const { url } = await sluice.listen();
  return { url, upstreams };
}

function ask(
  url: string,
  messages: readonly Message[],
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  return send({
    url,
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'm', messages }),
  });
}

const text = (seed: number, words: number): string =>
  Array.from({ length: words }, (_, at) => `w${(seed * 7919 + at * 31) % 9973}`).join(' ');

const chats = ({ requests }: FakeUpstream): typeof requests =>
  requests.filter((request) => request.url === '/v1/chat/completions');

test('conversations stay where they are cached; a dead replica is avoided', async (t) => {
  const { url, upstreams } = await served(t);
  const conversations = Array.from({ length: 4 }, (_, seed) => [
    { role: 'user', content: text(seed, 200) },
  ]);
  const homes = new Map<number, Set<string>>();
  for (let turn = 0; turn < 3; turn += 1) {
    for (const [at, messages] of conversations.entries()) {
      const { status, headers } = await ask(url, messages);
      assert.equal(status, 200);
      const home = String(headers['x-sluice-backend']);
      homes.set(at, (homes.get(at) ?? new Set()).add(home));
      const planned = Number(headers['x-sluice-planned-reuse']);
      if (turn > 0) {
        const before = messages
          .slice(0, -2)
          .map(({ content }) => content)
          .join('\n').length;
        assert.ok(planned >= before - 16 && planned <= before, `${planned} of ${before}`);
      }
      messages.push(
        { role: 'assistant', content: 'ok' },
        { role: 'user', content: text(100 + at * 10 + turn, 60) },
      );
    }
  }
  assert.ok([...homes.values()].every((places) => places.size === 1));
  assert.deepEqual(
    upstreams.map((upstream) => chats(upstream).length),
    [6, 6],
  );
  // One of them is gone: nothing was sent to it, so the other one answers.
  const [gone, left] = upstreams;
  await gone!.stop();
  for (const messages of conversations) {
    const { status, headers } = await ask(url, messages);
    assert.equal(status, 200);
    assert.ok(String(headers['x-sluice-backend']).endsWith(`:${left!.port}`));
  }
});

test('tenants get salts of their own, and the router behind a name for each conversation', async (t) => {
  const state = mkdtempSync(join(tmpdir(), 'sluice-served-'));
  const { url, upstreams } = await served(t, {
    state_dir: state,
    tenant: { trust_header: true },
    reuse: { salt: 'tenant', affinity_header: 'X-Session-Id' },
  });
  const messages = [{ role: 'user', content: text(1, 200) }];
  const sessions = [
    { 'x-sluice-tenant': 'one', 'x-sluice-session': 's' },
    { 'x-sluice-tenant': 'one', 'x-sluice-session': 's' },
    { 'x-sluice-tenant': 'two', 'x-sluice-session': 's' },
    { 'x-sluice-tenant': 'two', 'x-sluice-session': 's', 'x-session-id': 'mine' },
    { 'x-sluice-tenant': 'two' },
  ];
  for (const headers of sessions) assert.equal((await ask(url, messages, headers)).status, 200);
  const sent = upstreams.flatMap(chats).map(({ headers, body }) => {
    const { cache_salt: salt } = JSON.parse(body.toString()) as { cache_salt?: string };
    return { salt, session: headers['x-session-id'], own: headers['x-sluice-session'] };
  });
  assert.equal(sent.length, 5);
  assert.ok(sent.every(({ salt, own }) => /^[0-9a-f]{32}$/.test(salt ?? '') && own === undefined));
  assert.equal(new Set(sent.map(({ salt }) => salt)).size, 2);
  const names = sent.map(({ session }) => String(session)).toSorted();
  assert.equal(new Set(names).size, 4);
  assert.ok(names.includes('mine') && names.includes('undefined'));
  assert.equal(names.filter((name) => /^[0-9a-f]{32}$/.test(name)).length, 3);
});

test('without the option nothing is added', async (t) => {
  const { url, upstreams } = await served(t);
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
  await send({
    url,
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json', 'x-sluice-session': 's' },
    body,
  });
  const [sent] = upstreams.flatMap(chats);
  assert.equal(sent?.body.toString(), body);
  assert.deepEqual(Object.keys(sent?.headers ?? {}).toSorted(), [
    'connection',
    'content-length',
    'content-type',
    'host',
  ]);
});
