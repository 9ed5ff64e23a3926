/** From item results to rows. */
import { estimate, mean } from './bootstrap.ts';
import type { ArmName, Estimate, ItemResult, MacroRow, TableRow } from './types.ts';

/** Rows in the order set, rate (descending), arm as given. */
export function tableOf(results: readonly ItemResult[], arms: readonly ArmName[]): TableRow[] {
  const groups = groupsOf(results);
  const rows = [...groups.values()].map((group) => rowOf(group, groups));
  return rows.sort(
    (a, b) =>
      a.set.localeCompare(b.set) || b.rate - a.rate || arms.indexOf(a.arm) - arms.indexOf(b.arm),
  );
}

function groupsOf(results: readonly ItemResult[]): Map<string, ItemResult[]> {
  const groups = new Map<string, ItemResult[]>();
  for (const result of results) {
    const key = keyOf(result.set, result.rate, result.arm);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [result]);
    else group.push(result);
  }
  return groups;
}

function keyOf(set: string, rate: number, arm: ArmName): string {
  return [set, rate, arm].join('\n');
}

/** Mean over the items of survival minus the survival under another arm; null without such pairs. */
function against(
  other: ArmName,
  group: readonly ItemResult[],
  groups: ReadonlyMap<string, readonly ItemResult[]>,
): Estimate | null {
  const [first] = group;
  if (first === undefined || first.arm === other) return null;
  const theirs = groups.get(keyOf(first.set, first.rate, other)) ?? [];
  const survivals = new Map(theirs.map(({ id, survived }) => [id, survived]));
  const pairs = group.flatMap(({ id, survived }) => {
    const their = survivals.get(id) ?? null;
    return survived === null || their === null ? [] : [Number(survived) - Number(their)];
  });
  return pairs.length === 0 ? null : estimate(pairs);
}

function known(values: readonly (number | boolean | null)[]): number[] {
  return values.filter((value) => value !== null).map(Number);
}

function meanOrNull(values: readonly (number | boolean | null)[]): number | null {
  const list = known(values);
  return list.length === 0 ? null : mean(list);
}

function rowOf(
  group: readonly ItemResult[],
  groups: ReadonlyMap<string, readonly ItemResult[]>,
): TableRow {
  const [first] = group;
  if (first === undefined) throw new RangeError('a row needs at least one result');
  const survived = known(group.map((result) => result.survived));
  return {
    set: first.set,
    arm: first.arm,
    rate: first.rate,
    n: group.length,
    asked: survived.length,
    achieved: share(group.map((result) => [result.tokensBefore, result.tokensAfter])) ?? 1,
    achievedBackend: share(group.map((result) => [result.backendBefore, result.backendAfter])),
    survival: survived.length === 0 ? null : estimate(survived),
    againstBm25: against('bm25-sentence-document', group, groups),
    againstRandom: against('random-sentence', group, groups),
    evidence: meanOrNull(group.map((result) => result.evidenceRecall)),
    passages: meanOrNull(group.map((result) => result.passages)),
    numbers: meanOrNull(group.map((result) => result.numbers)),
    identifiers: meanOrNull(group.map((result) => result.identifiers)),
    negations: meanOrNull(group.map((result) => result.negations)),
    structure: meanOrNull(group.map((result) => result.structure)),
    prefixStability: meanOrNull(group.map((result) => result.prefixStability)),
    msPer1000: speed(group),
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

function speed(group: readonly ItemResult[]): number | null {
  let tokens = 0;
  let milliseconds = 0;
  for (const result of group) {
    if (result.milliseconds === null) continue;
    tokens += result.tokensBefore;
    milliseconds += result.milliseconds;
  }
  return tokens === 0 ? null : (milliseconds / tokens) * 1000;
}

/**
 * Unweighted means over the sets, per arm and rate, in the order rate (descending), arm as given. Only items that all
 * `arms` measured are counted, so that every row stands on the same records.
 */
export function macroOf(results: readonly ItemResult[], arms: readonly ArmName[]): MacroRow[] {
  const seen = new Map<string, Set<ArmName>>();
  for (const { set, id, arm } of results) {
    const key = `${set}\n${id}`;
    seen.set(key, (seen.get(key) ?? new Set<ArmName>()).add(arm));
  }
  const common = results.filter(
    ({ set, id, arm }) =>
      arms.includes(arm) && arms.every((name) => seen.get(`${set}\n${id}`)?.has(name) === true),
  );
  const rows = tableOf(common, arms);
  const groups = new Map<string, TableRow[]>();
  for (const row of rows) {
    const key = `${row.rate}\n${row.arm}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()]
    .map(macroRow)
    .sort((a, b) => b.rate - a.rate || arms.indexOf(a.arm) - arms.indexOf(b.arm));
}

function macroRow(rows: readonly TableRow[]): MacroRow {
  const [first] = rows;
  if (first === undefined) throw new RangeError('a row needs at least one set');
  const over = (value: (row: TableRow) => number | null): number | null =>
    meanOrNull(rows.map(value));
  return {
    arm: first.arm,
    rate: first.rate,
    sets: rows.length,
    n: rows.reduce((sum, row) => sum + row.n, 0),
    achieved: over((row) => row.achieved) ?? 1,
    survival: over((row) => row.survival?.mean ?? null),
    evidence: over((row) => row.evidence),
    passages: over((row) => row.passages),
    numbers: over((row) => row.numbers),
    identifiers: over((row) => row.identifiers),
    negations: over((row) => row.negations),
    structure: over((row) => row.structure),
    prefixStability: over((row) => row.prefixStability),
    msPer1000: over((row) => row.msPer1000),
  };
}
