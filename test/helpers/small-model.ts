/** A fake server of a model with a small context window: counts words, refuses what is too long, answers as told. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { fakeTokenizer } from './fake-tokenizer.ts';
import { startFakeUpstream, type FakeUpstream } from './fake-upstream.ts';

const tokenizer = fakeTokenizer();

export interface AskedPrompt {
  readonly path: string;
  readonly body: Record<string, unknown>;
  /** All text of the prompt. */
  readonly text: string;
  readonly tokens: number;
  readonly refused: boolean;
  /** Requests that were being answered when it came. */
  readonly running: number;
}

export interface SmallModel {
  readonly upstream: FakeUpstream;
  readonly url: string;
  readonly asked: AskedPrompt[];
  /** Requests that were being answered at the same time, at most. */
  mostAtOnce(): number;
}

export interface SmallModelOptions {
  /** Tokens that a prompt may have. */
  readonly window: number;
  /** What `/v1/models` says; default: the truth. null = nothing. */
  readonly told?: number | null;
  /** Tokens that it counts beyond those of the local tokenizer. */
  readonly extraTokens?: (text: string) => number;
  /** Reports what a prompt shares with the one before as cached. */
  readonly caches?: boolean;
  readonly answer: (prompt: { readonly text: string; readonly body: Record<string, unknown> }) => {
    readonly text?: string;
    readonly status?: number;
    /** Log probability of each word. */
    readonly logProbability?: number;
    readonly delayMs?: number;
    /** Likeliest tokens for one step, text to log probability. */
    readonly top?: Readonly<Record<string, number>>;
  };
}

export async function startSmallModel(
  t: TestContext,
  options: SmallModelOptions,
): Promise<SmallModel> {
  const asked: AskedPrompt[] = [];
  let running = 0;
  let most = 0;
  let previous = '';
  const answer = (request: IncomingMessage, response: ServerResponse, bytes: Buffer): void => {
    const path = request.url ?? '';
    if (path === '/v1/models') {
      const told = options.told === undefined ? options.window : options.told;
      const length = told === null ? {} : { max_model_len: told };
      const model = { id: 'small', owned_by: 'sglang', ...length };
      response.end(JSON.stringify({ object: 'list', data: [model] }));
      return;
    }
    if (request.method !== 'POST') {
      response.writeHead(404).end('{}');
      return;
    }
    const body = JSON.parse(bytes.toString()) as Record<string, unknown>;
    const text = textOf(body);
    const tokens = tokenizer.count(text) + (options.extraTokens?.(text) ?? 0);
    const refused = tokens > options.window;
    asked.push({ path, body, text, tokens, refused, running });
    if (refused) {
      const message = `This model's maximum context length is ${options.window} tokens. However, your prompt contains ${tokens} input tokens`;
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message, type: 'BadRequestError', code: 400 } }));
      return;
    }
    running += 1;
    most = Math.max(most, running);
    response.once('close', () => (running -= 1));
    const made = options.answer({ text, body });
    const cached = options.caches === true ? tokenizer.count(common(previous, text)) : 0;
    previous = text;
    setTimeout(() => reply(response, { path, body, tokens, cached, made }), made.delayMs ?? 0);
  };
  const upstream = await startFakeUpstream(t, { type: 'custom', answer });
  return { upstream, url: upstream.url, asked, mostAtOnce: () => most };
}

function textOf(body: Record<string, unknown>): string {
  if (typeof body['prompt'] === 'string') return body['prompt'];
  const messages = body['messages'] as { content: unknown }[];
  return messages
    .map(({ content }) =>
      Array.isArray(content)
        ? (content as { text?: string }[]).map((part) => part.text ?? '').join('\n')
        : String(content ?? ''),
    )
    .join('\n');
}

function common(a: string, b: string): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at += 1;
  return b.slice(0, at);
}

function reply(
  response: ServerResponse,
  facts: {
    readonly path: string;
    readonly body: Record<string, unknown>;
    readonly tokens: number;
    readonly cached: number;
    readonly made: ReturnType<SmallModelOptions['answer']>;
  },
): void {
  const { path, body, tokens, cached, made } = facts;
  if (made.status !== undefined) {
    response.writeHead(made.status, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"scripted"}}');
    return;
  }
  const text = made.text ?? '';
  const chat = path.startsWith('/v1/chat');
  const words = text.split(/(?<=\s)/).filter((word) => word !== '');
  const usage = {
    prompt_tokens: tokens,
    completion_tokens: words.length,
    prompt_tokens_details: { cached_tokens: cached },
  };
  if (body['stream'] === true) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const word of words) {
      const choice = chat ? { index: 0, delta: { content: word } } : { index: 0, text: word };
      response.write(`data: ${JSON.stringify({ choices: [choice] })}\n\n`);
    }
    response.write(`data: ${JSON.stringify({ choices: [], usage })}\n\n`);
    response.end('data: [DONE]\n\n');
    return;
  }
  const value = made.logProbability ?? -0.1;
  const wanted = body['logprobs'] !== undefined;
  const tokensOf = made.top === undefined ? words : [best(made.top)];
  const logprobs = chat
    ? { content: tokensOf.map((token) => ({ token, logprob: value, top_logprobs: [] })) }
    : {
        tokens: tokensOf,
        token_logprobs: tokensOf.map(() => value),
        top_logprobs: tokensOf.map(() => made.top ?? {}),
      };
  const said = made.top === undefined ? text : best(made.top);
  const message = chat ? { message: { role: 'assistant', content: said } } : { text: said };
  const finish = said === '' ? 'stop' : 'length';
  const choice = {
    index: 0,
    ...message,
    finish_reason: made.top === undefined ? 'stop' : finish,
    ...(wanted ? { logprobs } : {}),
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ id: 'x', object: 'y', choices: [choice], usage }));
}

function best(top: Readonly<Record<string, number>>): string {
  return Object.entries(top).sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}
