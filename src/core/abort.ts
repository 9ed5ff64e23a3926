/** Joining of signals: the client going away, and our own deadline. */
import { SluiceError } from './errors.ts';

export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Clears the timer and removes the listener; call on every exit. */
  release(): void;
}

/**
 * A signal that aborts when `parent` does (reason `ABORTED`) or after `deadlineMs` (reason `DEADLINE_EXCEEDED`).
 * `deadlineMs` null = no deadline.
 */
export function linkSignals(parent: AbortSignal | null, deadlineMs: number | null): LinkedSignal {
  const controller = new AbortController();
  const onParent = (): void =>
    controller.abort(new SluiceError('ABORTED', 'The caller went away', { cause: parent?.reason }));
  let timer: NodeJS.Timeout | null = null;
  if (parent?.aborted) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  if (deadlineMs !== null && !controller.signal.aborted) {
    timer = setTimeout(
      () =>
        controller.abort(new SluiceError('DEADLINE_EXCEEDED', `No result within ${deadlineMs} ms`)),
      deadlineMs,
    );
  }
  return {
    signal: controller.signal,
    release() {
      if (timer !== null) clearTimeout(timer);
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/** Throws the signal's reason (a `SluiceError`) when it has fired. */
export function throwIfAborted(signal: AbortSignal | null | undefined): void {
  if (!signal?.aborted) return;
  const reason: unknown = signal.reason;
  if (SluiceError.isInstance(reason)) throw reason;
  throw new SluiceError('ABORTED', 'The caller went away', { cause: reason });
}
