/** The report of a run: text for people, JSON for programs, one line per item to compute every number again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { version } from '../../version.ts';
import type { UsedModel } from './models-used.ts';
import { survivalByRate, survivalByTime } from './plots.ts';
import { renderMacro, renderTable } from './render.ts';
import type { ArmName, ItemResult, MacroRow, TableRow } from './types.ts';

export interface Report {
  readonly command: string;
  readonly models: readonly UsedModel[];
  readonly backendTokenizer: string | null;
  /** Were the methods told the questions? */
  readonly questions: boolean;
  /** Classes of words that had to survive; empty = guards off. */
  readonly guards: readonly string[];
  /** Means over all sets, each over the records that all of its arms measured. */
  readonly macros: readonly {
    readonly arms: readonly ArmName[];
    readonly rows: readonly MacroRow[];
  }[];
  readonly rows: readonly TableRow[];
  /** Arms that could not run, with the reason. */
  readonly missing: readonly string[];
}

export function reportText(report: Report): string {
  const macros = report.macros.flatMap(({ rows }) => [
    `Means over the sets (${rows[0]?.n ?? 0} records that all these methods measured)`,
    '',
    renderMacro(rows),
    '',
  ]);
  return [...macros, 'By set', '', renderTable(report.rows), '', ...report.missing].join('\n');
}

/**
 * Writes `NAME.md`, `NAME.json`, the plots, and `items/NAME.jsonl`, which is kept out of the repository. The plots of
 * `table` have no prefix, those of other names have `NAME-`.
 */
export function writeReport(
  { folder, name }: { readonly folder: string; readonly name: string },
  report: Report,
  results: readonly ItemResult[],
): void {
  const facts = factsOf(report, results);
  mkdirSync(join(folder, 'items'), { recursive: true });
  const write = (file: string, text: string): void =>
    writeFileSync(join(folder, file), `${text.trimEnd()}\n`);
  const head = Object.entries(facts).map(
    ([fact, value]) => `- ${fact}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const models = report.models.map((model) => `- model: ${modelText(model)}`);
  const text = ['# Evaluation', '', ...head, ...models, '', reportText(report)].join('\n');
  write(`${name}.md`, text);
  const { macros, rows, missing } = report;
  const data = { ...facts, models: report.models, missing, macros, rows };
  write(`${name}.json`, JSON.stringify(data, null, 1));
  const prefix = name === 'table' ? '' : `${name}-`;
  write(`${prefix}survival-by-rate.svg`, survivalByRate(rows));
  write(`${prefix}survival-by-time.svg`, survivalByTime(macros.map((macro) => macro.rows)));
  const lines = results.map((result) => JSON.stringify(result));
  write(join('items', `${name}.jsonl`), lines.join('\n'));
}

/** A model in one line, its checksums shortened; the JSON has them whole. */
function modelText({ name, version: release, arms, files }: UsedModel): string {
  const sums = Object.entries(files).map(([file, sum]) => `${file} ${sum.slice(0, 12)}`);
  return `${name} ${release} for ${arms.join(', ')} (sha256: ${sums.join(', ')})`;
}

function factsOf(report: Report, results: readonly ItemResult[]): Record<string, unknown> {
  const records: Record<string, number> = {};
  for (const { set, n } of report.rows) records[set] = Math.max(records[set] ?? 0, n);
  return {
    date: new Date().toISOString().slice(0, 10),
    command: report.command,
    sluice: version,
    question: report.questions ? 'known to the methods' : 'withheld from the methods',
    guards:
      report.guards.length === 0
        ? 'off'
        : `${report.guards.join(', ')}; use_context_level_filter: false`,
    'backend tokenizer':
      report.backendTokenizer === null ? 'none' : basename(report.backendTokenizer),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`,
    records,
    measurements: results.length,
  };
}
