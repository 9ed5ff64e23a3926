/** Stop strings of an answer that is made here: none of them, and nothing behind one, is ever sent. */

export interface Stops {
  /** What may be sent after this piece; what may be the beginning of a stop string is held back. */
  push(piece: string): string;
  /** A stop string has come: nothing more is wanted. */
  readonly stopped: boolean;
  /** What is still held back when the answer is over. */
  rest(): string;
}

/** @param stop the field of a request: a string, a list of them, or something else, which stops nothing */
export function createStops(stop: unknown): Stops {
  const list: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  const stops = list.filter((value): value is string => typeof value === 'string' && value !== '');
  let held = '';
  let stopped = false;
  return {
    push(piece) {
      held += piece;
      const found = stops.map((text) => held.indexOf(text)).filter((at) => at >= 0);
      stopped = found.length > 0;
      const ready = stopped ? Math.min(...found) : held.length - begun(held, stops);
      const text = held.slice(0, ready);
      held = stopped ? '' : held.slice(ready);
      return text;
    },
    get stopped() {
      return stopped;
    },
    rest: () => held,
  };
}

/** Length of the longest end of a text that is the beginning of a stop string. */
function begun(text: string, stops: readonly string[]): number {
  const lengths = stops.map((stop) => {
    let length = Math.min(stop.length - 1, text.length);
    while (length > 0 && !text.endsWith(stop.slice(0, length))) length -= 1;
    return length;
  });
  return Math.max(0, ...lengths);
}
