/** The phrases that the reference's spaCy pipeline made, taken from its trace. */
import type { PhraseSplitter } from '../../src/compress/selective-context-reference.ts';

/** Hands out the units of the trace sentence by sentence; the reference puts a blank before later sentences' first one. */
export function tracePhrases(units: readonly string[]): PhraseSplitter {
  let next = 0;
  return (sentence, index) => {
    const wanted = Array.from(sentence).length;
    const phrases: string[] = [];
    for (let length = 0; length < wanted && next < units.length; next++) {
      const unit = units[next] ?? '';
      const phrase = index > 0 && phrases.length === 0 ? unit.slice(1) : unit;
      phrases.push(phrase);
      length += Array.from(phrase).length;
    }
    return phrases;
  };
}
