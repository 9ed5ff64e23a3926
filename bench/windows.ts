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
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { SingleBar } from 'cli-progress';
import { estimate } from '../src/cli/eval/bootstrap.ts';
import { containsAnswer, normalise } from '../src/cli/eval/normalise.ts';
import { readSets } from '../src/cli/eval/sets.ts';
import type { WindowStrategy } from '../src/core/window-words.ts';
import type { PrepareInput, Wishes } from '../src/gateway/types.ts';
import { askBackend } from '../src/gateway/windows/calls.ts';
import { readAnswer } from '../src/gateway/windows/answers.ts';
import { createSluice, type Sluice } from '../src/sluice.ts';
import { freePort, startEngine, stop } from '../test/integration/processes.ts';

/** `full` needs a large window; all others get the small one. */
const arms = [
  'full',
  'head',
  'tail',
  'compressed',
  'select',
  'vote',
  'reduce',
  'compressed+windows',
] as const;
type Arm = (typeof arms)[number];

interface Item {
  readonly set: string;
  readonly id: string;
  readonly texts: readonly string[];
  readonly question: string;
  readonly answers: readonly string[];
  /** A summary is compared with the reference; an answer stands in the line or does not. */
  readonly summary: boolean;
}

interface Answer {
  readonly set: string;
  readonly id: string;
  readonly arm: Arm;
  /** Context window; 0 = large. */
  readonly window: number;
  readonly text: string;
  /** 0 to 1. */
  readonly score: number;
  /** Tokens of the text in front of everything, and of all prompts that were computed for it. */
  readonly promptTokens: number;
  readonly calls: number;
  readonly windows: number;
  readonly leftOut: number;
  readonly notes: readonly string[];
  /** Status of a request that was refused all the same. */
  readonly refused: number | null;
}

/** Worked examples that show the form; none of their words are about the records. */
const examples = [
  ['What is the capital of France?', 'Paris'],
  ['Who wrote the play Hamlet?', 'William Shakespeare'],
  ['How many days are in a leap year?', '366'],
]
  .map(([question, answer]) => `Question: ${question}\nAnswer: ${answer}\n\n`)
  .join('');

/** Without them a base model ends its line at once. */
const summaries = [
  [
    'Ana: The kettle costs twelve euros to make. Ben: Then we sell it at thirty. Ana: Agreed, and in red.',
    'What did the group decide about the price?',
    'The group decided to sell the kettle at thirty euros, because making it costs twelve.',
  ],
  [
    'Tom: I would move the playground to the park. Eve: The park floods in spring. Tom: Then behind the school.',
    'Summarize the discussion about the playground.',
    'Tom proposed to move the playground to the park. Eve objected that the park floods in spring, so they agreed on a place behind the school.',
  ],
]
  .map(
    ([text, question, answer]) =>
      `Meeting: ${text}\n\nQuestion: ${question}\nAnswer: ${answer}\n\n`,
  )
  .join('');

const room = { answer: 24, summary: 96 };

function promptOf(item: Item, texts: readonly string[]): string {
  const listed = texts
    .map((text, at) => ({ text, at }))
    .filter(({ text }) => text.trim() !== '')
    .map(({ text, at }) => `Document [${at + 1}] ${text}`);
  const head = item.summary ? summaries : examples;
  return `${head}${listed.join('\n\n')}\n\nQuestion: ${item.question}\nAnswer:`;
}

function bodyOf(item: Item, prompt: string): Record<string, unknown> {
  const maxTokens = item.summary ? room.summary : room.answer;
  return { model: 'reader', prompt, max_tokens: maxTokens, temperature: 0, stop: ['\n'] };
}

function scoreOf(item: Item, text: string): number {
  const line = normalise(text.trimStart().split('\n')[0] ?? '');
  if (item.summary)
    return Math.max(0, ...item.answers.map((answer) => rougeL(line, normalise(answer))));
  return Number(item.answers.some((answer) => containsAnswer([line], answer)));
}

/** F1 of the longest common subsequence of words (ROUGE-L). */
function rougeL(text: string, reference: string): number {
  const a = text.split(' ').filter((word) => word !== '');
  const b = reference.split(' ').filter((word) => word !== '');
  if (a.length === 0 || b.length === 0) return 0;
  let row = new Uint16Array(b.length + 1);
  for (const word of a) {
    const next = new Uint16Array(b.length + 1);
    b.forEach((other, at) => {
      next[at + 1] = word === other ? row[at]! + 1 : Math.max(row[at + 1]!, next[at]!);
    });
    row = next;
  }
  const common = row[b.length]!;
  return common === 0 ? 0 : (2 * common) / (a.length + b.length);
}

interface Station {
  readonly url: string;
  /** Context window of one slot; 0 = large. */
  readonly window: number;
  readonly sluice: Sluice;
}

interface Asked {
  readonly text: string;
  readonly promptTokens: number;
  readonly calls: number;
  readonly windows: number;
  readonly leftOut: number;
  readonly notes: readonly string[];
  readonly refused: number | null;
}

const nothing = { text: '', promptTokens: 0, calls: 1, windows: 0, leftOut: 0, notes: [] };

/** As the proxy does it: prepared by the gateway, forwarded through the backend that it chose. */
async function through(station: Station, body: object, wishes: Wishes): Promise<Asked> {
  const { gateway } = station.sluice;
  const input: PrepareInput = {
    path: '/v1/completions',
    contentEncoding: null,
    body: Buffer.from(JSON.stringify(body)),
    wishes,
    tenant: 'default',
    signal: null,
    forwards: true,
  };
  const prepared = await gateway.prepare(input);
  const headers = ['content-type', 'application/json'];
  const request = {
    method: 'POST',
    path: input.path,
    headers: [...headers, 'content-length', String(prepared.body.byteLength)],
    body: prepared.body,
  };
  const signal = AbortSignal.timeout(600_000);
  let refused: number | null = null;
  const answer = await askBackend(prepared.backend, request, signal)
    .then(readAnswer)
    .catch((error: unknown) => {
      refused = error instanceof Error && 'status' in error ? Number(error.status) : 400;
      return null;
    });
  const usage = {
    promptTokens: answer?.promptTokens ?? null,
    completionTokens: answer?.completionTokens ?? null,
    cachedTokens: answer?.cachedTokens ?? null,
  };
  gateway.settle(prepared.id, { status: refused ?? 200, usage, error: null });
  const windows = gateway.report(prepared.id, 'default')?.windows ?? null;
  return {
    text: answer?.text ?? '',
    promptTokens: (answer?.promptTokens ?? 0) + (windows?.promptTokens ?? 0),
    calls: windows?.calls ?? 1,
    windows: windows?.windows.length ?? 0,
    leftOut: windows?.windows.filter(({ state }) => state === 'left-out').length ?? 0,
    notes: windows?.notes ?? [],
    refused,
  };
}

async function tokensOf(url: string, text: string): Promise<number> {
  const response = await fetch(`${url}/tokenize`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ content: text }),
  });
  const { tokens } = (await response.json()) as { tokens: unknown[] };
  return tokens.length;
}

/** Tokens that the documents may have beside everything else. */
async function budgetOf(station: Station, item: Item): Promise<number> {
  const frame = await tokensOf(station.url, promptOf(item, []));
  const perDocument = 6 * item.texts.length;
  return station.window - frame - perDocument - (item.summary ? room.summary : room.answer) - 8;
}

/** The first or the last part of all text, as much as fits. */
async function truncated(station: Station, item: Item, end: 'head' | 'tail'): Promise<string[]> {
  const budget = await budgetOf(station, item);
  const order = end === 'head' ? item.texts : item.texts.toReversed();
  const kept: string[] = [];
  let left = budget;
  for (const text of order) {
    const tokens = await tokensOf(station.url, text);
    if (tokens <= left) {
      kept.push(text);
      left -= tokens;
      continue;
    }
    let chars = Math.floor((text.length * left) / tokens);
    const part = (): string =>
      end === 'head' ? text.slice(0, chars) : text.slice(text.length - chars);
    while (chars > 0 && (await tokensOf(station.url, part())) > left)
      chars = Math.floor(chars * 0.95);
    if (chars > 0) kept.push(part());
    break;
  }
  return end === 'head' ? kept : kept.toReversed();
}

/** The text shortened until it fits; what is asked for grows smaller while the server counts more than it may. */
async function compressedTo(station: Station, item: Item): Promise<readonly string[]> {
  const budget = await budgetOf(station, item);
  // Sluice counts with another tokenizer: more is asked for than fits, then less.
  let target = 2 * budget;
  for (let round = 0; ; round++) {
    const { context, report } = await station.sluice.compress({
      context: item.texts,
      question: item.question,
      targetTokens: Math.max(1, Math.floor(target)),
    });
    const texts = item.texts.map((_, at) => {
      const place = report.order.indexOf(at);
      return place < 0 ? '' : (context[place] ?? '');
    });
    const tokens = await tokensOf(station.url, texts.join('\n\n'));
    if (tokens <= budget || round === 6) return texts;
    target *= (budget / tokens) * 0.98;
  }
}

const strategies: Partial<Record<Arm, WindowStrategy>> = {
  select: 'select',
  vote: 'vote',
  reduce: 'reduce',
};

async function asked(station: Station, arm: Arm, item: Item): Promise<Asked> {
  const whole = bodyOf(item, promptOf(item, item.texts));
  const plain: Wishes = { compress: false, windows: 'off' };
  switch (arm) {
    case 'full':
      return through(station, whole, plain);
    case 'head':
    case 'tail': {
      const texts = await truncated(station, item, arm);
      return through(station, bodyOf(item, promptOf(item, texts)), plain);
    }
    case 'compressed': {
      const texts = await compressedTo(station, item);
      return through(station, bodyOf(item, promptOf(item, texts)), plain);
    }
    case 'compressed+windows':
      return through(station, whole, { windows: 'auto' });
    default: {
      const windowStrategy = strategies[arm];
      return through(station, whole, {
        compress: false,
        windows: 'auto',
        ...(windowStrategy === undefined ? {} : { windowStrategy }),
      });
    }
  }
}

function itemsOf(
  folder: string,
  only: readonly string[],
  limits: {
    readonly limit: number;
    readonly shortest: number;
    readonly longest: number;
    readonly meetings: number;
    readonly meeting: number;
  },
): Item[] {
  const sets = only.map((set) =>
    set === 'qmsum' ? meetingsOf(folder, limits) : questions(folder, set, limits),
  );
  const most = Math.max(...sets.map((items) => items.length));
  return Array.from({ length: most }, (_, at) => sets.flatMap((items) => items[at] ?? [])).flat();
}

/** Records with an answer in their text that are too long for every window. */
function questions(
  folder: string,
  set: string,
  { limit, shortest, longest }: { limit: number; shortest: number; longest: number },
): Item[] {
  return [...(readSets({ folder, only: [set], limit: null }).get(set) ?? [])]
    .filter(({ answers }) => answers.length > 0)
    .map(({ id, segments, question, answers }) => ({
      set,
      id,
      texts: segments.map(({ text }) => text),
      question,
      answers,
      summary: false,
    }))
    .filter(({ texts }) => {
      const chars = texts.join('').length;
      return chars >= shortest && chars <= longest;
    })
    .slice(0, limit);
}

/** Meetings and the references that abstract from them; the shortest ones, which a large window still holds. */
function meetingsOf(
  folder: string,
  { meetings, meeting }: { meetings: number; meeting: number },
): Item[] {
  const text = gunzipSync(readFileSync(join(folder, 'qmsum.jsonl.gz'))).toString();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(
      (line) =>
        JSON.parse(line) as { id: string; context: string; question: string; answers: string[] },
    )
    .filter(({ context }) => context.length <= meeting)
    .slice(0, meetings)
    .map(({ id, context, question, answers }) => ({
      set: 'qmsum',
      id,
      texts: [context],
      question,
      answers,
      summary: true,
    }));
}

const keyOf = ({ set, id, arm, window }: Pick<Answer, 'set' | 'id' | 'arm' | 'window'>): string =>
  `${set} ${id} ${arm} ${window}`;

interface Row {
  readonly window: number;
  readonly set: string;
  readonly arm: Arm;
  readonly n: number;
  readonly score: number;
  readonly score_95: readonly [number, number];
  readonly compressed_windows_minus_this: number;
  readonly compressed_windows_minus_this_95: readonly [number, number];
  readonly prompt_tokens: number;
  readonly calls: number;
  readonly windows: number;
  readonly left_out: number;
  readonly refused: number;
}

const page = 'docs/windows.md';
const begin = '<!-- windows: results -->';
const end = '<!-- /windows -->';

/** The table of the page, one block for each window and set. */
function writePage(rows: readonly Row[], rate: number): void {
  const text = readFileSync(page, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < 0) throw new Error(`${page} has lost its marks`);
  const number = (value: number): string => value.toFixed(3);
  const range = ([low, high]: readonly [number, number]): string =>
    `${number(low)} to ${number(high)}`;
  const lines = rows.map((row) =>
    [
      row.window,
      row.set,
      row.arm,
      row.n,
      `${number(row.score)} (${range(row.score_95)})`,
      `${number(row.compressed_windows_minus_this)} (${range(row.compressed_windows_minus_this_95)})`,
      row.prompt_tokens,
      row.calls,
    ].join(' | '),
  );
  const head = [
    `Compression keeps ${rate} of the tokens before windows; 95 % intervals in brackets; tokens and requests are means.`,
    '',
    '| window | set | arm | n | score | compression + windows minus this | prompt tokens | requests |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  const table = [...head, ...lines.map((line) => `| ${line} |`)].join('\n');
  writeFileSync(page, `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`);
}

/** Scores by set, window and arm, and paired differences to compression followed by windows. */
function summary(answers: readonly Answer[]): Row[] {
  const of = new Map(answers.map((answer) => [keyOf(answer), answer]));
  const windows = [...new Set(answers.map(({ window }) => window))].filter((window) => window > 0);
  const sets = [...new Set(answers.map(({ set }) => set))];
  const groups = [...sets.map((set) => [set]), sets.filter((set) => set !== 'qmsum')];
  return windows.flatMap((window) =>
    groups.flatMap((group) =>
      arms.flatMap((arm) => {
        const pairs = answers.flatMap((mine) => {
          if (!group.includes(mine.set) || mine.arm !== arm) return [];
          if (mine.window !== (arm === 'full' ? 0 : window)) return [];
          const both = of.get(keyOf({ ...mine, arm: 'compressed+windows', window }));
          return both === undefined ? [] : [{ mine, both }];
        });
        if (pairs.length === 0) return [];
        const score = estimate(pairs.map(({ mine }) => mine.score));
        const gain = estimate(pairs.map(({ mine, both }) => both.score - mine.score));
        const mean = (pick: (answer: Answer) => number): number =>
          Math.round((pairs.reduce((sum, { mine }) => sum + pick(mine), 0) / pairs.length) * 10) /
          10;
        return [
          {
            window,
            set: group.length === 1 ? (group[0] ?? '') : 'all questions',
            arm,
            n: pairs.length,
            score: score.mean,
            score_95: score.interval,
            compressed_windows_minus_this: gain.mean,
            compressed_windows_minus_this_95: gain.interval,
            prompt_tokens: mean(({ promptTokens }) => promptTokens),
            calls: mean(({ calls }) => calls),
            windows: mean((answer) => answer.windows),
            left_out: mean(({ leftOut }) => leftOut),
            refused: pairs.filter(({ mine }) => mine.refused !== null).length,
          },
        ];
      }),
    ),
  );
}

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
    },
  });
  const { SLUICE_IT_LLAMA_SERVER: server, SLUICE_READER_GGUF: model } = process.env;
  if (server === undefined || model === undefined) {
    process.stdout.write('skipped: SLUICE_IT_LLAMA_SERVER and SLUICE_READER_GGUF are not set\n');
    return;
  }
  const file = join(values.out, 'items', 'windows.jsonl');
  mkdirSync(join(values.out, 'items'), { recursive: true });
  const answers = existsSync(file) ? readAnswers(file) : [];
  const done = new Set(answers.map(keyOf));
  const items = itemsOf(values.sets, values.only.split(','), {
    limit: Number(values.limit),
    shortest: Number(values.shortest),
    longest: Number(values.longest),
    meetings: Number(values.meetings),
    meeting: Number(values.meeting),
  });
  const wantedArms = arms.filter((arm) => values.arms.split(',').includes(arm));
  const sizes = [0, ...values.windows.split(',').map(Number)];
  const bar = new SingleBar({ noTTYOutput: true, notTTYSchedule: 60_000, stream: process.stderr });
  const each = wantedArms.map((arm) => (arm === 'full' ? 1 : sizes.length - 1));
  bar.start(items.length * each.reduce((sum, count) => sum + count, 0), 0);
  const engines: Parameters<typeof stop>[0][] = [];
  const sluices: Sluice[] = [];
  const start = async (window: number): Promise<Station> => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const context = window === 0 ? 16_384 : window;
    engines.push(
      await startEngine({
        command: server,
        args: `-m ${model} --port ${port} -c ${context} -np 1 --threads ${values.threads} --no-webui`.split(
          ' ',
        ),
        healthUrl: `${url}/health`,
        timeoutMs: 120_000,
      }),
    );
    const sluice = await createSluice({
      upstream: [url],
      log: { level: 'silent' },
      compress: { rate: Number(values.rate), when: 'always' },
      limits: { compress_ms: 60_000 },
      windows: { concurrency: 1, record_tokens: Number(values['record-tokens']) },
    });
    sluices.push(sluice);
    return { url, window, sluice };
  };
  try {
    const stations = await Promise.all(sizes.map(start));
    for (const item of items) {
      for (const station of stations) {
        const wanted = wantedArms.filter((arm) => (arm === 'full') === (station.window === 0));
        for (const arm of wanted) {
          const { set, id } = item;
          const { window } = station;
          if (done.has(keyOf({ set, id, arm, window }))) {
            bar.increment();
            continue;
          }
          const result = await asked(station, arm, item).catch((error: unknown) => {
            process.stderr.write(`${set} ${id} ${arm} ${window}: ${String(error)}\n`);
            return { ...nothing, refused: 0 };
          });
          const answer: Answer = {
            set,
            id,
            arm,
            window,
            score: scoreOf(item, result.text),
            ...result,
          };
          answers.push(answer);
          appendFileSync(file, `${JSON.stringify(answer)}\n`);
          bar.increment();
        }
      }
    }
  } finally {
    bar.stop();
    await Promise.all([...sluices.map((sluice) => sluice.close()), ...engines.map(stop)]);
  }
  const rows = summary(answers);
  const facts = { date: new Date().toISOString().slice(0, 10), rate: Number(values.rate) };
  writeFileSync(
    join(values.out, 'windows.json'),
    `${JSON.stringify({ ...facts, rows }, null, 1)}\n`,
  );
  if (values.page) writePage(rows, Number(values.rate));
  process.stdout.write(`${JSON.stringify(rows, null, 1)}\n`);
}

function readAnswers(file: string): Answer[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Answer);
}

await main();
