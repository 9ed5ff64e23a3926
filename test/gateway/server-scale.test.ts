import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServerScale } from '../../src/gateway/server-scale.ts';

const count = (text: string): number => text.length / 4;

test('a server that is late is waited for once, not by every text', async () => {
  let asked = 0;
  const scale = createServerScale({
    tokenizer: { estimated: true },
    backend: {
      countTokens: (_texts, { signal }) => {
        asked += 1;
        return new Promise((resolve) => {
          const longest = setTimeout(() => resolve([1]), 10_000);
          signal.addEventListener('abort', () => {
            clearTimeout(longest);
            resolve([null]);
          });
        });
      },
    },
    waitMs: 20,
  });
  const first = await scale(['Some text.'], { count, model: null });
  const second = await scale(['Another one.'], { count, model: null });
  assert.equal(asked, 1);
  assert.equal(first, second);
});

test('a caller who goes away is no sign of a late server', async () => {
  let asked = 0;
  const scale = createServerScale({
    tokenizer: { estimated: true },
    backend: {
      countTokens: ([text = ''], { signal }) => {
        asked += 1;
        return Promise.resolve([signal.aborted ? null : count(text) * 2]);
      },
    },
    waitMs: 10_000,
  });
  await scale(['Some text.'], { count, model: null, signal: AbortSignal.abort() });
  const told = await scale(['Some text.'], { count, model: null });
  assert.equal(asked, 2);
  assert.ok(told > 2 && told < 2.1);
});
