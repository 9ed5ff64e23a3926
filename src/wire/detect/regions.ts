/** Documents announced by words: `Context: ... Question: ...` and the sentences of common templates. */
import { roleOf, textAfter } from './labels.ts';
import type { Label } from './labels.ts';
import { headAt, lineAt, startOf, trimRange } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import { directiveShare, isQuestionName, mostDirectives, requestTail } from './requests.ts';
import { announcements } from './tables.ts';

export interface Region extends Range {
  readonly detail: string;
}

export interface Regions {
  readonly documents: readonly Region[];
  /** Offset where a labelled question starts, or null. */
  readonly question: number | null;
}

interface Opener {
  readonly line: number;
  /** First offset of the announced text. */
  readonly start: number;
  readonly detail: string;
  readonly announced: boolean;
}

/** A labelled question further from the end than this is taken for text of a document. */
const longestQuestion = 6000;
/** Instruction labels up to this far before the question belong to it. */
const longestInstruction = 1500;
/** Shorter announced (not labelled) text is left alone. */
const shortestAnnounced = 300;

/** Units from the end in which a question label in mid-line is looked for. */
const inlineReach = 700;

const delimiterLine = /^(?:([-=*~#_+])\1{2,}|"""|'''|<<<+|>>>+)$/;

/** `labels` are those of free lines, ascending; `free` tells whether a line may be read; linear. */
export function announcedRegions(
  lines: Lines,
  labels: readonly Label[],
  free: (line: number) => boolean,
): Regions {
  const closing = closingLines(lines, labels);
  const documents: Region[] = [];
  let from = 0;
  for (const opener of openersOf(lines, labels, free)) {
    if (opener.line < from) continue;
    const limit = closing.find((line) => line > opener.line) ?? lines.count;
    const region = regionFrom(lines, opener, limit);
    if (region === null) continue;
    documents.push(region);
    from = lineAt(lines, region.end - 1) + 1;
  }
  return { documents, question: questionStart(lines, labels) };
}

/** The last labelled question, near the end or before the first document. */
function questionStart(lines: Lines, labels: readonly Label[]): number | null {
  const asked = labels.filter((label) => roleOf(label) === 'question');
  const last = asked.at(-1);
  if (last === undefined) return null;
  const start = startOf(lines, last.line);
  if (lines.text.length - start <= longestQuestion) return start;
  const first = labels.find((label) => roleOf(label) === 'context');
  return first !== undefined && last.line < first.line ? start : null;
}

/**
 * Lines where documents end, ascending: the last question label near the end and a final bare answer label, each
 * moved up over instruction labels; instruction labels near the end of the text.
 */
function closingLines(lines: Lines, labels: readonly Label[]): number[] {
  const near = labels.filter(
    (label) => lines.text.length - startOf(lines, label.line) <= longestQuestion,
  );
  const question = near.filter((label) => roleOf(label) === 'question').at(-1)?.line ?? null;
  const ends = [question, bareAnswer(lines, near), lines.count]
    .filter((line) => line !== null)
    .map((line) => aboveInstructions(lines, near, line));
  return [...new Set(ends)].sort((a, b) => a - b);
}

function aboveInstructions(lines: Lines, labels: readonly Label[], end: number): number {
  let line = end;
  for (let at = labels.length - 1; at >= 0; at -= 1) {
    const label = labels[at];
    if (label === undefined || label.line >= line) continue;
    const role = roleOf(label);
    if (role === 'context') break;
    if (role !== 'instruction') continue;
    if (startOf(lines, line) - startOf(lines, label.line) > longestInstruction) break;
    line = label.line;
  }
  return line;
}

function bareAnswer(lines: Lines, labels: readonly Label[]): number | null {
  const last = labels.at(-1);
  if (last === undefined || roleOf(last) !== 'answer') return null;
  const rest = trimRange(lines.text, startOf(lines, last.line) + last.length, lines.text.length);
  return rest.end - rest.start <= 80 ? last.line : null;
}

function openersOf(
  lines: Lines,
  labels: readonly Label[],
  free: (line: number) => boolean,
): Opener[] {
  const openers: Opener[] = [];
  for (const label of labels) {
    if (roleOf(label) !== 'context') continue;
    const start = textAfter(lines, label);
    openers.push({ line: label.line, start, detail: `label "${label.name}:"`, announced: false });
  }
  for (let line = 0; line < lines.count; line += 1) {
    const head = headAt(lines, line);
    if (head.length < 6 || head.length >= 240 || !free(line)) continue;
    const found = announcements.find(({ pattern }) => pattern.test(head));
    if (found === undefined) continue;
    const start = announcedStart(lines, line, head);
    openers.push({ line, start, detail: found.name, announced: true });
    if (openers.length > 200) break;
  }
  openers.sort((a, b) => a.line - b.line);
  return openers.filter((opener, at) => !overtaken(lines, opener, openers[at + 1]));
}

/** After the colon's line, else after the paragraph. */
function announcedStart(lines: Lines, line: number, head: string): number {
  let next = line + 1;
  if (!/[:：]$/.test(head)) {
    while (next < lines.count && headAt(lines, next) !== '') {
      if (/[:：]$/.test(headAt(lines, next))) return startOf(lines, next + 1);
      if (delimiterLine.test(headAt(lines, next))) return startOf(lines, next);
      next += 1;
    }
  }
  return startOf(lines, next);
}

/** A sentence is overtaken by the label or sentence that follows it at once. */
function overtaken(lines: Lines, opener: Opener, next: Opener | undefined): boolean {
  return opener.announced && next !== undefined && next.start - opener.start < 400
    ? startOf(lines, next.line) - startOf(lines, opener.line) < 600
    : false;
}

function regionFrom(lines: Lines, opener: Opener, limit: number): Region | null {
  const limitOffset = startOf(lines, limit);
  if (opener.start >= limitOffset) return null;
  const delimited = delimitedRange(lines, opener, limit);
  if (delimited !== null) return { ...delimited, detail: `${opener.detail}, delimiter lines` };
  const range = trimRange(lines.text, opener.start, limitOffset);
  const strict = limit < lines.count;
  const tail = Math.min(requestTail(lines, range, strict), inlineQuestion(lines.text, range));
  const body = withoutRules(lines, trimRange(lines.text, range.start, tail));
  if (body.end <= body.start) return null;
  if (!opener.announced) return { ...body, detail: opener.detail };
  if (body.end - body.start < shortestAnnounced) return null;
  if (directiveShare(lines.text.slice(body.start, body.end)) > mostDirectives) return null;
  return { ...body, detail: opener.detail };
}

const inlineLabel = /(\p{L}[\p{L}\p{M}']*(?: \p{L}[\p{L}\p{M}']*)?)\s?[:：]/gu;

/** Offset of a last `Question:` in the middle of a line close to the end of the range, else its end. */
function inlineQuestion(text: string, range: Range): number {
  const from = Math.max(range.start, range.end - inlineReach);
  let at = range.end;
  for (const match of text.slice(from, range.end).matchAll(inlineLabel)) {
    const words = (match[1] ?? '').toLowerCase();
    const word = words.slice(words.lastIndexOf(' ') + 1);
    if ([words, word].some(isQuestionName)) at = from + match.index;
  }
  return at;
}

/** Delimiter lines at the end belong to the template. */
function withoutRules(lines: Lines, range: Range): Range {
  let { end } = range;
  while (end > range.start) {
    const line = lineAt(lines, end - 1);
    if (!delimiterLine.test(headAt(lines, line))) break;
    end = trimRange(lines.text, range.start, Math.max(range.start, startOf(lines, line))).end;
  }
  return { start: range.start, end };
}

/** The announced text begins with a delimiter line: it ends at the last equal line. */
function delimitedRange(lines: Lines, opener: Opener, limit: number): Range | null {
  let line = lineAt(lines, opener.start);
  while (line < limit && headAt(lines, line) === '') line += 1;
  const mark = headAt(lines, line);
  if (!delimiterLine.test(mark)) return null;
  const close = mark.startsWith('<<<') ? mark.replaceAll('<', '>') : mark;
  for (let last = limit - 1; last > line; last -= 1) {
    if (headAt(lines, last) !== close) continue;
    return trimRange(lines.text, startOf(lines, line + 1), startOf(lines, last));
  }
  return null;
}
