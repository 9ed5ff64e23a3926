/** A worker without a model for the tests of the pool: waits, answers, fails or dies as the first id says. */
import { parentPort } from 'node:worker_threads';
import { type PoolJob, STOP } from '../../src/score/pool.ts';

export const DIE = 1;
export const FAIL = 2;
export const SLOW = 3;
export const SLOW_MS = 150;

parentPort?.on('message', (job: PoolJob | typeof STOP) => {
  if (job === STOP) process.exit(0);
  const { id, ids } = job;
  if (ids[0] === DIE) process.exit(3);
  if (ids[0] === FAIL) parentPort?.postMessage({ id, error: 'asked to fail' });
  else {
    // blocks like the runtime does
    if (ids[0] === SLOW) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_MS);
    parentPort?.postMessage({ id, values: Float32Array.from(ids) });
  }
});
parentPort?.postMessage({ ready: true });
