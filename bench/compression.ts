/**
 * Compression throughput: CPU seconds per 1,000 tokens of each model-based method, against the Python reference on the
 * same weights and texts in the same run. Needs a Python with the reference libraries and the folder of the oracle
 * (its models, cases and offline stand-ins): SLUICE_BENCH_PYTHON, SLUICE_BENCH_ORACLE.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createCompressor } from '../src/compress/create.ts';
import type { CompressJob } from '../src/compress/types.ts';
import type { MethodName } from '../src/core/method.ts';
import { createScorers } from '../src/score/create.ts';
import { loadTokenizer } from '../src/tokenize/load.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';
import { noScorers } from '../test/helpers/fake-scorer.ts';

interface Case {
  readonly id: string;
  readonly method: MethodName;
  readonly context: string;
  readonly params: { readonly rate?: number; readonly reduce_ratio?: number };
}

const plans = [
  { method: 'llmlingua', model: 'tiny-llama', ids: ['L01', 'L02', 'L03'] },
  {
    method: 'llmlingua2',
    model: 'tiny-bert-base-multilingual-cased',
    ids: ['T01', 'T02', 'T03', 'T16'],
  },
  { method: 'selective-context', model: 'tiny-llama', ids: ['S01', 'S02', 'S03'] },
] as const;

/** The rounds of both sides alternate; the median counts. */
const rounds = 3;

export const compression: BenchModule = {
  name: 'compression',
  title: 'Compression, CPU seconds per 1,000 tokens against the Python references',
  run,
};

async function run(): Promise<BenchResult> {
  const python = process.env['SLUICE_BENCH_PYTHON'] ?? '';
  const oracle = process.env['SLUICE_BENCH_ORACLE'] ?? join('..', 'shared', 'oracle');
  const notes: string[] = [];
  if (!existsSync(join(oracle, 'cases.jsonl.gz'))) {
    return { rows: [], notes: [`skipped: no oracle folder at ${oracle} (SLUICE_BENCH_ORACLE)`] };
  }
  if (!existsSync(python)) {
    notes.push('references not measured: SLUICE_BENCH_PYTHON does not name a Python with them');
  }
  const rows: BenchRow[] = [];
  for (const plan of plans) rows.push(...(await measure(plan, { python, oracle })));
  rows.push(await express(oracle));
  return { rows, notes };
}

function casesOf(oracle: string, ids: readonly string[]): Case[] {
  const text = gunzipSync(readFileSync(join(oracle, 'cases.jsonl.gz'))).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Case)
    .filter((item) => ids.includes(item.id));
}

function jobOf(item: Case): CompressJob {
  const rate = item.params.rate ?? 1 - (item.params.reduce_ratio ?? 0.5);
  return {
    segments: [{ text: item.context, kind: 'document', content: 'prose', policy: 'compressible' }],
    question: '',
    instruction: '',
    budget: { type: 'rate', rate },
    survivors: { classes: [], literals: [], patterns: [] },
    options: {},
    minTokens: 0,
    signal: null,
  };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

async function measure(
  plan: (typeof plans)[number],
  where: { readonly python: string; readonly oracle: string },
): Promise<BenchRow[]> {
  const folder = join(where.oracle, 'models', plan.model);
  const cases = casesOf(where.oracle, plan.ids);
  const tokenizer = loadTokenizer(folder);
  const tokens = cases.reduce((sum, item) => sum + tokenizer.count(item.context), 0);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push((await sluiceRound(plan.method, folder, cases)) / (tokens / 1000));
    if (existsSync(where.python)) {
      theirs.push(referenceRound(plan, folder, cases, where) / (tokens / 1000));
    }
  }
  const own = median(ours);
  const reference = theirs.length === 0 ? null : median(theirs);
  const detail = { tokens, cpu_s_per_1000: own, reference_cpu_s_per_1000: reference };
  return [
    reference === null
      ? { name: plan.method, value: own, unit: 's', baseline: 'none (absolute)', bar: null, detail }
      : {
          name: plan.method,
          value: own / reference,
          unit: 'x',
          baseline: 'Python reference, same weights',
          bar: 1,
          detail,
        },
  ];
}

/** A fresh pool for every round: nothing is answered from the scorer's cache. One case warms up, uncounted. */
async function sluiceRound(
  method: MethodName,
  folder: string,
  cases: readonly Case[],
): Promise<number> {
  const keep = method === 'llmlingua2';
  const scorers = await createScorers({
    surprisal: keep ? null : folder,
    keep: keep ? folder : null,
    workers: 1,
    threads: 1,
    queue: 1000,
    cacheEntries: 1,
  });
  try {
    const compressor = createCompressor(method, { tokenizer: loadTokenizer(folder), scorers });
    const [first] = cases;
    if (first !== undefined) await compressor.compress(jobOf(first));
    const started = cpuSeconds();
    for (const item of cases) await compressor.compress(jobOf(item));
    return cpuSeconds() - started;
  } finally {
    await scorers.close();
  }
}

function referenceRound(
  plan: (typeof plans)[number],
  folder: string,
  cases: readonly Case[],
  where: { readonly python: string; readonly oracle: string },
): number {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  try {
    const file = join(scratch, 'cases.jsonl');
    const full = cases.map((item) => ({ instruction: '', question: '', ...item }));
    writeFileSync(file, full.map((item) => JSON.stringify(item)).join('\n'));
    const script = join(import.meta.dirname, 'reference.py');
    const args = [script, where.oracle, plan.method, folder, file];
    const run = spawnSync(where.python, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
    if (run.status !== 0) throw new Error(`the reference failed: ${run.stderr.slice(-500)}`);
    return run.stdout
      .split('\n')
      .filter((line) => line.startsWith('{"id"'))
      .reduce((sum, line) => sum + (JSON.parse(line) as { cpu_s: number }).cpu_s, 0);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What `auto` costs without any model pass, against counting the same text's tokens once. */
async function express(oracle: string): Promise<BenchRow> {
  const tokenizer = loadTokenizer(join('models', 'scout'));
  const compressor = createCompressor('auto', {
    tokenizer,
    scorers: noScorers,
  });
  const cases = casesOf(oracle, ['L01', 'L02', 'L10']);
  const tokens = cases.reduce((sum, item) => sum + tokenizer.count(item.context), 0);
  const job = (item: Case): CompressJob => ({
    ...jobOf(item),
    question: 'Who won the game in the city?',
  });
  const repeat = 20;
  for (const item of cases) await compressor.compress(job(item));
  const started = cpuSeconds();
  for (let at = 0; at < repeat; at += 1) {
    for (const item of cases) await compressor.compress(job(item));
  }
  const spent = cpuSeconds() - started;
  const counting = cpuSeconds();
  for (let at = 0; at < repeat; at += 1) for (const item of cases) tokenizer.count(item.context);
  const counted = cpuSeconds() - counting;
  return {
    name: 'auto with a question',
    value: spent / counted,
    unit: 'x',
    baseline: 'counting the tokens once',
    bar: null,
    detail: { tokens: tokens * repeat, cpu_ms_per_1000: (spent / (tokens * repeat)) * 1e6 },
  };
}
