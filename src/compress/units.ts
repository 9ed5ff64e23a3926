/** The units that selection works with: sentences, list items, headings, turns of a conversation. */
import { mapSteps, runSteps, type Steps } from '../core/steps.ts';
import { sentenceSteps } from '../tokenize/sentences.ts';
import type { TextRange } from '../tokenize/types.ts';
import type { GroupRanges } from './mask.ts';

export type UnitKind = 'sentence' | 'turn' | 'heading';

export interface Units extends GroupRanges {
  readonly kinds: readonly UnitKind[];
  /** Number of the paragraph (text between blank lines) that a unit stands in, from 0. */
  readonly paragraphs: Uint32Array;
}

/** Units longer than this are cut at clause marks or blanks: text without full stops stays selectable. */
const longestUnit = 600;

const turnLine = /^[^\S\n]*[\p{L}][\p{L}\p{N} .'’_-]{0,40}[:：](?:\s|$)/u;
const headingLine = /^(?:#{1,6}\s|Document\s*\[|\[\d{1,4}\]\s*\(?Title|Title:\s)/iu;
const endsSentence = /[.!?…。！？؟।"”»)\]」』:：;；]\s*$/u;

/** Units of a text, ascending, without surrounding white space; together they hold every visible character. */
export function splitUnits(text: string): Units {
  return runSteps(splitSteps(text));
}

/** Units looked at between two places to stop. */
const unitStride = 128;

/** `splitUnits` in steps. */
export function* splitSteps(text: string): Steps<Units> {
  const turns = yield* transcriptSteps(text);
  const rough = turns ? lineRanges(text) : yield* sentenceSteps(text);
  const ranges = yield* cutSteps(text, yield* keepFencesWhole(text, rough));
  const starts: number[] = [];
  const ends: number[] = [];
  const kinds: UnitKind[] = [];
  const paragraphs: number[] = [];
  let paragraph = 0;
  for (const [i, range] of ranges.entries()) {
    if (i % unitStride === 0) yield;
    const raw = text.slice(range.start, range.end);
    const trimmed = raw.trim();
    if (trimmed === '') continue;
    const start = range.start + (raw.length - raw.trimStart().length);
    const end = start + trimmed.length;
    const gap = text.slice(ends.at(-1) ?? start, start);
    if (/\n[^\S\n]*\r?\n/.test(gap)) paragraph++;
    starts.push(start);
    ends.push(end);
    paragraphs.push(paragraph);
    kinds.push(turns ? 'turn' : isHeading(text, start, end) ? 'heading' : 'sentence');
  }
  return {
    starts: Uint32Array.from(starts),
    ends: Uint32Array.from(ends),
    kinds,
    paragraphs: Uint32Array.from(paragraphs),
  };
}

/** Most lines begin with a speaker's name and a colon. */
export function isTranscript(text: string): boolean {
  return runSteps(transcriptSteps(text));
}

function* transcriptSteps(text: string): Steps<boolean> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length < 3) return false;
  const isTurn = yield* mapSteps(
    lines,
    (line) => turnLine.test(line),
    (line) => Math.min(line.length, 64),
  );
  return isTurn.filter(Boolean).length >= 0.7 * lines.length;
}

/** Half-open ranges of the lines, each with its line break. */
export function lineRanges(text: string): TextRange[] {
  const ranges: TextRange[] = [];
  for (let start = 0; start < text.length;) {
    const at = text.indexOf('\n', start);
    const end = at < 0 ? text.length : at + 1;
    ranges.push({ start, end });
    start = end;
  }
  return ranges;
}

function* keepFencesWhole(text: string, ranges: readonly TextRange[]): Steps<TextRange[]> {
  if (!text.includes('```')) return [...ranges];
  const fences: TextRange[] = [];
  for (const match of text.matchAll(/^[^\S\n]*```[\s\S]*?^[^\S\n]*```[^\n]*/gmu)) {
    fences.push({ start: match.index, end: match.index + match[0].length });
    yield;
  }
  const outside = yield* mapSteps(
    ranges,
    (range) => subtract(range, fences),
    () => fences.length,
  );
  return [...outside.flat(), ...fences].sort((a, b) => a.start - b.start);
}

function subtract(range: TextRange, holes: readonly TextRange[]): TextRange[] {
  const parts: TextRange[] = [];
  let from = range.start;
  for (const hole of holes) {
    if (hole.end <= from || hole.start >= range.end) continue;
    if (hole.start > from) parts.push({ start: from, end: hole.start });
    from = hole.end;
  }
  if (from < range.end) parts.push({ start: from, end: range.end });
  return parts;
}

/** Cuts ranges that are too long for a unit. */
function* cutSteps(text: string, ranges: readonly TextRange[]): Steps<TextRange[]> {
  const parts: TextRange[] = [];
  for (const range of ranges) {
    let from = range.start;
    const fenced = text.startsWith('```', range.start);
    while (!fenced && range.end - from > longestUnit) {
      const cut = lastCut(text.slice(from, from + longestUnit));
      parts.push({ start: from, end: from + cut });
      from += cut;
      yield;
    }
    parts.push({ start: from, end: range.end });
  }
  return parts;
}

/** Length of the piece up to its last clause mark in the second half, else its last blank, else a whole character. */
function lastCut(piece: string): number {
  const half = piece.length >> 1;
  for (const pattern of [/[;:,；，、][^\S\n]?(?=[^;:,；，、]*$)/u, /\s(?=\S*$)/u]) {
    const match = pattern.exec(piece);
    if (match && match.index > half) return match.index + match[0].length;
  }
  const last = piece.charCodeAt(piece.length - 1);
  return last >= 0xd800 && last <= 0xdbff ? piece.length - 1 : piece.length;
}

/** A line of its own that names what follows: marked as a heading, or short, first in its paragraph and unfinished. */
function isHeading(text: string, start: number, end: number): boolean {
  const body = text.slice(start, end);
  if (body.length > 160 || body.includes('\n')) return false;
  const onLine = text.charAt(end) === '\n' || text.startsWith('\r\n', end);
  if (!onLine) return false;
  if (headingLine.test(body)) return true;
  const opens =
    start === 0 ||
    /(?:^|\n)\s*\n[^\S\n]*$/.test(text.slice(Math.max(0, start - 40), start)) ||
    text.slice(0, start).trim() === '';
  return opens && body.length <= 100 && !endsSentence.test(body) && !/^[-*+•|]/.test(body);
}
