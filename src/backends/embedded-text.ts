/** From tokens to text as it becomes certain: whole characters only, and nothing that may still become a stop string. */
import type { TextTokenizer } from '../tokenize/types.ts';

export interface TextStream {
  /** Takes one token; returns the text that is now certain. */
  push(id: number): string;
  /** What is still held back, when generation ends by itself. */
  flush(): string;
  /** True once a stop string was produced; text after it is never returned. */
  readonly stopped: boolean;
}

/** @param stops stop strings; the earliest one in the text ends it and is not part of it */
export function createTextStream(tokenizer: TextTokenizer, stops: readonly string[]): TextStream {
  const ids: number[] = [];
  let sent = 0;
  let text = '';
  let stopped = false;
  const release = (upTo: number): string => {
    const piece = text.slice(sent, Math.max(sent, upTo));
    sent += piece.length;
    return piece;
  };
  return {
    get stopped() {
      return stopped;
    },
    push(id) {
      if (stopped) return '';
      ids.push(id);
      text = tokenizer.decode(ids);
      const stop = earliest(text, stops);
      if (stop >= 0) {
        stopped = true;
        return release(stop);
      }
      return release(certainLength(text, stops));
    },
    flush() {
      return stopped ? '' : release(text.length);
    },
  };
}

function earliest(text: string, stops: readonly string[]): number {
  let found = -1;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (found < 0 || at < found)) found = at;
  }
  return found;
}

/** Length without an unfinished character (U+FFFD while bytes are missing) and without the start of a stop string. */
function certainLength(text: string, stops: readonly string[]): number {
  let length = text.length;
  while (length > 0 && text.charCodeAt(length - 1) === 0xfffd) length -= 1;
  for (const stop of stops) {
    for (let part = Math.min(stop.length - 1, length); part > 0; part -= 1) {
      if (text.startsWith(stop.slice(0, part), length - part) && length - part >= 0) {
        length -= part;
        break;
      }
    }
  }
  return length;
}
