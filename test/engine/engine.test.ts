/** The embedded engine on the shipped model. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engine/load.ts';
import { PrefixCache, commonPrefix, prefixOf } from '../../src/engine/kv-state.ts';
import { createRandom, sample } from '../../src/engine/sampler.ts';
import { lambdaScheme } from '../../src/engine/schemes/lambda.ts';
import type { Engine, GenerateRequest, ModelShape } from '../../src/engine/types.ts';

let engine: Engine;
before(async () => {
  engine = await loadEngine({ folder: 'models/scout', threads: 1, queue: 4 });
});
after(() => engine.close());

interface Generated {
  readonly ids: readonly number[];
  readonly cached: number;
  readonly reason: string;
}

function generate(text: string, options: Partial<GenerateRequest> = {}): Promise<Generated> {
  const promptIds = Uint32Array.from([engine.bosId ?? 0, ...engine.tokenizer.encode(text).ids]);
  const ids: number[] = [];
  let cached = -1;
  return new Promise((resolve, reject) => {
    engine.generate(
      { promptIds, maxTokens: 12, temperature: 0, topP: 1, seed: 0, ...options },
      {
        onStart: (count) => void (cached = count),
        onToken: (id) => void ids.push(id),
        onEnd: (reason) => resolve({ ids, cached, reason }),
        onError: reject,
      },
    );
  });
}

test('an identical prompt of n tokens reuses n - 1, an extended one all, with the same tokens', async () => {
  const text = 'The harbour was built in the year';
  const length = engine.tokenizer.count(text) + 1;
  const first = await generate(text);
  const second = await generate(text);
  assert.equal(first.cached, 0);
  assert.equal(second.cached, length - 1);
  assert.deepEqual(second.ids, first.ids);
  const fresh = await loadEngine({ folder: 'models/scout', threads: 1, queue: 4 });
  const longer = `${text} of the great storm and`;
  const withCache = await generate(longer);
  assert.ok(withCache.cached >= length, `${withCache.cached} of ${length}`);
  const kept = engine;
  engine = fresh;
  const withoutCache = await generate(longer);
  engine = kept;
  await fresh.close();
  assert.equal(withoutCache.cached, 0);
  assert.deepEqual(withCache.ids, withoutCache.ids);
});

test('the same seed gives the same text, another seed another', async () => {
  const options = { temperature: 1, maxTokens: 24 };
  const a = await generate('Once there was', { ...options, seed: 7 });
  const b = await generate('Once there was', { ...options, seed: 7 });
  const c = await generate('Once there was', { ...options, seed: 8 });
  assert.deepEqual(a.ids, b.ids);
  assert.notDeepEqual(a.ids, c.ids);
});

test('concurrent generations do not disturb each other', async () => {
  const texts = ['A river', 'The law of', 'import numpy', '今天天气'];
  const together = await Promise.all(texts.map((text) => generate(text)));
  for (const [at, text] of texts.entries()) {
    assert.deepEqual((await generate(text)).ids, together[at]?.ids, text);
  }
});

test('prompts far beyond the trained length are read and answered', async () => {
  const { reason, ids } = await generate('the wind and the sea and the '.repeat(120), {
    maxTokens: 3,
  });
  assert.equal(reason, 'length');
  assert.equal(ids.length, 3);
});

test('an abort frees the slot: the queue takes another request at once', async () => {
  const request = {
    promptIds: engine.tokenizer.encode('the long road '.repeat(100)).ids,
    maxTokens: 500,
    temperature: 0,
    topP: 1,
    seed: 0,
  };
  const ended: string[] = [];
  const events = {
    onStart: () => {},
    onToken: () => {},
    onEnd: (reason: string) => void ended.push(reason),
    onError: (error: Error) => void ended.push(error.message),
  };
  const aborts = [1, 2, 3, 4].map(() => engine.generate(request, events));
  assert.throws(() => engine.generate(request, events), { code: 'QUEUE_FULL' });
  for (const abort of aborts) abort();
  const { ids } = await generate('The sea');
  assert.equal(ids.length, 12);
  assert.deepEqual(ended, [], 'nothing is told about an aborted request');
});

const shape: ModelShape = {
  layers: 1,
  kvHeads: 1,
  heads: 1,
  headDim: 2,
  ropeBase: 10000,
  vocabularySize: 4,
  trainedLength: 8,
};

test('Lambda mask: plain attention inside the trained length, sinks and window beyond it', () => {
  const inside = lambdaScheme.inputs(shape, 3, 2);
  assert.deepEqual(
    Array.from(inside.mask, (value) => (value === 0 ? 1 : 0)),
    [1, 1, 1, 1, 0, 1, 1, 1, 1, 1],
  );
  assert.deepEqual(Array.from(inside.select), [0]);
  const beyond = lambdaScheme.inputs(shape, 14, 1);
  // query 14 sees sinks 0-3 and the last 8 keys, 7-14
  assert.deepEqual(
    Array.from(beyond.mask, (value) => (value === 0 ? 1 : 0)),
    [1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
  );
  assert.deepEqual(Array.from(beyond.select.subarray(0, 5)), [1, 1, 1, 1, 0]);
  assert.equal((beyond.queryPositions2[0] ?? 0) - (beyond.keyPositions2[0] ?? 0), 7);
});

test('prefixes of KV keep every layer and head', () => {
  const two = { ...shape, layers: 2, kvHeads: 2, headDim: 1 };
  const keys = Float32Array.from({ length: 12 }, (_, at) => at);
  const state = { ids: Uint32Array.of(5, 6, 7), length: 3, keys, values: keys };
  assert.deepEqual(Array.from(prefixOf(state, 2, two).keys), [0, 1, 3, 4, 6, 7, 9, 10]);
  assert.equal(commonPrefix(state.ids, Uint32Array.of(5, 6, 9)), 2);
});

test('the prefix cache is bounded by sequences and tokens', () => {
  const cache = new PrefixCache(2, 10);
  const state = (...ids: number[]): Parameters<PrefixCache['add']>[0] => ({
    ids: Uint32Array.from(ids),
    length: ids.length,
    keys: new Float32Array(0),
    values: new Float32Array(0),
  });
  cache.add(state(1, 2));
  cache.add(state(1, 2, 3));
  cache.add(state(9));
  assert.equal(cache.longest(Uint32Array.of(1, 2, 3, 4)).shared, 3);
  cache.add(state(8));
  assert.equal(cache.longest(Uint32Array.of(1, 2, 3, 4)).shared, 0, 'the oldest is gone');
  cache.add(state(...Array.from({ length: 11 }, () => 7)));
  assert.equal(cache.longest(Uint32Array.of(7)).shared, 0, 'too long to keep');
});

test('sampling: greedy at 0, nucleus keeps the smallest set with the mass', () => {
  const logits = Float32Array.from([0, 3, 1, 2.9]);
  assert.equal(
    sample(logits, { temperature: 0, topP: 1 }, () => 0.99),
    1,
  );
  const drawn = new Set(
    Array.from({ length: 50 }, (_, at) =>
      sample(logits, { temperature: 1, topP: 0.5 }, () => at / 50),
    ),
  );
  assert.deepEqual([...drawn].sort(), [1, 3]);
  const random = createRandom(1);
  const values = Array.from({ length: 1000 }, random);
  assert.ok(values.every((value) => value >= 0 && value < 1));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.ok(Math.abs(mean - 0.5) < 0.05, String(mean));
});
