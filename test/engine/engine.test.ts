/** The embedded engine on the shipped model. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadEngine } from '../../src/engine/load.ts';
import { createRandom, sample } from '../../src/engine/sampler.ts';
import type { Engine, GenerateRequest } from '../../src/engine/types.ts';

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
  const promptIds = engine.textIds(text);
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

test('closing during a generation ends it between two steps', async () => {
  const busy = await loadEngine({ folder: 'models/scout', threads: 1, queue: 4 });
  let stopped = '';
  await new Promise<void>((resolve) => {
    const promptIds = busy.tokenizer.encode('the long road '.repeat(300)).ids;
    busy.generate(
      { promptIds, maxTokens: 500, temperature: 0, topP: 1, seed: 0 },
      {
        onStart: () => resolve(),
        onToken: () => {},
        onEnd: (reason) => void (stopped = reason),
        onError: (error) => void (stopped = error.message),
      },
    );
  });
  await busy.close();
  assert.match(stopped, /was closed/);
  assert.throws(
    () =>
      busy.generate(
        { promptIds: Uint32Array.of(1), maxTokens: 1, temperature: 0, topP: 1, seed: 0 },
        { onStart: () => {}, onToken: () => {}, onEnd: () => {}, onError: () => {} },
      ),
    { code: 'SCORER_FAILED' },
  );
  await busy.close();
});

test('requests that do not fit into the KV memory together run one after the other; too long ones are refused', async () => {
  const kept = engine;
  engine = await loadEngine({ folder: 'models/scout', threads: 1, queue: 4, kvTokens: 320 });
  try {
    const text = 'the old road along the river '.repeat(20);
    const alone = await generate(text);
    const together = await Promise.all([generate(text), generate(text), generate(`${text}.`)]);
    assert.deepEqual(together[0]?.ids, alone.ids);
    assert.deepEqual(together[1]?.ids, alone.ids);
    await assert.rejects(generate(text.repeat(6)), {
      code: 'REQUEST_INVALID',
      message: /KV pages/,
    });
  } finally {
    await engine.close();
    engine = kept;
  }
});

test('a prefix is saved and restored by another engine; one under another scheme refuses it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-kv-'));
  const path = join(folder, 'prefix.kv');
  const ids = engine.tokenizer.encode(
    'The keeper of the light wrote in his book every evening, and',
  ).ids;
  const other = await loadEngine({ folder: 'models/scout', threads: 1, queue: 4 });
  const scaled = await loadEngine({
    folder: 'models/scout',
    threads: 1,
    queue: 4,
    scheme: { type: 'yarn', factor: 4 },
  });
  try {
    assert.equal(await engine.savePrefix(ids, path), ids.length);
    assert.equal(await other.restorePrefix(path), ids.length);
    const cached = await new Promise<number>((resolve, reject) => {
      const promptIds = Uint32Array.from([...ids, 300]);
      other.generate(
        { promptIds, maxTokens: 1, temperature: 0, topP: 1, seed: 0 },
        { onStart: resolve, onToken: () => {}, onEnd: () => {}, onError: reject },
      );
    });
    assert.equal(cached, ids.length);
    await assert.rejects(scaled.restorePrefix(path), {
      code: 'REQUEST_INVALID',
      message: /scheme/,
    });
    await assert.rejects(other.restorePrefix(join(folder, 'absent')), /ENOENT|no such file/);
  } finally {
    await Promise.all([other.close(), scaled.close()]);
    rmSync(folder, { recursive: true });
  }
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
