/** Growing parallel arrays of token ids and offsets. */
import type { Encoding } from './types.ts';

export interface TokenBuffer {
  push(id: number, start: number, end: number): void;
  finish(): Encoding;
}

export function tokenBuffer(expected: number): TokenBuffer {
  let ids = new Uint32Array(Math.max(16, expected));
  let starts = new Uint32Array(ids.length);
  let ends = new Uint32Array(ids.length);
  let length = 0;
  const grown = (old: Uint32Array): Uint32Array<ArrayBuffer> => {
    const next = new Uint32Array(old.length * 2);
    next.set(old);
    return next;
  };
  return {
    push(id, start, end) {
      if (length === ids.length) {
        ids = grown(ids);
        starts = grown(starts);
        ends = grown(ends);
      }
      ids[length] = id;
      starts[length] = start;
      ends[length] = end;
      length++;
    },
    finish: () => ({
      ids: ids.slice(0, length),
      starts: starts.slice(0, length),
      ends: ends.slice(0, length),
    }),
  };
}
