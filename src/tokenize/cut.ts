/**
 * Pre-tokenizing in batches: the same pieces as the library makes of the whole text, but a long text can be left and
 * taken up again. Regular expressions are matched on the whole text from where the last match ended, so that every
 * match sees what it would see; what is no plain regular expression is done at once.
 */
import type { LibraryPreTokenizer, Typed } from './library.ts';
import type { TextRange } from './types.ts';

/** Most pieces in a batch, and characters from which it is full: long pieces take more than their share of time. */
const batchPieces = 512;
const batchCharacters = 2_048;
/** Shorter pieces go through the remaining rules at once. */
const shortPiece = 2_048;

/** One rule: how a text falls into pieces. */
export interface CutRule {
  readonly all: (text: string) => string[];
  /** The expression behind `all`, where that is all there is to it; null otherwise. */
  readonly pattern: RegExp | null;
  /** The same, matching at `lastIndex` only. */
  readonly sticky: RegExp | null;
  /** Text between matches is a piece as well (else it is left out). */
  readonly keepsGaps: boolean;
}

const none = { pattern: null, sticky: null, keepsGaps: false };

/** The rules behind pre-tokenizers. A byte-level one is taken for its expression only, not for its alphabet. */
export function cutRules(steps: readonly Typed<LibraryPreTokenizer>[]): CutRule[] {
  return steps.flatMap((step) => cutRule(step) ?? []);
}

function cutRule({ type, part }: Typed<LibraryPreTokenizer>): CutRule | null {
  const pattern = part.pattern ?? null;
  if (type === 'ByteLevel') {
    if (part.use_regex !== true || pattern === null) return null;
    return { ...byPattern(pattern, false), all: (text) => text.match(pattern) ?? [] };
  }
  const all = (text: string): string[] => part.pre_tokenize([text]);
  if (pattern === null) return { ...none, all };
  const isolates = part.config?.invert !== true && part.config?.behavior !== 'Removed';
  if (type === 'Split' && isolates && part.config?.behavior !== 'removed')
    return { ...byPattern(pattern, true), all };
  if (type === 'Digits' || type === 'Punctuation') return { ...byPattern(pattern, false), all };
  return { ...none, all };
}

function byPattern(pattern: RegExp, keepsGaps: boolean): Omit<CutRule, 'all'> {
  const flags = pattern.flags.replace(/[gy]/g, '');
  const { source } = pattern;
  return {
    pattern: new RegExp(source, `${flags}g`),
    sticky: new RegExp(source, `${flags}y`),
    keepsGaps,
  };
}

/** Pieces of a text under rules applied one after another, in batches of a few hundred. */
export function* cutText(text: string, rules: readonly CutRule[]): Generator<string[], void> {
  const [rule, ...rest] = rules;
  if (rule === undefined) {
    if (text !== '') yield [text];
    return;
  }
  for (const pieces of cutOnce(text, rule)) {
    if (rest.length === 0) yield pieces;
    else yield* cutPieces(pieces, rest);
  }
}

function* cutPieces(
  pieces: readonly string[],
  rules: readonly CutRule[],
): Generator<string[], void> {
  let ready: string[] = [];
  for (const piece of pieces) {
    if (piece.length <= shortPiece) {
      ready.push(...rules.reduce<string[]>((list, rule) => list.flatMap(rule.all), [piece]));
      continue;
    }
    yield ready;
    ready = [];
    yield* cutText(piece, rules);
  }
  yield ready;
}

function* cutOnce(text: string, rule: CutRule): Generator<string[], void> {
  const { pattern, sticky, keepsGaps } = rule;
  if (pattern === null || sticky === null || text.length <= shortPiece) {
    yield rule.all(text);
    return;
  }
  let pieces: string[] = [];
  let done = 0; // text before is cut
  let from = 0; // matches are looked for from here on
  let batchStart = 0;
  while (from <= text.length) {
    const match = matchAt(sticky, text, from) ?? matchAfter(pattern, text, from);
    if (match === null) break;
    if (keepsGaps && match.start > done) pieces.push(text.slice(done, match.start));
    if (match.end > match.start) pieces.push(text.slice(match.start, match.end));
    done = match.end;
    from = match.end > match.start ? done : afterCharacter(text, done);
    if (pieces.length < batchPieces && done - batchStart < batchCharacters) continue;
    yield pieces;
    pieces = [];
    batchStart = done;
  }
  if (keepsGaps && done < text.length) pieces.push(text.slice(done));
  yield pieces;
}

/** The match that starts at `at` (no match array is made: that is half the time), or null. */
function matchAt(sticky: RegExp, text: string, at: number): TextRange | null {
  sticky.lastIndex = at;
  return sticky.test(text) ? { start: at, end: sticky.lastIndex } : null;
}

/** The first match that starts at `at` or later. */
function matchAfter(pattern: RegExp, text: string, at: number): TextRange | null {
  pattern.lastIndex = at;
  const match = pattern.exec(text);
  return match === null ? null : { start: match.index, end: match.index + match[0].length };
}

function afterCharacter(text: string, at: number): number {
  return at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
}
