/**
 * Does compressing keep the engine's prefix cache? The same conversations, with documents and tool results, are sent to
 * real engines in three ways: as they are, shortened anew in every turn (what a compressor without memory does), and
 * through Sluice.
 *
 *   npm run eval:reuse -- --engine vllm|llamacpp --sets DIR
 *
 * vllm needs SLUICE_IT_VLLM and SLUICE_IT_HF, llamacpp SLUICE_IT_LLAMA_SERVER and SLUICE_IT_GGUF. Results go to
 * bench/results/reuse-ENGINE.json.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readSets } from '../../src/cli/eval/sets.ts';
import { createSluice, type Sluice } from '../../src/sluice.ts';
import { startSluice, stop } from '../../test/integration/processes.ts';
import { ask, type Answer } from './client.ts';
import { sluiceConfig } from './config.ts';
import {
  conversationsOf,
  direct,
  naive,
  seeded,
  type Message,
  type Turn,
} from './conversations.ts';
import { startLlama, startVllm, type Engine } from './engines.ts';
import { watchHashes } from './hashes.ts';

const arms = ['direct', 'naive', 'sluice'] as const;
type Arm = (typeof arms)[number];

interface Row extends Answer {
  readonly conversation: number;
  readonly turn: number;
}

async function engines(kind: string): Promise<{ engines: Engine[]; model: string } | string> {
  const env = (name: string): string => process.env[name] ?? '';
  if (kind === 'vllm') {
    const [binary, model] = [env('SLUICE_IT_VLLM'), env('SLUICE_IT_HF')];
    if (binary === '' || model === '') return 'SLUICE_IT_VLLM and SLUICE_IT_HF are not set';
    const started = [0, 1].map((index) => startVllm({ binary, model, index, maxModelLen: 8192 }));
    return { engines: await Promise.all(started), model: 'tiny' };
  }
  const [binary, model] = [env('SLUICE_IT_LLAMA_SERVER'), env('SLUICE_IT_GGUF')];
  if (binary === '' || model === '') return 'SLUICE_IT_LLAMA_SERVER and SLUICE_IT_GGUF are not set';
  const engine = await startLlama({ binary, model, slots: 10, contextTokens: 4096 });
  return { engines: [engine], model: 'tiny' };
}

interface Send {
  readonly model: string;
  readonly messages: (
    turns: readonly Turn[],
    answers: readonly string[],
  ) => Promise<readonly Message[]>;
  readonly urlOf: (conversation: number) => string;
}

/** All conversations, turn by turn in a shuffled order, two requests at a time. */
async function play(conversations: readonly (readonly Turn[])[], send: Send): Promise<Row[]> {
  const rows: Row[] = [];
  const answers = conversations.map((): string[] => []);
  const random = seeded(2);
  const turns = Math.max(...conversations.map((turnList) => turnList.length));
  for (let turn = 0; turn < turns; turn++) {
    const waiting = conversations
      .map((_, at) => ({ at, key: random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ at }) => at);
    const worker = async (): Promise<void> => {
      for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
        const said = answers[at] ?? [];
        const messages = await send.messages((conversations[at] ?? []).slice(0, turn + 1), said);
        const url = send.urlOf(at);
        const answer = await ask({ url, model: send.model, messages, maxTokens: 24 });
        said.push(answer.text);
        rows.push({ ...answer, conversation: at, turn });
      }
    };
    await Promise.all([worker(), worker()]);
  }
  return rows;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

function summary(arm: Arm, rows: readonly Row[], blockTokens: number): object {
  const of = new Map(rows.map((row) => [`${row.conversation} ${row.turn}`, row]));
  const kept = rows.flatMap((row) => {
    const before = of.get(`${row.conversation} ${row.turn - 1}`);
    if (before === undefined) return [];
    return [row.cachedTokens / (blockTokens * Math.floor(before.promptTokens / blockTokens))];
  });
  const foretold = rows.filter(({ planned }) => planned !== null);
  const near = foretold.filter(
    ({ planned, cachedTokens }) => Math.abs((planned ?? 0) - cachedTokens) <= blockTokens,
  );
  const prompt = sum(rows.map(({ promptTokens }) => promptTokens));
  const cached = sum(rows.map(({ cachedTokens }) => cachedTokens));
  return {
    arm,
    requests: rows.length,
    prompt_tokens: prompt,
    cached_tokens: cached,
    prefilled_tokens: prompt - cached,
    cached_share: Number((cached / prompt).toFixed(4)),
    appends: kept.length,
    appends_below_95_percent: kept.filter((share) => share < 0.95).length,
    lowest_append: Number(Math.min(...kept).toFixed(4)),
    foretold: foretold.length,
    foretold_within_a_block: near.length,
    misforetold: foretold
      .filter((row) => !near.includes(row))
      .map(({ conversation, turn, planned, cachedTokens, promptTokens }) => ({
        conversation,
        turn,
        planned,
        cached: cachedTokens,
        prompt: promptTokens,
      })),
    first_token_ms_median: Math.round(median(rows.map(({ firstMs }) => firstMs))),
    by_backend: Object.fromEntries(
      [...new Set(rows.map(({ backend }) => backend ?? '-'))].map((name) => [
        name,
        rows.filter(({ backend }) => (backend ?? '-') === name).length,
      ]),
    ),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      engine: { type: 'string', default: 'vllm' },
      sets: { type: 'string', default: '../shared/eval' },
      only: { type: 'string', default: 'hotpotqa' },
      conversations: { type: 'string', default: '10' },
      turns: { type: 'string', default: '6' },
      documents: { type: 'string', default: '2' },
      rate: { type: 'string', default: '0.5' },
      arms: { type: 'string', default: arms.join(',') },
    },
  });
  const kind = values.engine;
  const started = await engines(kind);
  if (typeof started === 'string') {
    process.stdout.write(`skipped: ${started}\n`);
    return;
  }
  const { engines: running, model } = started;
  const blockTokens = running[0]?.blockTokens ?? 1;
  const items = [...readSets({ folder: values.sets, only: [values.only], limit: null }).values()];
  const conversations = conversationsOf(items.flat(), {
    conversations: Number(values.conversations),
    turns: Number(values.turns),
    documents: Number(values.documents),
  });
  const rate = Number(values.rate);
  const library = await createSluice({ log: { level: 'silent' } });
  const hashes = running.flatMap((engine) => (engine.events === null ? [] : [watchHashes(engine)]));
  const results: object[] = [];
  try {
    for (const arm of arms.filter((name) => values.arms.split(',').includes(name))) {
      await Promise.all(running.map((engine) => engine.reset()));
      const rows = await playArm(arm, { conversations, running, model, rate, kind, library });
      results.push(summary(arm, rows, blockTokens));
      process.stdout.write(`${JSON.stringify(results.at(-1))}\n`);
    }
  } finally {
    await library.close();
    await Promise.all(running.map((engine) => engine.close()));
  }
  const checked = await Promise.all(hashes.map((watch) => watch.close()));
  const report = {
    date: new Date().toISOString().slice(0, 10),
    engine: kind,
    rate,
    results,
    hashes: checked,
  };
  process.stdout.write(`${JSON.stringify(checked)}\n`);
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(`bench/results/reuse-${kind}.json`, `${JSON.stringify(report, null, 1)}\n`);
}

async function playArm(
  arm: Arm,
  run: {
    readonly conversations: readonly (readonly Turn[])[];
    readonly running: readonly Engine[];
    readonly model: string;
    readonly rate: number;
    readonly kind: string;
    readonly library: Sluice;
  },
): Promise<Row[]> {
  const { conversations, running, model, rate, kind, library } = run;
  // Without a router the fairest is that every conversation stays where it began.
  const sticky = (conversation: number): string =>
    running[conversation % running.length]?.url ?? '';
  if (arm === 'naive') {
    const messages: Send['messages'] = (turns, answers) => naive(library, turns, answers, rate);
    return await play(conversations, { model, messages, urlOf: sticky });
  }
  const messages: Send['messages'] = async (turns, answers) => direct(turns, answers);
  if (arm === 'direct') return await play(conversations, { model, messages, urlOf: sticky });
  const proxy = await startSluice(['--config', sluiceConfig(running, kind, rate)]);
  try {
    return await play(conversations, { model, messages, urlOf: () => proxy.url });
  } finally {
    await stop(proxy.child);
  }
}

await main();
