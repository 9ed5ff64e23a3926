/**
 * Worker threads that score one chunk at a time, and the queue before them.
 *
 * A worker holds one chunk; the others wait here, where an abort takes them out at once. A running chunk cannot be
 * stopped inside the runtime: its caller is released at once, its worker when the chunk ends, which is why chunks
 * are small. A worker that dies fails its own chunk and is replaced.
 */
import type { Worker } from 'node:worker_threads';
import { throwIfAborted } from '../core/abort.ts';
import { SluiceError } from '../core/errors.ts';
import type { ModelFile, ModelInput, ModelRole } from './model.ts';
import { startModuleWorker } from './worker-thread.ts';

/** What a worker is told at its start. */
export interface WorkerSetup {
  readonly models: readonly ModelFile[];
  /** Intra-op threads of each session. */
  readonly threads: number;
  readonly warmUp: boolean;
}

export interface PoolJob extends ModelInput {
  readonly id: number;
  readonly role: ModelRole;
}

/** Sent to a worker in place of a job when it is to end. */
export const STOP = 'stop';

export type PoolReply =
  | { readonly ready: true }
  | { readonly failed: string }
  | { readonly id: number; readonly values: Float32Array }
  | { readonly id: number; readonly error: string };

export interface PoolOptions {
  /** Module of the worker. */
  readonly entry: URL;
  readonly setup: WorkerSetup;
  /** Number of workers, at least 1. */
  readonly workers: number;
  /** Jobs that may wait before new requests are refused. */
  readonly queue: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal | null;
  /** True for the later chunks of a request that was let in: they wait even when the queue is full. */
  readonly admitted?: boolean;
}

export interface PoolStats {
  /** Chunks waiting. */
  readonly queued: number;
  /** Chunks in a worker. */
  readonly running: number;
  /** Workers that are warm. */
  readonly workers: number;
  /** Workers that died. */
  readonly crashes: number;
}

export interface WorkerPool {
  /** @throws SluiceError QUEUE_FULL, ABORTED, DEADLINE_EXCEEDED, SCORER_FAILED */
  run(role: ModelRole, input: ModelInput, options?: RunOptions): Promise<Float32Array>;
  /** True while every worker is warm. */
  readonly ready: boolean;
  stats(): PoolStats;
  close(): Promise<void>;
}

interface Waiting {
  readonly job: PoolJob;
  resolve(values: Float32Array): void;
  reject(error: unknown): void;
}

/** Place of one worker; a dead worker's place is filled again. */
interface Slot {
  worker: Worker | null;
  /** Opened and warm. */
  ready: boolean;
  running: Waiting | null;
  /** Deaths since the last chunk that was answered. */
  failures: number;
}

/** Deaths in a row after which a place is given up. */
const MAX_FAILURES = 3;

interface State {
  readonly options: PoolOptions;
  readonly waiting: Waiting[];
  readonly slots: readonly Slot[];
  closed: boolean;
  crashes: number;
  lastId: number;
}

/**
 * Starts the workers and waits until all are warm.
 * @throws SluiceError MODEL_INVALID when a model cannot be opened
 */
export async function createWorkerPool(options: PoolOptions): Promise<WorkerPool> {
  const slots = Array.from({ length: options.workers }, (): Slot => {
    return { worker: null, ready: false, running: null, failures: 0 };
  });
  const state: State = { options, slots, waiting: [], closed: false, crashes: 0, lastId: 0 };
  try {
    await Promise.all(slots.map((slot) => startSlot(state, slot)));
  } catch (cause) {
    await closePool(state);
    throw cause;
  }
  return {
    run: async (role, input, runOptions = {}) => enqueue(state, { role, ...input }, runOptions),
    get ready() {
      return !state.closed && slots.every((slot) => slot.ready);
    },
    stats: () => ({
      queued: state.waiting.length,
      running: slots.filter((slot) => slot.running !== null).length,
      workers: slots.filter((slot) => slot.ready).length,
      crashes: state.crashes,
    }),
    close: () => closePool(state),
  };
}

function enqueue(
  state: State,
  job: Omit<PoolJob, 'id'>,
  { signal = null, admitted = false }: RunOptions,
): Promise<Float32Array> {
  throwIfAborted(signal);
  refuse(state, admitted);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      const at = state.waiting.indexOf(entry);
      if (at >= 0) state.waiting.splice(at, 1);
      reject(reasonOf(signal));
    };
    const release = (): void => signal?.removeEventListener('abort', onAbort);
    const entry: Waiting = {
      job: { id: ++state.lastId, ...job },
      resolve(values) {
        release();
        resolve(values);
      },
      reject(error) {
        release();
        reject(error);
      },
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    state.waiting.push(entry);
    dispatch(state);
  });
}

const isLost = (slot: Slot): boolean => slot.failures > MAX_FAILURES;

function refuse(state: State, admitted: boolean): void {
  if (state.closed) throw new SluiceError('SCORER_FAILED', 'The scorers were closed');
  if (state.slots.every(isLost))
    throw new SluiceError('SCORER_FAILED', 'No scorer worker is left: each died several times');
  const { queue } = state.options;
  if (!admitted && state.waiting.length >= queue)
    throw new SluiceError('QUEUE_FULL', `${queue} chunks are waiting for a scorer already`);
}

function reasonOf(signal: AbortSignal | null): unknown {
  try {
    throwIfAborted(signal);
  } catch (reason) {
    return reason;
  }
  return new SluiceError('ABORTED', 'The caller went away');
}

/** Gives waiting jobs to idle workers, first come first served. */
function dispatch({ slots, waiting }: State): void {
  for (const slot of slots) {
    if (!slot.ready || slot.running !== null) continue;
    const next = waiting.shift();
    if (next === undefined) return;
    slot.running = next;
    slot.worker?.ref();
    slot.worker?.postMessage(next.job);
  }
}

/** Ends the job in a slot and takes the next. */
function settle(state: State, slot: Slot, finish: (ended: Waiting) => void): void {
  const { running } = slot;
  slot.running = null;
  // an idle pool does not keep the process alive; one that is being closed must see its workers end
  if (!state.closed) slot.worker?.unref();
  if (running !== null) finish(running);
  dispatch(state);
}

function onReply(state: State, slot: Slot, reply: PoolReply): void {
  slot.failures = 0;
  settle(state, slot, (ended) => {
    if ('values' in reply) ended.resolve(reply.values);
    else if ('error' in reply)
      ended.reject(new SluiceError('SCORER_FAILED', `Scoring failed: ${reply.error}`));
  });
}

/** A worker died: its chunk fails, and another worker takes its place unless that keeps happening. */
function onGone(state: State, slot: Slot, reason: string): void {
  if (state.closed) return;
  state.crashes++;
  slot.failures++;
  const error = new SluiceError('SCORER_FAILED', `A scorer worker died: ${reason}`);
  settle(state, slot, (ended) => ended.reject(error));
  if (!isLost(slot))
    startSlot(state, slot).catch((cause: unknown) =>
      onGone(state, slot, cause instanceof Error ? cause.message : String(cause)),
    );
  else if (state.slots.every(isLost))
    for (const waited of state.waiting.splice(0)) waited.reject(error);
}

/** Starts a slot's worker; resolves when it is warm, rejects when it dies before. */
function startSlot(state: State, slot: Slot): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = startModuleWorker(state.options.entry, state.options.setup);
    slot.worker = worker;
    let death = new SluiceError('SCORER_FAILED', 'The scorer worker exited');
    worker.on('error', (cause: Error) => {
      death = new SluiceError('SCORER_FAILED', cause.message, { cause });
    });
    worker.on('message', (reply: PoolReply) => {
      if ('ready' in reply) {
        slot.ready = true;
        worker.unref();
        resolve();
        dispatch(state);
      } else if ('failed' in reply) {
        death = new SluiceError('MODEL_INVALID', reply.failed);
        void worker.terminate();
      } else onReply(state, slot, reply);
    });
    worker.on('exit', () => {
      const wasReady = slot.ready;
      slot.ready = false;
      slot.worker = null;
      if (wasReady) onGone(state, slot, death.message);
      else reject(death);
    });
  });
}

async function closePool(state: State): Promise<void> {
  state.closed = true;
  const error = new SluiceError('SCORER_FAILED', 'The scorers were closed');
  for (const waited of state.waiting.splice(0)) waited.reject(error);
  const workers = state.slots.flatMap(({ worker }) => (worker === null ? [] : [worker]));
  for (const slot of state.slots) {
    slot.running?.reject(error);
    slot.running = null;
    slot.ready = false;
  }
  await Promise.all(workers.map(stopWorker));
}

/**
 * Asks a worker to end and waits until it has. Ending it from outside while it computes would throw inside the native
 * runtime, which aborts the whole process; so it ends by itself when its chunk is done.
 */
function stopWorker(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.once('exit', () => resolve());
    // idle workers do not hold the process open; whoever waits for their end must not be left waiting
    worker.ref();
    worker.postMessage(STOP);
  });
}
