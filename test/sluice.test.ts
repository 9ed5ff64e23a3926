/** The composition root: what it opens it closes, also when it fails half-way or is closed while somebody asks. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { createSluice } from '../src/sluice.ts';

const quiet = { log: { level: 'silent' }, port: 0, score: { workers: 1 } };

const tasks = '/proc/self/task';
const skip = existsSync(tasks) ? false : 'needs the thread list of Linux';

test('what cannot be opened later leaves no thread behind', { skip }, async () => {
  const threads = (): number => readdirSync(tasks).length;
  // Node's own threads start with the first use.
  const first = await createSluice(quiet);
  await first.close();
  const before = threads();
  await assert.rejects(createSluice({ ...quiet, embedded: { model: '/does/not/exist' } }), {
    code: 'MODEL_INVALID',
  });
  await assert.rejects(
    createSluice({ ...quiet, upstream: ['http://127.0.0.1:1'], tokenizer: '/does/not/exist' }),
    { code: 'MODEL_INVALID' },
  );
  assert.ok(threads() <= before, `${threads()} threads, ${before} before`);
});

test('closing twice, and while a request runs, ends in order', async () => {
  const sluice = await createSluice(quiet);
  const { url } = await sluice.listen();
  const metrics = await (await fetch(`${url}/metrics`)).text();
  for (const name of ['sluice_scorer_tokens_total', 'sluice_scorer_crashes_total']) {
    assert.match(metrics, new RegExp(`^${name} 0$`, 'm'));
  }
  const answer = fetch(`${url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'scout', prompt: 'The sea', max_tokens: 5 }),
  }).then(async (response) => JSON.parse(await response.text()));
  // The request is on its way before the server stops accepting.
  await fetch(`${url}/healthz`);
  const closing = Promise.all([sluice.close(), sluice.close()]);
  assert.equal((await answer).usage.completion_tokens, 5);
  await closing;
  await assert.rejects(fetch(`${url}/healthz`));
});
