/** Pasted material that shows by its lines alone: logs, search results, tables, diffs, transcripts, JSON. */
import { constantColumns, logLine, searchLine, separators } from './content.ts';
import { jsonEnd } from './json.ts';
import { headAt, lineAt, startOf, trimRange } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import { labelRoles, modelSpeakers } from './tables.ts';

export interface Run extends Range {
  readonly detail: string;
}

interface RunClass {
  readonly detail: string;
  readonly fits: (head: string) => boolean;
  /** Lines that may stand between two fitting ones. */
  readonly gap: number;
  readonly fewest: number;
  /** Last word on the lines found, when the pattern alone is not enough. */
  readonly accept: (heads: readonly string[]) => boolean;
  /** Fitting lines at either end that are no part of it after all. */
  readonly foreign?: (heads: readonly string[]) => (head: string) => boolean;
}

/** Units; shorter material is left in the question. */
const shortestRun = 300;
/** Failed JSON scans may read this many times the range's length: keeps hostile input linear. */
const failedJsonReads = 4;

const speakerLine =
  /^(?:\[?\(?\d{1,2}:\d{2}(?::\d{2})?\)?\]?\s*[-–]?\s*)?([\p{Lu}\p{Lo}][\p{L}\p{M}\p{N}.'’_\- ]{0,40}?)\s?(?:\(\d{1,2}:\d{2}(?::\d{2})?\))?\s?[:：](?:\s|$|[^\s/])/u;

const runClasses: readonly RunClass[] = [
  { detail: 'log lines', fits: (head) => logLine.test(head), gap: 12, fewest: 5, accept: always },
  {
    detail: 'search result lines',
    fits: (head) => searchLine.test(head),
    gap: 1,
    fewest: 5,
    accept: always,
  },
  {
    detail: 'table rows',
    fits: (head) => head.startsWith('|') && head.endsWith('|') && head.length > 2,
    gap: 0,
    fewest: 4,
    accept: always,
  },
  {
    detail: 'transcript lines',
    fits: (head) => speakerOf(head) !== null,
    gap: 2,
    fewest: 8,
    accept: fewSpeakers,
    foreign: labelled,
  },
];

/** Runs of the whole range, ascending; where two classes claim a line the one listed first wins. */
export function materialRuns(lines: Lines, range: Range): Run[] {
  const first = lineAt(lines, range.start);
  const last = lineAt(lines, Math.max(range.start, range.end - 1));
  const found: Run[] = valueRuns(lines, range);
  for (const kind of runClasses) found.push(...classRuns(lines, kind, first, last));
  found.push(...columnRuns(lines, first, last));
  const kept: Run[] = [];
  for (const run of found) {
    const piece = trimRange(
      lines.text,
      Math.max(run.start, range.start),
      Math.min(run.end, range.end),
    );
    if (piece.end - piece.start < shortestRun) continue;
    kept.push({ ...piece, detail: run.detail });
  }
  return withoutOverlap(kept);
}

/** Only JSON values and diffs: what cannot be mistaken inside program text. */
export function valueRuns(lines: Lines, range: Range): Run[] {
  const first = lineAt(lines, range.start);
  const last = lineAt(lines, Math.max(range.start, range.end - 1));
  const found = [...jsonRuns(lines, range, last), ...diffRuns(lines, first, last)];
  return withoutOverlap(found.filter((run) => run.end - run.start >= shortestRun));
}

/** Greedy by start; the number of runs is far below that of lines. */
function withoutOverlap(runs: readonly Run[]): Run[] {
  const order = runs.map((run, rank) => ({ run, rank }));
  order.sort((a, b) => a.run.start - b.run.start || a.rank - b.rank);
  const kept: Run[] = [];
  for (const { run } of order) {
    if (run.start >= (kept.at(-1)?.end ?? 0)) kept.push(run);
  }
  return kept;
}

function always(): boolean {
  return true;
}

/** A line counts towards a log's gap only while the run goes on, so stack traces stay inside. */
function classRuns(lines: Lines, kind: RunClass, first: number, last: number): Run[] {
  const runs: Run[] = [];
  let fitting: number[] = [];
  const close = (): void => {
    const own = ownLines(lines, kind, fitting);
    const [begin, end] = [own[0], own.at(-1)];
    fitting = [];
    if (begin === undefined || end === undefined || own.length < kind.fewest) return;
    if (!kind.accept(own.map((line) => headAt(lines, line)))) return;
    runs.push({
      start: startOf(lines, begin),
      end: startOf(lines, end + 1),
      detail: kind.detail,
    });
  };
  for (let line = first; line <= last; line += 1) {
    const head = headAt(lines, line);
    if (head !== '' && kind.fits(head)) {
      if (line - (fitting.at(-1) ?? line) > kind.gap + 1) close();
      fitting.push(line);
    }
  }
  close();
  return runs;
}

/** The lines without those at both ends that only look alike. */
function ownLines(lines: Lines, { foreign }: RunClass, fitting: readonly number[]): number[] {
  if (foreign === undefined) return [...fitting];
  const heads = fitting.map((line) => headAt(lines, line));
  const isForeign = foreign(heads);
  let [from, to] = [0, heads.length];
  while (from < to && isForeign(heads[from] ?? '')) from += 1;
  while (to > from && isForeign(heads[to - 1] ?? '')) to -= 1;
  return fitting.slice(from, to);
}

function speakerOf(head: string): string | null {
  const name = speakerLine.exec(head)?.[1]?.toLowerCase() ?? null;
  return name === null || name.split(' ').length > 4 ? null : name;
}

/** Nobody is called so who speaks only once or twice: `Question: ...`, `Task: ...`, `Answer:`. */
function labelled(heads: readonly string[]): (head: string) => boolean {
  const turns = turnsOf(heads);
  return (head) => {
    const name = speakerOf(head) ?? '';
    const role = labelRoles.get(name);
    return role !== undefined && role !== 'context' && (turns.get(name) ?? 0) <= 2;
  };
}

function turnsOf(heads: readonly string[]): Map<string, number> {
  const turns = new Map<string, number>();
  for (const head of heads) {
    const name = speakerOf(head) ?? '';
    turns.set(name, (turns.get(name) ?? 0) + 1);
  }
  return turns;
}

/** A meeting has at least two speakers, each speaking again and again, and none of them is the model. */
function fewSpeakers(heads: readonly string[]): boolean {
  const turns = turnsOf(heads);
  const regular = [...turns.values()].filter((count) => count >= 2);
  const covered = regular.reduce((sum, count) => sum + count, 0);
  const model = [...turns.keys()].some((name) => modelSpeakers.has(name));
  return !model && regular.length >= 2 && covered >= heads.length * 0.7;
}

/** Unified diffs: a header, then lines that start with one of ` +-@\`. */
function diffRuns(lines: Lines, first: number, last: number): Run[] {
  const runs: Run[] = [];
  for (let line = first; line <= last; line += 1) {
    if (!startsDiff(lines, line)) continue;
    let end = line;
    let hunks = 0;
    while (end <= last && (isDiffLine(lines, end) || startsDiff(lines, end))) {
      if (headAt(lines, end).startsWith('@@ -')) hunks += 1;
      end += 1;
    }
    if (hunks > 0)
      runs.push({ start: startOf(lines, line), end: startOf(lines, end), detail: 'diff' });
    line = end;
  }
  return runs;
}

function startsDiff(lines: Lines, line: number): boolean {
  const head = headAt(lines, line);
  if (head.startsWith('diff --git ') || head.startsWith('@@ -')) return true;
  return head.startsWith('--- ') && headAt(lines, line + 1).startsWith('+++ ');
}

function isDiffLine(lines: Lines, line: number): boolean {
  const at = startOf(lines, line);
  const unit = lines.text[at];
  if (unit === '\n' || unit === '\r') {
    const next = lines.text[startOf(lines, line + 1)];
    return next !== undefined && ' +-@'.includes(next);
  }
  return (
    (unit !== undefined && ' +-@\\'.includes(unit)) ||
    /^(?:index [0-9a-f]{7}|(?:new|deleted) file mode|similarity index|rename |Binary files )/.test(
      headAt(lines, line),
    )
  );
}

/** CSV-like rows: six or more lines in a row with the same two or more separators. */
function columnRuns(lines: Lines, first: number, last: number): Run[] {
  return [',', '\t', ';'].flatMap((separator) => columnRunsOf(lines, first, last, separator));
}

function columnRunsOf(lines: Lines, first: number, last: number, separator: string): Run[] {
  const runs: Run[] = [];
  let begin = first;
  let columns = -1;
  for (let line = first; line <= last + 1; line += 1) {
    const head = line > last ? '' : headAt(lines, line);
    const now =
      head.includes(separator) && !/[.;{(:]$/.test(head) ? separators(head, separator) : 0;
    if (now === columns && now > 0) continue;
    if (columns >= (separator === '\t' ? 1 : 2) && line - begin >= 6) {
      const heads = lines.heads.slice(begin, line);
      if (constantColumns(heads, separator)) {
        runs.push({
          start: startOf(lines, begin),
          end: startOf(lines, line),
          detail: 'separated rows',
        });
      }
    }
    begin = line;
    columns = now;
  }
  return runs;
}

/** JSON values that start a line and end one; values on following lines join. */
function jsonRuns(lines: Lines, range: Range, last: number): Run[] {
  const runs: Run[] = [];
  let failed = 0;
  const budget = failedJsonReads * (range.end - range.start);
  let line = lineAt(lines, range.start);
  while (line <= last && failed < budget) {
    const head = headAt(lines, line);
    if (!/^[[{]/.test(head)) {
      line += 1;
      continue;
    }
    const start = trimRange(
      lines.text,
      Math.max(range.start, startOf(lines, line)),
      range.end,
    ).start;
    const end = jsonEnd(lines.text, start, range.end);
    if (end < 0) {
      failed += ~end - start;
      line += 1;
      continue;
    }
    const endLine = lineAt(lines, end - 1);
    const previous = runs.at(-1);
    const joins = previous !== undefined && startOf(lines, line) <= previous.end;
    const run = {
      start: joins ? previous.start : start,
      end: startOf(lines, endLine + 1),
      detail: 'json value',
    };
    if (joins) runs.pop();
    if (trimRange(lines.text, end, run.end).end <= end) runs.push(run);
    line = endLine + 1;
  }
  return runs;
}
