/** Long work on the main thread in pieces, so that other requests, timers and cancellation get their turn. */
import { throwIfAborted } from '../core/abort.ts';

/** UTF-16 units of text between two turns; counting the tokens of this much takes some 20 ms. */
const unitsPerTurn = 65_536;

export interface Turns {
  /** Announces work on `units` of text; lets the event loop turn when enough has been done since the last turn. */
  before(units: number): Promise<void>;
}

/** @throws SluiceError (from `before`) ABORTED, DEADLINE_EXCEEDED when the signal fired meanwhile */
export function createTurns(signal: AbortSignal | null): Turns {
  let done = 0;
  return {
    async before(units) {
      if (done + units >= unitsPerTurn && done > 0) {
        done = 0;
        await new Promise((resolve) => setImmediate(resolve));
        throwIfAborted(signal);
      }
      done += units;
    },
  };
}
