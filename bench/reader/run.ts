/**
 * A reader in the loop: does a real model answer as often from the shortened prompt, and how soon?
 *
 * A small base model on llama.cpp's server answers questions over documents (a few-shot completion, temperature 0):
 * from the full prompt directly, through Sluice as a proxy, and from prompts shortened by baselines. Answers are
 * appended to a file, so that a run that was stopped goes on.
 *
 *   npm run eval:reader -- --sets DIR --rate 0.2 --limit 100
 *
 * Needs SLUICE_IT_LLAMA_SERVER (the server's binary) and SLUICE_READER_GGUF (a base model).
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { estimate } from '../../src/cli/eval/bootstrap.ts';
import { readSets } from '../../src/cli/eval/sets.ts';
import type { EvalItem } from '../../src/cli/eval/types.ts';
import { createSluice, type Sluice } from '../../src/sluice.ts';
import { freePort, startEngine, startSluice, stop } from '../../test/integration/processes.ts';
import { answersFile } from '../answers-file.ts';
import { readCompletion, type Completion } from './client.ts';
import { inTurns, isRight, promptAround } from './prompt.ts';

const arms = ['full', 'sluice', 'bm25-sentence', 'random-sentence'] as const;
type Arm = (typeof arms)[number];

interface Answer extends Completion {
  readonly set: string;
  readonly id: string;
  readonly arm: Arm;
  readonly right: boolean;
  /** One-minute load of the machine when it was asked; times count only where it was idle. */
  readonly load: number;
}

async function shortened(sluice: Sluice, arm: Arm, item: EvalItem, rate: number): Promise<string> {
  if (arm === 'full' || arm === 'sluice') {
    return promptAround(
      item.segments.map(({ text }) => text),
      item.question,
    );
  }
  const result = await sluice.compressor(arm).compress({
    segments: item.segments,
    question: item.question,
    instruction: '',
    budget: { type: 'rate', rate },
    survivors: { classes: [], literals: [], patterns: [] },
    options: {},
    minTokens: 1,
    signal: null,
  });
  return promptAround(
    result.segments.map(({ text }) => text),
    item.question,
  );
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Accuracy by set and arm, paired differences to the full prompt, and times to the first token. */
function summary(answers: readonly Answer[], idleLoad: number): object[] {
  const of = new Map(answers.map((answer) => [`${answer.set} ${answer.id} ${answer.arm}`, answer]));
  return [...new Set(answers.map(({ set }) => set))].flatMap((set) =>
    arms.flatMap((arm) => {
      const pairs = answers.flatMap((mine) => {
        const full = of.get(`${set} ${mine.id} full`);
        return mine.set === set && mine.arm === arm && full !== undefined ? [{ mine, full }] : [];
      });
      if (pairs.length === 0) return [];
      const idle = pairs.filter(({ mine, full }) => Math.max(mine.load, full.load) <= idleLoad);
      const share = estimate(pairs.map(({ mine }) => Number(mine.right)));
      const gain = estimate(pairs.map(({ mine, full }) => Number(mine.right) - Number(full.right)));
      return [
        {
          set,
          arm,
          n: pairs.length,
          right: share.mean,
          right_95: share.interval,
          minus_full: gain.mean,
          minus_full_95: gain.interval,
          prompt_tokens: median(pairs.map(({ mine }) => mine.promptTokens ?? Number.NaN)),
          timed: idle.length,
          first_token_ms: idle.length === 0 ? null : median(idle.map(({ mine }) => mine.firstMs)),
          first_token_over_full:
            idle.length === 0
              ? null
              : median(idle.map(({ mine, full }) => mine.firstMs / full.firstMs)),
        },
      ];
    }),
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sets: { type: 'string', default: '../shared/eval' },
      only: { type: 'string', default: 'squad_multidoc,hotpotqa,nq_multidoc' },
      rate: { type: 'string', default: '0.2' },
      limit: { type: 'string', default: '100' },
      longest: { type: 'string', default: '14000' },
      'idle-load': { type: 'string', default: '3' },
      out: { type: 'string', default: 'eval/results' },
    },
  });
  const { SLUICE_IT_LLAMA_SERVER: server, SLUICE_READER_GGUF: model } = process.env;
  if (server === undefined || model === undefined) {
    process.stdout.write('skipped: SLUICE_IT_LLAMA_SERVER and SLUICE_READER_GGUF are not set\n');
    return;
  }
  const file = answersFile<Answer>(
    join(values.out, 'items', 'reader.jsonl'),
    ({ set, id, arm }) => `${set} ${id} ${arm}`,
  );
  const items = itemsOf(values.sets, values.only.split(','), {
    limit: Number(values.limit),
    longest: Number(values.longest),
  });
  const port = await freePort();
  const engine = await startEngine({
    command: server,
    args: `-m ${model} --port ${port} -c 8192 -np 1 --threads 2 --no-webui`.split(' '),
    healthUrl: `http://127.0.0.1:${port}/health`,
    timeoutMs: 120_000,
  });
  const direct = `http://127.0.0.1:${port}`;
  const proxy = await startSluice(['--upstream', direct, '--rate', values.rate]);
  const library = await createSluice({ log: { level: 'silent' } });
  const bar = new SingleBar({ noTTYOutput: true, notTTYSchedule: 60_000, stream: process.stderr });
  bar.start(items.length * arms.length, 0);
  try {
    for (const item of items) {
      for (const arm of arms) {
        bar.increment();
        if (file.has({ set: item.set, id: item.id, arm })) continue;
        const prompt = await shortened(library, arm, item, Number(values.rate));
        const url = arm === 'sluice' ? proxy.url : direct;
        const load = loadavg()[0] ?? 0;
        const completion = await readCompletion(`${url}/v1/completions`, prompt);
        const { set, id } = item;
        const right = isRight(item.answers, completion.text);
        file.add({ set, id, arm, right, load, ...completion });
      }
    }
  } finally {
    bar.stop();
    await Promise.all([library.close(), stop(proxy.child), stop(engine)]);
  }
  const rows = summary(file.answers, Number(values['idle-load']));
  const facts = { date: new Date().toISOString().slice(0, 10), rate: Number(values.rate) };
  writeFileSync(
    join(values.out, 'reader.json'),
    `${JSON.stringify({ ...facts, rows }, null, 1)}\n`,
  );
  process.stdout.write(`${JSON.stringify(rows, null, 1)}\n`);
}

/** Items with an answer in their text. */
function itemsOf(
  folder: string,
  only: readonly string[],
  { limit, longest }: { readonly limit: number; readonly longest: number },
): EvalItem[] {
  const sets = [...readSets({ folder, only, limit: null }).values()].map((items) =>
    items
      .filter(({ answers }) => answers.length > 0)
      .filter(({ segments }) => segments.reduce((n, { text }) => n + text.length, 0) <= longest)
      .slice(0, limit),
  );
  return inTurns(sets);
}

await main();
