/** The embedded backend: OpenAI bytes in, OpenAI bytes out. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createEmbeddedBackend } from '../../src/backends/embedded.ts';
import { createTextStream } from '../../src/backends/embedded-text.ts';
import type { Backend, ForwardHandle } from '../../src/backends/types.ts';
import type { TextTokenizer } from '../../src/tokenize/types.ts';

const options = {
  folder: 'models/scout',
  threads: 1,
  maxTokens: 16,
  queue: 4,
  maxBodyBytes: 1 << 20,
};

let backend: Backend;
before(async () => {
  backend = await createEmbeddedBackend(options);
});
after(() => backend.close());

interface Answer {
  readonly status: number;
  readonly text: string;
}

function send(method: string, path: string, body: unknown): Promise<Answer> {
  const bytes = typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    let status = 0;
    let text = '';
    let handle: ForwardHandle | null = null;
    handle = backend.forward(
      { method, path, headers: [], body: Buffer.from(bytes) },
      {
        onHead: (code) => void (status = code),
        onData(chunk) {
          text += chunk.toString();
          // Every piece pauses: whoever resumes late loses nothing.
          setImmediate(() => handle?.resume());
          return false;
        },
        onEnd: () => resolve({ status, text }),
        onError: reject,
      },
    );
  });
}

const chat = (extra: object = {}): object => ({
  model: 'scout',
  messages: [{ role: 'user', content: 'The sea is' }],
  max_tokens: 10,
  temperature: 0,
  ...extra,
});

function events(text: string): {
  choices: { delta?: { content?: string }; finish_reason: string | null }[];
  usage?: { completion_tokens: number };
}[] {
  const parts = text.split('\n\n').filter((part) => part !== '');
  assert.equal(parts.at(-1), 'data: [DONE]');
  return parts.slice(0, -1).map((part) => JSON.parse(part.replace(/^data: /, '')));
}

test('chat, whole: text, finish reason, usage with cached tokens', async () => {
  const first = JSON.parse((await send('POST', '/v1/chat/completions', chat())).text);
  const second = JSON.parse((await send('POST', '/v1/chat/completions', chat())).text);
  assert.equal(first.object, 'chat.completion');
  assert.equal(first.choices[0].finish_reason, 'length');
  assert.equal(first.usage.completion_tokens, 10);
  assert.equal(second.usage.prompt_tokens_details.cached_tokens, second.usage.prompt_tokens - 1);
  assert.equal(second.choices[0].message.content, first.choices[0].message.content);
});

test('chat, streamed: the same text in pieces, role first, usage when asked for', async () => {
  const whole = JSON.parse((await send('POST', '/v1/chat/completions', chat())).text);
  const options = { stream: true, stream_options: { include_usage: true } };
  const { text } = await send('POST', '/v1/chat/completions', chat(options));
  const list = events(text);
  assert.deepEqual(list[0]?.choices[0]?.delta, { role: 'assistant', content: '' });
  const streamed = list.map((event) => event.choices[0]?.delta?.content ?? '').join('');
  assert.equal(streamed, whole.choices[0].message.content);
  assert.equal(list.at(-2)?.choices[0]?.finish_reason, 'length');
  assert.equal(list.at(-1)?.usage?.completion_tokens, 10);
});

test('completions take text or token ids', async () => {
  const { tokens } = JSON.parse((await send('POST', '/tokenize', { content: 'The sea is' })).text);
  const request = { model: 'scout', max_tokens: 5, temperature: 0 };
  const byText = JSON.parse(
    (await send('POST', '/v1/completions', { ...request, prompt: 'The sea is' })).text,
  );
  const byIds = JSON.parse(
    (await send('POST', '/v1/completions', { ...request, prompt: tokens })).text,
  );
  assert.equal(byText.choices[0].text, byIds.choices[0].text);
  assert.equal(byText.object, 'text_completion');
});

test('a stop string ends the text before it', async () => {
  const free = JSON.parse(
    (
      await send('POST', '/v1/completions', {
        prompt: 'The sea is',
        max_tokens: 12,
        temperature: 0,
      })
    ).text,
  ).choices[0].text as string;
  const stop = free.slice(4, 9);
  const stopped = JSON.parse(
    (
      await send('POST', '/v1/completions', {
        prompt: 'The sea is',
        max_tokens: 12,
        temperature: 0,
        stop,
      })
    ).text,
  );
  assert.equal(stopped.choices[0].text, free.slice(0, free.indexOf(stop)));
  assert.equal(stopped.choices[0].finish_reason, 'stop');
});

for (const [name, path, body, status, found] of [
  ['not JSON', '/v1/chat/completions', '{', 400, /not JSON/],
  ['messages missing', '/v1/chat/completions', { model: 'scout' }, 400, /messages/],
  [
    'unknown role',
    '/v1/chat/completions',
    { messages: [{ role: 'judge', content: '' }] },
    400,
    /role/,
  ],
  [
    'an image',
    '/v1/chat/completions',
    { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    400,
    /text only/,
  ],
  ['two answers', '/v1/chat/completions', chat({ n: 2 }), 400, /one answer/],
  ['tools', '/v1/chat/completions', chat({ tools: [{}] }), 400, /tools/],
  [
    'too long',
    '/v1/completions',
    { prompt: 'sea '.repeat(9000) },
    400,
    /maximum context length is 8192/,
  ],
  ['id out of range', '/v1/completions', { prompt: [99999999] }, 400, /vocabulary/],
  ['unknown route', '/v1/embeddings', {}, 404, /no POST/],
] as const) {
  test(`${name}: a clear error in the dialect's shape`, async () => {
    const answer = await send('POST', path, body);
    assert.equal(answer.status, status);
    assert.match(JSON.parse(answer.text).error.message, found);
  });
}

test('an abort ends the answer: nothing is called afterwards', async () => {
  const calls: string[] = [];
  await new Promise<void>((resolve) => {
    const handle = backend.forward(
      {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: [],
        body: Buffer.from(JSON.stringify(chat({ stream: true, max_tokens: 400 }))),
      },
      {
        onHead: () => {},
        onData() {
          calls.push('data');
          handle.abort();
          setTimeout(resolve, 50);
          return true;
        },
        onEnd: () => void calls.push('end'),
        onError: () => void calls.push('error'),
      },
    );
  });
  assert.deepEqual(calls, ['data']);
});

test('text is released as whole characters and never runs into a stop string', () => {
  const bytes = [0xe4, 0xbd, 0xa0, 0x41, 0x42, 0x43];
  const tokenizer = {
    decode: (ids: ArrayLike<number>) => Buffer.from(Array.from(ids)).toString('utf8'),
  } as TextTokenizer;
  const stream = createTextStream(tokenizer, ['BCD']);
  assert.deepEqual(
    bytes.map((byte) => stream.push(byte)),
    ['', '', '你', 'A', '', ''],
  );
  assert.equal(stream.flush(), 'BC');
  const stopping = createTextStream(tokenizer, ['ABC']);
  assert.deepEqual(
    [0x78, 0x41, 0x42, 0x43, 0x44].map((byte) => stopping.push(byte)),
    ['x', '', '', '', ''],
  );
  assert.ok(stopping.stopped);
  assert.equal(stopping.flush(), '');
});

test('a chat is the completion of its rendered form', async () => {
  const whole = JSON.parse((await send('POST', '/v1/chat/completions', chat())).text);
  const plain = JSON.parse(
    (
      await send('POST', '/v1/completions', {
        prompt: 'user: The sea is\n\nassistant: ',
        max_tokens: 10,
        temperature: 0,
      })
    ).text,
  );
  assert.equal(whole.usage.prompt_tokens, plain.usage.prompt_tokens);
  assert.equal(whole.choices[0].message.content, plain.choices[0].text);
});

test('a tokenize body that is no JSON is a 400', async () => {
  assert.equal((await send('POST', '/tokenize', '{')).status, 400);
});

test('an engine that has stopped is not ready and says why', async () => {
  const stopped = await createEmbeddedBackend(options);
  assert.equal((await stopped.check(null)).ok, true);
  await stopped.close();
  const check = await stopped.check(null);
  assert.equal(check.ok, false);
  assert.match(check.detail, /closed/);
});

const tasks = '/proc/self/task';
const skip = existsSync(tasks) ? false : 'needs the thread list of Linux';

test('no thread runs before somebody asks whether it is ready', { skip }, async () => {
  const threads = (): number => readdirSync(tasks).length;
  const before = threads();
  const lazy = await createEmbeddedBackend(options);
  assert.ok(threads() <= before, `${threads()} threads, ${before} before`);
  assert.equal((await lazy.check(null)).ok, true);
  assert.ok(threads() > before, `${threads()} threads, ${before} before`);
  await lazy.close();
});

test('a model that cannot be opened: start says so, readiness says so, requests fail', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-engine-'));
  try {
    for (const name of ['manifest.json', 'tokenizer.json', 'tokenizer_config.json']) {
      cpSync(join(options.folder, name), join(folder, name));
    }
    await assert.rejects(createEmbeddedBackend({ ...options, folder }), { code: 'MODEL_INVALID' });
    writeFileSync(join(folder, 'engine.onnx'), 'no graph');
    const broken = await createEmbeddedBackend({ ...options, folder });
    const failed = new Promise<Error>((resolve) => {
      broken.forward(
        {
          method: 'POST',
          path: '/v1/completions',
          headers: [],
          body: Buffer.from('{"model":"m","prompt":"a"}'),
        },
        { onHead: () => {}, onData: () => true, onEnd: () => {}, onError: resolve },
      );
    });
    await assert.rejects(broken.start?.() ?? Promise.resolve(), { code: 'MODEL_INVALID' });
    const check = await broken.check(null);
    assert.equal(check.ok, false);
    assert.match(check.detail, /did not start/);
    assert.match((await failed).message, /did not start/);
    await broken.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
