/** Normalisers with a map from every unit of the normalised text back to the original text. */
import type { LibraryNormalizer, Typed } from './library.ts';

/** Normalised text; unit i of it stands for the original units [starts[i], ends[i]). Null maps = unchanged. */
export interface Normalized {
  readonly text: string;
  readonly starts: Uint32Array | null;
  readonly ends: Uint32Array | null;
}

interface Piece {
  readonly text: string;
  /** Original range, in units of the text before this step. */
  readonly start: number;
  readonly end: number;
}

/** Runs normalisers one after another and keeps the way back. */
export function normalizeWithMap(
  normalizers: readonly Typed<LibraryNormalizer>[],
  text: string,
): Normalized {
  return normalizers.reduce<Normalized>(
    (before, step) => compose(before, normalizeStep(step, before.text)),
    { text, starts: null, ends: null },
  );
}

function normalizeStep(step: Typed<LibraryNormalizer>, text: string): Normalized {
  const whole = step.part.normalize(text);
  if (whole === text) return { text, starts: null, ends: null };
  return fromPieces(piecesOf(step, text, whole));
}

function piecesOf({ type, part }: Typed<LibraryNormalizer>, text: string, whole: string): Piece[] {
  const change = (piece: string): string => part.normalize(piece);
  if (type === 'Prepend') {
    const prefix = whole.slice(0, whole.length - text.length);
    return [{ text: prefix, start: 0, end: 0 }, ...unitPieces(text, 0)];
  }
  if (type === 'Strip') return unitPieces(whole, text.indexOf(whole));
  if (type === 'Replace' && part.pattern) return replaced(text, part.pattern, change);
  for (const cutter of [/\P{M}\p{M}*|\p{M}+/gu, /\s+|\S+/g]) {
    const pieces = cutAndNormalize(text, cutter, change);
    if (sameText(pieces, whole)) return pieces;
  }
  return spread(text, whole);
}

function cutAndNormalize(text: string, cutter: RegExp, change: (part: string) => string): Piece[] {
  const pieces: Piece[] = [];
  for (const match of text.matchAll(cutter)) {
    const part = match[0];
    pieces.push({ text: change(part), start: match.index, end: match.index + part.length });
  }
  return pieces;
}

function sameText(pieces: readonly Piece[], whole: string): boolean {
  let at = 0;
  for (const { text } of pieces) {
    if (!whole.startsWith(text, at)) return false;
    at += text.length;
  }
  return at === whole.length;
}

function unitPieces(text: string, offset: number): Piece[] {
  return text === '' ? [] : [{ text, start: offset, end: offset + text.length }];
}

function replaced(text: string, pattern: RegExp, change: (part: string) => string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(new RegExp(pattern.source, pattern.flags))) {
    const end = match.index + match[0].length;
    pieces.push(...unitPieces(text.slice(at, match.index), at));
    pieces.push({ text: change(match[0]), start: match.index, end });
    at = end;
  }
  pieces.push(...unitPieces(text.slice(at), at));
  return pieces;
}

/** Last resort where a normaliser looks across words: units are paired in proportion. */
function spread(text: string, whole: string): Piece[] {
  const ratio = text.length / Math.max(1, whole.length);
  return Array.from({ length: whole.length }, (_, i) => ({
    text: whole.charAt(i),
    start: Math.min(text.length, Math.floor(i * ratio)),
    end: Math.min(text.length, Math.ceil((i + 1) * ratio)),
  }));
}

/** Equal lengths pair unit by unit; otherwise every unit stands for the whole original piece. */
function fromPieces(pieces: readonly Piece[]): Normalized {
  let text = '';
  for (const piece of pieces) text += piece.text;
  const starts = new Uint32Array(text.length);
  const ends = new Uint32Array(text.length);
  let at = 0;
  for (const piece of pieces) {
    const paired = piece.text.length === piece.end - piece.start;
    for (let i = 0; i < piece.text.length; i++, at++) {
      starts[at] = paired ? piece.start + i : piece.start;
      ends[at] = paired ? piece.start + i + 1 : piece.end;
    }
  }
  return { text, starts, ends };
}

function compose(first: Normalized, second: Normalized): Normalized {
  const { starts, ends } = first;
  if (starts === null || ends === null) return second;
  if (second.starts === null || second.ends === null) return first;
  const { starts: innerStarts, ends: innerEnds } = second;
  return {
    text: second.text,
    starts: innerStarts.map((unit) => starts[unit] ?? starts.at(-1) ?? 0),
    ends: innerEnds.map((unit) => (unit === 0 ? 0 : (ends[unit - 1] ?? 0))),
  };
}
