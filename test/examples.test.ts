/** Every example runs as it stands, against the built package (`sluice` resolves to it by its own name). */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { answer } from '../examples/documents.ts';

test('library: the asked sentence is kept under the budget', async () => {
  const { run } = await import('../examples/library/index.ts');
  const { text, report } = await run();
  assert.match(text, /granite, is 41 metres high/);
  assert.ok(report.tokensAfter <= Math.floor(report.tokensBefore * 0.4));
});

test('proxy with the official OpenAI client: whole and streamed answers are the same text', async () => {
  const { run } = await import('../examples/proxy-openai-client/index.ts');
  const { whole, streamed, promptTokens } = await run();
  assert.equal(streamed, whole);
  assert.ok(promptTokens > 5);
});

test('a question over many documents: fewer tokens, and the headers say so', async () => {
  const { run } = await import('../examples/rag-question/index.ts');
  const result = await run();
  assert.equal(result.status, 200);
  assert.equal(result.decision, 'compressed');
  assert.ok(result.tokensAfter < result.tokensBefore * 0.5, JSON.stringify(result));
});

test('Express middleware: the handler sees the shorter body', async () => {
  const { run } = await import('../examples/express-middleware/index.ts');
  const { bytes, sent, decision } = await run();
  assert.equal(decision, 'compressed');
  assert.ok(bytes < sent * 0.7, `${bytes} of ${sent}`);
});

test('typed client: the answer survives, a wrong rate is a problem document', async () => {
  const { run } = await import('../examples/typed-client/index.ts');
  const { text, problem } = await run();
  assert.ok(text.includes(answer), text);
  assert.equal(problem, 'REQUEST_INVALID');
});

test('a long text in windows: every part is told, one is chosen', async () => {
  const { run } = await import('../examples/long-text/index.ts');
  const { strategy, windows } = await run();
  assert.equal(strategy, 'select');
  assert.equal(windows.length, 3, windows.join('\n'));
  assert.equal(windows.filter((line) => line.startsWith('chosen')).length, 1);
});

test('no example is left out', () => {
  const folders = readdirSync('examples', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  assert.deepEqual(folders.sort(), [
    'express-middleware',
    'library',
    'long-text',
    'proxy-openai-client',
    'rag-question',
    'typed-client',
  ]);
});
