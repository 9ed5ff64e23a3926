/**
 * Inside an Express application: the middleware shortens the prompt, your own handler does what it always did.
 * Run: node --import tsx examples/express-middleware/index.ts
 */
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { compressPrompt, createSluice } from 'sluice';
import { documents, question } from '../documents.ts';

export interface Result {
  /** Bytes of the body that your handler sees. */
  readonly bytes: number;
  readonly sent: number;
  readonly decision: string;
}

export async function run(): Promise<Result> {
  const sluice = await createSluice({ log: { level: 'warn' } });
  const app = express();
  // Before any body parser: what is not compressed keeps its bytes.
  app.use(compressPrompt({ sluice, rate: 0.5 }));
  app.post('/v1/chat/completions', (request, response) => {
    const { body, sluice: report } = request as unknown as {
      body: Buffer;
      sluice: { decision: string };
    };
    response.json({ bytes: body.length, decision: report.decision });
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const body = JSON.stringify({
    model: 'any',
    messages: [
      { role: 'user', content: `<context>\n${documents.join('\n\n')}\n</context>\n\n${question}` },
    ],
  });
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const seen = (await response.json()) as { bytes: number; decision: string };
    return { ...seen, sent: Buffer.byteLength(body) };
  } finally {
    server.close();
    await sluice.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await run());
