import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SluiceError } from '../../src/core/errors.ts';
import type { CompressJob, Compressor } from '../../src/compress/types.ts';
import { halvingCompressor, input, longDocument, testGateway } from '../helpers/gateway.ts';

const question = 'Which station opened in 1912?';

function turn(seed: number): { role: string; content: string } {
  return {
    role: 'user',
    content: `<document>\n${longDocument(seed)}\n</document>\n\n${question} (${seed})`,
  };
}

function chat(turns: number): { model: string; messages: unknown[]; temperature: number } {
  const messages: unknown[] = [{ role: 'system', content: 'You answer from the documents.' }];
  for (let at = 0; at < turns; at += 1) {
    messages.push(turn(at));
    if (at < turns - 1) messages.push({ role: 'assistant', content: `Answer ${at}.` });
  }
  return { model: 'm', messages, temperature: 1 };
}

test('a document is shortened, the question and everything else stay byte for byte', async () => {
  const gateway = testGateway({});
  const body = JSON.stringify(chat(1));
  const prepared = await gateway.prepare(input(body));
  const forwarded = Buffer.from(prepared.body).toString();
  assert.ok(forwarded.length < body.length * 0.7);
  const content: unknown = JSON.parse(forwarded).messages[1].content;
  assert.ok(String(content).endsWith(`</document>\n\n${question} (0)`));
  assert.ok(
    forwarded.startsWith('{"model":"m","messages":[{"role":"system","content":"You answer'),
  );
  assert.ok(forwarded.endsWith(',"temperature":1}'));
  const report = gateway.report(prepared.id, '');
  assert.equal(report?.decision, 'compressed');
  assert.ok((report?.tokensAfter ?? 0) < (report?.tokensBefore ?? 0));
});

for (const restart of [false, true]) {
  test(`ten turns: earlier messages are forwarded identically${restart ? ', with a fresh process for every turn' : ''}`, async () => {
    let gateway = testGateway({});
    let previous: unknown[] = [];
    let identical = 0;
    for (let turns = 1; turns <= 10; turns += 1) {
      if (restart) gateway = testGateway({});
      const body = JSON.stringify(chat(turns));
      const { body: forwarded } = await gateway.prepare(input(body));
      const value = JSON.parse(Buffer.from(forwarded).toString());
      assert.deepEqual(Object.keys(value), ['model', 'messages', 'temperature']);
      const messages: unknown[] = value.messages;
      if (turns > 1) {
        assert.deepEqual(messages.slice(0, previous.length), previous, `turn ${turns}`);
        identical += 1;
      }
      previous = messages;
    }
    assert.equal(identical, 9);
  });
}

test('a repeated request is replayed from the ledger without compressing again', async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({ compressor: halvingCompressor(jobs) });
  const first = await gateway.prepare(input(chat(2)));
  const count = jobs.length;
  const second = await gateway.prepare(input(chat(2)));
  assert.equal(jobs.length, count);
  assert.deepEqual(Buffer.from(second.body), Buffer.from(first.body));
  assert.equal(gateway.report(second.id, '')?.decision, 'replayed');
});

test('a decision once made stays when the client asks for another rate later', async () => {
  const gateway = testGateway({});
  const first = await gateway.prepare(input(chat(1)));
  const second = await gateway.prepare(input(chat(1), { rate: 0.9 }));
  assert.deepEqual(Buffer.from(second.body), Buffer.from(first.body));
});

test('the question of a unit is its own, never a later one', async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({ compressor: halvingCompressor(jobs) });
  await gateway.prepare(input(chat(3)));
  assert.deepEqual(
    jobs.map((job) => /\((\d)\)/.exec(job.question)?.[1]),
    ['0', '1', '2'],
  );
});

test('clients can only ask for less: a lower rate than the operator allows is raised to it', async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({
    compressor: halvingCompressor(jobs),
    config: { compress: { rate: 0.5 } },
  });
  await gateway.prepare(input(chat(1), { rate: 0.1 }));
  assert.deepEqual(jobs[0]?.budget, { type: 'rate', rate: 0.5 });
  await gateway.prepare(input({ ...chat(1), user: 'x' }, { rate: 0.8 }, 'other'));
  assert.deepEqual(jobs[1]?.budget, { type: 'rate', rate: 0.8 });
  await gateway.prepare(input(chat(1), { targetTokens: 10 }, 'third'));
  const budget = jobs[2]?.budget;
  assert.ok(budget?.type === 'tokens' && budget.tokens > 100, 'not below half of the document');
});

test('when scoring fails the original goes out with a reason, and stays the decision', async () => {
  let fail = true;
  const inner = halvingCompressor();
  const compressor: Compressor = {
    ...inner,
    async compress(job) {
      if (fail) throw new SluiceError('SCORER_FAILED', 'broken');
      return inner.compress(job);
    },
  };
  const gateway = testGateway({ compressor });
  const body = JSON.stringify(chat(1));
  const first = await gateway.prepare(input(body));
  assert.equal(Buffer.from(first.body).toString(), body);
  const report = gateway.report(first.id, '');
  assert.equal(report?.decision, 'failed-open');
  assert.deepEqual(report?.skipped, { 'scorer-error': 1 });
  assert.ok(first.responseHeaders.includes('scorer-error;n=1'));
  fail = false;
  const second = await gateway.prepare(input(body));
  assert.equal(Buffer.from(second.body).toString(), body, 'the bytes forwarded first stay');
});

test('failing closed answers with the error instead', async () => {
  const gateway = testGateway({
    compressor: {
      ...halvingCompressor(),
      compress: () => Promise.reject(new SluiceError('QUEUE_FULL', 'full')),
    },
    config: { compress: { on_failure: 'closed' } },
  });
  await assert.rejects(gateway.prepare(input(chat(1))), { code: 'QUEUE_FULL' });
});

test('a scorer that is too late: the deadline fires and the original goes out', async () => {
  const compressor: Compressor = {
    ...halvingCompressor(),
    compress: (job) =>
      new Promise((_, reject) => {
        job.signal?.addEventListener('abort', () => reject(job.signal?.reason), { once: true });
      }),
  };
  const gateway = testGateway({ compressor, config: { limits: { compress_ms: 20 } } });
  const prepared = await gateway.prepare(input(chat(1)));
  assert.deepEqual(gateway.report(prepared.id, '')?.skipped, { deadline: 1 });
});

test('a client that is gone leaves no decision behind', async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({ compressor: halvingCompressor(jobs) });
  const signal = AbortSignal.abort();
  await assert.rejects(gateway.prepare({ ...input(chat(1)), signal }), { code: 'ABORTED' });
  await gateway.prepare(input(chat(1)));
  assert.equal(
    jobs.length,
    1,
    'nothing was started for a client that is gone, and nothing decided',
  );
});

test('switched off: the same bytes, and `sluice` fields are still removed', async () => {
  const gateway = testGateway({});
  const body = JSON.stringify(chat(1));
  const off = input(body, { compress: false });
  const prepared = await gateway.prepare(off);
  assert.equal(prepared.body, off.body);
  assert.deepEqual(gateway.report(prepared.id, '')?.skipped, { 'off-by-client': 1 });
  const declared = `{"sluice":{"rate":0.2},"model":"m","messages":[{"role":"user","content":"hi"}]}`;
  const removed = await gateway.prepare(input(declared, { compress: false }));
  assert.equal(
    Buffer.from(removed.body).toString(),
    '{"model":"m","messages":[{"role":"user","content":"hi"}]}',
  );
});

test('bodies that cannot be read are forwarded as they came, with the reason', async () => {
  const gateway = testGateway({});
  for (const [body, reason] of [
    ['{"messages": [', 'not-json'],
    ['{"model":"a","model":"b","messages":[]}', 'duplicate-key'],
    ['{"messages":[{"role":"user","content":"\\ud800"}]}', 'lone-surrogate'],
  ] as const) {
    const given = input(body);
    const prepared = await gateway.prepare(given);
    assert.equal(prepared.body, given.body);
    assert.deepEqual(gateway.report(prepared.id, '')?.skipped, { [reason]: 1 });
  }
});

test("one tenant's reports, originals and decisions are invisible to another", async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({ compressor: halvingCompressor(jobs) });
  const a = await gateway.prepare(input(chat(1), {}, 'a'));
  const hash = gateway.report(a.id, 'a')?.spans.find((span) => span.original !== null)?.original;
  assert.ok(hash);
  assert.ok(gateway.retrieve(hash, 'a')?.startsWith('Station 0-0') ?? false);
  assert.equal(gateway.retrieve(hash, 'b'), null);
  assert.equal(gateway.report(a.id, 'b'), null);
  await gateway.prepare(input(chat(1), {}, 'b'));
  assert.equal(jobs.length, 2);
});

test('explain shows what would happen and decides nothing', async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({ compressor: halvingCompressor(jobs) });
  const explained = await gateway.explain(input(chat(1)));
  assert.equal(explained.dialect, 'openai-chat');
  assert.ok(explained.spans.some((span) => span.pieces.length > 1));
  await gateway.prepare(input(chat(1)));
  assert.equal(jobs.length, 2, 'the explanation was not taken as a decision');
});

test('totals add up settled requests only', async () => {
  const gateway = testGateway({});
  const prepared = await gateway.prepare(input(chat(1)));
  assert.equal(gateway.totals('').requests, 0);
  const usage = { promptTokens: 10, completionTokens: 1, cachedTokens: null };
  gateway.settle(prepared.id, { status: 200, usage, error: null });
  gateway.settle(prepared.id, { status: 500, usage: null, error: null });
  const totals = gateway.totals('');
  assert.equal(totals.requests, 1);
  assert.equal(totals.byDecision['compressed'], 1);
  assert.equal(gateway.report(prepared.id, '')?.usage?.cachedTokens, null, 'unknown is not 0');
});

test('few-shot turns are never up for dropping: an empty message is not a message', async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({ compressor: halvingCompressor(jobs) });
  const pairs = ['apple', 'carrot', 'pear', 'leek'].flatMap((word, at) => [
    { role: 'user', content: `Classify: ${word}` },
    { role: 'assistant', content: at % 2 === 0 ? 'fruit' : 'vegetable' },
  ]);
  const messages = [
    { role: 'system', content: 'Answer with one word.' },
    ...pairs,
    { role: 'user', content: 'Classify: plum' },
  ];
  const explained = await gateway.explain(input({ model: 'm', messages }));
  const reasons = explained.spans.map((span) => span.reason);
  assert.ok(reasons.includes('demonstration'), 'the turns are recognised');
  assert.equal(jobs.length, 0);
});
