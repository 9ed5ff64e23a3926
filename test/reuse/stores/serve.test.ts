/** `sluice serve` with a ledger that outlives it, killed in mid-conversation; and two of them on one Redis. */
import assert from 'node:assert/strict';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { start } from '../../cli/helpers.ts';
import { startFakeUpstream, type FakeUpstream } from '../../helpers/fake-upstream.ts';
import { temporaryFolder } from './helpers.ts';
import { redisServer, withoutRedis } from './redis-server.ts';

interface Message {
  readonly role: string;
  readonly content: string;
}

interface Serving {
  readonly url: string;
  readonly child: ChildProcessWithoutNullStreams;
}

/** Longer texts than this are left alone: two settings, so that only what is remembered makes the bytes the same. */
const settings = [{ SLUICE_LIMITS_COMPRESS_CHARS: '1000' }, {}] as const;

async function serve(
  t: TestContext,
  upstream: FakeUpstream,
  env: Readonly<Record<string, string>>,
): Promise<Serving> {
  const child = start(
    [
      'serve',
      '--port',
      '0',
      '--upstream',
      upstream.url,
      '--backend',
      'openai',
      '--method',
      'extractive',
    ],
    {
      SLUICE_COMPRESS_RATE: '0.5',
      SLUICE_SCORE_VECTORS: 'none',
      SLUICE_SCORE_PAIRS: 'none',
      SLUICE_LIMITS_COMPRESS_MS: '60000',
      ...env,
    },
  );
  t.after(() => void child.kill('SIGKILL'));
  child.stderr.resume();
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const url = /(http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1];
  assert.ok(url, line);
  return { url, child };
}

const sentences: readonly ((n: number) => string)[] = [
  (n) => `The ship left the harbour ${n} hours before the storm came in.`,
  () => 'Nobody on the pier knew that its engine had been repaired by the baker.',
  (n) => `In ${1800 + n} the village counted its houses and found fewer than before.`,
  () => 'Rain fell on the market while the women carried apples home.',
  (n) => `A letter of ${n} pages told the captain where the lantern was hidden.`,
  () => 'He read it twice. Then he burned it behind the old mill!',
  () => 'Why the teacher kept silent is still a question that divides the valley.',
  (n) => `The school burned down ${n} years later and was never built again.`,
];

/** Prose of about 2,000 characters. */
function storyOf(seed: number): string {
  return Array.from({ length: 32 }, (_, at) => {
    const sentence = sentences[(at * 5 + seed * 3 + (at >> 3)) % sentences.length];
    return sentence?.(seed * 40 + at) ?? '';
  }).join(' ');
}

function documentTurn(seed: number): readonly Message[] {
  return [
    {
      role: 'user',
      content: `<document>\n${storyOf(seed)}\n</document>\n\nWho repaired the engine of the captain?`,
    },
    { role: 'assistant', content: `Somebody in the village, ${seed}.` },
  ];
}

function ask(url: string, messages: readonly Message[]): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages }),
  });
}

/** Forwarded turns; a Sluice asks its upstream other things as well. */
function forwardedTurns(upstream: FakeUpstream): readonly (readonly Message[])[] {
  const turns = upstream.requests.filter(({ method }) => method === 'POST');
  return turns.map(({ body }) => (JSON.parse(body.toString()) as { messages: Message[] }).messages);
}

/** Each turn in a process of its own, which is killed as soon as its request has arrived upstream. */
async function killedTurns(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  count = 3,
): Promise<readonly (readonly Message[])[]> {
  const upstream = await startFakeUpstream(t, {
    type: 'custom',
    answer: ({ method }, response) => {
      if (method !== 'POST') response.end('{}');
    },
  });
  const conversation = [1, 2, 3].flatMap(documentTurn);
  for (let turn = 0; turn < count; turn += 1) {
    const { url, child } = await serve(t, upstream, { ...env, ...settings[turn % 2] });
    const gone = ask(url, conversation.slice(0, turn * 2 + 1)).catch(() => null);
    while (forwardedTurns(upstream).length <= turn) {
      await upstream.arrived(upstream.requests.length + 1);
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    await gone;
  }
  return forwardedTurns(upstream);
}

function assertExtended(turns: readonly (readonly Message[])[]): void {
  for (const [at, turn] of turns.slice(1).entries()) {
    const before = turns[at] ?? [];
    assert.deepEqual(turn.slice(0, before.length), before, `turn ${at + 2}`);
  }
  const [first, second] = turns;
  assert.equal(first?.at(-1)?.content, documentTurn(1)[0]?.content, 'left alone');
  assert.notEqual(second?.at(-1)?.content, documentTurn(2)[0]?.content, 'shortened');
}

test('killed with its request under way, then started again: the ledger on disk forwards the same bytes', async (t) => {
  const folder = temporaryFolder(t);
  assertExtended(await killedTurns(t, { SLUICE_STATE_DIR: folder, SLUICE_REUSE_STORE: 'disk' }));
});

test('the same with Redis', { skip: withoutRedis }, async (t) => {
  const server = await redisServer(t);
  assertExtended(
    await killedTurns(t, { SLUICE_REUSE_STORE: 'redis', SLUICE_REUSE_REDIS_URL: server.url }),
  );
});

test('without a store the same turns are forwarded differently, so the tests above can fail', async (t) => {
  const turns = await killedTurns(t, { SLUICE_REUSE_STORE: 'memory' }, 2);
  assert.notDeepEqual(turns[1]?.[0], turns[0]?.[0]);
});

test(
  'two Sluices on one Redis, conversations alternating between them; then Redis goes and returns',
  { skip: withoutRedis },
  async (t) => {
    const server = await redisServer(t);
    const upstream = await startFakeUpstream(t, { type: 'answer', body: '{"choices":[]}' });
    const env = { SLUICE_REUSE_STORE: 'redis', SLUICE_REUSE_REDIS_URL: server.url };
    const both = await Promise.all(settings.map((more) => serve(t, upstream, { ...env, ...more })));
    const last = new Map<number, readonly Message[]>();
    const converse = async (conversation: number, turn: number, at: number): Promise<number> => {
      const turns = Array.from({ length: turn + 1 }, (_, index) =>
        documentTurn(conversation * 10 + index),
      ).flat();
      const answer = await ask(both[at]?.url ?? '', turns.slice(0, -1));
      await answer.arrayBuffer();
      const now = forwardedTurns(upstream).at(-1) ?? [];
      const before = last.get(conversation) ?? [];
      assert.deepEqual(now.slice(0, before.length), before, `conversation ${conversation}`);
      last.set(conversation, now);
      return answer.status;
    };
    for (let turn = 0; turn < 3; turn += 1) {
      for (let conversation = 0; conversation < 6; conversation += 1) {
        assert.equal(await converse(conversation, turn, (conversation + turn) % 2), 200);
      }
    }
    const [first] = both;
    assert.equal((await fetch(`${first?.url}/readyz`)).status, 200);
    await server.stop();
    // While it is away each conversation stays where it was last.
    for (let conversation = 0; conversation < 6; conversation += 1) {
      assert.equal(await converse(conversation, 3, (conversation + 2) % 2), 200);
    }
    const away = await fetch(`${first?.url}/readyz`);
    assert.equal(away.status, 503);
    assert.match(await away.text(), /redis cannot be used/);
    assert.match(
      await (await fetch(`${first?.url}/metrics`)).text(),
      /^sluice_store_available 0$/m,
    );
    await server.start();
    for (const { url } of both) {
      for (let tries = 0; (await fetch(`${url}/readyz`)).status !== 200; tries += 1) {
        assert.ok(tries < 400, 'not ready again');
        await delay(25);
      }
    }
    for (const { url } of both) {
      const pending = async (): Promise<string> => await (await fetch(`${url}/metrics`)).text();
      while (!/^sluice_store_pending 0$/m.test(await pending())) await delay(25);
    }
    for (let conversation = 0; conversation < 6; conversation += 1) {
      assert.equal(await converse(conversation, 4, (conversation + 1) % 2), 200);
    }
  },
);
