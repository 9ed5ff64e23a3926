/** What goes wrong inside must not lose a request: the original goes out, with a reason, and the books stay right. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CompressJob, Compressor } from '../../src/compress/types.ts';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';
import type { Ledger } from '../../src/reuse/types.ts';
import { halvingCompressor, input, longDocument, testGateway } from '../helpers/gateway.ts';

const memory = createMemoryLedger({ maxBytes: 1_000_000 });
const settled = { status: 200, usage: null, error: null };

function chat(turns: number): string {
  const messages = Array.from({ length: turns }, (_, at) => [
    { role: 'user', content: `<document>\n${longDocument(at)}\n</document>\n\nWhich one? (${at})` },
    { role: 'assistant', content: 'That one.' },
  ]).flat();
  return JSON.stringify({ model: 'm', messages: messages.slice(0, -1) });
}

function broken(part: Partial<Ledger>): Ledger {
  return { ...memory, ...part };
}

test('a defect of ours forwards the original with a reason, and without `sluice` fields', async () => {
  const gateway = testGateway({
    ledger: broken({
      lineage() {
        throw new TypeError('a defect');
      },
    }),
  });
  const given = input(chat(1));
  const prepared = await gateway.prepare(given);
  assert.equal(prepared.body, given.body);
  assert.ok(prepared.responseHeaders.includes('failed-open'));
  assert.ok(prepared.responseHeaders.includes('internal-error;n=1'));
  gateway.settle(prepared.id, settled);
  const report = gateway.report(prepared.id, '');
  assert.equal(report?.decision, 'failed-open');
  assert.equal(report.tokensBefore, null, 'unknown is not 0');
  assert.equal(gateway.totals('').requests, 1);
  const declared = `{"sluice":{"rate":0.2},${chat(1).slice(1)}`;
  const removed = await gateway.prepare(input(declared));
  assert.equal(Buffer.from(removed.body).toString(), chat(1));
});

test('a defect before the body is read forwards the original too', async () => {
  const gateway = testGateway({});
  const body = new Proxy(Buffer.from(chat(1)), {
    get(target, key) {
      if (key === 'byteLength') throw new TypeError('a defect');
      return Reflect.get(target, key, target);
    },
  });
  const prepared = await gateway.prepare({ ...input(chat(1)), body });
  assert.equal(prepared.body, body);
  assert.deepEqual(gateway.report(prepared.id, '')?.skipped, { 'internal-error': 1 });
});

test('failing closed, a defect is an error with a code, and it is counted', async () => {
  const gateway = testGateway({
    ledger: broken({
      lineage() {
        throw new TypeError('a defect');
      },
    }),
    config: { compress: { on_failure: 'closed' } },
  });
  await assert.rejects(gateway.prepare(input(chat(1))), { code: 'INTERNAL' });
  assert.equal(gateway.totals('').requests, 1);
});

test('a compressor that throws anything leaves the text as it came', async () => {
  const compressor: Compressor = {
    ...halvingCompressor(),
    compress: () => Promise.reject(new RangeError('a defect')),
  };
  const gateway = testGateway({ compressor });
  const prepared = await gateway.prepare(input(chat(1)));
  assert.equal(Buffer.from(prepared.body).toString(), chat(1));
  assert.deepEqual(gateway.report(prepared.id, '')?.skipped, { 'internal-error': 1 });
});

for (const [what, part] of [
  ['read', { get: () => Promise.reject(new Error('down')) }],
  ['written', { putIfAbsent: () => Promise.reject(new Error('down')) }],
] as const) {
  test(`a ledger that cannot be ${what} changes no byte of what is forwarded`, async () => {
    const expected = await testGateway({}).prepare(input(chat(2)));
    const ledger = { ...createMemoryLedger({ maxBytes: 1_000_000 }), ...part };
    const gateway = testGateway({ ledger });
    for (let times = 0; times < 2; times += 1) {
      const prepared = await gateway.prepare(input(chat(2)));
      assert.deepEqual(prepared.body, expected.body);
      assert.equal(gateway.report(prepared.id, '')?.decision, 'compressed');
    }
  });
}

test('of two equal requests at once both forward what was decided first', async () => {
  const inner = halvingCompressor();
  let calls = 0;
  const compressor: Compressor = {
    ...inner,
    async compress(job) {
      calls += 1;
      // The first caller is slower and decides otherwise: it must take over the second one's decision.
      if (calls > 1) return inner.compress(job);
      await new Promise((resolve) => setTimeout(resolve, 30));
      const text = job.segments.map((segment) => ({
        ...segment,
        text: segment.text.slice(0, 200),
      }));
      return inner.compress({ ...job, segments: text });
    },
  };
  const gateway = testGateway({ compressor });
  const [one, two] = await Promise.all([
    gateway.prepare(input(chat(1))),
    gateway.prepare(input(chat(1))),
  ]);
  assert.equal(calls, 2);
  assert.deepEqual(Buffer.from(one.body), Buffer.from(two.body));
  assert.notEqual(one.id, two.id);
});

test('the deadline is one of the whole request, not of every unit', async () => {
  const jobs: CompressJob[] = [];
  const compressor: Compressor = {
    ...halvingCompressor(),
    compress: (job) => {
      jobs.push(job);
      return new Promise((_, reject) => {
        job.signal?.addEventListener('abort', () => reject(job.signal?.reason), { once: true });
      });
    },
  };
  const gateway = testGateway({ compressor, config: { limits: { compress_ms: 20 } } });
  const prepared = await gateway.prepare(input(chat(4)));
  assert.equal(Buffer.from(prepared.body).toString(), chat(4));
  assert.deepEqual(gateway.report(prepared.id, '')?.skipped, { deadline: 4 });
  assert.equal(jobs.length, 1, 'later units are not started');
});

test('a client that goes away while texts are compressed is counted once, under its own reason', async () => {
  const gateway = testGateway({});
  await assert.rejects(gateway.prepare({ ...input(chat(1)), signal: AbortSignal.abort() }), {
    code: 'ABORTED',
  });
  const totals = gateway.totals('');
  assert.equal(totals.requests, 1);
  assert.deepEqual(totals.skipped, { 'client-gone': 1 });
});

test('a wish that is no number, or without bounds, never compresses more', async () => {
  const jobs: CompressJob[] = [];
  const gateway = testGateway({ compressor: halvingCompressor(jobs) });
  await gateway.prepare(input(chat(1), { rate: Number.NaN }));
  assert.deepEqual(jobs[0]?.budget, { type: 'rate', rate: 0.5 });
  await gateway.prepare(input(chat(1), { targetTokens: Number.POSITIVE_INFINITY }, 'b'));
  const budget = jobs[1]?.budget;
  assert.ok(budget?.type === 'tokens' && Number.isFinite(budget.tokens) && budget.tokens > 1e6);
});

test('a long request is still counted when many short ones have come and gone', async () => {
  const gateway = testGateway({ config: { limits: { reports: 2 } } });
  const long = await gateway.prepare(input(chat(1)));
  for (let at = 0; at < 10; at += 1) {
    const { id } = gateway.bypass('/v1/models', 'not-a-dialect', '');
    gateway.settle(id, settled);
  }
  assert.equal(gateway.report(long.id, '')?.decision, 'compressed');
  gateway.settle(long.id, { ...settled, upstreamMs: 7 });
  assert.equal(gateway.totals('').requests, 11);
  assert.equal(gateway.report(long.id, '')?.timings.upstreamMs, 7);
});

test('the total time includes reading and compressing', async () => {
  const inner = halvingCompressor();
  const compressor: Compressor = {
    ...inner,
    async compress(job) {
      await new Promise((resolve) => setTimeout(resolve, 25));
      return inner.compress(job);
    },
  };
  const gateway = testGateway({ compressor });
  const { id } = await gateway.prepare(input(chat(1)));
  gateway.settle(id, settled);
  const timings = gateway.report(id, '')?.timings;
  assert.ok((timings?.totalMs ?? 0) >= (timings?.compressMs ?? 1));
});

test('a request with very much text is not counted, and says so by leaving the counts out', async () => {
  const gateway = testGateway({ config: { limits: { compress_chars: 1000 } } });
  const prepared = await gateway.prepare(input(chat(1)));
  assert.equal(Buffer.from(prepared.body).toString(), chat(1));
  const report = gateway.report(prepared.id, '');
  assert.equal(report?.tokensBefore, null);
  assert.deepEqual(report?.skipped, { 'too-long': 1 });
  assert.ok(!prepared.responseHeaders.includes('x-sluice-tokens-before'));
});
