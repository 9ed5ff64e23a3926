/**
 * What the tiers of `auto` cost for records of 2,000 tokens: a new text, and a new question about a text whose vectors
 * are remembered. The baseline is BM25 over sentences and documents on the same records.
 */
import type { Tier } from '../src/core/method.ts';
import type { CompressJob, Compressor } from '../src/compress/types.ts';
import { createSluice } from '../src/sluice.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';

const records = 24;
const recordTokens = 2000;

export const tiers: BenchModule = {
  name: 'tiers',
  title: 'CPU milliseconds of auto for a record of 2,000 tokens, one scorer worker',
  run,
};

const nouns =
  'harbour engine ledger storm lantern bridge captain market letter survey tower canal winter vessel keeper council mill quarry signal orchard'.split(
    ' ',
  );
const verbs =
  'repaired measured opened sold recorded carried flooded painted counted guarded'.split(' ');

/** Ten made-up documents, about 2,000 tokens together; other ones for every seed. */
function documentsOf(seed: number): string[] {
  let state = seed * 7919 + 17;
  const pick = (list: readonly string[]): string => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return list[(state >> 8) % list.length] ?? '';
  };
  return Array.from({ length: 10 }, (_, document) =>
    Array.from({ length: 8 }, () => {
      const year = 1800 + ((state >> 5) % 200);
      return `The ${pick(nouns)} of ${pick(nouns)} ${seed} was ${pick(verbs)} in ${year} when the ${pick(nouns)} near the ${pick(nouns)} ${pick(verbs)} its ${pick(nouns)} number ${document}.`;
    }).join(' '),
  );
}

function jobOf(seed: number, question: string): CompressJob {
  return {
    segments: documentsOf(seed).map((text) => {
      return { text, kind: 'document', content: 'prose', policy: 'compressible' };
    }),
    question,
    instruction: '',
    budget: { type: 'rate', rate: 0.33 },
    survivors: { classes: [], literals: [], patterns: [] },
    options: {},
    minTokens: 1,
    signal: null,
  };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Median CPU milliseconds per record, scaled to 2,000 tokens. */
async function costOf(compressor: Compressor, question: string, from: number): Promise<number> {
  const costs: number[] = [];
  for (let n = 0; n < records; n += 1) {
    const job = jobOf(from + n, question);
    const before = process.cpuUsage();
    const { tokensBefore } = await compressor.compress(job);
    const { user, system } = process.cpuUsage(before);
    costs.push(((user + system) / 1000) * (recordTokens / tokensBefore));
  }
  return median(costs);
}

interface Plan {
  readonly tier: Tier;
  readonly newText: number;
  readonly newQuestion: number;
}

const plans: readonly Plan[] = [
  { tier: 'express', newText: 10, newQuestion: 10 },
  { tier: 'balanced', newText: 650, newQuestion: 10 },
];

async function run(): Promise<BenchResult> {
  const rows: BenchRow[] = [];
  for (const { tier, newText, newQuestion } of plans) {
    const sluice = await createSluice({
      log: { level: 'silent' },
      compress: { tier },
      score: { workers: 1, threads: 1 },
      limits: { compress_ms: 600_000 },
    });
    try {
      const auto = sluice.compressor('auto');
      const baseline = sluice.compressor('bm25-sentence-document');
      for (const each of [auto, baseline]) await costOf(each, 'Who sold the tower?', 10_000);
      const theirs = await costOf(baseline, 'Which vessel was painted?', 0);
      const fresh = await costOf(auto, 'Which vessel was painted?', 0);
      const again = await costOf(auto, 'When did the council open the mill?', 0);
      const detail = { baseline_ms: Number(theirs.toFixed(2)), records };
      const common = { unit: 'ms', baseline: 'bm25-sentence-document', detail };
      rows.push({ name: `${tier}, new text`, value: fresh, bar: newText, ...common });
      rows.push({ name: `${tier}, new question`, value: again, bar: newQuestion, ...common });
    } finally {
      await sluice.close();
    }
  }
  return { rows, notes: [] };
}
