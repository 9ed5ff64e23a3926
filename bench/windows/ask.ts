/** One record in front of one server by one arm. */
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

/** Where asking failed. */
export const noAnswer: Asked = {
  text: '',
  promptTokens: 0,
  calls: 1,
  windows: 0,
  leftOut: 0,
  notes: [],
  refused: 0,
};

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

/** Tokens of the whole prompt and of its answer. */
export async function sizeOf({ url }: Station, item: Item): Promise<number> {
  // One more stands in front of every prompt.
  return (await tokensOf(url, promptOf(item, item.texts))) + 1 + roomOf(item);
}

/** Tokens that the documents may have beside everything else. */
async function budgetOf(station: Station, item: Item): Promise<number> {
  const frame = await tokensOf(station.url, promptOf(item, []));
  const perDocument = 6 * item.texts.length;
  return station.window - frame - perDocument - roomOf(item) - 8;
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

export async function ask(station: Station, arm: Arm, item: Item): Promise<Asked> {
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
