/** Telling a short request from the text it is about. */
import { headAt, lineAt, startOf, trimRange } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import {
  aboutText,
  directive,
  formatAhead,
  labelRoles,
  requestStart,
  rulesAhead,
} from './tables.ts';

/** UTF-16 units; a longer paragraph is no request. */
const longestRequest = 600;
/** Paragraphs at the end that may belong to the request. */
const mostParagraphs = 4;
const sampleUnits = 32 * 1024;

/** A short paragraph that asks or orders something. */
export function isRequest(paragraph: string): boolean {
  const text = paragraph.trim();
  if (text === '' || text.length > longestRequest) return false;
  return requestStart.test(text) || isCalledQuestion(text) || /[?？؟]["'”’)\]]?$/.test(text);
}

const calledName = /^(\p{L}[\p{L}\p{M}']*(?: \p{L}[\p{L}\p{M}']*){0,2})\s?[:：]\s*\S/u;

/** `Question: who wrote it`: it needs no question mark. */
function isCalledQuestion(text: string): boolean {
  return isQuestionName(calledName.exec(text)?.[1]?.toLowerCase() ?? '');
}

/** `key` names many other things as well. */
export function isQuestionName(name: string): boolean {
  return name !== 'key' && labelRoles.get(name) === 'question';
}

/** Directive words in 1,000 units of announced text; more of them are instructions. */
export const mostDirectives = 4;

/** Directive words for each 1,000 units of a bounded sample from the start of the text. */
export function directiveShare(text: string): number {
  const sample = text.slice(0, sampleUnits);
  const found = sample.match(directive)?.length ?? 0;
  return sample.length === 0 ? 0 : (found * 1000) / Math.max(sample.length, 500);
}

/** Range of the last paragraph of a range (lines after the last blank one). */
export function lastParagraph(lines: Lines, range: Range): Range {
  let line = lineAt(lines, Math.max(range.start, range.end - 1));
  const first = lineAt(lines, range.start);
  while (line > first && headAt(lines, line - 1) !== '') line -= 1;
  return { start: Math.max(range.start, startOf(lines, line)), end: range.end };
}

/** Range of the first paragraph of a range. */
export function firstParagraph(lines: Lines, range: Range): Range {
  const last = lineAt(lines, Math.max(range.start, range.end - 1));
  let line = lineAt(lines, range.start);
  while (line < last && headAt(lines, line + 1) !== '') line += 1;
  return { start: range.start, end: Math.min(range.end, startOf(lines, line + 1)) };
}

/**
 * Offset where the closing request of a range starts; `range.end` when there is none. `strict`: only paragraphs that
 * read like a request; otherwise a last paragraph of at most 200 units counts too, because it may be one.
 */
export function requestTail(lines: Lines, range: Range, strict: boolean): number {
  let end = range.end;
  for (let taken = 0; taken < mostParagraphs; taken += 1) {
    const rest = trimRange(lines.text, range.start, end);
    const paragraph = lastParagraph(lines, rest);
    if (paragraph.start <= range.start) break;
    const text = lines.text.slice(paragraph.start, Math.min(paragraph.end, paragraph.start + 700));
    const short = !strict && taken === 0 && paragraph.end - paragraph.start <= 200;
    if (!isRequest(text) && !short) break;
    end = paragraph.start;
  }
  return end < range.end ? end : lastLineRequest(lines, range);
}

/** A question as the very last line, without a blank line before it. */
function lastLineRequest(lines: Lines, range: Range): number {
  const start = startOf(lines, lineAt(lines, Math.max(range.start, range.end - 1)));
  if (start <= range.start || range.end - start > 400) return range.end;
  const line = lines.text.slice(start, range.end);
  return /[?？؟]["'”’)\]]?\s*$/.test(line) ? start : range.end;
}

/** A request about the text beside it, which is then no list of rules. */
export function asksAboutText(request: string): boolean {
  const text = request.trim();
  return (aboutText.test(text) || isCalledQuestion(text)) && !rulesAhead.test(text);
}

/** What comes before `start` announces how the answer should look. */
export function showsFormat(text: string, start: number): boolean {
  const before = text.slice(Math.max(0, start - 300), start).trimEnd();
  return formatAhead.test(before.replace(/\s*`{3,}\w*$/, ''));
}
