/**
 * Longer than the window: what helps most, for a real model with a small context window?
 *
 * A small base model on llama.cpp's server answers questions over documents that do not fit (a few-shot completion,
 * temperature 0): from windows (`select`, `vote`, `reduce`), from the text compressed to fit, from compression and then
 * windows, from its head, its tail, and from the full prompt in a server with a large window. Answers are appended to a
 * file, so that a run that was stopped goes on.
 *
 *   npm run eval:windows -- --sets ../shared/eval --windows 1024,2048 --limit 30 --page
 *
 * On a machine with other work, `--threads 1` is several times faster: the server's threads wait for one another.
 *
 * Needs SLUICE_IT_LLAMA_SERVER (the server's binary) and SLUICE_READER_GGUF (a base model).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { createSluice, type Sluice } from '../../src/sluice.ts';
import { freePort, startEngine, stop } from '../../test/integration/processes.ts';
import { answersFile } from '../answers-file.ts';
import { ask, sizeOf, type Station } from './ask.ts';
import { tasksOf, type Task } from './items.ts';
import { scoreOf } from './score.ts';
import { summary, tableOf, writePage } from './table.ts';
import { arms, keyOf, type Answer } from './types.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sets: { type: 'string', default: '../shared/eval' },
      only: { type: 'string', default: 'nq_multidoc,squad_multidoc,hotpotqa,qmsum' },
      windows: { type: 'string', default: '1024,2048' },
      limit: { type: 'string', default: '30' },
      meetings: { type: 'string', default: '10' },
      /** Left out = all of them; the table needs all. */
      arms: { type: 'string', default: arms.join(',') },
      rate: { type: 'string', default: '0.5' },
      shortest: { type: 'string', default: '7000' },
      longest: { type: 'string', default: '12000' },
      meeting: { type: 'string', default: '40000' },
      'record-tokens': { type: 'string', default: '96' },
      threads: { type: 'string', default: '2' },
      out: { type: 'string', default: 'eval/results' },
      /** Writes the table into docs/windows.md. */
      page: { type: 'boolean', default: false },
      /** Asks nothing, and writes what there is. */
      report: { type: 'boolean', default: false },
    },
  });
  const file = answersFile<Answer>(join(values.out, 'items', 'windows.jsonl'), keyOf);
  const rate = Number(values.rate);
  const write = (answers: readonly Answer[]): void => {
    const rows = summary(answers);
    const facts = { date: new Date().toISOString().slice(0, 10), rate };
    const text = JSON.stringify({ ...facts, rows }, null, 1);
    writeFileSync(join(values.out, 'windows.json'), `${text}\n`);
    const table = tableOf(rows, rate);
    if (values.page) writePage(table);
    process.stdout.write(`${table}\n`);
  };
  if (values.report) return write(file.answers);
  const { SLUICE_IT_LLAMA_SERVER: server, SLUICE_READER_GGUF: model } = process.env;
  if (server === undefined || model === undefined) {
    process.stdout.write('skipped: SLUICE_IT_LLAMA_SERVER and SLUICE_READER_GGUF are not set\n');
    return;
  }
  const wantedArms = arms.filter((arm) => values.arms.split(',').includes(arm));
  const windows = values.windows.split(',').map(Number);
  const bar = new SingleBar({ noTTYOutput: true, notTTYSchedule: 60_000, stream: process.stderr });
  const engines: Parameters<typeof stop>[0][] = [];
  const wanted: Task[] = [];
  const sluices: Sluice[] = [];
  const start = async (window: number): Promise<Station> => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const context = window === 0 ? 16_384 : window;
    engines.push(
      await startEngine({
        command: server,
        args: `-m ${model} --port ${port} -c ${context} -np 1 --threads ${values.threads} --no-webui --cache-ram 400 --swa-full`.split(
          ' ',
        ),
        healthUrl: `${url}/health`,
        timeoutMs: 120_000,
      }),
    );
    const sluice = await createSluice({
      upstream: [url],
      log: { level: 'silent' },
      compress: { rate, when: 'always' },
      limits: { compress_ms: 60_000 },
      windows: { concurrency: 1, record_tokens: Number(values['record-tokens']) },
    });
    sluices.push(sluice);
    return { url, window, sluice };
  };
  try {
    const [large, ...small] = await Promise.all([0, ...windows].map(start));
    if (large === undefined) return;
    const tasks = await tasksOf(values.sets, values.only.split(','), {
      windows,
      limit: Number(values.limit),
      meetings: Number(values.meetings),
      shortest: Number(values.shortest),
      longest: Number(values.longest),
      meeting: Number(values.meeting),
      sizeOf: (item) => sizeOf(large, item),
    });
    const few = small.flatMap(({ window }) =>
      tasks.filter((task) => task.windows.includes(window)),
    );
    const inSmall = wantedArms.filter((arm) => arm !== 'full');
    bar.start(few.length * inSmall.length + tasks.length * (wantedArms.length - inSmall.length), 0);
    wanted.push(...tasks);
    for (const task of tasks) {
      const stations = small.filter(({ window }) => task.windows.includes(window));
      for (const station of [large, ...stations]) {
        const own = station === large ? wantedArms.filter((arm) => arm === 'full') : inSmall;
        for (const arm of own) {
          const { item } = task;
          const { set, id } = item;
          const { window } = station;
          bar.increment();
          if (file.has({ set, id, arm, window })) continue;
          // What fails is no wrong answer: the run ends here, and goes on from here.
          const result = await ask(station, arm, item);
          file.add({ set, id, arm, window, score: scoreOf(item, result.text), ...result });
        }
      }
    }
  } finally {
    bar.stop();
    await Promise.all([...sluices.map((sluice) => sluice.close()), ...engines.map(stop)]);
  }
  const asked = new Set(
    wanted.flatMap(({ item, windows: own }) =>
      [0, ...own].map((at) => `${item.set} ${item.id} ${at}`),
    ),
  );
  write(file.answers.filter(({ set, id, window }) => asked.has(`${set} ${id} ${window}`)));
}

await main();
