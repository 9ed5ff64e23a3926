/** Runs the chunks of one request, a few at a time. */
import { throwIfAborted } from '../core/abort.ts';

export interface Pass {
  readonly index: number;
  /** False for the first chunk only: it is the one that a full queue refuses. */
  readonly admitted: boolean;
  /** Fires when the caller is gone and when another chunk of the request has failed. */
  readonly signal: AbortSignal;
}

/**
 * Calls `run` for 0..count-1 with at most `parallel` calls under way. The first error takes the request's other
 * chunks out of the queue and is thrown.
 */
export async function runPasses(
  count: number,
  options: { readonly parallel: number; readonly signal: AbortSignal | null },
  run: (pass: Pass) => Promise<void>,
): Promise<void> {
  const { parallel, signal } = options;
  throwIfAborted(signal);
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      throwIfAborted(controller.signal);
      const index = next++;
      await run({ index, admitted: index > 0, signal: controller.signal });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(parallel, count) }, lane));
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}
