/** Time from an abort in mid-scoring until the same worker has scored another caller's short text, on the shipped model. */
import { join } from 'node:path';
import { createScorers } from '../src/score/create.ts';
import type { BenchModule, BenchResult } from './types.ts';

const rounds = 25;
const barMs = 50;

export const cancel: BenchModule = {
  name: 'cancel',
  title: 'Milliseconds until an aborted scoring frees its worker slot',
  run,
};

async function run(): Promise<BenchResult> {
  const scorers = await createScorers({
    surprisal: join('models', 'scout'),
    keep: null,
    workers: 1,
    threads: 1,
    queue: 64,
    cacheEntries: 1,
  });
  const freed: number[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) freed.push(await once(scorers, round));
  } finally {
    await scorers.close();
  }
  freed.sort((a, b) => a - b);
  const at = (share: number): number =>
    freed[Math.min(freed.length - 1, Math.floor(freed.length * share))] ?? NaN;
  return {
    rows: [
      {
        name: 'next short text scored, median',
        value: at(0.5),
        unit: 'ms',
        baseline: 'abort',
        bar: barMs,
        detail: { p90: at(0.9), worst: at(1), rounds },
      },
    ],
    notes: ['a wall-clock measure: other work on the machine adds to it'],
  };
}

type Scorers = Awaited<ReturnType<typeof createScorers>>;

async function once(scorers: Scorers, round: number): Promise<number> {
  const text = `Round ${round}. `.concat(
    'The ship left the harbour before the storm came in. '.repeat(400),
  );
  const controller = new AbortController();
  const scored = scorers.surprisal?.score(text, { signal: controller.signal }).catch(() => null);
  // Somewhere inside a chunk, a different place every round.
  await new Promise((resolve) => setTimeout(resolve, 60 + ((round * 7) % 40)));
  const left = performance.now();
  controller.abort();
  // The next caller's wait shows when the worker is free: its own work is one short text.
  await scorers.surprisal?.score(`Next ${round}.`);
  const waited = performance.now() - left;
  await scored;
  return waited;
}
