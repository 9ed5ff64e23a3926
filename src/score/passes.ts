/** Runs the chunks of one request, a few at a time. */
import { throwIfAborted } from '../core/abort.ts';

export interface Pass {
  /** False for the first chunk only: it is the one that a full queue refuses. */
  readonly admitted: boolean;
  /** Fires when the caller is gone and when another chunk of the request has failed. */
  readonly signal: AbortSignal;
}

export interface PassLimits {
  /** Calls that may be under way. */
  readonly parallel: number;
  readonly signal: AbortSignal | null;
}

/**
 * Calls `run` for every item, which is taken only when its turn comes. The first error takes the request's other
 * chunks out of the queue and is thrown.
 */
export async function runEach<T>(
  items: Iterable<T>,
  { parallel, signal }: PassLimits,
  run: (item: T, pass: Pass) => Promise<void>,
): Promise<void> {
  throwIfAborted(signal);
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const iterator = items[Symbol.iterator]();
  let admitted = false;
  const lane = async (): Promise<void> => {
    for (;;) {
      throwIfAborted(controller.signal);
      const next = iterator.next();
      if (next.done === true) return;
      const pass = { admitted, signal: controller.signal };
      admitted = true;
      await run(next.value, pass);
    }
  };
  try {
    await Promise.all(Array.from({ length: parallel }, lane));
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}
