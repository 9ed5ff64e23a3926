/** Documents without any announcement: numbered lists, pasted material, Markdown sections, one long text. */
import type { DetectedPart } from '../types.ts';
import { contentKindOf } from './content.ts';
import { fillDocument } from './fill.ts';
import { itemHeads } from './items.ts';
import { labelsOf, roleOf } from './labels.ts';
import { freeRanges, headAt, lineAt, startOf, trimRange } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import { byStart, documentPart } from './parts.ts';
import {
  asksAboutText,
  directiveShare,
  firstParagraph,
  isRequest,
  lastParagraph,
  requestTail,
  showsFormat,
} from './requests.ts';
import { materialRuns, valueRuns } from './runs.ts';
import type { Run } from './runs.ts';
import { instructionHeading, materialHeading, rulesAhead } from './tables.ts';

/** UTF-16 units that make a text long beside a short request. */
const longText = 1000;
const shortestMaterial = 200;

export interface LooseOptions {
  readonly lead: boolean;
}

/** Parts found in what `taken` leaves free. */
export function looseParts(
  lines: Lines,
  taken: readonly DetectedPart[],
  options: LooseOptions,
): DetectedPart[] {
  const whole = { start: 0, end: lines.text.length };
  const found: DetectedPart[] = [];
  for (const rule of [numberedParts, runParts, headedParts]) {
    const used = [...taken, ...found].sort(byStart);
    for (const range of freeRanges(lines.text, whole, used)) {
      if (range.end - range.start < shortestMaterial) continue;
      // lists, tables and headings inside program text are program text
      const code = contentKindOf(lines.text.slice(range.start, range.end)) === 'code';
      if (!code) found.push(...rule(lines, range));
      else if (rule === runParts) found.push(...runsAsParts(lines, valueRuns(lines, range)));
    }
  }
  const open = [...taken, ...found].some((part) => part.policy !== 'pinned');
  if (open || !options.lead) return found;
  const used = [...taken, ...found].sort(byStart);
  for (const range of freeRanges(lines.text, whole, used)) found.push(...longParts(lines, range));
  return found;
}

function numberedParts(lines: Lines, range: Range): DetectedPart[] {
  const heads = itemHeads(lines, range);
  const first = heads[0];
  const last = heads.at(-1);
  if (first === undefined || last === undefined || heads.length < 2) return [];
  const end = numberedEnd(lines, { start: last.end, end: range.end }, heads);
  const listed = { start: first.start, end };
  if (listed.end - listed.start < shortestMaterial) return [];
  return fillDocument(lines, listed, first.detail, []);
}

/** The list ends at a closing label, at the blank line after the last item, or before a closing request. */
function numberedEnd(lines: Lines, tail: Range, heads: readonly Range[]): number {
  const from = lineAt(lines, tail.start);
  const to = lineAt(lines, Math.max(tail.start, tail.end - 1)) + 1;
  const closing = labelsOf(lines, from, to).find((label) => {
    const role = roleOf(label);
    return (
      label.line >= from && (role === 'question' || role === 'instruction' || role === 'answer')
    );
  });
  const body = trimRange(
    lines.text,
    tail.start,
    closing === undefined ? tail.end : startOf(lines, closing.line),
  );
  if (
    heads.slice(0, -1).every((head, at) => !hasBlank(lines, head.end, heads[at + 1]?.start ?? 0))
  ) {
    return firstParagraph(lines, body).end;
  }
  return requestTail(lines, body, false);
}

function hasBlank(lines: Lines, start: number, end: number): boolean {
  const range = trimRange(lines.text, start, end);
  return firstParagraph(lines, range).end < range.end;
}

function runParts(lines: Lines, range: Range): DetectedPart[] {
  return runsAsParts(lines, materialRuns(lines, range));
}

function runsAsParts(lines: Lines, runs: readonly Run[]): DetectedPart[] {
  return runs.flatMap((run) => {
    const part = documentPart(lines.text, run, run.detail);
    return part === null || isPattern(lines.text, part) ? [] : [part];
  });
}

/** JSON or a table that shows what the answer should look like. */
export function isPattern(text: string, part: DetectedPart): boolean {
  const shaped = part.content === 'json' || part.content === 'table';
  return shaped && showsFormat(text, part.start);
}

/** Markdown sections, when a request stands before the first or after the last heading. */
function headedParts(lines: Lines, range: Range): DetectedPart[] {
  const sections = markdownSections(lines, range);
  const first = sections[0];
  const last = sections.at(-1);
  if (first === undefined || last === undefined) return [];
  const lead = lines.text.slice(range.start, Math.min(first.head, range.start + 700));
  const tail = requestTail(lines, { start: last.start, end: range.end }, true);
  const asked = tail < range.end || isRequest(lead);
  return sections.flatMap((section) => {
    const end = section === last ? tail : section.end;
    const body = trimRange(lines.text, section.start, end);
    if (!isMaterial(lines.text, section.title, body, asked)) return [];
    const part = documentPart(lines.text, body, `markdown section`);
    return part === null ? [] : [part];
  });
}

interface MarkdownSection extends Range {
  readonly head: number;
  readonly title: string;
}

function markdownSections(lines: Lines, range: Range): MarkdownSection[] {
  const sections: MarkdownSection[] = [];
  const first = lineAt(lines, range.start);
  const last = lineAt(lines, Math.max(range.start, range.end - 1));
  let title: string | null = null;
  let head = 0;
  let start = 0;
  for (let line = first; line <= last + 1; line += 1) {
    const match = line > last ? null : /^#{1,4}\s+(\S.{0,120})$/.exec(headAt(lines, line));
    if (match === null && line <= last) continue;
    const end = line > last ? range.end : startOf(lines, line);
    if (title !== null && end > start) sections.push({ head, title, start, end });
    title = match?.[1] ?? null;
    head = startOf(lines, line);
    start = startOf(lines, line + 1);
  }
  return sections;
}

function isMaterial(text: string, title: string, body: Range, asked: boolean): boolean {
  const length = body.end - body.start;
  const named = materialHeading.test(title);
  if (length < (named ? shortestMaterial : longText)) return false;
  if (!named && (instructionHeading.test(title) || !asked)) return false;
  return directiveShare(text.slice(body.start, body.end)) <= 2;
}

/**
 * One long text with a short request before or after it, parted by a blank line. The text must be at least 1,000
 * units and three times the request, and must not read like rules.
 */
function longParts(lines: Lines, range: Range): DetectedPart[] {
  if (range.end - range.start < longText) return [];
  const first = firstParagraph(lines, range);
  const end = requestTail(lines, range, true);
  const leads = isLead(lines.text.slice(first.start, Math.min(first.end, first.start + 700)));
  const lone = lastParagraph(lines, range).start <= range.start;
  if (lone || (end >= range.end && !leads)) return [];
  const start = leads ? first.end : range.start;
  const code = contentKindOf(lines.text.slice(start, end)) === 'code';
  const tail = end < range.end || code ? end : requestTail(lines, range, false);
  const body = trimRange(lines.text, start, tail);
  const length = body.end - body.start;
  if (length < longText || length < 3 * (range.end - range.start - length)) return [];
  const requests = [lines.text.slice(range.start, start), lines.text.slice(tail, range.end)];
  if (!requests.some(asksAboutText) || requests.some((request) => rulesAhead.test(request)))
    return [];
  const text = lines.text.slice(body.start, body.end);
  if (directiveShare(text) > 2 && contentKindOf(text) === 'prose') return [];
  const part = documentPart(lines.text, body, 'long text beside a short request');
  return part === null ? [] : [part];
}

function isLead(paragraph: string): boolean {
  return isRequest(paragraph) || (paragraph.trim().length <= 300 && /[:：]\s*$/.test(paragraph));
}
