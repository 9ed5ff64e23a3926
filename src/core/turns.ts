/** Long work on the main thread in time slices, so that other requests, timers and cancellation get their turn. */
import { throwIfAborted } from './abort.ts';
import type { Steps } from './steps.ts';

/** Milliseconds of work between two turns of the event loop. */
const sliceMs = 5;

export interface Turns {
  /** Does the work in slices. */
  run<T>(steps: Steps<T>): Promise<T>;
  /** Lets the event loop turn when the slice is used up. */
  pause(): Promise<void>;
}

/**
 * One job's slices. `now` gives milliseconds.
 * @throws SluiceError (from `run` and `pause`) ABORTED, DEADLINE_EXCEEDED when the signal fired meanwhile
 */
export function createTurns(
  signal: AbortSignal | null,
  now: () => number = () => performance.now(),
): Turns {
  let started = now();
  const pause = async (): Promise<void> => {
    if (now() - started < sliceMs) return;
    await nextTurn();
    started = now();
    throwIfAborted(signal);
  };
  return {
    pause,
    async run(steps) {
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        if (now() - started >= sliceMs) await pause();
      }
    },
  };
}

/** Jobs that wait, first come first served. One goes on per turn of the loop, so that many at once do not add up. */
const waiting: (() => void)[] = [];

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(goOn);
  });
}

function goOn(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(goOn);
}
