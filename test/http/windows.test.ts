/** Requests that do not fit, end to end: through the server, the gateway, and a server that refuses. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { RequestReport } from '../../src/core/report.ts';
import { startWindowProxy, type WindowProxy } from '../helpers/window-proxy.ts';
import type { SmallModelOptions } from '../helpers/small-model.ts';

/** Ten documents of about 80 tokens; one of them has the answer. */
const documents = Array.from({ length: 10 }, (_, at) =>
  Array.from(
    { length: 4 },
    (_, line) =>
      `Harbour ${at} got its ${['pier', 'crane', 'light', 'wall'][line]} in ${1900 + at * 10 + line} from builder ${'ABCDEFGHIJ'[at]}.`,
  ).join(' '),
);
const question = 'When did harbour 7 get its crane?';
const content = `${documents.map((text) => `<document>\n${text}\n</document>`).join('\n')}\n\n${question}`;
const chat = (changes: object = {}): object => ({
  model: 'small',
  max_tokens: 20,
  messages: [
    { role: 'system', content: 'Answer briefly.' },
    { role: 'user', content },
  ],
  ...changes,
});
const completion = (changes: object = {}): object => ({
  model: 'small',
  max_tokens: 20,
  prompt: `${documents.map((text, at) => `Document [${at + 1}] ${text}`).join('\n\n')}\n\nQuestion: ${question}\nAnswer:`,
  ...changes,
});

/** Knows the answer only where the text has it. */
const reader: SmallModelOptions['answer'] = ({ text, body }) => {
  const knows = text.includes('Harbour 7 got its crane in 1971');
  const record = text.includes('Confidence Score: a number');
  if (record && !text.includes('Below are records')) {
    return knows
      ? { text: 'Extracted Information: crane in 1971\nAnswer: 1971\nConfidence Score: 5' }
      : { text: '[NO INFORMATION]' };
  }
  if (text.includes('Below are records')) {
    return { text: text.includes('1971') ? 'In 1971, so the records.' : 'No idea.' };
  }
  void body;
  return knows
    ? { text: 'In 1971.', logProbability: -0.05 }
    : { text: 'In 1899 maybe.', logProbability: -1.5 };
};

async function post(
  proxy: WindowProxy,
  path: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${proxy.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const start = (t: TestContext, options: Partial<Parameters<typeof startWindowProxy>[1]> = {}) =>
  startWindowProxy(t, { window: 500, answer: reader, ...options });

function reportOf(proxy: WindowProxy, headers: Headers): RequestReport {
  const report = proxy.gateway.report(headers.get('x-sluice-request-id') ?? '', 'default');
  assert.ok(report !== null);
  return report;
}

/** Every character of every document is in exactly one window. */
function coversAll(report: RequestReport, pointer: string, whole: string): void {
  const places = report.windows!.windows.flatMap((window) => window.places);
  const read = places
    .filter((place) => place.pointer === pointer)
    .map(({ start, end }) => whole.slice(start, end))
    .join('\n');
  for (const text of documents) assert.ok(read.includes(text), 'a document is missing');
}

for (const strategy of ['select', 'vote', 'reduce'] as const) {
  test(`${strategy}: a chat that does not fit is answered, every text read`, async (t) => {
    const proxy = await start(t, { config: { windows: { strategy } } });
    const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat());
    assert.equal(status, 200, text);
    assert.match(JSON.parse(text).choices[0].message.content, /In 1971/);
    assert.ok(
      proxy.model.asked.every(({ refused }) => !refused),
      'nothing was refused',
    );
    const report = reportOf(proxy, headers);
    const { windows } = report;
    assert.equal(windows?.cause, 'too-long');
    assert.equal(windows?.strategy, strategy);
    assert.equal(windows?.calls, proxy.model.asked.length);
    assert.ok(windows.windows.length >= 2);
    assert.match(headers.get('x-sluice-windows') ?? '', new RegExp(`^${strategy};n=\\d+;asked=`));
    coversAll(report, '/messages/1/content', content);
    const chosen = windows.windows.filter(({ state }) => state === 'chosen');
    const [place] = chosen
      .flatMap(({ places }) => places)
      .filter(({ start, end }) => content.slice(start, end).includes('1971'));
    assert.ok(place !== undefined, 'the window with the answer was chosen');
    assert.equal(report.reuse, null, 'nothing is learned about the prompt that was never sent');
    assert.equal(proxy.model.asked.at(-1)?.body['max_tokens'], 20, "the client's own request");
  });
}

test('completions: the frame stays, the text is in windows', async (t) => {
  const proxy = await start(t);
  const { status, headers, text } = await post(proxy, '/v1/completions', completion());
  assert.equal(status, 200, text);
  assert.equal(JSON.parse(text).choices[0].text, 'In 1971.');
  assert.equal(reportOf(proxy, headers).windows?.strategy, 'select');
  for (const { text: prompt } of proxy.model.asked) {
    assert.ok(prompt.endsWith(`\n\nQuestion: ${question}\nAnswer:`), prompt.slice(-80));
    assert.match(prompt, /^Document \[\d+\] Harbour/);
  }
});

test('the final stage streams in the shape of its dialect', async (t) => {
  const proxy = await start(t);
  for (const [path, body] of [
    ['/v1/chat/completions', chat({ stream: true })],
    ['/v1/completions', completion({ stream: true })],
  ] as const) {
    const { status, headers, text } = await post(proxy, path, body);
    assert.equal(status, 200);
    assert.match(headers.get('content-type') ?? '', /event-stream/);
    const events = text.split('\n\n').filter((event) => event.startsWith('data: {'));
    const said = events
      .map((event) => JSON.parse(event.slice(6)).choices[0])
      .map((choice) => choice?.delta?.content ?? choice?.text ?? '')
      .join('');
    assert.match(said, /In 1971/);
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    assert.equal(reportOf(proxy, headers).usage?.completionTokens, events.length - 1);
  }
});

test('a conversation around the documents is in every prompt', async (t) => {
  const proxy = await start(t, { window: 540, config: { windows: { strategy: 'reduce' } } });
  const messages = [
    { role: 'user', content: 'Years only, please.' },
    { role: 'assistant', content: 'Understood: years only.' },
    { role: 'user', content },
  ];
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat({ messages }));
  assert.equal(status, 200, text);
  const { windows } = reportOf(proxy, headers);
  assert.equal(windows?.strategy, 'select');
  assert.deepEqual(windows.notes, ['reduce-would-lose-messages']);
  for (const { text: prompt } of proxy.model.asked) assert.match(prompt, /Understood: years only/);
});

test('what the user says in front of the documents is in records and in the last prompt', async (t) => {
  const proxy = await start(t, { window: 700 });
  const told = `Mind the old calendar.\n\n${content}`;
  const { status } = await post(
    proxy,
    '/v1/chat/completions',
    chat({ messages: [{ role: 'user', content: told }] }),
  );
  assert.equal(status, 200);
  for (const { text: prompt } of proxy.model.asked) assert.match(prompt, /Mind the old calendar/);
});

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

test('a wish for a longer answer than there is room for is lowered, and the report says so', async (t) => {
  for (const strategy of ['select', 'reduce']) {
    const proxy = await start(t, { config: { windows: { strategy } } });
    const wish = chat({ max_tokens: 400 });
    const { status, headers } = await post(proxy, '/v1/chat/completions', wish);
    assert.equal(status, 200);
    const last = proxy.model.asked.at(-1)!;
    const limit = Number(last.body['max_tokens']);
    assert.ok(limit >= 100 && last.tokens + limit <= 500, `${last.tokens} + ${limit}`);
    const { notes } = reportOf(proxy, headers).windows!;
    assert.ok(notes.includes(`answer-limited;tokens=${limit}`), notes.join());
  }
});

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

test('what fits is not touched, and windows only act where they are allowed', async (t) => {
  const fits = await start(t, { window: 5000 });
  const plain = await post(fits, '/v1/chat/completions', chat());
  assert.equal(plain.headers.get('x-sluice-windows'), null);
  assert.equal(fits.model.asked.length, 1);
  const refusing = await start(t, { config: { windows: { mode: 'off' } } });
  const off = await post(refusing, '/v1/chat/completions', chat());
  assert.equal(off.status, 400);
  assert.match(off.text, /maximum context length/);
  const asked = await post(refusing, '/v1/chat/completions', chat(), {
    'x-sluice-windows': 'auto',
  });
  assert.equal(asked.status, 400);
  assert.match(asked.headers.get('x-sluice-skipped') ?? '', /windows-off;n=1/);
  const onDemand = await start(t, { config: { windows: { mode: 'asked' } } });
  assert.equal((await post(onDemand, '/v1/chat/completions', chat())).status, 400);
  const wish = { 'x-sluice-windows': 'auto' };
  assert.equal((await post(onDemand, '/v1/chat/completions', chat(), wish)).status, 200);
  const usual = await start(t);
  const without = await post(usual, '/v1/chat/completions', chat(), { 'x-sluice-windows': 'off' });
  assert.equal(without.status, 400);
});

test('so many windows on demand, though it would fit', async (t) => {
  const proxy = await start(t, { window: 5000 });
  const { status, headers } = await post(proxy, '/v1/chat/completions', chat(), {
    'x-sluice-windows': '3',
  });
  assert.equal(status, 200);
  const { windows } = reportOf(proxy, headers);
  assert.equal(windows?.cause, 'asked');
  assert.equal(windows.windows.length, 3);
  assert.ok(windows.windows.every(({ state }) => state !== 'left-out'));
});

test('windows that cannot hold the text: the most relevant are read, the rest is told with offsets', async (t) => {
  const proxy = await start(t, { config: { windows: { max_windows: 1 } } });
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(status, 200);
  assert.match(text, /1971/);
  const { windows, skipped } = reportOf(proxy, headers);
  const left = windows!.windows.filter(({ state }) => state === 'left-out');
  assert.equal(left.length, windows!.windows.length - 1);
  assert.ok(left.length > 0 && left.every(({ places }) => places.length > 0));
  assert.equal(skipped['window-left-out'], left.length);
  assert.match(
    headers.get('x-sluice-skipped') ?? '',
    new RegExp(`window-left-out;n=${left.length}`),
  );
});

test('metrics count windows by what became of them', async (t) => {
  const proxy = await start(t, { config: { windows: { max_windows: 1 } } });
  await post(proxy, '/v1/completions', completion());
  const text = await proxy.metrics();
  assert.match(text, /sluice_window_runs_total\{strategy="select",cause="too-long"\} 1/);
  assert.match(text, /sluice_windows_total\{state="chosen"\} 1/);
  assert.match(text, /sluice_windows_total\{state="left-out"\} [1-9]/);
  assert.match(text, /sluice_window_tokens_total\{side="prompt"\} [1-9]/);
  assert.match(text, /sluice_skipped_total\{reason="window-left-out"\} [1-9]/);
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

test('a backend that lies about its limit: the lower one is learned, nothing is refused again', async (t) => {
  const proxy = await start(t, { told: 4000 });
  const first = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(first.status, 200, first.text);
  assert.match(first.text, /1971/);
  assert.equal(reportOf(proxy, first.headers).windows?.cause, 'refused');
  assert.deepEqual(
    proxy.model.asked.map(({ refused }) => refused).filter(Boolean).length,
    1,
    'one refusal, then windows',
  );
  assert.equal(proxy.gateway.backend.capabilities.contextWindow, 500);
  const second = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(reportOf(proxy, second.headers).windows?.cause, 'too-long');
  assert.equal(proxy.model.asked.filter(({ refused }) => refused).length, 1);
});

test('a backend that tells no limit is believed when it refuses', async (t) => {
  const proxy = await start(t, { told: null });
  const { status, headers } = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(status, 200);
  assert.equal(reportOf(proxy, headers).windows?.cause, 'refused');
});

test('a window that was refused is cut again, smaller', async (t) => {
  // It counts two for one.
  const proxy = await start(t, {
    told: 900,
    window: 500,
    config: { windows: { limit_tokens: 900 } },
  });
  const long = chat({
    messages: [{ role: 'user', content: content.replace(documents[0]!, documents.join(' ')) }],
  });
  const { status, text } = await post(proxy, '/v1/chat/completions', long);
  assert.equal(status, 200, text);
  assert.match(text, /1971/);
});

test('windows smaller than what stands around them: the refusal comes back, nothing is lost', async (t) => {
  const proxy = await start(t, { window: 120 });
  const long = chat({
    messages: [
      { role: 'system', content: 'Answer briefly and kindly. '.repeat(30) },
      { role: 'user', content },
    ],
  });
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', long);
  assert.equal(status, 400);
  assert.match(text, /maximum context length is 120/);
  assert.match(headers.get('x-sluice-skipped') ?? '', /windows-unfit;n=1/);
  assert.equal(proxy.model.asked.length, 1, 'asked once, as it came');
});

test('requests with tools keep their refusal: clients compact them themselves', async (t) => {
  const proxy = await start(t);
  const tools = [{ type: 'function', function: { name: 'look', parameters: {} } }];
  const { status, headers } = await post(proxy, '/v1/chat/completions', chat({ tools }));
  assert.equal(status, 400);
  assert.match(headers.get('x-sluice-skipped') ?? '', /windows-unfit/);
});

test('a window that fails is named; the others answer', async (t) => {
  const answer: SmallModelOptions['answer'] = (prompt) =>
    prompt.text.includes('Harbour 2 got its pier') ? { status: 503 } : reader(prompt);
  const proxy = await start(t, { answer });
  const { status, headers, text } = await post(proxy, '/v1/completions', completion());
  assert.equal(status, 200, text);
  assert.match(text, /1971/);
  const { windows, skipped } = reportOf(proxy, headers);
  const failed = windows!.windows.filter(({ state }) => state === 'failed');
  assert.equal(failed.length, 1);
  assert.equal(failed[0]?.error, 'HTTP 503');
  assert.equal(skipped['window-failed'], 1);
});

test('when every window fails the request goes out as it came', async (t) => {
  const proxy = await start(t, { answer: () => ({ status: 503 }) });
  const { status, headers } = await post(proxy, '/v1/completions', completion());
  assert.equal(status, 400, 'its own refusal');
  assert.match(headers.get('x-sluice-skipped') ?? '', /window-failed;n=1/);
});

test('the first window goes alone, the others side by side, never more than allowed', async (t) => {
  const answer: SmallModelOptions['answer'] = (prompt) => ({ ...reader(prompt), delayMs: 30 });
  const proxy = await start(t, { answer, window: 320, config: { windows: { concurrency: 2 } } });
  await post(proxy, '/v1/completions', completion());
  assert.equal(proxy.model.mostAtOnce(), 2);
  const sizes = proxy.model.asked.map(({ tokens }) => tokens);
  assert.equal(sizes[0], Math.max(...sizes), 'the longest one first: it would be refused first');
  assert.deepEqual(
    proxy.model.asked.slice(0, 3).map(({ running }) => running),
    [0, 0, 1],
    'nothing beside the first one',
  );
});

test('a client that goes away takes all windows with it', async (t) => {
  let prompts = 0;
  const answer: SmallModelOptions['answer'] = () => {
    prompts += 1;
    return prompts === 1 ? { text: 'x' } : { text: 'y', delayMs: 5000 };
  };
  const proxy = await start(t, { answer });
  const controller = new AbortController();
  const asking = fetch(`${proxy.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify(completion()),
    headers: { 'content-type': 'application/json' },
    signal: controller.signal,
  }).catch(() => null);
  while (proxy.model.asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  const before = proxy.model.upstream.requests.filter(({ url }) => url === '/v1/completions');
  controller.abort();
  await asking;
  await Promise.all(before.map(({ closed }) => closed));
  const asked = proxy.model.asked.length;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(proxy.model.asked.length, asked, 'nothing more is asked');
});

test('text-first when the same text comes again, question-first when the question is long', async (t) => {
  const proxy = await start(t, { config: { windows: { strategy: 'select' } }, window: 700 });
  const asking = `${question} ${'Consider every harbour with care and name the year alone. '.repeat(6)}`;
  const long = chat({ messages: [{ role: 'user', content: content.replace(question, asking) }] });
  const first = reportOf(proxy, (await post(proxy, '/v1/chat/completions', long)).headers);
  assert.equal(first.windows?.layout, 'question-first');
  const prompts = proxy.model.asked.map(({ text }) => text);
  const shared = commonPrefix(prompts);
  assert.ok(shared.includes(asking.trim()), 'all windows begin with the question');
  const again = reportOf(proxy, (await post(proxy, '/v1/chat/completions', long)).headers);
  assert.equal(again.windows?.layout, 'text-first');
});

function commonPrefix(texts: readonly string[]): string {
  const [first = ''] = texts;
  let length = first.length;
  for (const text of texts) {
    let at = 0;
    while (at < length && text[at] === first[at]) at += 1;
    length = at;
  }
  return first.slice(0, length);
}

test('compression comes first: what fits then goes out in one piece', async (t) => {
  const proxy = await start(t, {
    window: 560,
    config: { compress: { method: 'extractive', rate: 0.3, min_tokens: 20, when: 'always' } },
  });
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(status, 200, text);
  assert.equal(headers.get('x-sluice-windows'), null);
  assert.equal(headers.get('x-sluice-decision'), 'compressed');
  assert.equal(proxy.model.asked.length, 1);
});

const fitting = (windows: object = {}) => ({
  window: 560,
  config: {
    compress: { method: 'extractive', rate: 0.9, min_tokens: 20, when: 'always' },
    windows: { fit_rate: 0.2, ...windows },
  },
});

test('a text that does not fit at the rate is shortened until it does, and the report says so', async (t) => {
  const proxy = await start(t, fitting());
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(status, 200, text);
  assert.match(JSON.parse(text).choices[0].message.content, /In 1971/);
  assert.equal(proxy.model.asked.length, 1, 'one request, and not refused');
  const report = reportOf(proxy, headers);
  assert.equal(report.windows, null);
  assert.equal(report.fit?.limitTokens, 560);
  assert.equal(report.fit.rate, 0.2);
  const user = report.spans.filter(({ pointer }) => pointer.startsWith('/messages/1'));
  const left = user.reduce((sum, { tokensAfter }) => sum + (tokensAfter ?? 0), 0);
  assert.ok(left <= report.fit.targetTokens);
  // As much as there is room for, within a sentence.
  assert.ok(left > 0.85 * report.fit.targetTokens, `${left} of ${report.fit.targetTokens}`);
});

test('what fits at the rate is shortened by the rate alone', async (t) => {
  const proxy = await start(t, { ...fitting(), window: 5000 });
  const { headers } = await post(proxy, '/v1/chat/completions', chat());
  const report = reportOf(proxy, headers);
  assert.equal(report.fit, null);
  assert.ok(report.tokensAfter! > 0.8 * report.tokensBefore!);
});

test('what would not fit at the least rate either is left at the rate and read in windows', async (t) => {
  const proxy = await start(t, fitting({ fit_rate: 0.8, strategy: 'select' }));
  const { status, headers, text } = await post(proxy, '/v1/chat/completions', chat());
  assert.equal(status, 200, text);
  const report = reportOf(proxy, headers);
  assert.equal(report.fit, null);
  assert.ok((report.windows?.windows.length ?? 0) >= 2);
  const documents = report.spans.filter(({ kind }) => kind === 'document');
  const sum = (pick: (span: (typeof documents)[number]) => number | null): number =>
    documents.reduce((total, span) => total + (pick(span) ?? 0), 0);
  const share = sum((span) => span.tokensAfter) / sum((span) => span.tokensBefore);
  assert.ok(share > 0.82 && share <= 0.95, `${share}`);
});

/** Notes of a meeting, a question about them, and an answer that is already there. */
const worked = (at: number): string =>
  `Meeting: ${Array.from({ length: 12 }, (_, line) => `Member ${line}: we spent ${at}${line} pounds on the ${['roof', 'road', 'boat'][line % 3]}.`).join(' ')}\nQuestion: What did they buy?\nAnswer: A boat.\n\n`;

test('examples and documents that were shortened are still known for what they are', async (t) => {
  const proxy = await start(t, {
    window: 350,
    config: {
      compress: { method: 'extractive', rate: 0.6, min_tokens: 20, when: 'always' },
      windows: { strategy: 'select' },
    },
  });
  const text = documents.join(' ');
  const last = `Meeting: ${text}\nQuestion: ${question}\nAnswer:`;
  const body = completion({ prompt: `${worked(1)}${worked(2)}${last}` });
  const done = await post(proxy, '/v1/completions', body);
  assert.equal(done.status, 200, done.text);
  const report = reportOf(proxy, done.headers);
  assert.ok((report.windows?.windows.length ?? 0) >= 2, JSON.stringify(report.skipped));
  for (const { text: prompt } of proxy.model.asked) {
    assert.ok(prompt.endsWith(`\nQuestion: ${question}\nAnswer:`), prompt.slice(-80));
  }
});

test('what a client declared is read in windows after its declaration was taken out', async (t) => {
  const proxy = await start(t, { config: { windows: { strategy: 'select' } } });
  const declared = documents.map((text) => ({
    type: 'text',
    text,
    sluice: { kind: 'document' },
  }));
  const parts = [...declared, { type: 'text', text: question }];
  const done = await post(
    proxy,
    '/v1/chat/completions',
    chat({ messages: [{ role: 'user', content: parts }] }),
  );
  assert.equal(done.status, 200, done.text);
  const report = reportOf(proxy, done.headers);
  assert.ok((report.windows?.windows.length ?? 0) >= 2, JSON.stringify(report.skipped));
  const places = report.windows!.windows.flatMap((window) => window.places);
  for (const [at, text] of documents.entries()) {
    const own = places.filter(({ pointer }) => pointer === `/messages/0/content/${at}/text`);
    const read = own.reduce((sum, place) => sum + place.end - place.start, 0);
    assert.ok(read >= text.length, `document ${at}: ${read} of ${text.length}`);
  }
});

test('a client keeps more, and who asks for windows gets the text at the rate', async (t) => {
  const proxy = await start(t, fitting({ strategy: 'select' }));
  const kept = await post(proxy, '/v1/chat/completions', chat(), { 'x-sluice-rate': '0.35' });
  assert.equal(reportOf(proxy, kept.headers).fit?.rate, 0.35);
  const most = chat({ messages: [{ role: 'user', content: `Well.\n\n${content}` }] });
  const whole = await post(proxy, '/v1/chat/completions', most, { 'x-sluice-rate': '0.85' });
  assert.equal(reportOf(proxy, whole.headers).fit, null);
  assert.ok(reportOf(proxy, whole.headers).windows !== null);
  const another = chat({ messages: [{ role: 'user', content: `Now then.\n\n${content}` }] });
  const asked = await post(proxy, '/v1/chat/completions', another, { 'x-sluice-windows': '3' });
  assert.equal(reportOf(proxy, asked.headers).fit, null);
  assert.equal(reportOf(proxy, asked.headers).windows?.cause, 'asked');
});

test('what was shortened to fit is sent again in the same bytes in the next turn', async (t) => {
  const proxy = await start(t, { ...fitting(), window: 620 });
  const first = [{ role: 'user', content }];
  const turn = async (messages: readonly object[]): Promise<readonly unknown[]> => {
    const { status, text } = await post(proxy, '/v1/chat/completions', chat({ messages }));
    assert.equal(status, 200, text);
    return proxy.model.asked.at(-1)!.body['messages'] as unknown[];
  };
  const one = await turn(first);
  const later = [
    ...first,
    { role: 'assistant', content: 'In 1971.' },
    { role: 'user', content: 'And its wall?' },
  ];
  const two = await turn(later);
  assert.deepEqual(two[0], one[0]);
  assert.notDeepEqual(two[0], first[0]);
  // A process that has not seen the first turn decides the same of it: nothing that follows comes in.
  const other = await start(t, { ...fitting(), window: 620 });
  await post(other, '/v1/chat/completions', chat({ messages: later }));
  assert.deepEqual((other.model.asked.at(-1)!.body['messages'] as unknown[])[0], one[0]);
});

test('POST /v1/windows answers a question about a text of any length', async (t) => {
  const proxy = await start(t);
  const body = { context: documents, question, model: 'small', max_tokens: 20 };
  for (const strategy of ['select', 'vote', 'reduce'] as const) {
    const { status, text } = await post(proxy, '/v1/windows', { ...body, strategy });
    assert.equal(status, 200, text);
    const answer = JSON.parse(text);
    assert.match(answer.answer, /In 1971/);
    assert.equal(answer.windows.strategy, strategy);
    assert.ok(answer.windows.windows.length >= 2);
  }
  const short = await post(proxy, '/v1/windows', { text: documents[7], question });
  assert.equal(JSON.parse(short.text).windows, null);
  const api = await post(proxy, '/v1/windows', { ...body, api: 'completions' });
  assert.match(JSON.parse(api.text).answer, /In 1971/);
});

test('POST /v1/windows says what is wrong', async (t) => {
  const proxy = await start(t, { window: 100 });
  const ask = async (body: object) => {
    const answer = await post(proxy, '/v1/windows', body);
    return { status: answer.status, problem: JSON.parse(answer.text) };
  };
  for (const [body, detail] of [
    [{ question }, /'text' and 'context'/],
    [{ text: 'a', context: ['b'], question }, /'text' and 'context'/],
    [{ text: 'a' }, /Field 'question'/],
    [{ text: 'a', question, strategy: 'guess' }, /Field 'strategy'/],
    [{ text: 'a', question, windows: 0 }, /Field 'windows'/],
    [{ text: 'a', question, window: 3 }, /Unknown field 'window'/],
  ] as const) {
    const { status, problem } = await ask(body);
    assert.equal(status, 400);
    assert.match(problem.detail, detail);
  }
  const instruction = 'Answer briefly and kindly. '.repeat(30);
  const tight = await ask({ context: documents, question, instruction });
  assert.deepEqual([tight.status, tight.problem.code], [422, 'WINDOW_TOO_SMALL']);
  const failing = await start(t, { answer: () => ({ status: 401 }) });
  const rejected = await post(failing, '/v1/windows', { text: documents[0], question });
  assert.deepEqual([rejected.status, JSON.parse(rejected.text).code], [502, 'UPSTREAM_REJECTED']);
});
