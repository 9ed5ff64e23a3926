/** What a piece of text is made of, judged from a bounded sample of its lines. */
import type { ContentKind } from '../../core/span.ts';
import { codeShare } from './code.ts';
import { jsonEnd } from './json.ts';
import { isSpace, linesOf, startOf, trimRange } from './lines.ts';
import type { Lines } from './lines.ts';

/** Only this much of a text is read to name its kind; the JSON scan reads all of it. */
const sampleUnits = 64 * 1024;

/** Units; shorter texts have no kind of their own. */
const shortestKnown = 12;

const clock = String.raw`\d{1,2}:\d{2}:\d{2}`;
const level = 'TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|FATAL|CRITICAL|SEVERE|PANIC';

/** A time of day or an ISO date near the start, or a level right at the start. */
export const logLine: RegExp = new RegExp(
  String.raw`^(?:.{0,60}?(?:\b${clock}\b|\b\d{4}-\d{2}-\d{2}[T ]\d{2}|\b1\d{9}\b)` +
    String.raw`|[\[(<]?(?:${level})[\])>]?[ :|\t]|[IWEF]\d{4} ` +
    String.raw`|.{0,50}?[\[| ](?:${level})[\]| :]` +
    String.raw`|[\w.-]+\[\d+\]: |\d{6} \d{6} \d+ )`,
);

/** `path:line:` of grep and ripgrep; the path has a dot or a slash. */
export const searchLine: RegExp =
  /^(?=[^:\s]{0,200}[./])[\w@.+/\\-]+[:](?:\d{1,7}[:]|\s*\d{1,7}:\s)/;

/** A list entry that is a link: `1. Title https://...`, `[2] Title (url)`, or a bare `URL: ...` line. */
const linkLine =
  /^(?:(?:[-*]|\d{1,3}[.)]|\[\d{1,3}\])\s.{0,160}https?:\/\/|(?:url|link|source)\s?[:：]\s?https?:\/\/)/i;

const diffLine = /^(?:diff --git |index [0-9a-f]{7,}|--- \S|\+\+\+ \S|@@ -\d+)/;
const pipeRow = /^\|.*\|/;
const tagStart = /^<\/?[A-Za-z!?][^<>]{0,200}>/;

/**
 * Kind of a text. Order of the tests: JSON, diff, search results, log, table, markup, code, else prose.
 * Linear in the length of the text; only the JSON test reads beyond a fixed sample.
 */
export function contentKindOf(text: string): ContentKind {
  const { start, end } = trimRange(text, 0, text.length);
  if (end - start < shortestKnown) return 'prose';
  if (isJson(text, start, end)) return 'json';
  const lines = linesOf(sampleOf(text, start, end));
  const heads = lines.heads.filter((head) => head !== '');
  if (isDiff(heads)) return 'diff';
  if (share(heads, searchLine) > 0.6 && heads.length >= 2 && !looksTimed(heads)) return 'search';
  if (isLog(lines)) return 'log';
  if (isTable(heads)) return 'table';
  if (share(heads, linkLine) > 0.15 && heads.filter((head) => linkLine.test(head)).length >= 3) {
    return 'search';
  }
  const code = codeShare(lines);
  if (isMarkup(lines, heads)) return 'markup';
  return code > 0.5 ? 'code' : 'prose';
}

function sampleOf(text: string, start: number, end: number): string {
  if (end - start <= sampleUnits) return text.slice(start, end);
  const half = sampleUnits / 2;
  const middle = start + Math.floor((end - start) / 2);
  return `${text.slice(start, start + half)}\n${text.slice(middle, middle + half)}`;
}

function share(heads: readonly string[], pattern: RegExp): number {
  if (heads.length === 0) return 0;
  let fits = 0;
  for (const head of heads) if (pattern.test(head)) fits += 1;
  return fits / heads.length;
}

/** Most lines that are not indented (stack traces are) are log lines, and at least a quarter of all. */
function isLog(lines: Lines): boolean {
  let fits = 0;
  let flush = 0;
  let all = 0;
  lines.heads.forEach((head, line) => {
    if (head === '') return;
    all += 1;
    if (!isSpace(lines.text.charCodeAt(startOf(lines, line)))) flush += 1;
    if (logLine.test(head)) fits += 1;
  });
  return all >= 2 && fits >= 2 && fits > Math.max(flush, 1) * 0.5 && fits >= all * 0.25;
}

/** `12:30:45` also looks like `file:line:`. */
function looksTimed(heads: readonly string[]): boolean {
  return share(heads, /^\[?(?:\d{1,2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2})/) > 0.5;
}

/** One JSON value, or at least two lines that are each one. */
function isJson(text: string, start: number, end: number): boolean {
  const first = text.charCodeAt(start);
  if (first !== 123 && first !== 91) return false;
  const close = jsonEnd(text, start, end);
  if (close < 0) return false;
  if (close >= end) return true;
  const values = linesOf(text.slice(start, Math.min(end, start + sampleUnits)));
  let good = 0;
  let bad = 0;
  for (let line = 0; line < Math.min(values.count, 50); line += 1) {
    const head = values.heads[line] ?? '';
    if (head === '') continue;
    if (/^[[{]/.test(head)) good += 1;
    else bad += 1;
  }
  return good >= 2 && bad === 0;
}

function isDiff(heads: readonly string[]): boolean {
  let marks = 0;
  let hunks = 0;
  for (const head of heads) {
    if (head.startsWith('@@ -')) hunks += 1;
    if (diffLine.test(head)) marks += 1;
  }
  return hunks >= 1 && marks >= 2 && diffLine.test(heads[0] ?? '') ? true : hunks >= 2;
}

/** Markdown pipes, or separator-delimited rows with a constant number of at least three columns. */
function isTable(heads: readonly string[]): boolean {
  if (heads.length < 3) return false;
  if (share(heads, pipeRow) > 0.7) return true;
  return [',', '\t', ';', '|'].some((separator) => constantColumns(heads, separator));
}

/** At least 80 % of the rows have as many separators as the first, two or more. */
export function constantColumns(heads: readonly string[], separator: string): boolean {
  const columns = separators(heads[0] ?? '', separator);
  if (columns < (separator === '\t' ? 1 : 2)) return false;
  let same = 0;
  for (const head of heads) if (separators(head, separator) === columns) same += 1;
  return same >= heads.length * 0.8 && !heads.every((head) => /[.!?。]$/.test(head));
}

/** Separators outside double quotes. */
export function separators(head: string, separator: string): number {
  let found = 0;
  let quoted = false;
  for (const unit of head) {
    if (unit === '"') quoted = !quoted;
    else if (unit === separator && !quoted) found += 1;
  }
  return found;
}

function isMarkup(lines: Lines, heads: readonly string[]): boolean {
  if (!/^<(?:!doctype|\?xml|html|svg|rss|feed)\b/i.test(heads[0] ?? '')) {
    const tags = lines.text.match(/<\/?[A-Za-z][^<>\n]{0,200}>/g)?.length ?? 0;
    const dense = tags >= 6 && tags * 120 > lines.text.length;
    return dense && share(heads, tagStart) > 0.4;
  }
  return true;
}
