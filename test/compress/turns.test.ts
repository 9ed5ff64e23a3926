/** Long jobs share the main thread: the event loop turns between their pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCompressor } from '../../src/compress/create.ts';
import type { CompressJob } from '../../src/compress/types.ts';
import { createTurns } from '../../src/core/turns.ts';
import type { Steps } from '../../src/core/steps.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import { longDocument } from '../helpers/gateway.ts';
import { noScorers } from '../helpers/fake-scorer.ts';

const compressor = createCompressor('auto', {
  tokenizer: fakeTokenizer(),
  scorers: noScorers,
});

function job(documents: number, signal: AbortSignal): CompressJob {
  return {
    segments: Array.from({ length: documents }, (_, at) => ({
      text: longDocument(at, 1000),
      kind: 'document',
      content: 'prose',
      policy: 'compressible',
    })),
    question: 'When did station 1-3 open?',
    instruction: '',
    budget: { type: 'rate', rate: 0.3 },
    survivors: { classes: [], literals: [], patterns: [] },
    options: {},
    minTokens: 0,
    signal,
  };
}

test('a long job is given up when its signal fires meanwhile', async () => {
  const gone = new AbortController();
  setImmediate(() => gone.abort());
  await assert.rejects(
    compressor.compress(job(4, gone.signal)),
    (error) => SluiceError.isInstance(error) && error.code === 'ABORTED',
  );
});

/** Work of `pieces` steps, each of which takes `ms` of the clock. */
function* work(clock: { ms: number }, pieces: number, ms: number): Steps<string> {
  for (let i = 0; i < pieces; i++) {
    clock.ms += ms;
    yield;
  }
  return 'done';
}

function countTurns(): { turns: number } {
  const counted = { turns: 0 };
  const count = (): void => {
    counted.turns += 1;
    setImmediate(count).unref();
  };
  setImmediate(count).unref();
  return counted;
}

test('the event loop turns whenever a slice of time is used up, and not before', async () => {
  const clock = { ms: 0 };
  const turns = createTurns(null, () => clock.ms);
  const loop = countTurns();
  assert.equal(await turns.run(work(clock, 4, 1)), 'done');
  assert.equal(loop.turns, 0);
  await turns.run(work(clock, 80, 1));
  assert.equal(loop.turns, 16);
});

test('many jobs at once: one slice per turn of the loop, and every job comes to its turn', async () => {
  const clock = { ms: 0 };
  const loop = countTurns();
  const order: number[] = [];
  function* steps(job: number): Steps<void> {
    for (let i = 0; i < 3; i++) {
      order.push(job);
      clock.ms += 100;
      yield;
    }
  }
  await Promise.all([0, 1, 2].map((job) => createTurns(null, () => clock.ms).run(steps(job))));
  assert.deepEqual(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
  assert.ok(loop.turns >= 8, `${loop.turns} turns`);
});

test('a signal that fires between slices ends the work', async () => {
  const clock = { ms: 0 };
  const gone = new AbortController();
  const running = createTurns(gone.signal, () => clock.ms).run(work(clock, 100, 10));
  gone.abort();
  await assert.rejects(
    running,
    (error) => SluiceError.isInstance(error) && error.code === 'ABORTED',
  );
  assert.ok(clock.ms < 100);
});
