/** One streamed chat request: its answer, its usage, and what Sluice's headers foretold. */
import { serverEvents } from '../server-events.ts';
import type { Message } from './conversations.ts';

export interface Answer {
  readonly text: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly firstMs: number;
  /** `x-sluice-planned-reuse`; null = the header was not there. */
  readonly planned: number | null;
  readonly backend: string | null;
  /** `x-sluice-request-id`; null = not through Sluice. */
  readonly id: string | null;
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly usage?: {
    readonly prompt_tokens?: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
  } | null;
}

export interface Ask {
  readonly url: string;
  readonly model: string;
  readonly messages: readonly Message[];
  readonly maxTokens: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws Error when the server does not answer 200, or without usage */
export async function ask({ url, model, messages, maxTokens, headers }: Ask): Promise<Answer> {
  const started = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body: JSON.stringify({
      model,
      messages,
      max_tokens: maxTokens,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  let firstMs: number | null = null;
  let text = '';
  let usage: Chunk['usage'] = null;
  for await (const json of serverEvents(url, response)) {
    const chunk = json as Chunk;
    const said = chunk.choices?.[0]?.delta?.content ?? '';
    if (said !== '') firstMs ??= performance.now() - started;
    text += said;
    usage = chunk.usage ?? usage;
  }
  if (usage?.prompt_tokens === undefined) throw new Error(`${url} reported no usage`);
  const planned = response.headers.get('x-sluice-planned-reuse');
  return {
    text,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    firstMs: firstMs ?? performance.now() - started,
    planned: planned === null ? null : Number(planned),
    backend: response.headers.get('x-sluice-backend'),
    id: response.headers.get('x-sluice-request-id'),
  };
}
