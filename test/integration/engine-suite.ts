/** What every real engine behind Sluice must show; one scripted run. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import OpenAI from 'openai';
import type { KvEventFeedOptions } from '../../src/backends/kv-event-feed.ts';
import type { ServerLimits } from '../../src/backends/types.ts';
import { documents, question } from '../../examples/documents.ts';
import { eventsArrive } from './kv-events.ts';
import { cacheIsKnown, promptsAgree } from './prompt-tokens.ts';
import { startRecorder, type Recorder } from './recorder.ts';
import { runPython, startSluice, stop } from './processes.ts';
import { windowsShare } from './windows.ts';

export interface RealEngine {
  readonly name: string;
  readonly url: string;
  readonly model: string;
  /** Value of `x-sluice-backend` without the address. */
  readonly kind: string;
  /** Folder of its tokenizer and chat template; null = not at hand. */
  readonly folder: string | null;
  /** What it was started with. */
  readonly limits: ServerLimits;
  /** Where it publishes KV events. */
  readonly events?: KvEventFeedOptions;
  close(): Promise<void>;
}

/** The last request for text: what Sluice asks the engine's tokenizer stands between them. */
function lastChat(recorder: Recorder): Recorder['requests'][number] | undefined {
  return recorder.requests.findLast(({ url }) => url === '/v1/chat/completions');
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Documents and a question, above the length at which compression starts and below the engine's window. */
function ragMessages(): { role: 'user'; content: string }[] {
  const blocks = documents.map((text) => `<document>\n${text}\n</document>`).join('\n');
  return [{ role: 'user', content: `${blocks}\n\n${question}` }];
}

/** @param start starts the engine, or says why it cannot run here */
export function engineSuite(name: string, start: () => Promise<RealEngine | string>): void {
  test(`${name} behind Sluice`, async (t) => {
    const engine = await start();
    if (typeof engine === 'string') {
      console.log(`skipped: ${engine}`);
      t.skip(engine);
      return;
    }
    // One by one, so that what was started ends even when the next thing does not start.
    t.after(() => engine.close());
    const recorder = await startRecorder(engine.url);
    t.after(() => recorder.close());
    const sluice = await startSluice(['--upstream', recorder.url]);
    t.after(() => stop(sluice.child));
    const client = new OpenAI({ baseURL: `${sluice.url}/v1`, apiKey: 'none', maxRetries: 0 });
    await t.test('chat, whole and streamed', () => chat(client, engine));
    await t.test('completions, whole and streamed', () => completions(client, engine));
    await t.test('off: the upstream receives what it would receive directly', () =>
      sameAsDirect({ engine, recorder, sluice: sluice.url }),
    );
    await t.test('on: fewer prompt tokens, question untouched, usage read', () =>
      compressed({ engine, recorder, sluice: sluice.url }),
    );
    await t.test("reported counts are the engine's own", () =>
      countedByEngine({ engine, recorder, sluice: sluice.url }),
    );
    await t.test(
      'prompt tokens: made here, said by the engine and counted by it',
      async (inner) => {
        if (engine.folder === null) inner.skip('SLUICE_IT_HF does not name the model folder');
        else await promptsAgree(engine);
      },
    );
    await t.test('the cache has the limits that the engine tells, and can be emptied', () =>
      cacheIsKnown(engine),
    );
    if (engine.events !== undefined)
      await t.test('KV events arrive live and again', () => eventsArrive(engine));
    await t.test('windows share their beginning in the cache, and answer what is refused', () =>
      windowsShare(engine),
    );
    await t.test('abort closes the upstream stream within 50 ms', () =>
      aborted({ engine, recorder, sluice: sluice.url }),
    );
    await t.test("the engine's errors pass unchanged", () =>
      errors({ engine, recorder, sluice: sluice.url }),
    );
    await t.test('the backend was recognised', async () => {
      const response = await fetch(`${sluice.url}/v1/models`);
      assert.equal(response.status, 200);
      const backend = response.headers.get('x-sluice-backend') ?? '';
      assert.ok(backend.startsWith(engine.kind), `${backend} is not ${engine.kind}`);
    });
    await t.test('the Python client of OpenAI', async (inner) => {
      const python = process.env['SLUICE_IT_PYTHON'];
      if (python === undefined) {
        inner.skip('SLUICE_IT_PYTHON does not name a Python with the openai package');
        return;
      }
      await runPython(python, [`${sluice.url}/v1`, engine.model]);
    });
  });
}

interface Setting {
  readonly engine: RealEngine;
  readonly recorder: Recorder;
  readonly sluice: string;
}

async function chat(client: OpenAI, engine: RealEngine): Promise<void> {
  const request = {
    model: engine.model,
    messages: [{ role: 'user' as const, content: 'The sea is' }],
    max_tokens: 12,
    temperature: 0,
  };
  const whole = await client.chat.completions.create(request);
  let streamed = '';
  const stream = await client.chat.completions.create({ ...request, stream: true });
  for await (const part of stream) streamed += part.choices[0]?.delta.content ?? '';
  assert.equal(streamed, whole.choices[0]?.message.content ?? '');
}

async function completions(client: OpenAI, engine: RealEngine): Promise<void> {
  const request = { model: engine.model, prompt: 'The sea is', max_tokens: 12, temperature: 0 };
  const whole = await client.completions.create(request);
  let streamed = '';
  const stream = await client.completions.create({ ...request, stream: true });
  for await (const part of stream) streamed += part.choices[0]?.text ?? '';
  assert.equal(streamed, whole.choices[0]?.text);
}

/** A body with every oddity that re-serialising would lose. */
function oddBody(engine: RealEngine): string {
  const messages = JSON.stringify(ragMessages()).replace('kilometres', 'k\\u0069lometres');
  return `{ "temperature": 0.0,\n "model":"${engine.model}" ,"max_tokens":4, "seed" : 12, "unknown_field":{"n":1.0,"e":1e-7},\t"messages":${messages}}`;
}

async function post(
  url: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

async function sameAsDirect({ engine, recorder, sluice }: Setting): Promise<void> {
  const body = oddBody(engine);
  await (await post(recorder.url, body)).arrayBuffer();
  const direct = lastChat(recorder);
  const response = await post(sluice, body, { 'x-sluice-compress': 'off' });
  assert.equal(response.status, 200);
  await response.arrayBuffer();
  const through = lastChat(recorder);
  assert.ok(direct !== undefined && through !== undefined && direct !== through);
  assert.equal(sha256(through.body), sha256(direct.body));
  assert.equal(through.url, direct.url);
  assert.deepEqual(through.headers, direct.headers);
}

async function compressed({ engine, recorder, sluice }: Setting): Promise<void> {
  const body = oddBody(engine);
  const direct = (await (await post(recorder.url, body)).json()) as {
    usage: { prompt_tokens: number };
  };
  const response = await post(sluice, body);
  const through = (await response.json()) as { usage: { prompt_tokens: number } };
  assert.equal(response.headers.get('x-sluice-decision'), 'compressed');
  assert.ok(
    through.usage.prompt_tokens < direct.usage.prompt_tokens * 0.7,
    JSON.stringify([through.usage, direct.usage]),
  );
  const forwarded = lastChat(recorder)?.body.toString() ?? '';
  assert.ok(forwarded.includes(question));
  assert.ok(forwarded.startsWith(`{ "temperature": 0.0,\n "model":"${engine.model}" ,`));
  const id = response.headers.get('x-sluice-request-id') ?? '';
  const report = (await (await fetch(`${sluice}/v1/requests/${id}`)).json()) as {
    usage: { prompt_tokens: number } | null;
  };
  assert.equal(report.usage?.prompt_tokens, through.usage.prompt_tokens);
}

interface ReportedSpan {
  readonly start: number;
  readonly end: number;
  readonly method: string | null;
  readonly tokens_before: number;
  readonly tokens_after: number;
}
interface Reported {
  readonly estimated: boolean;
  readonly tokenizer: string;
  readonly tokens_before: number;
  readonly tokens_after: number;
  readonly spans: readonly ReportedSpan[];
}

/** Tokens of a text, asked of the engine itself; both names of the text are sent, each engine reads its own. */
async function tokensOf(engine: RealEngine, text: string): Promise<number> {
  const response = await fetch(`${engine.url}/tokenize`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      prompt: text,
      content: text,
      add_special: false,
      add_special_tokens: false,
    }),
  });
  const { tokens } = (await response.json()) as { tokens: number[] };
  return tokens.length;
}

/** The report of a request once the engine has counted it. */
async function countedReport(sluice: string, id: string): Promise<Reported> {
  for (let tries = 0; tries < 50; tries += 1) {
    const report = (await (await fetch(`${sluice}/v1/requests/${id}`)).json()) as Reported;
    if (!report.estimated) return report;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the report is still estimated after 5 s');
}

/** What each span became, found between the spans that went out as they came. */
function forwardedTexts(spans: readonly ReportedSpan[], original: string, sent: string): string[] {
  let at = 0;
  return spans.map((span, index) => {
    const next = spans[index + 1];
    let end = at + span.end - span.start;
    if (span.method !== null) {
      assert.ok(next?.method !== undefined ? next.method === null : true, 'two neighbours changed');
      end =
        next === undefined ? sent.length : sent.indexOf(original.slice(next.start, next.end), at);
    }
    const text = sent.slice(at, end);
    at = end;
    return text;
  });
}

async function countedByEngine({ engine, recorder, sluice }: Setting): Promise<void> {
  const messages = ragMessages();
  const original = messages[0]?.content ?? '';
  const body = JSON.stringify({ model: engine.model, messages, max_tokens: 4 });
  const response = await post(sluice, body);
  await response.arrayBuffer();
  const forwarded: { messages: { content: string }[] } = JSON.parse(
    lastChat(recorder)?.body.toString() ?? '',
  );
  const sent = forwarded.messages[0]?.content ?? '';
  assert.ok(sent.length < original.length);
  const id = response.headers.get('x-sluice-request-id') ?? '';
  const report = await countedReport(sluice, id);
  assert.match(report.tokenizer, /\/tokenize$/);
  const after = forwardedTexts(report.spans, original, sent);
  assert.equal(after.join(''), sent);
  let before = 0;
  let left = 0;
  for (const [at, span] of report.spans.entries()) {
    assert.equal(span.tokens_before, await tokensOf(engine, original.slice(span.start, span.end)));
    assert.equal(span.tokens_after, await tokensOf(engine, after[at] ?? ''));
    before += span.tokens_before;
    left += span.tokens_after;
  }
  assert.deepEqual([report.tokens_before, report.tokens_after], [before, left]);
  const again = await post(sluice, body);
  await again.arrayBuffer();
  assert.equal(again.headers.get('x-sluice-tokens-before'), String(before));
  assert.equal(again.headers.get('x-sluice-tokens-after'), String(left));
  const compressed = await fetch(`${sluice}/v1/compress`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ context: documents }),
  });
  const { report: texts } = (await compressed.json()) as { report: Reported };
  assert.equal(texts.estimated, false);
  const counts = await Promise.all(documents.map((text) => tokensOf(engine, text)));
  assert.equal(
    texts.tokens_before,
    counts.reduce((sum, count) => sum + count, 0),
  );
}

/** Resolves with undefined after so many milliseconds, and holds nothing up. */
function late(milliseconds: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), milliseconds).unref();
  });
}

/**
 * The best of a few: a tiny model on few cores answers in bursts, so that the whole answer may have arrived with its
 * first chunk, and then nothing is left to close.
 */
async function aborted(setting: Setting): Promise<void> {
  const times: number[] = [];
  for (let attempt = 0; attempt < 5 && !times.some((ms) => ms <= 50); attempt += 1) {
    times.push(await abortOnce(setting));
  }
  assert.ok(Math.min(...times) <= 50, `closed after ${times.join(', ')} ms`);
}

/** Milliseconds until the upstream's connection was seen to close; Infinity when it was not. */
async function abortOnce({ engine, recorder, sluice }: Setting): Promise<number> {
  const controller = new AbortController();
  const body = JSON.stringify({
    model: engine.model,
    messages: [{ role: 'user', content: 'Count up for a long time.' }],
    max_tokens: 1500,
    stream: true,
    ignore_eos: true,
  });
  const response = await fetch(`${sluice}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: controller.signal,
  });
  await response.body?.getReader().read();
  const recorded = lastChat(recorder);
  const left = performance.now();
  controller.abort();
  const closed = await Promise.race([recorded?.closedAt, late(5000)]);
  return closed === undefined ? Infinity : closed - left;
}

async function errors({ engine, recorder, sluice }: Setting): Promise<void> {
  const bodies = [
    JSON.stringify({ model: engine.model, messages: 'not a list' }),
    JSON.stringify({
      model: engine.model,
      messages: [{ role: 'user', content: 'word '.repeat(9000) }],
      max_tokens: 4,
    }),
  ];
  for (const body of bodies) {
    const direct = await post(recorder.url, body);
    const through = await post(sluice, body);
    assert.ok(direct.status >= 400, `status ${direct.status}`);
    assert.equal(through.status, direct.status);
    assert.equal(await through.text(), await direct.text());
  }
}
