/** NBCE over HTTP: several windows agree on every token. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chat, completion, post, reportOf, start } from '../helpers/window-requests.ts';
import type { SmallModelOptions } from '../helpers/small-model.ts';

test('nbce: token by token from the surest window, streamed as it comes', async (t) => {
  const words = ['In', ' 1971', '.', ''];
  const answer: SmallModelOptions['answer'] = ({ text }) => {
    const knows = text.includes('Harbour 7 got its crane in 1971');
    const said = text.split('Answer:').at(-1) ?? '';
    const next = words[said.split(/(?= )|(?=\.)/).filter((word) => word !== '').length] ?? '';
    return { top: knows ? { [next]: -0.02, ' no': -4 } : { ' maybe': -0.7, ' perhaps': -0.7 } };
  };
  const proxy = await start(t, { answer, config: { windows: { strategy: 'nbce' } } });
  const whole = await post(proxy, '/v1/completions', completion());
  assert.equal(whole.status, 200, whole.text);
  assert.equal(JSON.parse(whole.text).choices[0].text, 'In 1971.');
  const streamed = await post(proxy, '/v1/completions', completion({ stream: true }));
  const said = streamed.text
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)).choices[0].text)
    .join('');
  assert.equal(said, 'In 1971.');
  const report = reportOf(proxy, whole.headers);
  assert.equal(report.windows?.windows.filter(({ state }) => state === 'chosen').length, 1);
  // Every step asks every window, and once without text; four tokens with the one that ends.
  assert.equal(report.windows.calls, 4 * (report.windows.windows.length + 1));
  assert.ok(report.windows.promptTokens > 1000);
  const inChat = await post(proxy, '/v1/chat/completions', chat());
  assert.deepEqual(reportOf(proxy, inChat.headers).windows?.notes, ['nbce-needs-completions']);
});

/** Goes on with a text word by word where it has the answer; elsewhere it is unsure. */
const pooling = (words: readonly string[]): SmallModelOptions['answer'] => {
  return ({ text }) => {
    const said = text.split('Answer:').at(-1) ?? '';
    const at = words.findIndex((_, index) => words.slice(0, index).join('') === said);
    const next = words[at] ?? '';
    const knows = text.includes('Harbour 7 got its crane in 1971');
    return { top: knows ? { [next]: -0.02, ' no': -4 } : { ' maybe': -0.7, ' perhaps': -0.7 } };
  };
};
const nbce = { config: { windows: { strategy: 'nbce' } } };

test('nbce: the longest window is asked alone, a window that fails is named and not asked again', async (t) => {
  const answer = pooling(['In', ' 1971', '.', '']);
  const proxy = await start(t, {
    ...nbce,
    answer: (prompt) =>
      prompt.text.includes('Harbour 2 got its pier') ? { status: 503 } : answer(prompt),
  });
  const { status, headers, text } = await post(proxy, '/v1/completions', completion());
  assert.equal(status, 200, text);
  assert.equal(JSON.parse(text).choices[0].text, 'In 1971.');
  assert.equal(proxy.model.asked[1]?.running, 0, 'nothing beside the first one');
  const { windows, skipped } = reportOf(proxy, headers);
  const failed = windows!.windows.filter(({ state }) => state === 'failed');
  assert.deepEqual(
    failed.map(({ error }) => error),
    ['HTTP 503'],
  );
  assert.equal(skipped['window-failed'], 1);
  const refused = proxy.model.asked.filter(({ text: prompt }) =>
    prompt.includes('Harbour 2 got its pier'),
  );
  assert.equal(refused.length, 1);
});

test('nbce: a window that is refused is cut again, smaller', async (t) => {
  const proxy = await start(t, {
    answer: pooling(['In', ' 1971', '.', '']),
    told: 700,
    window: 380,
    config: { windows: { strategy: 'nbce', limit_tokens: 700 } },
  });
  const { status, headers, text } = await post(proxy, '/v1/completions', completion());
  assert.equal(status, 200, text);
  assert.equal(JSON.parse(text).choices[0].text, 'In 1971.');
  const { windows } = reportOf(proxy, headers);
  assert.ok(windows!.windows.every(({ state }) => state !== 'failed' && state !== 'left-out'));
  assert.ok(proxy.model.asked.some(({ refused }) => refused));
});

test('nbce: an answer that breaks off says so, and is not called complete', async (t) => {
  const answer = pooling(['In', ' 1971', '.', '']);
  const proxy = await start(t, {
    ...nbce,
    answer: (prompt) => (prompt.text.endsWith('Answer:In') ? { status: 500 } : answer(prompt)),
  });
  const { headers, text } = await post(proxy, '/v1/completions', completion());
  const [choice] = JSON.parse(text).choices;
  assert.deepEqual([choice.text, choice.finish_reason], ['In', 'length']);
  const { windows } = reportOf(proxy, headers);
  assert.ok(windows!.notes.includes('stopped-by-failure;tokens=1'), windows!.notes.join());
  const capped = await start(t, {
    answer,
    config: { windows: { strategy: 'nbce', max_total_tokens: 2600 } },
  });
  const short = await post(capped, '/v1/completions', completion());
  assert.equal(JSON.parse(short.text).choices[0].finish_reason, 'length');
  const { notes } = reportOf(capped, short.headers).windows!;
  assert.ok(
    notes.some((note) => note.startsWith('stopped-by-cap')),
    notes.join(),
  );
});

test('nbce: nothing of a stop string is sent, not even its beginning', async (t) => {
  const proxy = await start(t, {
    ...nbce,
    answer: pooling(['In', ' 1971', '\n', '\nQ', 'uestion', '']),
  });
  const body = completion({ stop: ['\n\nQuestion'], stream: true });
  const { text } = await post(proxy, '/v1/completions', body);
  const said = text
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)).choices[0]);
  assert.equal(said.map((choice) => choice.text).join(''), 'In 1971');
  assert.equal(said.at(-1).finish_reason, 'stop');
});
