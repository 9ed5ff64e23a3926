/** One record in front of one server by one arm. */
import { TooLong } from '../../src/core/too-long.ts';
import type { WindowStrategy } from '../../src/core/window-words.ts';
import type { PrepareInput, Wishes } from '../../src/gateway/types.ts';
import { askBackend } from '../../src/gateway/windows/calls.ts';
import { readAnswer } from '../../src/gateway/windows/answers.ts';
import type { Sluice } from '../../src/sluice.ts';
import { examples, promptAround } from '../reader/prompt.ts';
import type { Answer, Arm, Item } from './types.ts';

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

/** Tokens of an answer. */
const room = { answer: 24, summary: 96 };

function promptOf(item: Item, texts: readonly string[]): string {
  return promptAround(texts, item.question, item.summary ? summaries : examples);
}

function roomOf({ summary }: Item): number {
  return summary ? room.summary : room.answer;
}

function bodyOf(item: Item, prompt: string): Record<string, unknown> {
  return { model: 'reader', prompt, max_tokens: roomOf(item), temperature: 0, stop: ['\n'] };
}

export interface Station {
  readonly url: string;
  /** Context window of one slot; 0 = large. */
  readonly window: number;
  readonly sluice: Sluice;
}

type Asked = Omit<Answer, 'set' | 'id' | 'arm' | 'window' | 'score'>;

/** As the proxy does it: prepared by the gateway, forwarded through the backend that it chose. */
async function through(
  station: Station,
  body: object,
  { arm, ...wishes }: Wishes & { readonly arm: Arm },
): Promise<Asked> {
  const { gateway } = station.sluice;
  const input: PrepareInput = {
    path: '/v1/completions',
    contentEncoding: null,
    body: Buffer.from(JSON.stringify(body)),
    wishes,
    // An arm must not find what another one has read.
    tenant: arm,
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
      if (error instanceof TooLong) refused = 400;
      else if (error instanceof Error && 'status' in error) refused = Number(error.status);
      else throw error;
      return null;
    });
  const usage = {
    promptTokens: answer?.promptTokens ?? null,
    completionTokens: answer?.completionTokens ?? null,
    cachedTokens: answer?.cachedTokens ?? null,
  };
  gateway.settle(prepared.id, { status: refused ?? 200, usage, error: null });
  const windows = gateway.report(prepared.id, arm)?.windows ?? null;
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

/** Tokens of the prompt around texts, and of its answer. */
async function sizeWith({ url }: Station, item: Item, texts: readonly string[]): Promise<number> {
  // One more stands in front of every prompt.
  return (await tokensOf(url, promptOf(item, texts))) + 1 + roomOf(item);
}

/** Tokens of the whole prompt and of its answer. */
export function sizeOf(station: Station, item: Item): Promise<number> {
  return sizeWith(station, item, item.texts);
}

/** So many units of all texts from one end; the others are empty. */
function partOf(texts: readonly string[], units: number, end: 'head' | 'tail'): string[] {
  let left = units;
  const take = (text: string): string => {
    const part = end === 'head' ? text.slice(0, left) : text.slice(Math.max(0, text.length - left));
    left = Math.max(0, left - text.length);
    return part;
  };
  return end === 'head' ? texts.map(take) : texts.toReversed().map(take).toReversed();
}

/** The first or the last part of all text, as much as fits. */
async function truncated(station: Station, item: Item, end: 'head' | 'tail'): Promise<string[]> {
  let [low, high] = [0, item.texts.join('').length];
  while (high - low > 8) {
    const middle = Math.floor((low + high) / 2);
    const size = await sizeWith(station, item, partOf(item.texts, middle, end));
    if (size <= station.window) low = middle;
    else high = middle;
  }
  return partOf(item.texts, low, end);
}

/** A text that is hardly too long needs many: nothing happens until what is asked for is less than it has. */
const mostRounds = 60;

/** The text shortened until it fits; what is asked for grows smaller while the server counts more than it may. */
async function compressedTo(station: Station, item: Item): Promise<readonly string[]> {
  const frame = await sizeWith(station, item, []);
  const budget = station.window - frame;
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
    const size = await sizeWith(station, item, texts);
    if (size <= station.window) return texts;
    if (round === mostRounds) throw new Error(`${item.id} was not made to fit the window`);
    target *= (budget / (size - frame)) * 0.98;
  }
}

const strategies: Partial<Record<Arm, WindowStrategy>> = {
  select: 'select',
  vote: 'vote',
  reduce: 'reduce',
};

export async function ask(station: Station, arm: Arm, item: Item): Promise<Asked> {
  const whole = bodyOf(item, promptOf(item, item.texts));
  const plain = { arm, compress: false, windows: 'off' } as const;
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
      return through(station, whole, { arm, windows: 'auto' });
    default: {
      const windowStrategy = strategies[arm];
      return through(station, whole, {
        arm,
        compress: false,
        windows: 'auto',
        ...(windowStrategy === undefined ? {} : { windowStrategy }),
      });
    }
  }
}
