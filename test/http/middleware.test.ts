/** `compressPrompt` in a real Express application, before and after a body parser. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import express, { type Express, type Request } from 'express';
import {
  compressPrompt,
  type CompressPromptOptions,
  type ParsedBodyRequest,
  type RawBodyRequest,
} from '../../src/http/middleware.ts';
import {
  createFakeGateway,
  type FakeGateway,
  type FakeGatewayOptions,
} from '../helpers/fake-gateway.ts';
import { send } from '../helpers/raw-client.ts';

const noBackend = {} as FakeGatewayOptions['backend'];

async function serve(t: TestContext, app: Express): Promise<string> {
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function gatewayWith(prepare?: FakeGatewayOptions['prepare']): FakeGateway {
  return createFakeGateway({
    backend: noBackend,
    inspectBytes: 100_000,
    ...(prepare === undefined ? {} : { prepare }),
  });
}

const shorten: FakeGatewayOptions['prepare'] = async ({ body }) =>
  Buffer.from(Buffer.from(body).toString().replace('a long text', 'text'));

function appWith(
  gateway: FakeGateway,
  parser: ReturnType<typeof express.json> | null,
  options: Partial<CompressPromptOptions> = {},
): Express {
  const app = express();
  app.use('/v1', express.json({ type: () => false }));
  if (parser !== null) app.use(parser);
  app.use('/v1', compressPrompt({ sluice: { gateway }, ...options }));
  app.use((request: Request, response) => {
    const seen = request as unknown as RawBodyRequest;
    response.json({
      raw: Buffer.isBuffer(seen.body),
      body: Buffer.isBuffer(seen.body) ? seen.body.toString() : (seen.body ?? null),
      length: request.headers['content-length'] ?? null,
      decision: seen.sluice?.decision ?? null,
    });
  });
  return app;
}

const path = '/v1/chat/completions';
const exact =
  '{"b":1.0, "messages":[{"role":"user","content":"a long text"}],"n":12345678901234567890}';

test('before a parser: raw bytes, nothing else changed, length set', async (t) => {
  const gateway = gatewayWith(shorten);
  const url = await serve(t, appWith(gateway, null, { rate: 0.5 }));
  const answer = await send({
    url,
    path,
    body: exact,
    headers: { 'content-type': 'application/json' },
  });
  const want = exact.replace('a long text', 'text');
  assert.deepEqual(JSON.parse(answer.body.toString()), {
    raw: true,
    body: want,
    length: String(want.length),
    decision: 'compressed',
  });
  assert.equal(answer.headers['x-sluice-decision'], 'compressed');
  assert.deepEqual(gateway.prepared[0]?.wishes, { rate: 0.5 });
  assert.equal(gateway.prepared[0]?.path, path);
  const [outcome] = gateway.settled.values();
  assert.deepEqual(outcome, { status: 200, usage: null, error: null });
});

test('after a parser: a new object, and the caller may go on with it', async (t) => {
  const gateway = gatewayWith(shorten);
  const url = await serve(t, appWith(gateway, express.json()));
  const body = '{"messages":[{"role":"user","content":"a long text"}]}';
  const answer = await send({ url, path, body, headers: { 'content-type': 'application/json' } });
  const seen = JSON.parse(answer.body.toString());
  assert.equal(seen.raw, false);
  assert.deepEqual(seen.body, { messages: [{ role: 'user', content: 'text' }] });
  assert.equal(seen.length, String(body.length - 'a long '.length));
});

test('a client asks for less only, and other routes pass untouched', async (t) => {
  const gateway = gatewayWith();
  const url = await serve(t, appWith(gateway, null, { rate: 0.5, method: 'llmlingua2' }));
  for (const rate of ['0.2', '0.8']) {
    await send({ url, path, body: '{}', headers: { 'x-sluice-rate': rate } });
  }
  assert.deepEqual(
    gateway.prepared.map(({ wishes }) => wishes),
    [
      { rate: 0.5, method: 'llmlingua2' },
      { rate: 0.8, method: 'llmlingua2' },
    ],
  );
  const other = await send({ url, path: '/v1/embeddings', body: 'raw' });
  assert.equal(JSON.parse(other.body.toString()).decision, null);
  const custom = await serve(t, appWith(gateway, null, { path }));
  await send({ url: custom, path: '/v1/ask', body: '{}' });
  assert.equal(gateway.prepared.length, 3);
});

test('bodies above the limit: announced pass unread, chunked are refused', async (t) => {
  const gateway = gatewayWith();
  const url = await serve(t, appWith(gateway, null));
  const body = Buffer.alloc(150_000, ' ');
  const announced = await send({ url, path, body, headers: { 'content-length': '150000' } });
  assert.deepEqual(JSON.parse(announced.body.toString()).body, null);
  const chunked = await send({ url, path, body, headers: { 'transfer-encoding': 'chunked' } });
  assert.equal(chunked.status, 413);
});

test('failures go to the error handler', async (t) => {
  const gateway = gatewayWith(() => Promise.reject(new Error('scorer is gone')));
  const app = appWith(gateway, null);
  app.use(
    (error: Error, _request: Request, response: express.Response, _next: express.NextFunction) =>
      void response.status(503).json({ message: error.message }),
  );
  const url = await serve(t, app);
  const answer = await send({ url, path, body: '{}' });
  assert.equal(answer.status, 503);
  assert.deepEqual(JSON.parse(answer.body.toString()), { message: 'scorer is gone' });
});

// The two forms as types: bytes before a parser, an object after one.
test('types', () => {
  const raw = (request: RawBodyRequest): number => request.body.byteLength;
  const parsed = (request: ParsedBodyRequest): unknown => request.body['messages'];
  // @ts-expect-error an object has no bytes
  const wrong = (request: ParsedBodyRequest): number => request.body.byteLength * 2;
  assert.equal(typeof raw, typeof parsed);
  assert.equal(typeof wrong, 'function');
});
