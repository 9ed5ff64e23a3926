/** Rows as GitHub-flavoured Markdown, also readable on a terminal. */
import type { Estimate, MacroRow, TableRow } from './types.ts';

type Column<Row> = readonly [name: string, cell: (row: Row) => string];

const common: readonly Column<
  Pick<
    MacroRow & TableRow,
    | 'evidence'
    | 'passages'
    | 'numbers'
    | 'identifiers'
    | 'negations'
    | 'structure'
    | 'prefixStability'
    | 'msPer1000'
  >
>[] = [
  ['ER', (row) => digits(row.evidence)],
  ['passages', (row) => digits(row.passages)],
  ['numbers', (row) => digits(row.numbers)],
  ['identifiers', (row) => digits(row.identifiers)],
  ['negations', (row) => digits(row.negations)],
  ['valid', (row) => digits(row.structure)],
  ['stable', (row) => digits(row.prefixStability)],
  ['ms/1k tokens', (row) => (row.msPer1000 === null ? '-' : row.msPer1000.toFixed(1))],
];

const setColumns: readonly Column<TableRow>[] = [
  ['set', (row) => row.set],
  ['method', (row) => row.arm],
  ['rate', (row) => String(row.rate)],
  ['n', (row) => String(row.n)],
  ['kept', (row) => digits(row.achieved)],
  ['kept (backend)', (row) => digits(row.achievedBackend)],
  ['SR', (row) => digits(row.survival?.mean ?? null)],
  ['SR 95 %', (row) => interval(row.survival)],
  ['SR - bm25-sentence-document', (row) => difference(row.againstBm25)],
  ['SR - random-sentence', (row) => difference(row.againstRandom)],
  ...common,
];

const macroColumns: readonly Column<MacroRow>[] = [
  ['method', (row) => row.arm],
  ['rate', (row) => String(row.rate)],
  ['sets', (row) => String(row.sets)],
  ['n', (row) => String(row.n)],
  ['kept', (row) => digits(row.achieved)],
  ['SR', (row) => digits(row.survival)],
  ...common,
];

export function renderTable(rows: readonly TableRow[]): string {
  return markdown(setColumns, rows);
}

export function renderMacro(rows: readonly MacroRow[]): string {
  return markdown(macroColumns, rows);
}

function digits(value: number | null): string {
  return value === null ? '-' : value.toFixed(3);
}

function interval(value: Estimate | null): string {
  return value === null ? '-' : `${value.interval[0].toFixed(2)}..${value.interval[1].toFixed(2)}`;
}

function difference(value: Estimate | null): string {
  if (value === null) return '-';
  return `${value.mean >= 0 ? '+' : ''}${value.mean.toFixed(3)} (${interval(value)})`;
}

function markdown<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [
    columns.map(([name]) => name),
    ...rows.map((row) => columns.map(([, cell]) => cell(row))),
  ];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
  const lines = cells.map(
    (line) => `| ${line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}
