/** One streamed completion, with the time to its first token. */
import { serverEvents } from '../server-events.ts';

export interface Completion {
  readonly text: string;
  /** Milliseconds from sending the request to the first piece of text. */
  readonly firstMs: number;
  readonly promptTokens: number | null;
}

interface Event {
  readonly choices?: readonly { readonly text?: string }[];
  readonly usage?: { readonly prompt_tokens?: number } | null;
}

/** @throws Error when the server does not answer 200 */
export async function readCompletion(url: string, prompt: string): Promise<Completion> {
  const started = performance.now();
  const response = await fetch(url, {
    method: 'POST',
    // A fresh connection each time: servers close idle ones while other arms are asked.
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({
      model: 'reader',
      prompt,
      max_tokens: 24,
      temperature: 0,
      stop: ['\n'],
      stream: true,
      stream_options: { include_usage: true },
      cache_prompt: false,
    }),
  });
  let firstMs: number | null = null;
  let text = '';
  let promptTokens: number | null = null;
  for await (const json of serverEvents(url, response)) {
    const event = json as Event;
    const piece = event.choices?.[0]?.text ?? '';
    if (piece !== '') firstMs ??= performance.now() - started;
    text += piece;
    promptTokens = event.usage?.prompt_tokens ?? promptTokens;
  }
  return { text, firstMs: firstMs ?? performance.now() - started, promptTokens };
}
