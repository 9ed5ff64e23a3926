/**
 * The typed client, generated from openapi.yaml: wrong fields do not compile.
 * Run: node --import tsx examples/typed-client/index.ts
 */
import { fileURLToPath } from 'node:url';
import { createSluice } from 'sluice';
import { createClient } from 'sluice/client';
import { documents, question } from '../documents.ts';

export interface Result {
  readonly text: string;
  readonly requests: number;
  readonly problem: string | undefined;
}

export async function run(): Promise<Result> {
  const sluice = await createSluice({ port: 0, log: { level: 'warn' } });
  const { url } = await sluice.listen();
  const client = createClient({ baseUrl: url });
  try {
    const { data, error } = await client.POST('/v1/compress', {
      body: { context: [...documents], question, rate: 0.2 },
    });
    if (error !== undefined) throw new Error(error.detail);
    const stats = await client.GET('/v1/stats');
    // Errors are problem documents (RFC 9457) with a code of docs/errors.md.
    const wrong = await client.POST('/v1/compress', { body: { text: 'short', rate: 7 } });
    return {
      text: 'text' in data ? data.text : '',
      requests: stats.data?.requests ?? -1,
      problem: wrong.error?.code,
    };
  } finally {
    await sluice.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await run());
