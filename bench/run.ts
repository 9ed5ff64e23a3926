/** `npm run bench [-- NAME...]`: runs the benches, prints a table and writes bench/results/<name>.json. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { passthrough } from './passthrough.ts';
import { cancel } from './cancel.ts';
import { compression } from './compression.ts';
import { engine } from './engine.ts';
import { router } from './router.ts';
import { flow } from './flow.ts';
import { ledger } from './ledger.ts';
import { models } from './models.ts';
import { tiers } from './tiers.ts';
import type { BenchModule, BenchRow } from './types.ts';

/** Every bench; add yours here. */
const benches: readonly BenchModule[] = [
  passthrough,
  compression,
  cancel,
  flow,
  models,
  tiers,
  router,
  ledger,
  engine,
];

const folder = join(import.meta.dirname, 'results');

function machine(): string {
  const cores = cpus();
  return `${cores.length} cores, ${cores[0]?.model.trim() ?? 'unknown model'}`;
}

function table(rows: readonly BenchRow[]): string {
  const lines = rows.map((row) => [
    row.name,
    `${row.value.toFixed(2)} ${row.unit}`,
    row.baseline,
    row.bar === null ? '' : `<= ${row.bar}`,
    row.bar === null ? '' : row.value <= row.bar ? 'holds' : 'MISSED',
  ]);
  const all = [['measure', 'value', 'against', 'bar', ''], ...lines];
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...all.map((line) => line[at]?.length ?? 0)));
  return all
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const wanted = process.argv.slice(2);
const chosen = benches.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
if (chosen.length === 0) {
  console.error(
    `no bench named ${wanted.join(', ')}; known: ${benches.map((b) => b.name).join(', ')}`,
  );
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
for (const bench of chosen) {
  const loadBefore = loadavg()[0] ?? 0;
  const { rows, notes } = await bench.run();
  console.log(`\n${bench.title}\n${table(rows)}`);
  for (const note of notes) console.log(`note: ${note}`);
  const record = {
    bench: bench.name,
    date: new Date().toISOString(),
    node: process.version,
    machine: machine(),
    // Other work on the machine while this ran; ratios bear it, absolute times do not.
    load_average: { before: loadBefore, after: loadavg()[0] ?? 0 },
    rows,
    notes,
  };
  writeFileSync(join(folder, `${bench.name}.json`), `${JSON.stringify(record, null, 2)}\n`);
}
