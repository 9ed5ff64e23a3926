/** Where reported numbers come from: the backend's own counts when it has them, else estimates that say so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CountTokens } from '../../src/backends/types.ts';
import { SluiceError } from '../../src/core/errors.ts';
import type { Gateway } from '../../src/gateway/types.ts';
import { createObserver } from '../../src/observe/observer.ts';
import type { Observer } from '../../src/observe/types.ts';
import { input, longDocument, testGateway } from '../helpers/gateway.ts';

/** A server whose tokens are the characters of a text. */
function characterServer(): { count: CountTokens; asked: string[]; models: (string | null)[] } {
  const asked: string[] = [];
  const models: (string | null)[] = [];
  const count: CountTokens = async (texts, { model }) => {
    asked.push(...texts);
    models.push(model);
    await new Promise((resolve) => setImmediate(resolve));
    return texts.map((text) => text.length);
  };
  return { count, asked, models };
}

const question = 'Which station opened first?';
const body = (seed: number): object => ({
  model: 'm',
  messages: [
    { role: 'user', content: `<document>\n${longDocument(seed)}\n</document>\n\n${question}` },
  ],
});
const done = { status: 200, usage: null, error: null };

/** Characters of all message texts in a body. */
function charsOf(bytes: Uint8Array): number {
  const { messages } = JSON.parse(Buffer.from(bytes).toString());
  return messages.reduce(
    (sum: number, { content }: { content: string }) => sum + content.length,
    0,
  );
}

async function settled(gateway: Gateway, request: object, tenant = ''): Promise<string> {
  const { id } = await gateway.prepare(input(request, {}, tenant));
  gateway.settle(id, done);
  return id;
}

test('a report is estimated until the server has counted, then exact in every span and sum', async () => {
  const server = characterServer();
  const gateway = testGateway({ countTokens: server.count });
  const request = input(body(1));
  const prepared = await gateway.prepare(request);
  assert.equal(server.asked.length, 0, 'nobody counts before the answer');
  gateway.settle(prepared.id, done);
  assert.equal(gateway.report(prepared.id, '')?.estimated, true);
  const report = await gateway.countedReport(prepared.id, '');
  assert.equal(report?.estimated, false);
  assert.equal(report.tokenizer, 'fake:0/tokenize');
  assert.equal(report.tokensBefore, charsOf(request.body));
  assert.equal(report.tokensAfter, charsOf(prepared.body));
  for (const span of report.spans) assert.equal(span.tokensBefore, span.end - span.start);
  assert.deepEqual([...new Set(server.models)], ['m']);
});

test('totals and metrics have the exact numbers, once', async () => {
  const server = characterServer();
  const observer = createObserver({ level: 'silent' });
  const gateway = testGateway({ countTokens: server.count, observer });
  const id = await settled(gateway, body(2));
  assert.equal(gateway.totals('').requests, 1);
  assert.equal(gateway.totals('').tokensBefore, 0, 'not known yet');
  const report = await gateway.countedReport(id, '');
  const totals = gateway.totals('');
  assert.equal(totals.tokensBefore, report?.tokensBefore);
  assert.equal(totals.tokensAfter, report?.tokensAfter);
  assert.equal(totals.tokensEstimated, 0);
  const metrics = await observer.metricsText();
  const line = `sluice_tokens_before_total{route="inference",counted="exact"} ${report?.tokensBefore}`;
  assert.ok(metrics.split('\n').includes(line), metrics);
  assert.doesNotMatch(metrics, /counted="estimated"/);
});

test('the headers of a request whose texts were all counted before are exact', async () => {
  const server = characterServer();
  const gateway = testGateway({ countTokens: server.count });
  const before = (headers: readonly string[]): string | undefined =>
    headers[headers.indexOf('x-sluice-tokens-before') + 1];
  const request = input(body(3));
  const first = await gateway.prepare(request);
  gateway.settle(first.id, done);
  await gateway.countedReport(first.id, '');
  const asked = server.asked.length;
  const second = await gateway.prepare(request);
  assert.notEqual(before(first.responseHeaders), String(charsOf(request.body)));
  assert.equal(before(second.responseHeaders), String(charsOf(request.body)));
  assert.equal(gateway.report(second.id, '')?.estimated, false);
  gateway.settle(second.id, done);
  assert.equal(server.asked.length, asked, 'nothing is asked twice');
});

test('the forwarded bytes do not depend on whether the server counts', async () => {
  const counting = testGateway({ countTokens: characterServer().count });
  const not = testGateway({});
  for (let round = 0; round < 2; round += 1) {
    const one = await counting.prepare(input(body(4)));
    counting.settle(one.id, done);
    await counting.countedReport(one.id, '');
    const other = await not.prepare(input(body(4)));
    assert.deepEqual(one.body, other.body);
  }
});

test('what cannot be counted stays estimated, in report and totals', async () => {
  const failing: CountTokens = async (texts) => texts.map((_, at) => (at === 0 ? null : 1));
  const gateway = testGateway({ countTokens: failing });
  const id = await settled(gateway, body(5));
  const report = await gateway.countedReport(id, '');
  assert.equal(report?.estimated, true);
  assert.equal(report.tokenizer, 'fake@1');
  const totals = gateway.totals('');
  assert.equal(totals.tokensBefore, report.tokensBefore);
  assert.equal(totals.tokensEstimated, report.tokensBefore);
});

test('a server that failed the request is not asked to count for it', async () => {
  const server = characterServer();
  const gateway = testGateway({ countTokens: server.count });
  const { id } = await gateway.prepare(input(body(6)));
  gateway.settle(id, { ...done, status: 503 });
  const report = await gateway.countedReport(id, '');
  assert.equal(report?.estimated, true);
  assert.equal(server.asked.length, 0);
  assert.equal(gateway.totals('').tokensBefore, report.tokensBefore);
});

test('the same text is asked for once by requests at the same time', async () => {
  const server = characterServer();
  const gateway = testGateway({ countTokens: server.count });
  const ids = await Promise.all([1, 2, 3].map(() => settled(gateway, body(7))));
  for (const id of ids) assert.equal((await gateway.countedReport(id, ''))?.estimated, false);
  assert.equal(server.asked.length, new Set(server.asked).size);
});

test('the texts of a report are one question, so that others get their turn between them', async () => {
  const server = characterServer();
  const gateway = testGateway({ countTokens: server.count });
  await gateway.countedReport(await settled(gateway, body(11)), '');
  assert.ok(server.asked.length > 1, 'several texts');
  assert.equal(server.models.length, 1);
});

test('many reports that are counted at once are no leak of listeners', async (t) => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const reports = 12;
  let waiting = 0;
  const hanging: CountTokens = (texts, { signal }) =>
    new Promise((resolve) => {
      waiting += 1;
      signal.addEventListener('abort', () => resolve(texts.map(() => null)));
    });
  const gateway = testGateway({ countTokens: hanging });
  const seeds = Array.from({ length: reports }, (_, at) => 20 + at);
  const ids = await Promise.all(seeds.map((seed) => settled(gateway, body(seed))));
  const counted = Promise.all(ids.map((id) => gateway.countedReport(id, '')));
  while (waiting < reports) await new Promise((resolve) => setImmediate(resolve));
  await gateway.close();
  await counted;
  // Warnings come a turn later.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings, []);
});

test('closing ends counting without a defect', async () => {
  const observer = createObserver({ level: 'silent' });
  const hanging: CountTokens = (texts, { signal }) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(texts.map(() => null)));
    });
  const gateway = testGateway({ countTokens: hanging, observer });
  const id = await settled(gateway, body(8));
  const counted = gateway.countedReport(id, '');
  await gateway.close();
  assert.equal((await counted)?.estimated, true);
});

test('compressText reports exact numbers and says that its budget was met by estimate', async () => {
  const server = characterServer();
  const gateway = testGateway({ countTokens: server.count });
  const context = [longDocument(9), longDocument(10)];
  const { report, context: shorter } = await gateway.compressText({ context, targetTokens: 50 });
  assert.equal(report.estimated, false);
  assert.equal(report.tokensBefore, context.join('').length);
  assert.equal(report.tokensAfter, shorter.join('').length);
  assert.equal(report.segments[1]?.tokensAfter, shorter[1]?.length);
  const hanging: CountTokens = () => new Promise(() => {});
  const slow = await testGateway({ countTokens: hanging }).compressText({ context });
  assert.equal(slow.report.estimated, true);
});

test('texts are counted by the server when it counts, else by the local tokenizer', async () => {
  const exact = await testGateway({ countTokens: characterServer().count }).countTexts(['one two']);
  assert.deepEqual(exact, { counts: [7], tokenizer: 'fake:0/tokenize', estimated: false });
  const local = await testGateway({}).countTexts(['one two']);
  assert.deepEqual(local, { counts: [2], tokenizer: 'fake@1', estimated: true });
  await assert.rejects(
    testGateway({ config: { limits: { compress_chars: 1000 } } }).countTexts(['x'.repeat(2000)]),
    (error) => SluiceError.isInstance(error) && error.code === 'BODY_TOO_LARGE',
  );
});

/** Requests by label set, from the metrics. */
async function requestLines(observer: Observer): Promise<string[]> {
  const text = await observer.metricsText();
  return text.split('\n').filter((line) => line.startsWith('sluice_requests_total{'));
}

test('calls of the library and of own routes are counted under their own label', async () => {
  const observer = createObserver({ level: 'silent' });
  const gateway = testGateway({ observer });
  await gateway.compressText({ context: [longDocument(11)] });
  await gateway.compressText({ context: [longDocument(11)], route: 'compress' });
  await assert.rejects(gateway.compressText({ context: ['a'], rate: 2, route: 'compress' }));
  const { id } = await gateway.prepare({ ...input(body(12), {}, 'default'), route: 'compact' });
  gateway.settle(id, done);
  const totals = gateway.totals('default');
  assert.deepEqual(totals.byRoute, { library: 1, compress: 2, compact: 1 });
  assert.equal(totals.requests, 4);
  const lines = await requestLines(observer);
  const line = (dialect: string, decision: string, route: string): string =>
    `sluice_requests_total{dialect="${dialect}",decision="${decision}",backend="fake:0",route="${route}"} 1`;
  for (const wanted of [
    line('text', 'compressed', 'library'),
    line('text', 'compressed', 'compress'),
    line('text', 'bypassed', 'compress'),
    line('openai-chat', 'compressed', 'compact'),
  ])
    assert.ok(lines.includes(wanted), `${wanted}\n${lines.join('\n')}`);
  assert.match(await observer.metricsText(), /^sluice_errors_total\{code="REQUEST_INVALID"\} 1$/m);
});
