/** `sluice eval`: the quality table over evaluation sets. */
import { join, relative, resolve } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { parseConfig } from '../../config/load.ts';
import { baselineNames, methodNames } from '../../core/method.ts';
import { SluiceError } from '../../core/errors.ts';
import { packageFolder } from '../../sluice.ts';
import { loadTokenizer, type Survivors } from '../../index.ts';
import { armOpener, tierArms } from './arms.ts';
import { modelsOfArms, modelsUsed, type UsedModel } from './models-used.ts';
import { reportText, writeReport, type Report } from './report.ts';
import { runEvaluation } from './run.ts';
import { readSets, sample } from './sets.ts';
import { macroOf, tableOf } from './table.ts';
import type { ArmName, EvalItem, ItemResult } from './types.ts';

const allArms: readonly ArmName[] = [...baselineNames, ...methodNames, ...tierArms];
/** Arms that run a network over every token. */
const modelArms: ReadonlySet<ArmName> = new Set([
  'selective-context',
  'llmlingua',
  'longllmlingua',
  'llmlingua2',
]);

interface EvalFlags {
  readonly sets: string;
  readonly only?: string;
  readonly methods?: string;
  readonly rates: string;
  readonly limit?: string;
  readonly modelLimit?: string;
  readonly question: boolean;
  readonly guards?: boolean;
  readonly out?: string;
  readonly name?: string;
  readonly classifier?: string;
  readonly vectors?: string;
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
    .option('--limit <n>', 'a sample of at most n records of each set, always the same')
    .option(
      '--model-limit <n>',
      'a sample of at most n of those for the methods that run a language model',
    )
    .option('--classifier <dir>', 'token classifier for llmlingua2 instead of the shipped one')
    .option('--vectors <dir>', 'sentence encoder for auto (default: the shipped one)')
    .option('--backend-tokenizer <dir>', 'folder of a second tokenizer to count with')
    .option('--no-question', 'withhold every question from the methods; answers are looked for')
    .option('--guards', 'the default survivors hold, and no method drops whole texts')
    .option('--out <dir>', 'also write the table, the plots and items/ there')
    .option(
      '--name <name>',
      'name of the files (default: table, without-question, guards, without-question-guards)',
    )
    .action((flags: EvalFlags) => evaluate(flags));
}

async function evaluate(flags: EvalFlags): Promise<void> {
  const arms = armsOf(flags.methods);
  const name = nameOf(flags);
  const rates = flags.rates.split(',').map(rate);
  const modelLimit = optionalWhole(flags.modelLimit, '--model-limit');
  const sets = readSets({
    folder: flags.sets,
    only: flags.only?.split(',') ?? [],
    limit: optionalWhole(flags.limit, '--limit'),
  });
  const all = [...sets.values()].flat();
  const few = [...sets.values()].flatMap((items) => sample(items, modelLimit));
  const items = (arm: ArmName): readonly EvalItem[] => (modelArms.has(arm) ? few : all);
  const results: ItemResult[] = [];
  const missing: string[] = [];
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const settings = { classifier: flags.classifier ?? null, vectors: flags.vectors ?? null };
  const models = await modelsUsed(arms, settings);
  const opener = armOpener({ ...settings, rates, modelArms });
  try {
    await runEvaluation({
      arms,
      items,
      rates,
      open: opener.open,
      questions: flags.question,
      survivors: survivorsOf(flags),
      // The coarse step of LLMLingua drops whole texts, which guards leave alone: only words are dropped here.
      options: flags.guards === true ? { use_context_level_filter: false } : {},
      backendTokenizer:
        flags.backendTokenizer === undefined ? null : loadTokenizer(flags.backendTokenizer),
      signal: stop.signal,
      onItem: (result) => void results.push(result),
      onUnavailable: (arm, reason) => void missing.push(`${arm}: not run, ${reason}`),
      onProgress: progress(),
    });
  } finally {
    await opener.close();
  }
  const report = reportOf({ flags, arms, results, missing, models });
  process.stdout.write(`${reportText(report)}\n`);
  if (flags.out !== undefined) writeReport({ folder: flags.out, name }, report, results);
}

function reportOf(run: {
  readonly flags: EvalFlags;
  readonly arms: readonly ArmName[];
  readonly results: readonly ItemResult[];
  readonly missing: readonly string[];
  readonly models: readonly UsedModel[];
}): Report {
  const { flags, results } = run;
  const arms = run.arms.filter((arm) => results.some((result) => result.arm === arm));
  const cheap = arms.filter((arm) => !modelArms.has(arm));
  const macros = [{ arms, rows: macroOf(results, arms) }];
  if (flags.modelLimit !== undefined && cheap.length < arms.length && cheap.length > 0) {
    macros.push({ arms: cheap, rows: macroOf(results, cheap) });
  }
  return {
    command: commandLine(flags),
    models: modelsOfArms(run.models, arms),
    backendTokenizer: flags.backendTokenizer ?? null,
    questions: flags.question,
    guards: survivorsOf(flags).classes,
    macros,
    rows: tableOf(results, arms),
    missing: run.missing,
  };
}

/** The command that makes the same table again, with paths as seen from the package's folder. */
function commandLine(flags: EvalFlags): string {
  const path = (folder: string): string => relative(packageFolder, resolve(folder)) || '.';
  const parts = [
    ['--sets', path(flags.sets)],
    ['--only', flags.only],
    ['--methods', flags.methods],
    ['--rates', flags.rates],
    ['--limit', flags.limit],
    ['--model-limit', flags.modelLimit],
    ['--classifier', flags.classifier && path(flags.classifier)],
    ['--vectors', flags.vectors && path(flags.vectors)],
    ['--backend-tokenizer', flags.backendTokenizer && path(flags.backendTokenizer)],
    ['--out', flags.out && path(flags.out)],
    ['--name', flags.name],
  ].filter(([, value]) => value !== undefined);
  const switches = [
    ...(flags.question ? [] : ['--no-question']),
    ...(flags.guards === true ? ['--guards'] : []),
  ];
  return ['npx sluice eval', ...parts.flat(), ...switches].join(' ');
}

/** Name of the files of a report; runs that measure other things do not overwrite each other. */
function nameOf({ name, question, guards }: EvalFlags): string {
  if (name === undefined) {
    const parts = [question ? '' : 'without-question', guards === true ? 'guards' : ''];
    return parts.filter((part) => part !== '').join('-') || 'table';
  }
  if (/^[\w-]+$/.test(name)) return name;
  throw new SluiceError(
    'REQUEST_INVALID',
    `--name is ${name}; letters, digits, _ and - are allowed`,
  );
}

/** Every method at its own strength without guards; with them, the classes that a configuration has by default. */
function survivorsOf({ guards }: EvalFlags): Survivors {
  const classes = guards === true ? parseConfig({}).compress.survivors.classes : [];
  return { classes, literals: [], patterns: [] };
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

function optionalWhole(text: string | undefined, flag: string): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new SluiceError('REQUEST_INVALID', `${flag} is ${text}; a whole number above 0 is needed`);
}

/** A bar on a terminal, a line every half minute elsewhere. */
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
