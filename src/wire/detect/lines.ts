/** A string cut into lines, once, so that every rule can walk it in linear time. */

/** Longest piece of a line that rules look at, in UTF-16 units: keeps patterns cheap on endless lines. */
export const headLimit = 240;

export interface Lines {
  readonly text: string;
  readonly count: number;
  /** UTF-16 offset of line `i`; `starts[count]` is the length of the text. */
  readonly starts: readonly number[];
  /** At most `headLimit` units of each line, without leading or trailing white space. */
  readonly heads: readonly string[];
}

/** Half-open range of UTF-16 offsets, or of line numbers where the name says so. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Lines end after `\n`; a `\r` before it is white space of the line. */
export function linesOf(text: string): Lines {
  const starts: number[] = [];
  const heads: string[] = [];
  let start = 0;
  while (start < text.length) {
    const feed = text.indexOf('\n', start);
    const end = feed < 0 ? text.length : feed + 1;
    starts.push(start);
    heads.push(end - start <= 1 && feed >= 0 ? '' : headOf(text, start, end));
    start = end;
  }
  const count = starts.length;
  starts.push(text.length);
  return { text, count, starts, heads };
}

function headOf(text: string, start: number, end: number): string {
  const trimmed = trimRange(text, start, end);
  return text.slice(trimmed.start, Math.min(trimmed.end, trimmed.start + headLimit));
}

export function startOf(lines: Lines, line: number): number {
  return lines.starts[Math.min(line, lines.count)] ?? lines.text.length;
}

export function headAt(lines: Lines, line: number): string {
  return lines.heads[line] ?? '';
}

/** Number of the line that holds the offset (binary search). */
export function lineAt(lines: Lines, offset: number): number {
  let low = 0;
  let high = lines.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (startOf(lines, middle + 1) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0x3000;
}

/** The range less white space at both ends; empty ranges collapse to their start. */
export function trimRange(text: string, start: number, end: number): Range {
  let from = start;
  let to = end;
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return { start: from, end: to };
}

/** What `taken` (ascending, disjoint) leaves of the range, less white space at the ends; blank pieces left out. */
export function freeRanges(text: string, within: Range, taken: readonly Range[]): Range[] {
  const free: Range[] = [];
  let at = within.start;
  const add = (end: number): void => {
    const piece = trimRange(text, at, end);
    if (piece.end > piece.start) free.push(piece);
  };
  for (const range of taken) {
    if (range.end <= at) continue;
    if (range.start >= within.end) break;
    add(Math.min(range.start, within.end));
    at = range.end;
  }
  if (at < within.end) add(within.end);
  return free;
}
