/** Pages, prefixes, batches, bounded KV, regimes and saved prefixes on the shipped model. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { BlockPool, blockKey, blockTokens, commonPrefix } from '../../src/engine/kv/blocks.ts';
import type { Sequence } from '../../src/engine/kv/sequence.ts';
import { openRuntime } from '../../src/engine/open.ts';
import { EngineRuntime } from '../../src/engine/runtime.ts';
import { restorePrefix, savePrefix } from '../../src/engine/save.ts';
import type { SchemeConfig } from '../../src/engine/schemes/create.ts';
import { openSession, Tensor, type OrtSession } from '../../src/score/session.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import { modelPath, randomIds, relativeError, shape } from './oracle.ts';

const small = { ...shape, trainedLength: 32 };
let session: OrtSession;
before(async () => void (session = await openSession(modelPath, { threads: 1 })));
after(() => session.release());

interface Settings {
  readonly scheme?: SchemeConfig;
  readonly kvTokens?: number;
  readonly fingerprint?: string;
  readonly chunk?: number;
}

function runtimeOf({
  scheme,
  kvTokens = 4096,
  fingerprint = 'test',
  chunk = 24,
}: Settings = {}): EngineRuntime {
  return new EngineRuntime(session, {
    shape: small,
    scheme: scheme ?? { type: 'default' },
    kvTokens,
    fingerprint,
    chunk,
  });
}

/** Logits after all tokens, from a runtime that has never seen any. */
async function fresh(ids: readonly number[], settings: Settings = {}): Promise<Float32Array> {
  const runtime = runtimeOf(settings);
  return runtime.read(runtime.open(ids));
}

const near = (found: Float32Array, expected: Float32Array): void => {
  const error = relativeError(found, expected);
  assert.ok(error < 2e-5, `differs by ${error}`);
};

test('plain attention is the shipped scorer: ranks to 0.999, values within what int8 costs', async () => {
  const tokenizer = loadTokenizer('models/scout');
  const passage =
    'The harbour was built in the year 1820, when the old canal could no longer carry the trade of the town. ' +
    'Every winter the council paid for new walls, and every spring the storms took some of them away again. ';
  const ids = [1, ...tokenizer.encode(passage.repeat(2)).ids];
  const scorer = await openSession('models/scout/scorer.onnx', { threads: 1 });
  const fed = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
  const { nll } = await scorer.run({ ids: fed });
  await scorer.release();
  const scores = nll?.data;
  assert.ok(scores instanceof Float32Array);
  const folder = 'models/scout';
  const { runtime, close } = await openRuntime({
    folder,
    scheme: { type: 'default' },
    kvTokens: 512,
  });
  const own: number[] = [];
  const sequence = runtime.open(ids);
  await runtime.read(sequence, {
    onLogits: (logits, count) => {
      for (let i = 0; i < count; i += 1) {
        const next = ids[own.length + 1];
        if (next === undefined) return;
        const row = logits.subarray(i * shape.vocabularySize, (i + 1) * shape.vocabularySize);
        const top = Math.max(...row);
        const sum = row.reduce((total, logit) => total + Math.exp(logit - top), 0);
        own.push(top + Math.log(sum) - (row[next] ?? 0));
      }
    },
  });
  await close();
  const theirs = [...scores.subarray(1)];
  assert.equal(own.length, theirs.length);
  const difference = own.reduce((sum, value, i) => sum + Math.abs(value - (theirs[i] ?? 0)), 0);
  assert.ok(difference / own.length < 0.06, `mean difference ${difference / own.length}`);
  assert.ok(rankCorrelation(own, theirs) > 0.999, String(rankCorrelation(own, theirs)));
});

test('before it was made int8, the scorer gave what the engine gives: measured when both were exported', () => {
  const manifest = JSON.parse(readFileSync('models/scout/manifest.json', 'utf8'));
  assert.ok(manifest.checks.engine_vs_scorer_fp32 < 1e-4);
  assert.ok(manifest.checks.engine_cached_steps_vs_scorer_fp32 < 1e-4);
});

function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const ranks = (values: readonly number[]): number[] => {
    const order = [...values.keys()].sort((i, j) => (values[i] ?? 0) - (values[j] ?? 0));
    const result = values.map(() => 0);
    for (const [rank, i] of order.entries()) result[i] = rank;
    return result;
  };
  const [left, right] = [ranks(a), ranks(b)];
  const squares = left.reduce((sum, rank, i) => sum + (rank - (right[i] ?? 0)) ** 2, 0);
  return 1 - (6 * squares) / (a.length * (a.length ** 2 - 1));
}

const schemes: readonly SchemeConfig[] = [
  { type: 'default' },
  { type: 'lm-infinite', sinks: 4 },
  { type: 'sliding-window' },
  { type: 'linear-bias' },
];

for (const scheme of schemes) {
  test(`${scheme.type}: a shared prefix is the recomputed one, for an extension and a branch`, async () => {
    const runtime = runtimeOf({ scheme });
    const ids = randomIds(1, 150);
    const first = runtime.open(ids);
    await runtime.read(first);
    runtime.release(first);
    const extended = [...ids, ...randomIds(2, 20)];
    const second = runtime.open(extended);
    assert.equal(second.length, 150, 'every token but the new ones');
    near(await runtime.read(second), await fresh(extended, { scheme }));
    const branch = [...ids.slice(0, 140), ...randomIds(3, 30)];
    const third = runtime.open(branch);
    assert.equal(third.length, 140, 'up to the token where they part');
    near(await runtime.read(third), await fresh(branch, { scheme }));
    runtime.release(second);
    runtime.release(third);
    assert.equal(runtime.pool.used, 0);
  });
}

test('sequences that run at the same time share pages; a fork copies only the page that grows', async () => {
  const runtime = runtimeOf();
  const ids = randomIds(4, 70);
  const first = runtime.open(ids);
  await runtime.read(first);
  const second = runtime.open([...ids, 77]);
  assert.equal(runtime.pool.used, 3, 'two full pages shared, the third not yet findable');
  assert.equal(second.length, 64);
  const twin = runtime.fork(first);
  assert.equal(runtime.pool.used, 4);
  twin.tokens.push(55);
  first.tokens.push(66);
  near(await runtime.read(twin), await fresh([...ids, 55]));
  near(await runtime.read(first), await fresh([...ids, 66]));
  for (const sequence of [first, second, twin]) runtime.release(sequence);
  assert.equal(runtime.pool.used, 0);
});

for (const scheme of [...schemes, { type: 'streaming', sinks: 4 } as const]) {
  test(`${scheme.type}: a batch gives what its sequences give alone`, async () => {
    const runtime = runtimeOf({ scheme });
    const prompts = [randomIds(5, 90), randomIds(6, 20), randomIds(7, 47)];
    const batch: Sequence[] = [];
    const alone: Sequence[] = [];
    const single = runtimeOf({ scheme });
    for (const prompt of prompts) {
      batch.push(runtime.open(prompt));
      alone.push(single.open(prompt));
    }
    for (const sequence of batch) await runtime.read(sequence);
    for (const sequence of alone) await single.read(sequence);
    for (let step = 0; step < 40; step += 1) {
      for (const sequence of [...batch, ...alone]) sequence.tokens.push(100 + step);
      const together = await runtime.decode(batch);
      for (const [row, sequence] of alone.entries()) {
        const [own] = await single.decode([sequence]);
        if (step % 13 === 0) near(together[row] ?? new Float32Array(0), own ?? new Float32Array(0));
      }
    }
  });
}

test('bounded KV stays flat however long a sequence gets', async () => {
  for (const scheme of [
    { type: 'lm-infinite' },
    { type: 'streaming' },
    { type: 'sliding-window' },
  ] as const) {
    const runtime = runtimeOf({ scheme, kvTokens: 256 });
    const sequence = runtime.open(randomIds(8, 600));
    const used: number[] = [];
    await runtime.read(sequence, { onLogits: () => void used.push(runtime.pool.used) });
    assert.ok(Math.max(...used) <= 4, `${scheme.type} holds ${Math.max(...used)} pages`);
    assert.ok(runtime.pool.allocated <= 8);
    runtime.release(sequence);
  }
});

test('a prefix of lm-infinite is found again although its middle has gone', async () => {
  const scheme = { type: 'lm-infinite' } as const;
  const runtime = runtimeOf({ scheme, kvTokens: 256 });
  const ids = randomIds(9, 300);
  const first = runtime.open(ids);
  await runtime.read(first);
  runtime.release(first);
  const again = runtime.open([...ids, 5]);
  assert.equal(again.length, 300);
  near(await runtime.read(again), await fresh([...ids, 5], { scheme }));
});

test('what StreamingLLM computed after its first drop is not shared', async () => {
  const runtime = runtimeOf({ scheme: { type: 'streaming', sinks: 4, recent: 60 }, chunk: 32 });
  const ids = randomIds(10, 200);
  const first = runtime.open(ids);
  await runtime.read(first);
  assert.throws(() => savePrefix(runtime, first), { code: 'REQUEST_INVALID', message: /dropped/ });
  runtime.release(first);
  assert.equal(runtime.open(ids).length, 64, 'the two pages before the drop');
});

test('an abort ends reading between two chunks; what is computed stays', async () => {
  const runtime = runtimeOf();
  const stop = new AbortController();
  const sequence = runtime.open(randomIds(11, 200));
  const reading = runtime.read(sequence, {
    signal: stop.signal,
    onLogits: () => stop.abort(new Error('enough')),
  });
  await assert.rejects(reading, /enough/);
  assert.equal(sequence.length, 24);
  near(await runtime.read(sequence), await fresh(sequence.tokens));
});

const longrope: SchemeConfig = {
  type: 'longrope',
  factor: 4,
  shortFactors: Array.from({ length: 16 }, () => 1),
  longFactors: Array.from({ length: 16 }, (_, i) => 1 + i),
};

for (const scheme of [longrope, { type: 'dynamic', factor: 2 }, { type: 'ntk-stepped' }] as const) {
  test(`${scheme.type}: KV of two regimes never mixes, in either direction, nor while writing`, async () => {
    const runtime = runtimeOf({ scheme, chunk: 16 });
    const ids = randomIds(12, 100);
    const short = runtime.open(ids.slice(0, 32));
    await runtime.read(short);
    const long = runtime.open(ids.slice(0, 70));
    assert.equal(long.length, 0, 'the short prompt is in another regime');
    near(await runtime.read(long), await fresh(ids.slice(0, 70), { scheme }));
    assert.equal(runtime.open(ids.slice(0, 20)).length, 19, 'the short one is reused');
    short.tokens.push(...ids.slice(32, 34));
    assert.ok(!runtime.canDecode(short));
    await assert.rejects(runtime.decode([short]), RangeError);
    near(await runtime.read(short), await fresh(ids.slice(0, 34), { scheme }));
    const other = [...ids.slice(0, 40), ...randomIds(13, 5)];
    const branch = runtime.open(other);
    near(await runtime.read(branch), await fresh(other, { scheme }));
  });
}

test('a saved prefix comes back in another process, bounded or not', async () => {
  for (const scheme of [{ type: 'default' }, { type: 'lm-infinite' }, longrope] as const) {
    const ids = randomIds(14, 90);
    const runtime = runtimeOf({ scheme });
    const sequence = runtime.open(ids);
    await runtime.read(sequence);
    const bytes = savePrefix(runtime, sequence);
    const later = runtimeOf({ scheme });
    const restored = restorePrefix(later, bytes);
    restored.tokens.push(7);
    near(await later.read(restored), await fresh([...ids, 7], { scheme }));
    later.release(restored);
    assert.equal(later.open([...ids, 9, 9]).length, 90, 'prompts find it');
  }
});

test('a saved prefix of another model, scheme or damaged is refused with what is wrong', async () => {
  const runtime = runtimeOf();
  const sequence = runtime.open(randomIds(15, 40));
  await runtime.read(sequence);
  const bytes = savePrefix(runtime, sequence);
  const refuses = (settings: Settings, changed: Uint8Array, message: RegExp): void => {
    const other = runtimeOf(settings);
    assert.throws(() => restorePrefix(other, changed), { code: 'REQUEST_INVALID', message });
    assert.equal(other.pool.used, 0);
  };
  refuses({ fingerprint: 'other' }, bytes, /its model is test; this engine has other/);
  refuses({ scheme: { type: 'linear', factor: 2 } }, bytes, /its scheme is .*default.*linear/);
  refuses({}, bytes.subarray(0, bytes.length - 4), /digest/);
  const flipped = Uint8Array.from(bytes);
  flipped[flipped.length - 100] = (flipped.at(-100) ?? 0) ^ 1;
  refuses({}, flipped, /digest/);
  const regime = Buffer.from(bytes).indexOf('"regime":32') + 9;
  const moved = Uint8Array.from(bytes);
  moved[regime] = '9'.charCodeAt(0);
  refuses({}, moved, /digest/);
  refuses({}, Buffer.from('hello'), /begin/);
  refuses({}, bytes.subarray(0, 20), /header/);
  const tight = runtimeOf({ kvTokens: 32 });
  assert.throws(() => restorePrefix(tight, bytes), { code: 'QUEUE_FULL' });
});

test('the pool: bounded, least recently used first, referenced pages stay', () => {
  const pool = new BlockPool({ rows: 1, headDim: 1 }, 3);
  const page = (first: number): Uint32Array => new Uint32Array(blockTokens).fill(first);
  const filled = [1, 2, 3].map((id) => {
    const block = pool.take(0);
    block.ids.set(page(id));
    block.count = blockTokens;
    pool.publish(block, 'root');
    return block;
  });
  assert.throws(() => pool.take(0), { code: 'QUEUE_FULL', message: /96 tokens/ });
  const [one, two, three] = filled;
  if (one === undefined || two === undefined || three === undefined) throw new Error('no pages');
  pool.release(two);
  pool.release(one);
  pool.release(pool.hold(two));
  assert.equal(pool.used, 1);
  pool.take(0);
  assert.equal(pool.find(blockKey('root', page(1))), undefined, 'the oldest has gone');
  assert.equal(pool.find(blockKey('root', page(2))), two);
  assert.equal(pool.find(blockKey('root', page(3))), three);
  assert.equal(pool.closest('root', page(2).slice(0, 5))?.shared, 5);
  assert.equal(commonPrefix(Uint32Array.of(5, 6, 7), Uint32Array.of(5, 6, 9)), 2);
});
