/** Routes that only compress are counted too, each under its own label. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longDocument, testGateway } from '../helpers/gateway.ts';
import { serveGateway } from '../helpers/proxy.ts';

interface Stats {
  readonly requests: number;
  readonly by_route: Readonly<Record<string, number>>;
  readonly tokens_before: number;
  readonly tokens_after: number;
  readonly tokens_estimated: number;
}

async function post(url: string, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(response.status, 200, path);
  return response.json();
}

async function stats(url: string): Promise<Stats> {
  return (await (await fetch(`${url}/v1/stats`)).json()) as Stats;
}

const messages = [
  { role: 'user', content: `<document>\n${longDocument(1)}\n</document>\n\nWhich came first?` },
];

test('both forms of /v1/compress, /compact and compressPrompt show in /v1/stats', async (t) => {
  const { url } = await serveGateway(t, testGateway({}));
  await post(url, '/v1/compress', { text: longDocument(2) });
  const first = await stats(url);
  assert.deepEqual(first.by_route, { compress: 1 });
  assert.ok(first.tokens_after < first.tokens_before);
  assert.equal(first.tokens_estimated, first.tokens_before);
  await post(url, '/v1/compress', { messages });
  await post(url, '/compact', { messages });
  const value = { compression_ranges: [{ min_tokens: 1, max_tokens: 100_000, value: 0.5 }] };
  await post(url, '/llm/v1/compressPrompt', { text: longDocument(3), ...value });
  const all = await stats(url);
  assert.deepEqual(all.by_route, { compress: 2, compact: 1, 'compress-prompt': 1 });
  assert.equal(all.requests, 4);
});

test('a prompt outside the ranges is counted once, with nothing saved', async (t) => {
  const { url } = await serveGateway(t, testGateway({}));
  await post(url, '/llm/v1/compressPrompt', {
    text: longDocument(4),
    compression_ranges: [{ min_tokens: 1, max_tokens: 2, value: 0.5 }],
  });
  const totals = await stats(url);
  assert.deepEqual(totals.by_route, { 'compress-prompt': 1 });
  assert.ok(totals.tokens_before > 0);
  assert.equal(totals.tokens_after, totals.tokens_before);
});

test('numbers of /v1/compress are the server’s where it counts', async (t) => {
  const countTokens = async (texts: readonly string[]): Promise<number[]> =>
    texts.map((text) => text.length);
  const { url } = await serveGateway(t, testGateway({ countTokens }));
  const answer = (await post(url, '/v1/compress', { messages })) as {
    tokens_before: number;
    tokens_after: number;
    messages: { content: string }[];
    report: { estimated: boolean };
  };
  assert.equal(answer.report.estimated, false);
  assert.equal(answer.tokens_before, messages[0]?.content.length);
  assert.equal(answer.tokens_after, answer.messages[0]?.content.length);
});
