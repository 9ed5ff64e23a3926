import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReadRequest } from '../../src/wire/types.ts';
import { dialectOf } from '../../src/wire/dialect.ts';
import { mentionsSluice, readRequest } from '../../src/wire/read.ts';
import { applySplices } from '../../src/wire/splice.ts';

const chatPath = '/v1/chat/completions';
const options = { inspectBytes: 1 << 20, bodyWishes: true };

function read(value: unknown, path = chatPath, bodyWishes = true): ReadRequest {
  const result = readRequest(Buffer.from(JSON.stringify(value)), path, { ...options, bodyWishes });
  assert.ok(result.ok, result.ok ? '' : `${result.reason}: ${result.detail}`);
  return result.request;
}
const parts = (...content: unknown[]): unknown => ({ messages: [{ role: 'user', content }] });

test('paths and their dialects', () => {
  assert.equal(dialectOf(chatPath), 'openai-chat');
  assert.equal(dialectOf('/v1/completions'), 'openai-completions');
  for (const path of ['/v1/models', '/', '', '/v1/chat/completions/x', '__proto__'])
    assert.equal(dialectOf(path), null);
  const result = readRequest(Buffer.from('{}'), '/v1/embeddings', options);
  assert.ok(!result.ok && result.reason === 'not-a-dialect');
});

test('a query does not hide the dialect', () => {
  const result = readRequest(Buffer.from('{"messages":[]}'), `${chatPath}?a=/b`, options);
  assert.ok(result.ok);
});

test('encoded bodies are passed through, identity is no encoding', () => {
  const body = Buffer.from('{"messages":[]}');
  for (const contentEncoding of ['gzip', 'br', 'zstd', 'gzip, br', 'GZIP']) {
    const result = readRequest(body, chatPath, { ...options, contentEncoding });
    assert.ok(!result.ok && result.reason === 'content-encoding');
  }
  for (const contentEncoding of [null, '', 'identity', 'Identity'])
    assert.ok(readRequest(body, chatPath, { ...options, contentEncoding }).ok);
});

test('the limit of inspected bytes is inclusive', () => {
  const body = Buffer.from('{"messages":[]}');
  const limited = (inspectBytes: number) =>
    readRequest(body, chatPath, { ...options, inspectBytes });
  assert.ok(limited(body.length).ok);
  const result = limited(body.length - 1);
  assert.ok(!result.ok && result.reason === 'body-too-large');
});

test('details name the place and never the text', () => {
  const secret = 'correct horse battery staple';
  for (const body of [
    `{"messages":[{"role":"user","content":"${secret}\\ud800"}]}`,
    `{"messages":[{"role":"user","content":"${secret}\n"}]}`,
    `{"messages":[{"role":"user","content":{"${secret}":1}}]}`,
    `{"messages":[],"${secret}":1,"${secret}":2}`,
    `{"messages":[],"sluice":{"${secret}":${'['.repeat(300)}`,
  ]) {
    const result = readRequest(Buffer.from(body), chatPath, options);
    assert.ok(!result.ok);
    assert.doesNotMatch(result.detail, /horse/);
    assert.match(result.detail, /byte \d+|^\/messages\/0\/content /);
  }
});

test('model, stream and messages are read wherever they stand', () => {
  const request = read({
    stream: true,
    messages: [
      { role: 'system', content: 'Be brief.' },
      { content: 'x', role: 'critic' },
      { content: null },
    ],
    model: 'tiny/é',
  });
  assert.equal(request.model, 'tiny/é');
  assert.equal(request.stream, true);
  assert.deepEqual(
    request.messages.map(({ index, role }) => [index, role]),
    [
      [0, 'system'],
      [1, 'critic'],
      [2, null],
    ],
  );
  assert.equal(read({ messages: [], stream: 'true' }).stream, false);
  assert.equal(read({ messages: [] }).model, null);
});

test('message slices are exactly the bytes of the messages', () => {
  const body = Buffer.from('{"messages" : [ {"role":"user","content":"é"} , {"a":{}} ],"x":1}');
  const result = readRequest(body, chatPath, options);
  assert.ok(result.ok);
  assert.deepEqual(
    result.request.messages.map((slice) => body.toString('utf8', slice.byteStart, slice.byteEnd)),
    ['{"role":"user","content":"é"}', '{"a":{}}'],
  );
  const prompt = Buffer.from('{"x":1, "prompt": ["a", "b"] }');
  const completions = readRequest(prompt, '/v1/completions', options);
  assert.ok(completions.ok);
  assert.deepEqual(
    completions.request.messages.map((s) => prompt.toString('utf8', s.byteStart, s.byteEnd)),
    ['["a", "b"]'],
  );
});

test('pointers, roles and pinned tool calls', () => {
  const request = read({
    messages: [
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'image_url', text: 'no' },
          { type: 'text', text: 'yes' },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { function: { name: 'a', arguments: '{}' } },
          { function: { arguments: '[]' } },
        ],
      },
      { role: 'tool', content: 'result' },
      { role: 'assistant', function_call: { arguments: '{"a":1}' } },
      { role: 'function', content: '4' },
    ],
    tools: [{ function: { description: 'A long schema text' } }],
  });
  assert.deepEqual(
    request.spans.map(({ pointer, messageIndex, role, kind, policy }) => [
      pointer,
      messageIndex,
      role,
      kind,
      policy === 'pinned',
    ]),
    [
      ['/messages/0/content', 0, 'developer', 'instruction', true],
      ['/messages/1/content/1/text', 1, 'user', 'question', true],
      ['/messages/2/tool_calls/0/function/arguments', 2, 'assistant', 'tool-call', true],
      ['/messages/2/tool_calls/1/function/arguments', 2, 'assistant', 'tool-call', true],
      ['/messages/3/content', 3, 'tool', 'tool-result', false],
      ['/messages/4/function_call/arguments', 4, 'assistant', 'tool-call', true],
      ['/messages/5/content', 5, 'tool', 'tool-result', false],
    ],
  );
});

test('a user message is read the same when the conversation goes on', () => {
  const first = {
    role: 'user',
    content: `<document>\n${'Rain fell. '.repeat(50)}</document>\n\nWhat fell?`,
  };
  const facts = (messages: unknown[]): unknown[] =>
    read({ messages })
      .spans.filter((span) => span.messageIndex === 0)
      .map(({ start, end, kind, policy, reason }) => [start, end, kind, policy, reason]);
  assert.deepEqual(
    facts([first, { role: 'assistant', content: 'Rain.' }, { role: 'user', content: 'Sure?' }]),
    facts([first]),
  );
});

test('a declared part is one span of the declared kind, policy and rate', () => {
  const declared = (sluice: unknown): unknown => {
    const span = read(parts({ type: 'text', text: 'Some text.', sluice })).spans[0];
    return span && [span.kind, span.policy, span.declaredRate, span.reason];
  };
  for (const [sluice, want] of [
    [{ kind: 'document', rate: 0.3 }, ['document', 'compressible', 0.3, 'declared']],
    [{ kind: 'document', policy: 'pinned' }, ['document', 'pinned', null, 'declared']],
    [{ kind: 'demonstration' }, ['demonstration', 'droppable', null, 'declared']],
    [{ kind: 'question' }, ['question', 'pinned', null, 'declared']],
    [{ kind: 'tool-result' }, ['tool-result', 'compressible', null, 'declared']],
    [{ rate: 1 }, ['document', 'compressible', 1, 'declared']],
    [{ policy: 'pinned' }, ['instruction', 'pinned', null, 'declared']],
    [{ policy: 'droppable', rate: 0.5 }, ['demonstration', 'droppable', 0.5, 'declared']],
    [{ kind: 'document', rate: 2 }, ['document', 'compressible', null, 'declared']],
    [{ kind: 'document', rate: null }, ['document', 'compressible', null, 'declared']],
  ] as const)
    assert.deepEqual(declared(sluice), want, JSON.stringify(sluice));
  for (const sluice of [{}, null, 'document', { kind: 'poem' }, { rate: 0 }, { rate: '0.5' }, []])
    assert.deepEqual(declared(sluice)?.toString(), 'question,pinned,,question');
});

test('without permission a declaration has no power', () => {
  const body = parts({ type: 'text', text: 'Some text.', sluice: { kind: 'document', rate: 0.3 } });
  const request = read(body, chatPath, false);
  assert.equal(request.spans[0]?.reason, 'question');
  assert.equal(request.spans[0]?.declaredRate, null);
  assert.equal(request.removals.length, 1);
});

test('wishes at the top level', () => {
  const sluice = {
    compress: false,
    rate: 0.5,
    target_tokens: 800,
    method: 'llmlingua2',
    session: 's-1',
    unknown: 1,
  };
  const wishes = {
    compress: false,
    rate: 0.5,
    targetTokens: 800,
    method: 'llmlingua2',
    session: 's-1',
  };
  const none = { compress: null, rate: null, targetTokens: null, method: null, session: null };
  assert.deepEqual(read({ messages: [], sluice }).wishes, wishes);
  assert.deepEqual(read({ sluice, prompt: 'a' }, '/v1/completions').wishes, wishes);
  assert.deepEqual(read({ messages: [], sluice }, chatPath, false).wishes, none);
  assert.deepEqual(read({ messages: [] }).wishes, none);
});

test('values that make no sense are ignored and noted by name', () => {
  const request = read({
    ...(parts({ type: 'text', text: 'a', sluice: { kind: 'poem', rate: 0.5 } }) as object),
    sluice: { compress: 'no', rate: 1.5, target_tokens: 1.5, method: '', session: 5 },
  });
  assert.deepEqual(request.wishes, read({ messages: [] }).wishes);
  assert.deepEqual(
    request.notes.map((note) => note.split(' ')[0]),
    [
      '/messages/0/content/0/sluice/kind',
      '/sluice/compress',
      '/sluice/rate',
      '/sluice/target_tokens',
      '/sluice/method',
      '/sluice/session',
    ],
  );
  assert.equal(request.spans[0]?.declaredRate, 0.5);
  assert.deepEqual(read({ messages: [], sluice: 5 }).notes, ['/sluice is not an object; ignored']);
});

test('a body with a sluice field mentions it', () => {
  for (const body of ['{"sluice":{}}', '{"sluice" : 1}', '{"a":[{"sluice":{}}]}'])
    assert.equal(mentionsSluice(Buffer.from(body)), true, body);
  for (const body of ['', '{"messages":[]}', '{"a":"caf\\u00e9 and sluice"}'])
    assert.equal(mentionsSluice(Buffer.from(body)), false, body);
});

test('a field name spelt with escapes is the same name once the body is read', () => {
  const body = Buffer.from('{"messages":[],"\\u0073luice":{"rate":0.5}}');
  const result = readRequest(body, chatPath, options);
  assert.ok(result.ok);
  assert.equal(result.request.wishes.rate, 0.5);
  assert.equal(
    Buffer.from(applySplices(body, result.request.removals)).toString(),
    '{"messages":[]}',
  );
});
