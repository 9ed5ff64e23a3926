/** The report of a run: text for people, JSON for programs, one line per item to compute every number again. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { scoutFolder } from '../../sluice.ts';
import { version } from '../../version.ts';
import { isRecord } from './record.ts';
import { renderMacro, renderTable } from './render.ts';
import type { ArmName, ItemResult, MacroRow, TableRow } from './types.ts';

export interface Report {
  readonly command: string;
  readonly classifier: string | null;
  readonly backendTokenizer: string | null;
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

/** Writes `table.md` and `table.json`, and `items/items.jsonl`, which is kept out of the repository. */
export function writeReport(folder: string, report: Report, results: readonly ItemResult[]): void {
  const facts = factsOf(report, results);
  mkdirSync(join(folder, 'items'), { recursive: true });
  const head = Object.entries(facts).map(
    ([name, value]) => `- ${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const text = ['# Evaluation', '', ...head, '', reportText(report)].join('\n');
  writeFileSync(join(folder, 'table.md'), `${text.trimEnd()}\n`);
  const { macros, rows, missing } = report;
  const data = { ...facts, missing, macros, rows };
  writeFileSync(join(folder, 'table.json'), `${JSON.stringify(data, null, 1)}\n`);
  const lines = results.map((result) => JSON.stringify(result));
  writeFileSync(join(folder, 'items', 'items.jsonl'), `${lines.join('\n')}\n`);
}

function factsOf(report: Report, results: readonly ItemResult[]): Record<string, unknown> {
  const records: Record<string, number> = {};
  for (const { set, n } of report.rows) records[set] = Math.max(records[set] ?? 0, n);
  return {
    date: new Date().toISOString().slice(0, 10),
    command: report.command,
    sluice: version,
    model: scorerModel(),
    'token classifier': report.classifier === null ? 'none' : basename(report.classifier),
    'backend tokenizer':
      report.backendTokenizer === null ? 'none' : basename(report.backendTokenizer),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`,
    records,
    measurements: results.length,
  };
}

/** Name, version and checksum of the causal scorer, as its manifest has them. */
function scorerModel(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(scoutFolder, 'manifest.json'), 'utf8'));
  if (!isRecord(manifest)) return 'unknown';
  const files = isRecord(manifest['files']) ? manifest['files'] : {};
  const scorer = isRecord(files['scorer.onnx']) ? files['scorer.onnx'] : {};
  const sum = String(scorer['sha256']).slice(0, 12);
  return `${String(manifest['name'])} ${String(manifest['version'])} (scorer.onnx sha256 ${sum})`;
}
