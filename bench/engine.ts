/**
 * What the embedded engine's KV costs: LM-Infinite's bounded cache against full attention on the same session, decode
 * time and memory over length, batches against one by one, a reused prefix against a computed one. CPU time of one
 * thread, so that other work on the machine matters little; compared steps take turns in short bursts.
 */
import type { Sequence } from '../src/engine/kv/sequence.ts';
import { readEngineModel } from '../src/engine/model.ts';
import { EngineRuntime } from '../src/engine/runtime.ts';
import type { SchemeConfig } from '../src/engine/schemes/create.ts';
import { openSession, type OrtSession } from '../src/score/session.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';

const { modelPath, shape } = readEngineModel('models/scout');

const long = 32_768;
const rounds = 4;
const burst = 6;
/**
 * Where a process happens to have its buffers changes a step by up to a factor of two: everything is built anew so often,
 * and what is compared are the best places of each.
 */
const repeats = 7;

export const engine: BenchModule = {
  name: 'engine',
  title: 'embedded engine: CPU milliseconds of one thread, as ratios',
  run,
};

function runtimeOf(session: OrtSession, scheme: SchemeConfig, kvTokens: number): EngineRuntime {
  return new EngineRuntime(session, { shape, scheme, kvTokens, fingerprint: 'bench' });
}

/** Made-up tokens; costs do not depend on which. */
function idsOf(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return 10 + ((state >> 8) % 8000);
  });
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const before = cpuMs();
  await work();
  return cpuMs() - before;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Median milliseconds of a step of each; they take turns in bursts, so that each runs with its own data in cache. */
async function interleaved(steps: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const times = steps.map((): number[] => []);
  for (const step of steps) for (let warm = 0; warm < 3; warm += 1) await step();
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, step] of steps.entries()) {
      await step();
      for (let n = 0; n < burst; n += 1) times[i]?.push(await timed(step));
    }
  }
  return times.map(median);
}

interface Ratio {
  /** What the last measured takes at its best against the first at its best. */
  readonly value: number;
  readonly detail: Readonly<Record<string, number>>;
}

/**
 * The same measurement several times, each with everything built anew.
 * @param names of what is measured, in the order of its milliseconds
 */
async function repeated(
  names: readonly string[],
  measure: () => Promise<readonly number[]>,
): Promise<Ratio> {
  const runs: (readonly number[])[] = [];
  for (let at = 0; at < repeats; at += 1) runs.push(await measure());
  const ratios = runs.map((times) => (times.at(-1) ?? Number.NaN) / (times[0] ?? Number.NaN));
  const best = names.map((_, i) => Math.min(...runs.map((times) => times[i] ?? Number.NaN)));
  const detail = names.map((name, i) => [name, rounded(best[i] ?? Number.NaN)]);
  return {
    value: (best.at(-1) ?? Number.NaN) / (best[0] ?? Number.NaN),
    detail: {
      ...(Object.fromEntries(detail) as Record<string, number>),
      median: rounded(median(ratios)),
      least: rounded(Math.min(...ratios)),
      most: rounded(Math.max(...ratios)),
      repeats,
    },
  };
}

/** One token more for every sequence of a batch. */
function oneMore(runtime: EngineRuntime, batch: readonly Sequence[]): () => Promise<unknown> {
  return () => {
    for (const sequence of batch) sequence.tokens.push(7);
    return runtime.decode(batch);
  };
}

const rounded = (value: number): number => Number(value.toFixed(3));

/** Bounded against full at 32k tokens. */
async function againstFull(session: OrtSession): Promise<BenchRow[]> {
  const ids = idsOf(long, 1);
  const bounded = runtimeOf(session, { type: 'lm-infinite' }, 4096);
  const full = runtimeOf(session, { type: 'default' }, long + 1024);
  const [few, many] = [bounded.open(ids), full.open(ids)];
  const encode = [await timed(() => bounded.read(few)), await timed(() => full.read(many))];
  const decode = await interleaved([oneMore(bounded, [few]), oneMore(full, [many])]);
  const row = (
    name: string,
    [ours = 0, theirs = 0]: readonly number[],
    times: number,
  ): BenchRow => ({
    name,
    value: ours / theirs,
    unit: 'x',
    baseline: 'full attention, same session',
    bar: Math.floor(1000 / times) / 1000,
    detail: {
      lm_infinite_ms: rounded(ours),
      full_ms: rounded(theirs),
      faster: rounded(theirs / ours),
      wanted_faster: times,
    },
  });
  const rows = [row('encode 32k', encode, 3.1), row('decode at 32k', decode, 2.7)];
  rows.push({
    name: 'KV at 32k',
    value: bounded.pool.used / full.pool.used,
    unit: 'x',
    baseline: 'full attention, pages in use',
    bar: 0.05,
    detail: { lm_infinite_pages: bounded.pool.used, full_pages: full.pool.used },
  });
  bounded.release(few);
  full.release(many);
  return rows;
}

/** 4k against 128k under one scheme. */
async function overLength(session: OrtSession, scheme: SchemeConfig): Promise<BenchRow[]> {
  const lengths = [4096, 32_768, 131_072];
  let pages: number[] = [];
  let memory: number[] = [];
  const { value, detail } = await repeated(['ms_4k', 'ms_32k', 'ms_128k'], async () => {
    const steps: (() => Promise<unknown>)[] = [];
    [pages, memory] = [[], []];
    for (const length of lengths) {
      // One runtime each: a sequence that goes on alone keeps its past in place.
      const runtime = runtimeOf(session, scheme, 2048);
      const sequence = runtime.open(idsOf(length, length));
      await runtime.read(sequence);
      steps.push(oneMore(runtime, [sequence]));
      pages.push(runtime.pool.used);
      memory.push(process.memoryUsage().rss / 2 ** 20);
    }
    return interleaved(steps);
  });
  const [rssShort = 0, , rssFar = 0] = memory;
  return [
    {
      name: `${scheme.type}: decode at 128k`,
      value,
      unit: 'x',
      baseline: 'decode at 4k',
      bar: 1.15,
      detail: { ...detail, rss_mib_4k: Math.round(rssShort), rss_mib_128k: Math.round(rssFar) },
    },
    {
      name: `${scheme.type}: KV pages at 128k`,
      value: (pages[2] ?? 0) / (pages[0] ?? 1),
      unit: 'x',
      baseline: 'pages at 4k',
      bar: 1.1,
      detail: { pages_4k: pages[0] ?? 0, pages_32k: pages[1] ?? 0, pages_128k: pages[2] ?? 0 },
    },
  ];
}

/** Several sequences in one pass, and one after the other. */
async function batches(session: OrtSession): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [count, length] of [
    [4, 64],
    [4, 800],
    [8, 300],
  ] as const) {
    const measured = await repeated(['sequential_ms', 'batched_ms'], async () => {
      const together = runtimeOf(session, { type: 'lm-infinite' }, 16_384);
      const batch: Sequence[] = [];
      const single: (() => Promise<unknown>)[] = [];
      for (let i = 0; i < count; i += 1) {
        const ids = idsOf(length + 9 * i, i + 5);
        batch.push(together.open(ids));
        // One runtime each: a sequence that goes on alone keeps its past in place.
        const runtime = runtimeOf(session, { type: 'lm-infinite' }, 2048);
        const sequence = runtime.open(ids);
        await runtime.read(sequence);
        single.push(oneMore(runtime, [sequence]));
      }
      for (const sequence of batch) await together.read(sequence);
      const alone = async (): Promise<void> => {
        for (const step of single) await step();
      };
      return interleaved([alone, oneMore(together, batch)]);
    });
    rows.push({
      name: `decode ${count} x ${length} tokens in one pass`,
      unit: 'x',
      baseline: 'one after the other',
      bar: 1,
      ...measured,
    });
  }
  return rows;
}

/** A prompt of 2,048 tokens whose first 2,000 are cached. */
async function reuse(session: OrtSession): Promise<BenchRow> {
  const runtime = runtimeOf(session, { type: 'lm-infinite' }, 65_536);
  const shared = idsOf(2000, 3);
  const first = runtime.open(shared);
  await runtime.read(first);
  runtime.release(first);
  let seed = 100;
  const prompt = (prefix: readonly number[]) => async (): Promise<void> => {
    seed += 1;
    const sequence = runtime.open([...prefix, ...idsOf(2048 - prefix.length, seed)]);
    await runtime.read(sequence);
    runtime.release(sequence);
  };
  const [cached = 0, computed = 0] = await interleaved([prompt(shared), prompt([])]);
  return {
    name: 'first token, 2,000 of 2,048 prompt tokens cached',
    value: cached / computed,
    unit: 'x',
    baseline: 'nothing cached',
    bar: 0.2,
    detail: { cached_ms: rounded(cached), computed_ms: rounded(computed) },
  };
}

async function run(): Promise<BenchResult> {
  const session = await openSession(modelPath, { threads: 1 });
  try {
    const rows = [
      ...(await batches(session)),
      await reuse(session),
      ...(await overLength(session, { type: 'lm-infinite' })),
      ...(await overLength(session, { type: 'streaming' })),
      ...(await againstFull(session)),
    ];
    return {
      rows,
      notes: [
        `the best of ${repeats} repeats, each with everything built anew and measured as a median; median, least and most ratio of one repeat in the details`,
        'full attention reads 32,768 tokens once: its encoding time is one measurement',
      ],
    };
  } finally {
    await session.release();
  }
}
