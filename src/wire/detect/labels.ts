/** Words that head a piece of text: `Context:`, `## Question`, `【参考资料】`, `Document [2](Title: ...)`. */
import { headAt, startOf, trimRange } from './lines.ts';
import type { Lines } from './lines.ts';
import { labelRoles, numberedItems } from './tables.ts';
import type { LabelRole } from './tables.ts';

export interface Label {
  readonly line: number;
  /** Lower case, without number and decoration. */
  readonly name: string;
  readonly number: number | null;
  /** UTF-16 units of the line's head up to the text after the label. */
  readonly length: number;
  /** Nothing but the label stands in the line. */
  readonly alone: boolean;
}

const letters = String.raw`[\p{L}\p{M}][\p{L}\p{M}'’]*(?:[ _\-][\p{L}\p{M}][\p{L}\p{M}'’]*){0,4}`;
const number = String.raw`(?:\s?[#№([]{0,2}(\d{1,4})[\])]{0,2})?`;
const patterns: readonly RegExp[] = [
  // **Context:** text / ### Context: text / > Context 1: text
  new RegExp(
    String.raw`^(?:#{1,6}\s*|>\s*|[-*]\s+)?(?:\*\*|__)?(${letters})${number}\s?(?:\*\*|__)?\s?[:：](?:\*\*|__)?\s*`,
    'u',
  ),
  // ## Context / **Context**
  new RegExp(
    String.raw`^(?:#{1,6}\s+|\*\*|={2,6}\s?|-{3,6}\s?)(${letters})${number}\s?(?:\*\*|={0,6}|-{0,6})$`,
    'u',
  ),
  // 【参考资料】 / [Context] / <<Context>>
  new RegExp(String.raw`^(?:【|\[|<<|《)(${letters})${number}(?:】|\]|>>|》)[:：]?\s*`, 'u'),
  // Document [1](Title: ...) text / Document [1] Title
  new RegExp(
    String.raw`^(${letters})\s?\[(\d{1,4})\](?:\s?\(Title: [^()]{0,160}(?:\([^()]{0,80}\)[^()]{0,80})?\))?(?:\s?[:：])?(?:\s+|$)`,
    'u',
  ),
];

/** The label that a line starts with, or null. Only the first 240 units of the line are looked at. */
export function labelOf(lines: Lines, line: number): Label | null {
  const head = headAt(lines, line);
  if (head === '' || !maybeLabel(head)) return null;
  for (const pattern of patterns) {
    const match = pattern.exec(head);
    if (match === null) continue;
    const name = (match[1] ?? '').toLowerCase();
    // `# q: ...` is a comment, `## Question` a heading
    if (name.length < 3 && head.startsWith('#') && name.charCodeAt(0) < 128) return null;
    const digits = match[2];
    return {
      line,
      name,
      number: digits === undefined ? null : Number(digits),
      length: match[0].length,
      alone: match[0].length === head.length,
    };
  }
  return null;
}

/** Cheap refusal of most prose lines before a pattern is tried. */
function maybeLabel(head: string): boolean {
  const first = head.charCodeAt(0);
  const marked = first < 65 || first === 91 || first === 95 || first > 0x2fff;
  if (marked) return true;
  const start = head.slice(0, 72);
  return start.includes(':') || start.includes('：') || start.includes('[');
}

/** What a label means around documents; null for any other word. */
export function roleOf(label: Label): LabelRole | null {
  if (label.number !== null) return numberedItems.has(label.name) ? 'item' : null;
  return labelRoles.get(label.name) ?? null;
}

/** All labels of a range of lines, ascending. */
export function labelsOf(lines: Lines, from: number, to: number): Label[] {
  const found: Label[] = [];
  for (let line = from; line < to; line += 1) {
    const label = labelOf(lines, line);
    if (label !== null) found.push(label);
  }
  return found;
}

/** Offset of the text behind a label in its line. */
export function textAfter(lines: Lines, label: Label): number {
  const lineStart = startOf(lines, label.line);
  const lineEnd = startOf(lines, label.line + 1);
  const head = trimRange(lines.text, lineStart, lineEnd).start;
  return Math.min(head + label.length, lineEnd);
}
