import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { planConversation } from '../src/plan-conversation.ts';
import { createSluice, type Sluice } from '../src/sluice.ts';

const subjects = ['harbour', 'library', 'railway', 'orchard', 'theatre', 'observatory', 'market'];

function documents(turn: number): string {
  return subjects
    .map((subject, at) => {
      const year = 1800 + 17 * at + turn;
      return `Document [${at + 1}] The ${subject}\nThe ${subject} was opened in ${year}. It stands near the old bridge of the town. Visitors pay ${at + turn} coins on holidays. Its keeper writes a report in every spring.`;
    })
    .join('\n\n');
}

function conversation(turns: number): { role: string; content: string }[] {
  return Array.from({ length: turns }, (_, turn) => [
    {
      role: 'user',
      content: `${documents(turn)}\n\nQuestion: When was the ${subjects[turn % subjects.length]} opened?`,
    },
    { role: 'assistant', content: `In ${1800 + turn}.` },
  ])
    .flat()
    .slice(0, -1);
}

let sluice: Sluice;
const fresh = (): Promise<Sluice> =>
  createSluice({
    log: { level: 'silent' },
    compress: { tier: 'express', min_tokens: 50 },
    reuse: { store: 'memory' },
  });
before(async () => {
  sluice = await fresh();
});
after(() => sluice.close());

test('every turn extends the one before: what was forwarded is reused to the block', async () => {
  const plan = await planConversation(
    { model: 'm', messages: conversation(4) },
    { gateway: sluice.gateway, backend: 'vllm', prefillRate: 1000, blockTokens: 16 },
  );
  assert.equal(plan.unit, 'ms');
  assert.deepEqual(
    plan.turns.map(({ mode }) => mode),
    ['cold', 'extend', 'extend', 'extend'],
  );
  for (const [at, turn] of plan.turns.entries()) {
    const earlier = plan.turns[at - 1];
    assert.ok(turn.tokensAfter < turn.tokensBefore);
    if (earlier === undefined) {
      assert.equal(turn.reusedAfter, 0);
      continue;
    }
    assert.equal(turn.reusedAfter, 16 * Math.floor(earlier.tokensAfter / 16));
    assert.equal(turn.reusedBefore, 16 * Math.floor(earlier.tokensBefore / 16));
    // 1000 tokens a second: a token costs a millisecond.
    assert.equal(turn.costBefore, turn.tokensBefore - turn.reusedBefore);
  }
  const sum = plan.turns.reduce((total, { costAfter }) => total + costAfter, 0);
  assert.ok(Math.abs(plan.total.after - sum) < 1e-9);
});

test('hosted prices: cached tokens cost their share, short prompts are not cached', async () => {
  const other = await fresh();
  try {
    const plan = await planConversation(
      { model: 'gpt-4o', messages: conversation(5) },
      { gateway: other.gateway, backend: 'openai', prefillRate: 1, blockTokens: 1 },
    );
    assert.equal(plan.unit, 'input-tokens');
    for (const [at, turn] of plan.turns.entries()) {
      const previous = plan.turns[at - 1]?.tokensBefore ?? 0;
      const cached = previous < 1024 ? 0 : 128 * Math.floor(previous / 128);
      assert.equal(turn.reusedBefore, cached);
      assert.equal(turn.costBefore, turn.tokensBefore - 0.5 * cached);
    }
    assert.match(plan.assumptions[0] ?? '', /openai/);
  } finally {
    await other.close();
  }
});

test('a list of requests is taken as it is; an edit is a branch', async () => {
  const other = await fresh();
  try {
    const messages = conversation(3);
    const edited = messages.with(2, { role: 'user', content: 'Question: Who keeps the market?' });
    const plan = await planConversation(
      [
        { messages: messages.slice(0, 1) },
        { messages: messages.slice(0, 3) },
        { messages: edited },
      ],
      { gateway: other.gateway, backend: 'llamacpp', prefillRate: 1000, blockTokens: 1 },
    );
    assert.deepEqual(
      plan.turns.map(({ mode }) => mode),
      ['cold', 'extend', 'branch'],
    );
  } finally {
    await other.close();
  }
});

test('what is no conversation is refused with what was expected', async () => {
  const options = {
    gateway: sluice.gateway,
    backend: 'vllm',
    prefillRate: 1000,
    blockTokens: 16,
  } as const;
  await assert.rejects(planConversation({ prompt: 'x' }, options), /messages/);
  await assert.rejects(planConversation({ messages: [] }, options), /1 to 1000 requests/);
});
