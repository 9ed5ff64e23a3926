/** One streamed completion, with the time to its first token. */

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
  if (!response.ok || response.body === null) {
    throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  }
  let firstMs: number | null = null;
  let text = '';
  let promptTokens: number | null = null;
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data: {')) continue;
      const event = JSON.parse(line.slice(6)) as Event;
      const piece = event.choices?.[0]?.text ?? '';
      if (piece !== '') firstMs ??= performance.now() - started;
      text += piece;
      promptTokens = event.usage?.prompt_tokens ?? promptTokens;
    }
  }
  return { text, firstMs: firstMs ?? performance.now() - started, promptTokens };
}
