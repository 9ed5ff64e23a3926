/** What requests for one answer may come to, in tokens and in money. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chat,
  completion,
  content,
  documents,
  post,
  question,
  reportOf,
  start,
} from '../helpers/window-requests.ts';

const wordy = Array.from({ length: 20 }, (_, at) => `with regard to pier ${at}`).join(', ');
const longer = content.replace(question, `${question} Please answer ${wordy}.`);
const record = `Extracted Information: ${'the crane stands there, '.repeat(40)}\nRationale: it says so\nAnswer: 1971\nConfidence Score: 4`;

test('a cap below the context window makes smaller windows', async (t) => {
  const proxy = await start(t, {
    window: 900,
    config: { windows: { strategy: 'select', max_total_tokens: 1500 } },
  });
  const long = chat({
    messages: [
      {
        role: 'user',
        content: content.replace('<document>', `<document>\n${documents.join(' ')}`),
      },
    ],
  });
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', long);
  assert.equal(status, 200, text);
  const sent = proxy.model.asked.reduce((sum, { tokens }) => sum + tokens, 0);
  assert.ok(sent <= 1500, String(sent));
  assert.ok(reportOf(proxy, headers).windows!.windows.some(({ state }) => state === 'chosen'));
});

test('a cap on tokens leaves windows out as well', async (t) => {
  const proxy = await start(t, {
    config: { windows: { max_total_tokens: 1200, strategy: 'select' } },
  });
  const { headers } = await post(proxy, '/v1/chat/completions', chat());
  const sent = proxy.model.asked.reduce((sum, { tokens }) => sum + tokens, 0);
  assert.ok(sent <= 1200, String(sent));
  assert.ok((reportOf(proxy, headers).skipped['window-left-out'] ?? 0) > 0);
});

test('a cap on costs leaves windows out, and the report tells what the rest cost', async (t) => {
  const prices = { input_price: 3, output_price: 60 };
  const strategy = 'select';
  const free = await start(t, { config: { windows: { strategy, ...prices } } });
  const all = await post(free, '/v1/chat/completions', chat());
  const whole = reportOf(free, all.headers).windows!;
  const told = (whole.promptTokens * 3 + whole.completionTokens * 60) / 1e6;
  assert.ok(whole.cost !== null && Math.abs(whole.cost - told) < 1e-6, `${whole.cost} ${told}`);
  const max_cost = 0.01;
  const proxy = await start(t, { config: { windows: { strategy, ...prices, max_cost } } });
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(status, 200, text);
  const worst = proxy.model.asked.map(
    ({ tokens, body }) => (tokens * 3 + Number(body['max_tokens']) * 60) / 1e6,
  );
  const most = worst.reduce((sum, cost) => sum + cost, 0);
  assert.ok(most <= max_cost, String(most));
  const { skipped, windows } = reportOf(proxy, headers);
  assert.ok((skipped['window-left-out'] ?? 0) > 0);
  assert.ok(windows!.cost! < whole.cost);
});

test('a cap on costs that no window fits under gives the refusal back', async (t) => {
  const windows = { strategy: 'select', input_price: 3, output_price: 60, max_cost: 0.001 };
  const proxy = await start(t, { config: { windows } });
  const { status, headers } = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(status, 400);
  assert.equal(reportOf(proxy, headers).skipped['windows-unfit'], 1);
});

for (const [strategy, window, cap, max_tokens, windows] of [
  ['select', 1200, 3200, 900, 6],
  ['select', 3000, 5000, 2500, 6],
  ['reduce', 2000, 4000, 1500, 4],
  ['reduce', 3000, 5000, 2500, 6],
  ['reduce', 1200, 3500, 200, 8],
] as const) {
  test(`${strategy}, ${cap} tokens: long answers, records and questions stay below the cap`, async (t) => {
    const proxy = await start(t, {
      window,
      config: { windows: { strategy, max_total_tokens: cap, layout: 'question-first' } },
      answer: ({ text }) => ({
        text: text.includes('Confidence Score: a number') ? record : 'In 1971.',
      }),
    });
    const asked = chat({ max_tokens, messages: [{ role: 'user', content: longer }] });
    const many = { 'x-sluice-windows': String(windows) };
    const { status, headers, text } = await post(proxy, '/v1/chat/completions', asked, many);
    assert.equal(status, 200, text);
    const { promptTokens, completionTokens } = reportOf(proxy, headers).windows!;
    const last = proxy.model.asked.at(-1)!;
    const most = promptTokens + completionTokens + last.tokens + Number(last.body['max_tokens']);
    assert.ok(most <= cap && most > 0.8 * cap, String(most));
  });
}

test('a server that counts more than believed gets fewer windows', async (t) => {
  const config = { windows: { strategy: 'select', max_total_tokens: 1900 } };
  const plain = { window: 3000, told: null, estimated: true, config };
  const extraTokens = (text: string): number => Math.floor(text.length / 2);
  const many = { 'x-sluice-windows': '8' };
  const proxy = await start(t, { ...plain, extraTokens });
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat(), many);
  assert.equal(status, 200, text);
  const { windows } = reportOf(proxy, headers);
  assert.ok(windows!.windows.some(({ state }) => state === 'left-out'));
  const spent = proxy.model.asked.reduce(
    (sum, { tokens, body }) => sum + tokens + Number(body['max_tokens']),
    0,
  );
  assert.ok(spent <= 1900 && spent > 1000, String(spent));
});

test('nbce: a cap on costs ends the answer, and what was spent is told', async (t) => {
  const prices = { input_price: 2, output_price: 10 };
  const top = { ' word': -0.1 };
  const config = { windows: { strategy: 'nbce', ...prices, max_cost: 0.01 } };
  const proxy = await start(t, { config, answer: () => ({ text: ' word', top }) });
  const { status, headers, text } = await post(proxy, '/v1/completions', completion());
  assert.equal(status, 200, text);
  const [choice] = JSON.parse(text).choices;
  assert.equal(choice.finish_reason, 'length');
  const { windows } = reportOf(proxy, headers);
  assert.ok(
    windows!.notes.some((note) => note.startsWith('stopped-by-cap')),
    windows!.notes.join(),
  );
  const prompts = proxy.model.asked.reduce((sum, { tokens }) => sum + tokens, 0);
  const spent = (prompts * 2 + windows!.completionTokens * 10) / 1e6;
  assert.ok(spent <= 0.01 && spent > 0.004, String(spent));
  assert.ok(windows!.cost !== null && Math.abs(windows!.cost - spent) < 1e-6);
});
