/** From item results to rows, and rows to text. */
import { bootstrapInterval, mean } from './bootstrap.ts';
import type { ArmName, ItemResult, TableRow } from './types.ts';

/** Rows in the order set, rate (descending), arm as given. */
export function tableOf(results: readonly ItemResult[], arms: readonly ArmName[]): TableRow[] {
  const groups = new Map<string, ItemResult[]>();
  for (const result of results) {
    const key = [result.set, result.rate, result.arm].join('\n');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [result]);
    else group.push(result);
  }
  const rows = [...groups.values()].map((group) => rowOf(group, referenceOf(group, groups)));
  return rows.sort(
    (a, b) =>
      a.set.localeCompare(b.set) || b.rate - a.rate || arms.indexOf(a.arm) - arms.indexOf(b.arm),
  );
}

function referenceOf(
  group: readonly ItemResult[],
  groups: ReadonlyMap<string, readonly ItemResult[]>,
): ReadonlyMap<string, ItemResult> {
  const first = group[0];
  const key = [first?.set, first?.rate, 'bm25-sentence'].join('\n');
  return new Map((groups.get(key) ?? []).map((result) => [result.id, result]));
}

function known(values: readonly (number | boolean | null)[]): number[] {
  return values.filter((value) => value !== null).map(Number);
}

function meanOrNull(values: readonly (number | boolean | null)[]): number | null {
  const list = known(values);
  return list.length === 0 ? null : mean(list);
}

function rowOf(group: readonly ItemResult[], reference: ReadonlyMap<string, ItemResult>): TableRow {
  const [first] = group;
  if (first === undefined) throw new RangeError('a row needs at least one result');
  const survived = known(group.map((result) => result.survived));
  const pairs = group.flatMap((result) => {
    const other = reference.get(result.id)?.survived;
    return result.survived === null || other === null || other === undefined
      ? []
      : [Number(result.survived) - Number(other)];
  });
  const tokens = group.reduce((sum, result) => sum + result.tokensBefore, 0);
  const milliseconds = group.reduce((sum, result) => sum + result.milliseconds, 0);
  return {
    set: first.set,
    arm: first.arm,
    rate: first.rate,
    n: group.length,
    achieved: share(group.map((result) => [result.tokensBefore, result.tokensAfter])) ?? 1,
    achievedBackend: share(group.map((result) => [result.backendBefore, result.backendAfter])),
    survival: survived.length === 0 ? null : mean(survived),
    survivalInterval: survived.length === 0 ? null : bootstrapInterval(survived),
    againstBm25:
      pairs.length === 0 || first.arm === 'bm25-sentence'
        ? null
        : { mean: mean(pairs), interval: bootstrapInterval(pairs) },
    evidence: meanOrNull(group.map((result) => result.evidenceRecall)),
    numbers: meanOrNull(group.map((result) => result.numbers)),
    identifiers: meanOrNull(group.map((result) => result.identifiers)),
    negations: meanOrNull(group.map((result) => result.negations)),
    structure: meanOrNull(group.map((result) => result.structure)),
    prefixStability: meanOrNull(group.map((result) => result.prefixStability)),
    msPer1000: tokens === 0 ? 0 : (milliseconds / tokens) * 1000,
  };
}

function share(pairs: readonly (readonly [number | null, number | null])[]): number | null {
  let before = 0;
  let after = 0;
  for (const [from, to] of pairs) {
    if (from === null || to === null) return null;
    before += from;
    after += to;
  }
  return before === 0 ? null : after / before;
}

const columns: readonly (readonly [string, (row: TableRow) => string])[] = [
  ['set', (row) => row.set],
  ['method', (row) => row.arm],
  ['rate', (row) => String(row.rate)],
  ['n', (row) => String(row.n)],
  ['kept', (row) => digits(row.achieved)],
  ['kept (backend)', (row) => digits(row.achievedBackend)],
  ['SR', (row) => digits(row.survival)],
  ['SR 95 %', (row) => interval(row.survivalInterval)],
  ['SR - bm25-sentence', (row) => difference(row)],
  ['ER', (row) => digits(row.evidence)],
  ['numbers', (row) => digits(row.numbers)],
  ['identifiers', (row) => digits(row.identifiers)],
  ['negations', (row) => digits(row.negations)],
  ['valid', (row) => digits(row.structure)],
  ['stable', (row) => digits(row.prefixStability)],
  ['ms/1k tokens', (row) => row.msPer1000.toFixed(1)],
];

function digits(value: number | null): string {
  return value === null ? '-' : value.toFixed(3);
}

function interval(value: readonly [number, number] | null): string {
  return value === null ? '-' : `${value[0].toFixed(2)}..${value[1].toFixed(2)}`;
}

function difference(row: TableRow): string {
  if (row.againstBm25 === null) return '-';
  const { mean: delta, interval: range } = row.againstBm25;
  return `${delta >= 0 ? '+' : ''}${delta.toFixed(3)} (${interval(range)})`;
}

/** The table as GitHub-flavoured Markdown, also readable on a terminal. */
export function renderTable(rows: readonly TableRow[]): string {
  const cells = [
    columns.map(([name]) => name),
    ...rows.map((row) => columns.map(([, of]) => of(row))),
  ];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
  const lines = cells.map(
    (line) => `| ${line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}
