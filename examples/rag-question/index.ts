/**
 * A question over many documents, sent as an ordinary chat request. The proxy finds the documents, keeps the
 * sentences that matter for the question and forwards the question itself untouched; headers tell what it did.
 * Run: node --import tsx examples/rag-question/index.ts
 */
import { fileURLToPath } from 'node:url';
import { createSluice } from 'sluice';
import { documents, question } from '../documents.ts';

export interface Result {
  readonly status: number;
  readonly decision: string | null;
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}

export async function run(): Promise<Result> {
  const sluice = await createSluice({ port: 0, compress: { rate: 0.3 }, log: { level: 'warn' } });
  const { url } = await sluice.listen();
  const blocks = documents.map((text, at) => `<document index="${at + 1}">\n${text}\n</document>`);
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'scout',
        max_tokens: 8,
        temperature: 0,
        messages: [
          { role: 'system', content: 'Answer from the documents.' },
          { role: 'user', content: `${blocks.join('\n')}\n\n${question}` },
        ],
      }),
    });
    await response.arrayBuffer();
    return {
      status: response.status,
      decision: response.headers.get('x-sluice-decision'),
      tokensBefore: Number(response.headers.get('x-sluice-tokens-before')),
      tokensAfter: Number(response.headers.get('x-sluice-tokens-after')),
    };
  } finally {
    await sluice.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await run());
