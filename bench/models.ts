/** CPU time of the relevance models for 2,000 tokens of prose: new texts, remembered texts, token table, pairs. */
import { readFileSync } from 'node:fs';
import { createSluice } from '../src/sluice.ts';
import { createScorers, type ScorerPool } from '../src/score/create.ts';
import { modelFolder } from '../src/models.ts';
import { sentenceRanges } from '../src/tokenize/sentences.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';

const RECORD_TOKENS = 2000;
const QUESTION = 'Which header tells the client how much of the prompt was kept?';
const pages = ['architecture', 'backends', 'configuration', 'errors', 'integration', 'quality'];

export const models: BenchModule = {
  name: 'models',
  title: 'CPU milliseconds per 2,000 tokens, one worker',
  run,
};

/** Sentences of this repository's documentation. */
function textsOf(): string[] {
  const text = pages.map((page) => readFileSync(`docs/${page}.md`, 'utf8')).join('\n');
  return sentenceRanges(text)
    .map(({ start, end }) => text.slice(start, end))
    .filter((sentence) => sentence.trim() !== '');
}

async function cpuMs(work: () => unknown): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** A measure in milliseconds for `tokens` tokens, as a row for 2,000 of them. */
function row(name: string, ms: number, tokens: number, bar: number): BenchRow {
  const perRecord = (ms / tokens) * RECORD_TOKENS;
  const detail = { tokens, tokens_per_cpu_second: Math.round((1000 * tokens) / ms) };
  return { name, value: perRecord, unit: 'ms', baseline: 'none (absolute)', bar, detail };
}

async function vectorRows(
  { vectors, stats }: ScorerPool,
  texts: readonly string[],
): Promise<BenchRow[]> {
  if (vectors === null) return [];
  const before = stats().tokensFed;
  const fresh = await cpuMs(() => vectors.vectors(texts));
  const tokens = stats().tokensFed - before;
  const rounds = 20;
  const again = await cpuMs(async () => {
    for (let round = 0; round < rounds; round++) await vectors.vectors(texts);
  });
  return [
    row(`${vectors.id} vectors, new`, fresh, tokens, 2000 / 3.5),
    row(`${vectors.id} vectors, remembered`, again, rounds * tokens, 2),
  ];
}

async function tableRows({ table }: ScorerPool, texts: readonly string[]): Promise<BenchRow[]> {
  if (table === null) return [];
  const tokens = texts.reduce((sum, text) => sum + table.encode(text).length, 0);
  table.scores('warm up', texts);
  const rounds = 20;
  const ms = await cpuMs(() => {
    // another question each time, so that nothing is remembered from the last one
    for (let round = 0; round < rounds; round++) table.scores(`${QUESTION} ${round}`, texts);
  });
  return [row(`${table.id} late interaction`, ms, rounds * tokens, 10)];
}

async function pairRows({ pairs }: ScorerPool, texts: readonly string[]): Promise<BenchRow[]> {
  if (pairs === null) return [];
  const before = pairs.tokensFed;
  const ms = await cpuMs(() => pairs.scores(QUESTION, texts));
  return [row(`${pairs.id} pairs, new`, ms, pairs.tokensFed - before, 50)];
}

async function memoryNote(): Promise<string> {
  const before = process.memoryUsage().rss;
  const sluice = await createSluice({ log: { level: 'error' } });
  const after = process.memoryUsage().rss;
  await sluice.close();
  return `resident memory ${Math.round(before / 1e6)} MB before the models, ${Math.round(after / 1e6)} MB with all of them open`;
}

async function run(): Promise<BenchResult> {
  const memory = await memoryNote();
  const pool = await createScorers({
    surprisal: null,
    keep: null,
    vectors: modelFolder(null, 'vectors'),
    table: modelFolder(null, 'table'),
    pairs: modelFolder(null, 'pairs'),
    workers: 1,
    threads: 1,
    queue: 256,
    cacheEntries: 1,
  });
  try {
    const texts = textsOf();
    const rows = [
      ...(await vectorRows(pool, texts)),
      ...(await tableRows(pool, texts)),
      ...(await pairRows(pool, texts)),
    ];
    return { rows, notes: [memory, 'the bars are for a processor with AVX2 alone'] };
  } finally {
    await pool.close();
  }
}
