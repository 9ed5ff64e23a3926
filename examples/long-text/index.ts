/**
 * A text in windows: every part is read by a request of its own, and the answer says which parts it is from.
 * Run: node --import tsx examples/long-text/index.ts
 */
import { fileURLToPath } from 'node:url';
import { createSluice } from 'sluice';
import type { components } from 'sluice/client';
import { documents, question } from '../documents.ts';

export interface LongTextResult {
  readonly answer: string;
  readonly strategy: string;
  /** One line for each window: what became of it, and where its text stands. */
  readonly windows: readonly string[];
}

/** Without an upstream the shipped model answers; it is far too small to answer well. */
export async function run(): Promise<LongTextResult> {
  const sluice = await createSluice({ port: 0, log: { level: 'warn' } });
  try {
    const { url } = await sluice.listen();
    const response = await fetch(`${url}/v1/windows`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        context: documents,
        question,
        strategy: 'select',
        windows: 3,
        max_tokens: 8,
        api: 'completions',
      }),
    });
    const data = (await response.json()) as components['schemas']['WindowsResponse'];
    if (data.windows === null) throw new Error('The text went out in one piece');
    const windows = data.windows.windows.map(({ state, tokens, places }) => {
      const where = places.map(({ pointer, start, end }) => `${pointer}[${start}, ${end})`);
      return `${state}: ${tokens} tokens at ${where.join(' ')}`;
    });
    return { answer: data.answer, strategy: data.windows.strategy, windows };
  } finally {
    await sluice.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { answer, strategy, windows } = await run();
  console.log(`${strategy}: ${answer.trim()}`);
  for (const line of windows) console.log(line);
}
