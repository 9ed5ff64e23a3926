/** Why nothing was compressed, as a client sees it: the reason in `x-sluice-skipped`, the original upstream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRemoteBackend } from '../../src/backends/remote.ts';
import type { Compressor } from '../../src/compress/types.ts';
import { SluiceError, type ErrorCode } from '../../src/core/errors.ts';
import { startFakeUpstream } from '../helpers/fake-upstream.ts';
import { halvingCompressor, longDocument, testGateway } from '../helpers/gateway.ts';
import { serveGateway } from '../helpers/proxy.ts';
import { createModellessGateway } from '../helpers/real-gateway.ts';

const body = JSON.stringify({
  model: 'm',
  messages: [
    { role: 'user', content: `<document>\n${longDocument(1)}\n</document>\n\nWhich came first?` },
  ],
});

function failing(code: ErrorCode): Compressor {
  return {
    ...halvingCompressor(),
    compress: () => Promise.reject(new SluiceError(code, 'told by the test')),
  };
}

async function post(url: string, headers: Record<string, string> = {}): Promise<Headers> {
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
  assert.equal(response.status, 200);
  await response.arrayBuffer();
  return response.headers;
}

const cases: readonly (readonly [ErrorCode, string])[] = [
  ['QUEUE_FULL', 'queue-full'],
  ['METHOD_UNAVAILABLE', 'method-unavailable'],
  ['DEADLINE_EXCEEDED', 'deadline'],
  ['SCORER_FAILED', 'scorer-error'],
];

for (const [code, reason] of cases) {
  test(`${code} of a compressor is ${reason} in the header`, async (t) => {
    const upstream = await startFakeUpstream(t);
    const backend = await createRemoteBackend({
      url: upstream.url,
      kind: 'openai',
      connectMs: 2000,
      headMs: 5000,
      idleMs: 5000,
      tokenizer: null,
    });
    t.after(() => backend.close());
    const gateway = testGateway({ compressor: failing(code), backend });
    const { url } = await serveGateway(t, gateway);
    const headers = await post(url);
    assert.equal(headers.get('x-sluice-decision'), 'failed-open');
    assert.equal(headers.get('x-sluice-skipped'), `${reason};n=1`);
    const forwarded = upstream.requests.at(-1);
    assert.equal(forwarded?.body.toString(), body, 'the original goes out');
  });
}

test('a method whose model is missing is told by the real compressor', async (t) => {
  const upstream = await startFakeUpstream(t);
  const backend = await createRemoteBackend({
    url: upstream.url,
    kind: 'openai',
    connectMs: 2000,
    headMs: 5000,
    idleMs: 5000,
    tokenizer: null,
  });
  t.after(() => backend.close());
  const { url } = await serveGateway(t, createModellessGateway(backend, { method: 'llmlingua2' }));
  const headers = await post(url);
  assert.match(headers.get('x-sluice-skipped') ?? '', /method-unavailable;n=1/);
  assert.equal(upstream.requests.at(-1)?.body.toString(), body);
});
