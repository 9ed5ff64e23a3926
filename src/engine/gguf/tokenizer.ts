/** The tokenizer inside a GGUF file, with offsets. */
import type { Encoding, TextTokenizer } from '../../tokenize/types.ts';
import type { LlamaModel } from './library.ts';

export function ggufTokenizer(
  model: LlamaModel,
  id: string,
  vocabularySize: number,
): TextTokenizer {
  const pieces = new Map<number, string>();
  const piece = (token: number): string => {
    const known = pieces.get(token) ?? model.detokenize([token], true);
    // At most one entry for each token of the vocabulary.
    pieces.set(token, known);
    return known;
  };
  const idsOf = (text: string): readonly number[] =>
    text === '' ? [] : model.tokenize(text, false, 'trimLeadingSpace');
  return {
    id,
    estimated: false,
    vocabularySize,
    encode: (text) => withOffsets(text, idsOf(text), { piece, model }),
    count: (text) => idsOf(text).length,
    decode: (ids) => model.detokenize(Array.from(ids), false),
    specialId(literal) {
      const ids = model.tokenize(literal, true, 'trimLeadingSpace');
      const [only] = ids;
      return ids.length === 1 && only !== undefined && piece(only) === literal ? only : null;
    },
  };
}

/** Tokens that together may make up one character, and how far a lost place is looked for, in characters. */
const longestCharacter = 8;
const lookAhead = 64;

/**
 * The library tells ids only. Pieces are laid along the text: a piece that stands there takes its characters; tokens
 * that are parts of a character are collected until together they are text, and share what that covers. Where the
 * vocabulary writes a text in another way than it came, the next piece that is found again goes on.
 */
function withOffsets(
  text: string,
  tokens: readonly number[],
  { piece, model }: { piece: (token: number) => string; model: LlamaModel },
): Encoding {
  const starts = new Uint32Array(tokens.length);
  const ends = new Uint32Array(tokens.length);
  let at = 0;
  let open = 0;
  const settle = (upTo: number, from: number, to: number): void => {
    starts.fill(at, open, upTo);
    ends.fill(to, open, upTo);
    starts.fill(from, upTo - 1, upTo);
    at = to;
    open = upTo;
  };
  for (const [index, token] of tokens.entries()) {
    const own = piece(token);
    const whole = index === open ? own : model.detokenize(tokens.slice(open, index + 1), true);
    const length = lengthAt(text, at, whole);
    if (length !== null) {
      starts.fill(at, open, index + 1);
      ends.fill(at + length, open, index + 1);
      at += length;
      open = index + 1;
    } else if (index - open >= longestCharacter) {
      const found = own === '' ? -1 : text.indexOf(own, at);
      if (found >= 0 && found - at < lookAhead) settle(index + 1, found, found + own.length);
    }
    if (index - open >= lookAhead) settle(index + 1, at, at);
  }
  // What never became text covers the rest.
  starts.fill(at, open);
  ends.fill(text.length, open);
  return { ids: Uint32Array.from(tokens), starts, ends };
}

/** Characters of `text` from `at` that the piece stands for; null = it is not there (yet). */
function lengthAt(text: string, at: number, piece: string): number | null {
  if (piece !== '' && text.startsWith(piece, at)) return piece.length;
  // Some vocabularies put a space in front of a text that has none.
  const bare = piece.startsWith(' ') && at === 0 ? piece.slice(1) : '';
  return bare !== '' && text.startsWith(bare) ? bare.length : null;
}
