/** Compression comes first: how much is left of a text that does not fit, and what windows make of the rest. */
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

test('a few short examples stay whatever the text beside them loses; many are left out', async (t) => {
  const proxy = await start(t, {
    window: 5000,
    config: { compress: { method: 'extractive', rate: 0.3, min_tokens: 20, when: 'always' } },
  });
  const text = Array.from({ length: 4 }, () => documents.join(' ')).join('\n');
  const last = `Meeting: ${text}\nQuestion: ${question}\nAnswer:`;
  const short = ['roof', 'road']
    .map((what) => `Meeting: We want a ${what}.\nQuestion: What?\nAnswer: A ${what}.\n\n`)
    .join('');
  const sent = async (examples: string): Promise<string> => {
    const done = await post(proxy, '/v1/completions', completion({ prompt: `${examples}${last}` }));
    assert.equal(done.status, 200, done.text);
    return proxy.model.asked.at(-1)!.text;
  };
  const few = await sent(short);
  assert.ok(few.startsWith(short), few.slice(0, 200));
  assert.ok(few.length < 0.5 * (short.length + last.length), `${few.length}`);
  const many = Array.from({ length: 12 }, (_, at) => worked(at)).join('');
  const left = (await sent(many)).split('What did they buy?').length - 1;
  assert.ok(left < 12, `${left} of 12 examples`);
});

test('what a client declared is read in windows after its declaration was taken out', async (t) => {
  const proxy = await start(t, { config: { windows: { strategy: 'select' } } });
  const declared = documents.map((text) => ({
    type: 'text',
    text,
    sluice: { kind: 'document' },
  }));
  const parts = [...declared, { type: 'text', text: question }];
  const body = chat({ messages: [{ role: 'user', content: parts }] });
  for (const compress of ['on', 'off']) {
    const wishes = { 'x-sluice-compress': compress, 'x-sluice-windows': 'auto' };
    const done = await post(proxy, '/v1/chat/completions', body, wishes);
    assert.equal(done.status, 200, done.text);
    const report = reportOf(proxy, done.headers);
    assert.ok((report.windows?.windows.length ?? 0) >= 2, JSON.stringify(report.skipped));
    const places = report.windows!.windows.flatMap((window) => window.places);
    for (const [at, text] of documents.entries()) {
      const own = places.filter(({ pointer }) => pointer === `/messages/0/content/${at}/text`);
      const read = own.reduce((sum, place) => sum + place.end - place.start, 0);
      assert.ok(read >= text.length, `document ${at}: ${read} of ${text.length}`);
    }
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
