/** Plans beside a gateway that serves: what they know, what they leave behind, and how they end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSluice, type Sluice } from '../src/sluice.ts';
import { startFakeUpstream } from './helpers/fake-upstream.ts';

const settings = {
  log: { level: 'silent' },
  compress: { tier: 'express', min_tokens: 50 },
  score: { workers: 1 },
};
const text = Array.from(
  { length: 30 },
  (_, at) => `The keeper of lamp ${at} wrote a long letter to the council about its oil.`,
).join(' ');
const ask = (question: string): object => ({
  role: 'user',
  content: `<document>\n${text}\n</document>\n\n${question}`,
});
const conversation = {
  model: 'gpt-4o',
  messages: [
    ask('Who wrote about lamp 7?'),
    { role: 'assistant', content: 'Its keeper.' },
    ask('To whom?'),
  ],
};

let sluice: Sluice;
before(async () => {
  sluice = await createSluice(settings);
});
after(() => sluice.close());

test('a plan knows nothing of others and leaves nothing behind', async () => {
  const modes = async (): Promise<unknown[]> =>
    (await sluice.plan(conversation)).turns.map(({ mode, decision }) => [mode, decision]);
  const first = await modes();
  assert.deepEqual(first, [
    ['cold', 'compressed'],
    ['extend', 'compressed'],
  ]);
  assert.deepEqual(await modes(), first);
  const { requests, reuse } = sluice.gateway.totals('plan');
  assert.deepEqual([requests, reuse.conversations], [0, 0]);
});

test('decisions follow the named backend: a prompt stays long where its provider would not cache a short one', async () => {
  const talk = ['user', 'assistant', 'user', 'assistant'].map((role) => ({
    role,
    content: 'Go on.',
  }));
  const document = 'The old harbour lamp burns in every night. '.repeat(100);
  const last = { role: 'user', content: `<document>\n${document}\n</document>\n\nWhat burns?` };
  const input = [{ messages: [...talk, last] }];
  const own = await sluice.plan(input, { backend: 'vllm' });
  const hosted = await sluice.plan(input, { backend: 'anthropic' });
  assert.deepEqual(
    [own, hosted].map(({ unit, turns }) => [unit, turns[0]?.decision, turns[0]?.admission]),
    [
      ['ms', 'compressed', 'pays'],
      ['input-tokens', 'unchanged', 'cacheable-minimum'],
    ],
  );
});

test('without an upstream the named tokenizer counts, else the shipped one that stands in', async () => {
  const folder = 'test/fixtures/models/tiny-causal';
  const other = await createSluice({ ...settings, tokenizer: folder });
  try {
    const named = await other.plan(conversation, { backend: 'vllm' });
    const shipped = await sluice.plan(conversation, { backend: 'vllm' });
    assert.match(named.assumptions.join('\n'), /counted by tiny-causal:\w+;/);
    assert.match(shipped.assumptions.join('\n'), /counted by scout:\w+, which stands in/);
    assert.notEqual(named.turns[0]?.tokensBefore, shipped.turns[0]?.tokensBefore);
  } finally {
    await other.close();
  }
});

test('the server behind it is asked nothing for a plan', async (t) => {
  const upstream = await startFakeUpstream(t);
  const other = await createSluice({ ...settings, upstream: [upstream.url], backend: 'vllm' });
  try {
    upstream.requests.length = 0;
    const plan = await other.plan(conversation);
    assert.equal(plan.unit, 'ms');
    assert.deepEqual(
      upstream.requests.filter(({ method }) => method === 'POST'),
      [],
    );
  } finally {
    await other.close();
  }
});

test('a plan for the server behind it shortens what does not fit there, one for another server does not', async (t) => {
  const upstream = await startFakeUpstream(t);
  const other = await createSluice({
    ...settings,
    compress: { ...settings.compress, rate: 0.9, when: 'always' },
    windows: { limit_tokens: 500 },
    upstream: [upstream.url],
    backend: 'vllm',
  });
  try {
    const input = { max_tokens: 50, messages: [ask('Who wrote about lamp 7?')] };
    const kept = async (backend: 'vllm' | 'llamacpp'): Promise<number> => {
      const [turn] = (await other.plan(input, { backend })).turns;
      return (turn?.tokensAfter ?? 0) / (turn?.tokensBefore ?? 1);
    };
    const [own, elsewhere] = [await kept('vllm'), await kept('llamacpp')];
    assert.ok(own < 0.8, `${own}`);
    assert.ok(elsewhere > 0.8 && elsewhere <= 0.95, `${elsewhere}`);
  } finally {
    await other.close();
  }
});

test('the caller who goes away ends the planning between two turns', async () => {
  const controller = new AbortController();
  let read = 0;
  const requests = Array.from({ length: 50 }, () => ({
    get messages() {
      read += 1;
      return conversation.messages;
    },
  }));
  const planning = sluice.plan(requests, { signal: controller.signal });
  setImmediate(() => controller.abort());
  await assert.rejects(planning, { code: 'ABORTED' });
  const reads = read;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(read, reads);
  await assert.rejects(sluice.plan(conversation, { signal: AbortSignal.abort() }), {
    code: 'ABORTED',
  });
});

test('four plans are made at once, a fifth is refused, and room comes back', async () => {
  const running = Array.from({ length: 4 }, () => sluice.plan(conversation));
  await assert.rejects(sluice.plan(conversation), { code: 'QUEUE_FULL', status: 503 });
  await Promise.all(running);
  await assert.rejects(sluice.plan({}), { code: 'REQUEST_INVALID' });
  assert.equal((await sluice.plan(conversation)).turns.length, 2);
});

test('a conversation that cannot be planned is refused with the turn and the reason', async () => {
  const off = [{ messages: [ask('a')], sluice: { compress: false } }];
  await assert.rejects(sluice.plan(off), /Turn 1 of the conversation was not read: off-by-client/);
  const many = Array.from({ length: 1001 }, () => ({ messages: [] }));
  await assert.rejects(sluice.plan(many), /1 to 1000 requests of a conversation; 1001 were found/);
  const answers = Array.from({ length: 2001 }, (_, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    content: 'x',
  }));
  await assert.rejects(sluice.plan({ messages: answers }), /1001 were found/);
});
