/**
 * The proxy in front of the embedded model, used through the official OpenAI client. Point `upstream` at your own
 * server instead; nothing else changes.
 * Run: node --import tsx examples/proxy-openai-client/index.ts
 */
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { createSluice } from 'sluice';

export interface Result {
  readonly whole: string;
  readonly streamed: string;
  readonly promptTokens: number;
}

export async function run(): Promise<Result> {
  const sluice = await createSluice({ port: 0, log: { level: 'warn' } });
  const { url } = await sluice.listen();
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
  try {
    const request = {
      model: 'scout',
      messages: [{ role: 'user' as const, content: 'Tell me about the sea.' }],
      max_tokens: 16,
      temperature: 0,
    };
    const answer = await client.chat.completions.create(request);
    let streamed = '';
    const stream = await client.chat.completions.create({ ...request, stream: true });
    for await (const part of stream) streamed += part.choices[0]?.delta.content ?? '';
    return {
      whole: answer.choices[0]?.message.content ?? '',
      streamed,
      promptTokens: answer.usage?.prompt_tokens ?? 0,
    };
  } finally {
    await sluice.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await run());
