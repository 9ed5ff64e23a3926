/** Measures cells, one at a time: a stretch of text in, its surprisal out. */
import { parentPort, workerData } from 'node:worker_threads';
import { EngineRuntime } from '../../src/engine/runtime.ts';
import type { ModelShape } from '../../src/engine/types.ts';
import { openSession } from '../../src/score/session.ts';
import { scored } from './cells.ts';
import type { Cell } from './cells.ts';

export interface StudyWorkerData {
  readonly modelPath: string;
  readonly shape: ModelShape;
}

export interface Task {
  readonly cell: Cell;
  /** The whole context with BOS; the last `scored` tokens count. */
  readonly ids: Uint32Array;
}

export interface Measured {
  readonly id: string;
  /** Mean surprisal of the scored tokens, nats. */
  readonly nll: number;
  readonly ms: number;
  readonly pages: number;
}

const data = workerData as StudyWorkerData;
const session = await openSession(data.modelPath, { threads: 1 });
parentPort?.on('message', (task: Task | null) => {
  if (task === null) return parentPort?.close();
  void measure(task).then((result) => parentPort?.postMessage(result));
});

async function measure({ cell, ids }: Task): Promise<Measured> {
  const { scheme, chunk, kvTokens } = cell;
  const { shape } = data;
  const runtime = new EngineRuntime(session, { shape, scheme, kvTokens, chunk, fingerprint: '' });
  const before = performance.now();
  const sequence = runtime.open(ids);
  const first = ids.length - scored;
  let [nll, pages] = [0, 0];
  while (sequence.length < ids.length) {
    const from = sequence.length;
    // The chunk before the first scored token predicts it.
    const counts = from + chunk >= first;
    const logits = await runtime.readChunk(sequence, counts ? 'all' : 'last');
    pages = Math.max(pages, runtime.pool.used);
    if (!counts) continue;
    for (let at = Math.max(from, first - 1); at < sequence.length && at + 1 < ids.length; at += 1) {
      const row = logits
        .subarray((at - from) * shape.vocabularySize)
        .subarray(0, shape.vocabularySize);
      nll += surprisal(row, ids[at + 1] ?? 0);
    }
  }
  return { id: cell.id, nll: nll / scored, ms: performance.now() - before, pages };
}

function surprisal(logits: Float32Array, id: number): number {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum) - (logits[id] ?? 0);
}
