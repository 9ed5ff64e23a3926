/** Token ids of one pre-token ("piece"), with offsets inside the piece; the part of encoding that is worth caching. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { LibraryModel } from './library.ts';
import type { MergeTable } from './merges.ts';

/** Parallel arrays, one entry per token; offsets in UTF-16 units from the start of the piece. */
export interface PieceTokens {
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

const CACHED_PIECES = 16_384;
/** Longer pieces rarely come twice. */
const CACHED_LENGTH = 48;

/** Remembers the pieces seen last; `read` must be a pure function of the piece. */
export function cachePieces(read: (piece: string) => PieceTokens): (piece: string) => PieceTokens {
  const cache = boundedCache<PieceTokens>({ maxEntries: CACHED_PIECES });
  return (piece) => {
    if (piece.length > CACHED_LENGTH) return read(piece);
    const known = cache.get(piece);
    if (known !== undefined) return known;
    const found = read(piece);
    cache.set(piece, found);
    return found;
  };
}

function idOf(model: LibraryModel, token: string): number | undefined {
  return model.tokens_to_ids.get(token) ?? model.unk_token_id;
}

/** Bytes of a character in UTF-8; an unpaired surrogate is written as U+FFFD. */
function utf8Length(code: number): number {
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}

/** Longer pieces (in bytes) are merged by the library's heap. */
const SHORT_PIECE = 96;

export interface ByteLevelParts {
  readonly model: LibraryModel;
  /** The sign that stands for each byte. */
  readonly signs: readonly string[];
  /** Merging over integers, where the model allows it. */
  readonly merges: MergeTable | null;
  /** True for models that take a piece as one token when the vocabulary has it, whatever the merges say. */
  readonly wholePieces: boolean;
}

/**
 * Tokens of a piece under byte-level BPE: one sign of a token stands for one byte, so offsets follow from byte
 * lengths. A token that begins inside a character starts at that character; one that ends inside ends after it.
 */
export function byteLevelReader(parts: ByteLevelParts): (piece: string) => PieceTokens {
  const { model, signs, merges, wholePieces } = parts;
  const encoder = new TextEncoder();
  return (piece) => {
    const bytes = encoder.encode(piece);
    if (merges !== null && !wholePieces && bytes.length <= SHORT_PIECE)
      return place(model, merges.merge(bytes), piece, bytes.length);
    let mapped = '';
    for (const byte of bytes) mapped += signs[byte] ?? '';
    const whole = wholePieces ? model.tokens_to_ids.get(mapped) : undefined;
    if (whole !== undefined) return place(model, [whole], piece, bytes.length);
    if (merges !== null && bytes.length <= SHORT_PIECE)
      return place(model, merges.merge(bytes), piece, bytes.length);
    const ids: number[] = [];
    for (const token of model.encode([mapped])) {
      const id = idOf(model, token);
      if (id !== undefined) ids.push(id);
    }
    return place(model, ids, piece, bytes.length);
  };
}

/** Offsets of tokens from their lengths in bytes. */
function place(
  model: LibraryModel,
  ids: readonly number[],
  piece: string,
  bytes: number,
): PieceTokens {
  const owner = bytes === piece.length ? null : ownersOf(piece);
  const starts: number[] = [];
  const ends: number[] = [];
  let byte = 0;
  for (const id of ids) {
    const from = byte;
    byte = Math.min(bytes, byte + (model.vocab[id]?.length ?? 1));
    starts.push(owner === null ? from : (owner[from] ?? piece.length));
    ends.push(owner === null ? byte : endOfCharacter(owner, byte));
  }
  return { ids, starts, ends };
}

/** For every byte of the text, and for the place after it: where the byte's character starts. */
function ownersOf(piece: string): number[] {
  const owner: number[] = [];
  for (let i = 0; i < piece.length;) {
    const code = piece.codePointAt(i) ?? 0;
    for (let k = utf8Length(code); k > 0; k--) owner.push(i);
    i += code > 0xffff ? 2 : 1;
  }
  owner.push(piece.length);
  return owner;
}

function endOfCharacter(owner: readonly number[], byte: number): number {
  let last = byte;
  while (last < owner.length - 1 && owner[last] === owner[last - 1]) last++;
  return owner[last] ?? 0;
}

const byteToken = /^<0x([0-9A-F]{2})>$/;

/**
 * Tokens of a piece under WordPiece, Unigram or character BPE, placed by comparing their text with the piece.
 * `continuing` = prefix of tokens that go on inside a word (`##`). Unknown tokens reach up to the next known one.
 */
export function surfaceReader(
  model: LibraryModel,
  continuing: string,
): (piece: string) => PieceTokens {
  return (piece) => {
    const tokens = model([piece]);
    const starts: number[] = [];
    const ids: number[] = [];
    const ends: number[] = [];
    let at = 0;
    let pendingBytes = 0;
    for (const [index, token] of tokens.entries()) {
      const id = idOf(model, token);
      if (id === undefined) continue;
      const place = placeToken(piece, { token, index, at, continuing, pendingBytes });
      pendingBytes = place.pendingBytes;
      // an unknown token before this one reaches up to it
      const previous = ends.length - 1;
      if (place.start > at && previous >= 0 && ids[previous] === model.unk_token_id)
        ends[previous] = place.start;
      ids.push(id);
      starts.push(place.start);
      ends.push(place.end);
      at = place.next;
    }
    const last = ends.length - 1;
    if (last >= 0 && ids[last] === model.unk_token_id) ends[last] = piece.length;
    return { ids, starts, ends };
  };
}

interface TokenPlace {
  readonly token: string;
  readonly index: number;
  readonly at: number;
  readonly continuing: string;
  /** Bytes of the character at `at` that byte tokens have still to spell. */
  readonly pendingBytes: number;
}

function placeToken(
  piece: string,
  { token, index, at, continuing, pendingBytes }: TokenPlace,
): { start: number; end: number; next: number; pendingBytes: number } {
  const code = piece.codePointAt(at) ?? 0;
  const width = at >= piece.length ? 0 : code > 0xffff ? 2 : 1;
  if (byteToken.test(token)) {
    const left = (pendingBytes === 0 ? utf8Length(code) : pendingBytes) - 1;
    return { start: at, end: at + width, next: left === 0 ? at + width : at, pendingBytes: left };
  }
  const surface =
    continuing !== '' && index > 0 && token.startsWith(continuing)
      ? token.slice(continuing.length)
      : token;
  const found = piece.startsWith(surface, at) ? at : piece.indexOf(surface, at);
  if (found < 0) return { start: at, end: at + width, next: at, pendingBytes: 0 };
  const end = found + surface.length;
  return { start: found, end, next: end, pendingBytes: 0 };
}
