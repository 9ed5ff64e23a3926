/** A tokenizer without a vocabulary, for tests: pieces of words of up to four letters, a leading blank included. */
import type { Encoding, TextTokenizer } from '../../src/tokenize/types.ts';

const piece =
  /[^\S\n]?[\p{L}\p{M}]{1,4}|[^\S\n]?\p{N}{1,3}|\n+|[^\S\n]+|\p{So}|[^\s\p{L}\p{M}\p{N}]/gu;

export function fakeTokenizer(): TextTokenizer {
  const known = new Map<string, number>();
  const texts: string[] = [];
  const idOf = (text: string): number => {
    const found = known.get(text);
    if (found !== undefined) return found;
    known.set(text, texts.length);
    texts.push(text);
    return texts.length - 1;
  };
  const encode = (text: string): Encoding => {
    const ids: number[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    for (const match of text.matchAll(piece)) {
      ids.push(idOf(match[0]));
      starts.push(match.index);
      ends.push(match.index + match[0].length);
    }
    return {
      ids: Uint32Array.from(ids),
      starts: Uint32Array.from(starts),
      ends: Uint32Array.from(ends),
    };
  };
  return {
    id: 'fake@1',
    estimated: true,
    vocabularySize: 1 << 20,
    encode,
    count: (text) => encode(text).ids.length,
    decode: (ids) => Array.from(ids, (id) => texts[id] ?? '').join(''),
    specialId: () => null,
  };
}
