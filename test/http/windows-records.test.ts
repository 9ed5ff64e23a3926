/** Reduction: records of windows that are too long together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chat, post, reportOf, start } from '../helpers/window-requests.ts';
import type { SmallModelOptions } from '../helpers/small-model.ts';

test('records that are too long together are merged, or the surest are kept and that is said', async (t) => {
  const wordy = (text: string): string => {
    const own = /Harbour (\d)/.exec(text)?.[1] ?? '0';
    const crane = text.includes('crane in 1971') ? 'crane in 1971' : `pier ${own}`;
    return `Extracted Information: ${crane} ${'and more of the same '.repeat(14)}\nAnswer: 1971\nConfidence Score: 3`;
  };
  const merging =
    (merged: string): SmallModelOptions['answer'] =>
    ({ text }) => {
      if (text.includes('Merged record:')) return { text: merged };
      if (text.includes('Below are records'))
        return { text: text.includes('1971') ? 'In 1971.' : '?' };
      return { text: wordy(text) };
    };
  const config = { windows: { strategy: 'reduce', record_tokens: 60 } };
  const many = { 'x-sluice-windows': '10' };
  const good = await start(t, {
    window: 700,
    config,
    answer: merging('Extracted Information: crane in 1971\nAnswer: 1971\nConfidence Score: 5'),
  });
  const first = await post(good, '/v1/chat/completions', chat(), many);
  assert.match(first.text, /In 1971/);
  assert.ok(good.model.asked.some(({ text }) => text.includes('Merged record:')));
  const merged = reportOf(good, first.headers).windows!;
  assert.deepEqual(merged.notes, []);
  assert.deepEqual(
    merged.windows.map(({ state }) => state),
    merged.windows.map(() => 'chosen'),
  );
  const bad = await start(t, { window: 700, config, answer: merging('') });
  const second = await post(bad, '/v1/chat/completions', chat(), many);
  assert.equal(second.status, 200);
  const { notes } = reportOf(bad, second.headers).windows!;
  assert.ok(
    notes.some((note) => note.startsWith('merge-without-information')),
    notes.join(),
  );
  assert.ok(
    notes.some((note) => note.startsWith('records-left-out;n=')),
    notes.join(),
  );
  const capped = await start(t, {
    window: 700,
    config: { windows: { ...config.windows, max_total_tokens: 5200 } },
    answer: merging('Answer: 1971'),
  });
  const third = await post(capped, '/v1/chat/completions', chat(), many);
  assert.ok(reportOf(capped, third.headers).windows!.notes.includes('merging-stopped-by-cap'));
});

/** A server that counts more tokens than one for every star of a record. */
const starry = (stars: number, extra: number): Parameters<typeof start>[1] => ({
  window: 800,
  config: { windows: { strategy: 'reduce', record_tokens: 120 } },
  extraTokens: (text) => extra * (text.split('*').length - 1),
  answer: ({ text }) => {
    if (text.includes('Below are records'))
      return { text: text.includes('1971') ? 'In 1971.' : '?' };
    if (!text.includes('Confidence Score: a number')) return { text: 'In 1971, so the window.' };
    const knows = text.includes('Harbour 7 got its crane in 1971');
    return {
      text: `Extracted Information: ${knows ? 'crane in 1971' : 'a pier'} ${'*'.repeat(stars)}\nAnswer: 1971\nConfidence Score: ${knows ? 5 : 2}`,
    };
  },
});

test('records that the server counts as too long are answered from the surest of them', async (t) => {
  const proxy = await start(t, starry(20, 2));
  const many = { 'x-sluice-windows': '10' };
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat(), many);
  assert.equal(status, 200, text);
  assert.match(text, /In 1971\./);
  assert.equal(proxy.model.asked.filter(({ refused }) => refused).length, 1);
  const { windows, notes } = reportOf(proxy, headers).windows!;
  const chosen = windows.filter(({ state }) => state === 'chosen').length;
  assert.ok(chosen >= 1 && chosen < windows.length, `${chosen} of ${windows.length}`);
  assert.ok(
    notes.includes(`records-left-out;n=${windows.length - chosen}`),
    `${chosen} of ${windows.length}: ${notes.join()}`,
  );
});

test('where not one record fits, the text of the surest one answers', async (t) => {
  const proxy = await start(t, starry(100, 6));
  const many = { 'x-sluice-windows': '3' };
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat(), many);
  assert.equal(status, 200, text);
  assert.match(text, /so the window/);
  const { windows } = reportOf(proxy, headers).windows!;
  assert.equal(windows.filter(({ state }) => state === 'chosen').length, 1);
});
