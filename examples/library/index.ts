/**
 * Plain library: shorten texts for a question, see what was kept.
 * Run: node --import tsx examples/library/index.ts
 */
import { fileURLToPath } from 'node:url';
import { createSluice, type CompressTextResult } from 'sluice';

const context = [
  'The harbour of Port Ellis was dredged in 1931. Its lighthouse, built of granite, is 41 metres high. Fishing ended in 1974.',
  'The railway to Port Ellis opened in 1889 and closed in 1962. The station building is a museum today, open from May to October.',
  'The town has 4,200 inhabitants. Most of them work in the wind farm offshore, which has 63 turbines and was finished in 2019.',
];

export async function run(): Promise<CompressTextResult> {
  const sluice = await createSluice({ log: { level: 'warn' } });
  try {
    return await sluice.compress({ context, question: 'How high is the lighthouse?', rate: 0.4 });
  } finally {
    await sluice.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { text, report } = await run();
  console.log(text);
  console.log(`${report.tokensBefore} -> ${report.tokensAfter} tokens (${report.tokenizer})`);
}
