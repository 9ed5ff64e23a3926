/** The queue before the workers: bounds, cancelling, crashes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkSignals } from '../../src/core/abort.ts';
import type { ModelInput } from '../../src/score/model.ts';
import { createWorkerPool, type WorkerPool } from '../../src/score/pool.ts';
import { prose, tinyCausal, withScorers } from './helpers.ts';

const [DIE, FAIL, SLOW] = [1, 2, 3];
const entry = new URL('./crashing-worker.ts', import.meta.url);
const setup = { models: [], threads: 1, warmUp: false };
const job = (first: number): ModelInput => ({
  ids: Uint32Array.of(first, 7),
  lengths: null,
  seconds: null,
});

async function withPool(
  options: { workers?: number; queue?: number },
  use: (pool: WorkerPool) => Promise<void>,
): Promise<void> {
  const pool = await createWorkerPool({ entry, setup, workers: 1, queue: 8, ...options });
  try {
    await use(pool);
  } finally {
    await pool.close();
  }
}

test('a job comes back with its values', async () => {
  await withPool({ workers: 2 }, async (pool) => {
    assert.equal(pool.ready, true);
    const all = await Promise.all([5, 6, 7, 8].map((id) => pool.run('surprisal', job(id))));
    assert.deepEqual(
      all.map((values) => values[0]),
      [5, 6, 7, 8],
    );
    assert.deepEqual(pool.stats(), { queued: 0, running: 0, workers: 2, crashes: 0 });
  });
});

test('a full queue refuses new requests at once, and lets the later chunks of old ones wait', async () => {
  await withPool({ queue: 1 }, async (pool) => {
    const running = pool.run('surprisal', job(SLOW));
    const waiting = pool.run('surprisal', job(5));
    await assert.rejects(pool.run('surprisal', job(6)), { code: 'QUEUE_FULL' });
    const later = pool.run('surprisal', job(9), { admitted: true });
    assert.equal((await running)[0], SLOW);
    assert.equal((await waiting)[0], 5);
    assert.equal((await later)[0], 9);
  });
});

test('an abort takes waiting chunks out at once and never touches the running worker', async () => {
  await withPool({}, async (pool) => {
    const client = new AbortController();
    const { signal, release } = linkSignals(client.signal, null);
    const running = pool.run('surprisal', job(SLOW), { signal });
    const waiting = pool.run('surprisal', job(5), { signal });
    const other = pool.run('surprisal', job(6));
    client.abort();
    // both callers are released before the running chunk has ended
    await assert.rejects(running, { code: 'ABORTED' });
    await assert.rejects(waiting, { code: 'ABORTED' });
    assert.deepEqual(pool.stats(), { queued: 1, running: 1, workers: 1, crashes: 0 });
    assert.equal((await other)[0], 6);
    assert.equal(pool.stats().crashes, 0);
    await assert.rejects(pool.run('surprisal', job(5), { signal }), { code: 'ABORTED' });
    release();
  });
});

test('a deadline says so', async () => {
  await withPool({}, async (pool) => {
    const { signal, release } = linkSignals(null, 20);
    await assert.rejects(pool.run('surprisal', job(SLOW), { signal }), {
      code: 'DEADLINE_EXCEEDED',
    });
    release();
  });
});

test('a worker that dies fails its own chunk, and the pool recovers', async () => {
  await withPool({}, async (pool) => {
    const dying = pool.run('surprisal', job(DIE));
    const next = pool.run('surprisal', job(5));
    await assert.rejects(dying, { code: 'SCORER_FAILED', message: /died/ });
    assert.equal((await next)[0], 5);
    assert.equal(pool.stats().crashes, 1);
    assert.equal(pool.ready, true);
  });
});

test('a worker that keeps dying is given up, and requests are told', async () => {
  await withPool({}, async (pool) => {
    for (let i = 0; i < 4; i++)
      await assert.rejects(pool.run('surprisal', job(DIE)), { code: 'SCORER_FAILED' });
    await assert.rejects(pool.run('surprisal', job(5)), {
      code: 'SCORER_FAILED',
      message: /No scorer worker is left/,
    });
    assert.equal(pool.ready, false);
  });
});

test('a chunk that fails is an error of its own', async () => {
  await withPool({}, async (pool) => {
    await assert.rejects(pool.run('surprisal', job(FAIL)), {
      code: 'SCORER_FAILED',
      message: /asked to fail/,
    });
    assert.equal((await pool.run('surprisal', job(5)))[0], 5);
  });
});

test('closing rejects what waits', async () => {
  const pool = await createWorkerPool({ entry, setup, workers: 1, queue: 8 });
  const running = pool.run('surprisal', job(SLOW));
  const waiting = pool.run('surprisal', job(5));
  const both = Promise.allSettled([running, waiting]);
  await pool.close();
  assert.deepEqual(
    (await both).map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await assert.rejects(pool.run('surprisal', job(5)), { code: 'SCORER_FAILED' });
});

test('a client that goes away mid-scoring leaves the pool within one chunk', async () => {
  await withScorers({ surprisal: tinyCausal, workers: 1 }, async (pool) => {
    const client = new AbortController();
    const scoring = pool.surprisal!.score(prose(20_000), { signal: client.signal });
    while (pool.stats().chunks < 2) await new Promise((resolve) => setImmediate(resolve));
    client.abort();
    await assert.rejects(scoring, { code: 'ABORTED' });
    assert.equal(pool.stats().queued, 0);
    const { chunks } = pool.stats();
    // the next request gets the worker: nothing of the old one is left before it
    await pool.surprisal!.score('short');
    assert.ok(pool.stats().chunks <= chunks + 1);
    assert.equal(pool.stats().crashes, 0);
  });
});
