/** Requests that do not fit, end to end: through the server, the gateway, and a server that refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestReport } from '../../src/core/report.ts';
import {
  chat,
  completion,
  content,
  documents,
  post,
  question,
  reader,
  reportOf,
  start,
} from '../helpers/window-requests.ts';
import type { SmallModelOptions } from '../helpers/small-model.ts';

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

test('what may be too long for a server that is known to cut silently is read in windows', async (t) => {
  const counted = 760;
  const about = { window: 5000, told: counted, estimated: true };
  const whole = await start(t, about);
  const forwarded = await post(whole, '/v1/chat/completions', chat());
  assert.equal(forwarded.headers.get('x-sluice-windows'), null, 'in doubt the server is asked');
  const [{ tokens } = { tokens: 0 }] = whole.model.asked;
  assert.ok(tokens > counted / 1.15 && tokens <= counted, String(tokens));
  const cutting = await start(t, { ...about, kind: 'ollama' });
  const { status, headers } = await post(cutting, '/v1/chat/completions', chat());
  assert.equal(status, 200);
  assert.equal(reportOf(cutting, headers).windows?.cause, 'too-long');
  assert.ok(cutting.model.asked.every((asked) => asked.tokens <= counted));
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
