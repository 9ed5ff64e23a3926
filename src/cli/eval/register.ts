/** `sluice eval`: the quality table over evaluation sets. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { baselineNames, methodNames } from '../../core/method.ts';
import { SluiceError } from '../../core/errors.ts';
import { createSluice, packageFolder } from '../../sluice.ts';
import { loadTokenizer } from '../../index.ts';
import { runEvaluation } from './run.ts';
import { readSets } from './sets.ts';
import { renderTable, tableOf } from './table.ts';
import type { ArmName, ItemResult } from './types.ts';

const allArms: readonly ArmName[] = [...baselineNames, ...methodNames];

interface EvalFlags {
  readonly sets: string;
  readonly only?: string;
  readonly methods?: string;
  readonly rates: string;
  readonly limit?: string;
  readonly out?: string;
  readonly classifier?: string;
  readonly backendTokenizer?: string;
}

export function register(program: Command): void {
  program
    .command('eval')
    .description('measure every method on evaluation sets and print the quality table')
    .option('--sets <dir>', 'folder of *.jsonl[.gz] sets', join(packageFolder, 'eval', 'samples'))
    .option('--only <names>', 'comma-separated set names')
    .option('--methods <names>', `comma-separated, of ${allArms.join(', ')} (default: all)`)
    .option('--rates <list>', 'comma-separated shares of tokens to keep', '0.5,0.33,0.2,0.1')
    .option('--limit <n>', 'at most n records of each set, evenly spread')
    .option(
      '--classifier <dir>',
      'token classifier for llmlingua2 (the arm is left out without one)',
    )
    .option('--backend-tokenizer <dir>', 'folder of a second tokenizer to count with')
    .option('--out <dir>', 'also write table.md, table.json and items.jsonl there')
    .action((flags: EvalFlags) => evaluate(flags));
}

async function evaluate(flags: EvalFlags): Promise<void> {
  const arms = armsOf(flags.methods);
  const sets = readSets({
    folder: flags.sets,
    only: flags.only?.split(',') ?? [],
    limit: flags.limit === undefined ? null : whole(flags.limit, '--limit'),
  });
  const sluice = await createSluice({
    log: { level: 'silent' },
    ...(flags.classifier === undefined ? {} : { score: { classifier: flags.classifier } }),
  });
  const results: ItemResult[] = [];
  const missing: string[] = [];
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  try {
    await runEvaluation({
      sets,
      arms,
      rates: flags.rates.split(',').map(rate),
      compressor: (arm) => sluice.compressor(arm),
      backendTokenizer:
        flags.backendTokenizer === undefined ? null : loadTokenizer(flags.backendTokenizer),
      signal: stop.signal,
      onItem: (result) => void results.push(result),
      onUnavailable: (arm, reason) => void missing.push(`${arm}: not run, ${reason}`),
      onProgress: progress(),
    });
  } finally {
    await sluice.close();
  }
  const rows = tableOf(results, arms);
  const table = renderTable(rows);
  process.stdout.write(`${table}\n`);
  for (const line of missing) process.stdout.write(`${line}\n`);
  if (flags.out !== undefined) write(flags.out, { table, rows, results, missing });
}

function armsOf(list: string | undefined): readonly ArmName[] {
  if (list === undefined) return allArms;
  return list.split(',').map((name) => {
    const arm = allArms.find((known) => known === name.trim());
    if (arm !== undefined) return arm;
    throw new SluiceError('REQUEST_INVALID', `Method ${name} is not one of ${allArms.join(', ')}`);
  });
}

function rate(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 1) return value;
  throw new SluiceError(
    'REQUEST_INVALID',
    `--rates holds ${text}; a rate is above 0 and at most 1`,
  );
}

function whole(text: string, flag: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new SluiceError('REQUEST_INVALID', `${flag} is ${text}; a whole number above 0 is needed`);
}

/** A bar on a terminal, a line every tenth elsewhere. */
function progress(): (done: number, total: number, label: string) => void {
  const bar = new SingleBar({
    format: '[{bar}] {percentage} % | {value}/{total} | {eta_formatted} left | {label}',
    stream: process.stderr,
    noTTYOutput: true,
    notTTYSchedule: 30_000,
    stopOnComplete: true,
  });
  let started = false;
  return (done, total, label) => {
    if (!started) bar.start(total, 0, { label });
    started = true;
    bar.update(done, { label });
  };
}

function write(
  folder: string,
  data: {
    table: string;
    rows: unknown;
    results: readonly ItemResult[];
    missing: readonly string[];
  },
): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'table.md'), [data.table, '', ...data.missing, ''].join('\n'));
  writeFileSync(join(folder, 'table.json'), `${JSON.stringify(data.rows, null, 1)}\n`);
  writeFileSync(
    join(folder, 'items.jsonl'),
    `${data.results.map((result) => JSON.stringify(result)).join('\n')}\n`,
  );
}
