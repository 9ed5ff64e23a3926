/** How long compressing a long text holds up everybody else, what it costs, and how often a text is tokenised. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createCompressor } from '../src/compress/create.ts';
import type { CompressJob } from '../src/compress/types.ts';
import type { MethodName } from '../src/core/method.ts';
import type { ContentKind } from '../src/core/span.ts';
import type { ScorerSet } from '../src/score/types.ts';
import { loadTokenizer } from '../src/tokenize/load.ts';
import type { TextTokenizer } from '../src/tokenize/types.ts';
import { longTexts } from './flow-texts.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';

const characters = 500_000;
const rounds = 5;
/** Milliseconds that one stretch of synchronous work may take. */
const barMs = 20;
const question = 'When did the Harbour station open in winter?';

export const flow: BenchModule = {
  name: 'flow',
  title: 'How long one 500,000 character text holds up the event loop, without a model',
  run,
};

interface Watched {
  /** Longest time between two turns of the event loop, milliseconds; and the most processor time between two. */
  readonly worstMs: number;
  readonly worstCpuMs: number;
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** Runs something while every turn of the event loop is timed. */
async function watch(work: () => Promise<unknown>): Promise<Watched> {
  let worstMs = 0;
  let worstCpuMs = 0;
  let working = true;
  let last = performance.now();
  let lastCpu = cpuMs();
  const turn = (): void => {
    const now = performance.now();
    const cpu = cpuMs();
    worstMs = Math.max(worstMs, now - last);
    worstCpuMs = Math.max(worstCpuMs, cpu - lastCpu);
    [last, lastCpu] = [now, cpu];
    if (working) setImmediate(turn);
  };
  setImmediate(turn);
  await sleep(5);
  [worstMs, worstCpuMs] = [0, 0];
  const [started, startedCpu] = [performance.now(), cpuMs()];
  await work();
  const done = { cpuMs: cpuMs() - startedCpu, wallMs: performance.now() - started };
  await new Promise((resolve) => setImmediate(resolve));
  working = false;
  return { worstMs, worstCpuMs, ...done };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

const noScorers: ScorerSet = {
  surprisal: null,
  keep: null,
  vectors: null,
  table: null,
  pairs: null,
};

/** A tokenizer that adds up what it is given to read. */
function metered(tokenizer: TextTokenizer): { tokenizer: TextTokenizer; read: () => number } {
  const { encodeSteps, countSteps } = tokenizer;
  if (encodeSteps === undefined || countSteps === undefined)
    throw new Error('The shipped tokenizer does not work in steps');
  let read = 0;
  const meter =
    <T>(of: (text: string) => T) =>
    (text: string): T => {
      read += text.length;
      return of(text);
    };
  return {
    tokenizer: {
      ...tokenizer,
      encode: meter(tokenizer.encode),
      count: meter(tokenizer.count),
      encodeSteps: meter(encodeSteps),
      countSteps: meter(countSteps),
    },
    read: () => read,
  };
}

function jobOf(content: ContentKind, texts: readonly string[]): CompressJob {
  return {
    segments: texts.map((text) => ({
      text,
      kind: content === 'prose' ? 'document' : 'tool-result',
      content,
      policy: 'compressible',
    })),
    question,
    instruction: '',
    budget: { type: 'rate', rate: 0.4 },
    survivors: { classes: ['number'], literals: [], patterns: [] },
    options: {},
    minTokens: 0,
    signal: new AbortController().signal,
  };
}

/** Processor time of one count of the texts, milliseconds: what any way of measuring a budget costs at least. */
function countingMs(tokenizer: TextTokenizer, texts: readonly string[]): number {
  const started = cpuMs();
  for (const text of texts) tokenizer.count(text);
  return cpuMs() - started;
}

interface Shape {
  readonly name: string;
  readonly method: MethodName;
  readonly content: ContentKind;
  readonly texts: readonly string[];
}

async function measure(shape: Shape, tokenizer: TextTokenizer): Promise<BenchRow[]> {
  const { name, method, content, texts } = shape;
  const runs: Watched[] = [];
  const counting: number[] = [];
  let tokens = 0;
  let passes = 0;
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  for (let round = 0; round < rounds; round++) {
    counting.push(countingMs(tokenizer, texts));
    const meter = metered(tokenizer);
    const compressor = createCompressor(method, { tokenizer: meter.tokenizer, scorers: noScorers });
    const run = await watch(async () => {
      tokens = (await compressor.compress(jobOf(content, texts))).tokensBefore;
    });
    runs.push(run);
    passes = meter.read() / length;
  }
  const of = (key: keyof Watched): number[] => runs.map((run) => run[key]);
  const cpu = median(of('cpuMs'));
  return [
    {
      name: `${name}: longest stretch`,
      // processor time: a stretch that others interrupt is no longer for it
      value: median(of('worstCpuMs')),
      unit: 'ms',
      baseline: 'event loop',
      bar: barMs,
      detail: {
        wall_of_longest_ms: median(of('worstMs')),
        wall_of_longest_best_round_ms: Math.min(...of('worstMs')),
        worst_round_ms: Math.max(...of('worstCpuMs')),
        wall_ms: median(of('wallMs')),
        method,
      },
    },
    {
      name: `${name}: processor time`,
      value: cpu / Math.max(0.1, median(counting)),
      unit: 'x',
      baseline: 'one count of the text',
      bar: null,
      detail: {
        cpu_ms: cpu,
        cpu_ms_per_1000_tokens: (1000 * cpu) / tokens,
        count_ms: median(counting),
        tokens,
        texts_tokenised: passes,
      },
    },
  ];
}

async function run(): Promise<BenchResult> {
  const tokenizer = loadTokenizer('models/scout');
  const idle = await watch(() => sleep(500));
  const rows: BenchRow[] = [
    {
      name: 'nothing to do: longest stretch',
      value: idle.worstCpuMs,
      unit: 'ms',
      baseline: 'event loop',
      bar: null,
      detail: { wall_of_longest_ms: idle.worstMs },
    },
  ];
  // compiled code first: what a server runs after its first requests
  for (const shape of longTexts(characters / 10)) await measure(shape, tokenizer);
  for (const shape of longTexts(characters)) rows.push(...(await measure(shape, tokenizer)));
  const [document] = longTexts(4 * characters);
  if (document !== undefined)
    rows.push(...(await measure({ ...document, name: 'two million characters' }, tokenizer)));
  return {
    rows,
    notes: [
      'a stretch is measured as processor time of the process (compiling and collecting included); its wall-clock time is in the file, and other work on the machine adds to that',
      'texts_tokenised: characters read by the tokenizer for one job, in lengths of the texts, the result included',
    ],
  };
}
