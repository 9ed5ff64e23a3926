/** Tokens of prompts: made here or asked of the server, exact only after the server agreed, and never guessed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createPromptTokens } from '../../src/backends/prompt-tokens.ts';
import type { Answer, Ask } from '../../src/backends/questions.ts';
import type { BackendKind, PromptTokens, PromptTokenSource } from '../../src/backends/types.ts';
import { runSteps } from '../../src/core/steps.ts';
import { loadChatTemplate } from '../../src/tokenize/chat-template.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';

const tokenizer = loadTokenizer('test/fixtures/models/tiny-causal');
const encode = (text: string): number[] => {
  assert.ok(tokenizer.prompts !== undefined);
  return [...runSteps(tokenizer.prompts.encodeSteps(text))];
};

const root = mkdtempSync(join(tmpdir(), 'prompt-tokens-'));
after(() => rmSync(root, { recursive: true }));
const source = `{% for tool in tools or [] %}{{ tool | tojson }}
{% endfor %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{% endfor %}{{ m.reasoning_content or '' }}
{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}{% if thinking is defined %}{{ thinking }}{% endif %}`;
writeFileSync(join(root, 'chat_template.jinja'), source);
const template = loadChatTemplate(root);
assert.ok(template !== null);

interface Setting {
  readonly promptTokens: PromptTokenSource;
  readonly asked: { route: string; body: unknown }[];
  of(body: unknown, path?: string): Promise<PromptTokens | null>;
  /** What it answers: tokens of this text. */
  answer(text: string | Answer | null): void;
}

function setUp(
  kind: BackendKind,
  how: { readonly local?: boolean; readonly asks?: boolean; readonly now?: () => Date } = {},
): Setting {
  const { local = true, asks = true } = how;
  const asked: { route: string; body: unknown }[] = [];
  let next: string | Answer | null = null;
  const ask: Ask = (route, body) => {
    asked.push({ route, body: JSON.parse(body) });
    if (next === null) return Promise.reject(new Error('no answer'));
    if (typeof next !== 'string') return Promise.resolve(next);
    const json =
      route === '/apply-template' ? { prompt: next } : { tokens: encode(next), count: 1 };
    return Promise.resolve({ status: 200, json });
  };
  const promptTokens = createPromptTokens({
    kind,
    ask: asks ? ask : null,
    tokenizer: local ? tokenizer : null,
    template: local ? template : null,
    ...(how.now === undefined ? {} : { now: how.now }),
  });
  return {
    promptTokens,
    asked,
    of: (body, path = '/v1/chat/completions') =>
      promptTokens.of(Buffer.from(JSON.stringify(body)), path, new AbortController().signal),
    answer(text) {
      next = text;
    },
  };
}

const user = (content: unknown): unknown => ({ role: 'user', content });
const ids = (result: PromptTokens | null): number[] | undefined =>
  result === null ? undefined : [...result.tokens];

test('what is made here is exact after the server has said the same once', async () => {
  const { of, asked, answer } = setUp('vllm');
  answer('<|user|>one\n<|assistant|>');
  const first = await of({ model: 'm', messages: [user('one')], temperature: 0.5 });
  assert.deepEqual([ids(first), first?.exact], [encode('<|user|>one\n<|assistant|>'), true]);
  assert.deepEqual(asked, [{ route: '/tokenize', body: { model: 'm', messages: [user('one')] } }]);
  const second = await of({ model: 'm', messages: [user('two'), user('three')] });
  const text = '<|user|>two\n<|user|>three\n<|assistant|>';
  assert.deepEqual([ids(second), second?.exact], [encode(text), true]);
  assert.equal(asked.length, 1);
});

test('a request of another shape is checked anew', async () => {
  const { of, asked, answer } = setUp('vllm');
  answer('<|user|>one\n<|assistant|>');
  await of({ messages: [user('one')] });
  const shapes = [
    { messages: [user([{ type: 'text', text: 'one' }])] },
    { messages: [user('one'), { role: 'assistant', content: 'x' }] },
    { messages: [user('one')], tools: [] },
    { messages: [user('one')], model: 'other' },
    { messages: [user('one')], chat_template_kwargs: { thinking: 'x' } },
    { messages: [user('one')], add_generation_prompt: false },
  ];
  for (const [at, shape] of shapes.entries()) {
    await of(shape);
    assert.equal(asked.length, at + 2, JSON.stringify(shape));
  }
});

test('where the server says something else its word counts, every time', async () => {
  const { of, asked, answer } = setUp('vllm');
  answer('something else');
  for (let turn = 1; turn <= 3; turn += 1) {
    const result = await of({ messages: [user('one')] });
    assert.deepEqual([ids(result), result?.exact], [encode('something else'), true]);
    assert.equal(asked.length, turn);
  }
  answer(null);
  assert.equal(await of({ messages: [user('one')] }), null);
});

test('a server that does not answer leaves an estimate, and is left alone for a while', async () => {
  const { of, asked } = setUp('vllm');
  for (let turn = 0; turn < 2; turn += 1) {
    const result = await of({ messages: [user('one')] });
    assert.deepEqual([ids(result), result?.exact], [encode('<|user|>one\n<|assistant|>'), false]);
  }
  assert.equal(asked.length, 1);
});

test('where nobody can be asked the reported usage decides', async () => {
  const { of, promptTokens, asked } = setUp('openai');
  const first = await of({ messages: [user('one')] });
  assert.equal(first?.exact, false);
  promptTokens.confirm(first, first.tokens.length);
  const second = await of({ messages: [user('three')] });
  assert.equal(second?.exact, true);
  promptTokens.confirm(second, second.tokens.length + 1);
  assert.equal(await of({ messages: [user('three')] }), null);
  assert.deepEqual(asked, []);
});

test('forms of tools are tried until one agrees', async () => {
  const tools = [{ type: 'function', function: { name: 'f', strict: true, extra: 1 } }];
  const filled =
    '{"type": "function", "function": {"name": "f", "description": null, "parameters": null, "strict": true}}';
  const plain = '{"type": "function", "function": {"name": "f", "strict": true, "extra": 1}}';
  for (const written of [filled, plain]) {
    const { of, asked, answer } = setUp('vllm');
    answer(`${written}\n<|user|>one\n<|assistant|>`);
    await of({ messages: [user('one')], tools });
    const result = await of({ messages: [user('two')], tools });
    const text = `${written}\n<|user|>two\n<|assistant|>`;
    assert.deepEqual([ids(result), result?.exact], [encode(text), true]);
    assert.equal(asked.length, 1);
  }
});

test('the server is asked with what stands in the request, character by character', async () => {
  let raw = '';
  const promptTokens = createPromptTokens({
    kind: 'vllm',
    ask: (_, body) => {
      raw = body;
      return Promise.resolve({ status: 200, json: { tokens: [1] } });
    },
    tokenizer: null,
    template: null,
  });
  const body =
    '{"stream":true, "messages": [ {"role":"user","content":"k\\u0069m"} ],"tools":[{"type":"function","function":{"name":"f","parameters":{"2":1.0,"1":1e3}}}], "reasoning_effort":"low","chat_template_kwargs":{"a": 1.50}}';
  const { signal } = new AbortController();
  await promptTokens.of(Buffer.from(body), '/v1/chat/completions', signal);
  assert.equal(
    raw,
    '{"messages":[ {"role":"user","content":"k\\u0069m"} ],"tools":[{"type":"function","function":{"name":"f","parameters":{"2":1.0,"1":1e3}}}],"chat_template_kwargs":{"a": 1.50,"reasoning_effort":"low","enable_thinking":true}}',
  );
});

const call = (args: string): unknown => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: args } }],
});

test('numbers and keys that JavaScript writes in another way are left to the server', async () => {
  for (const args of ['{"a":1.0}', '{"a":1e5}', '{"1":2}', '{"a":12345678901234567890}', '{"a"']) {
    const { of } = setUp('openai');
    assert.equal(await of({ messages: [user('x'), call(args)] }), null, args);
  }
  const { of } = setUp('openai');
  const result = await of({ messages: [user('x'), call('{"b":[1,2.5],"a":{"c":null}}')] });
  const text = '<|user|>x\n<|assistant|>{"b": [1, 2.5], "a": {"c": null}}\n<|assistant|>';
  assert.deepEqual(ids(result), encode(text));
});

test('what is not text alone, or not one prompt, is not known', async () => {
  const { of, asked, answer } = setUp('vllm');
  answer('x');
  const image = [{ type: 'image_url', image_url: { url: 'data:' } }];
  const bodies: [unknown, string?][] = [
    [{ messages: [user(image)] }],
    [{ messages: [user(['text'])] }],
    [{ messages: [user(5)] }],
    [{ messages: [user('\ud800')] }],
    [{ messages: [] }],
    [{ messages: 'x' }],
    [{ messages: [user('x')], functions: [{}] }],
    [{ messages: [user('x')], truncate_prompt_tokens: 5 }],
    [{ messages: [user('x')] }, '/v1/messages'],
    [{ prompt: ['a', 'b'] }, '/v1/completions'],
    [{ prompt: [[1], [2]] }, '/v1/completions'],
    [{ prompt: 'x', suffix: 'y' }, '/v1/completions'],
    [[1], '/v1/completions'],
  ];
  for (const [body, path] of bodies) assert.equal(await of(body, path), null, JSON.stringify(body));
  const twice = Buffer.from('{"prompt":"a","prompt":"b"}');
  const { signal } = new AbortController();
  assert.equal(await setUp('vllm').promptTokens.of(twice, '/v1/completions', signal), null);
  assert.deepEqual(asked, []);
});

test('prompts of completions: text, one of a list, and ids', async () => {
  const { of, asked, answer } = setUp('vllm', { local: false });
  answer('hello');
  const path = '/v1/completions';
  assert.deepEqual(
    ids(await of({ prompt: 'hello', add_special_tokens: false }, path)),
    encode('hello'),
  );
  assert.deepEqual(ids(await of({ prompt: ['hello'] }, path)), encode('hello'));
  assert.deepEqual(
    asked.map(({ body }) => body),
    [{ add_special_tokens: false, prompt: 'hello' }, { prompt: 'hello' }],
  );
  for (const prompt of [[5, 6], [[5, 6]]]) {
    const result = await of({ prompt }, path);
    assert.deepEqual([ids(result), result?.exact], [[5, 6], true]);
  }
  assert.equal(asked.length, 2);
});

test('llama.cpp renders, then tokenizes', async () => {
  const { of, asked, answer } = setUp('llamacpp');
  answer('<|user|>one\n<|assistant|>');
  const body = { messages: [user('one')], stream: true, cache_prompt: true };
  assert.equal((await of(body))?.exact, true);
  assert.deepEqual(asked, [
    { route: '/apply-template', body },
    {
      route: '/tokenize',
      body: { content: '<|user|>one\n<|assistant|>', add_special: true, parse_special: true },
    },
  ]);
  await of({ messages: [user('two')] });
  assert.equal(asked.length, 2);
  // How it renders tools is its own affair.
  await of({ messages: [user('two')], tools: [] });
  await of({ messages: [user('two')], tools: [] });
  assert.equal(asked.length, 6);
});

test('a server that refuses the question is not asked again; one request that fails says nothing', async () => {
  const { of, asked, answer } = setUp('vllm', { local: false });
  answer({ status: 400, json: {} });
  assert.equal(await of({ messages: [user('x')] }), null);
  answer({ status: 404, json: { error: { message: 'no such model' } } });
  assert.equal(await of({ messages: [user('x')] }), null);
  answer({ status: 401, json: {} });
  assert.equal(await of({ messages: [user('x')] }), null);
  assert.equal(asked.length, 3);
  answer('fine');
  assert.equal(await of({ messages: [user('x')] }), null);
  assert.equal(asked.length, 3);
});

test('a server whose count is not what it said is not called exact', async () => {
  const { of, promptTokens, answer } = setUp('vllm', { local: false });
  answer('abc');
  const first = await of({ messages: [user('x')] });
  assert.equal(first?.exact, true);
  promptTokens.confirm(first, first.tokens.length + 3);
  assert.equal((await of({ messages: [user('x')] }))?.exact, false);
});

test('a dated prompt is checked again every half hour', async () => {
  writeFileSync(
    join(root, 'chat_template.jinja'),
    '{{ strftime_now("%d %b") }} {{ messages[0].content }}',
  );
  const dated = loadChatTemplate(root, () => new Date(2026, 4, 1, 12));
  let now = Date.UTC(2026, 4, 1, 12);
  let questions = 0;
  const promptTokens = createPromptTokens({
    kind: 'vllm',
    ask: () => {
      questions += 1;
      return Promise.resolve({ status: 200, json: { tokens: encode('01 May x') } });
    },
    tokenizer,
    template: dated,
    now: () => new Date(now),
  });
  const body = Buffer.from(JSON.stringify({ messages: [user('x')] }));
  const { signal } = new AbortController();
  for (const [minutes, expected] of [
    [0, 1],
    [10, 1],
    [25, 2],
    [3, 2],
  ] as const) {
    now += minutes * 60_000;
    const result = await promptTokens.of(body, '/v1/chat/completions', signal);
    assert.deepEqual([ids(result), result?.exact], [encode('01 May x'), true]);
    assert.equal(questions, expected);
  }
});

test('an aborted request ends without a result', async () => {
  const { promptTokens } = setUp('vllm', { local: false });
  const body = Buffer.from(JSON.stringify({ messages: [user('x')] }));
  assert.equal(await promptTokens.of(body, '/v1/chat/completions', AbortSignal.abort()), null);
});

test('a long prompt leaves the event loop its turns', async () => {
  const { of } = setUp('openai');
  const words = Array.from({ length: 60_000 }, (_, at) => `word${at}`).join(' ');
  let turns = 0;
  let working = true;
  const count = (): void => {
    turns += 1;
    if (working) setImmediate(count);
  };
  setImmediate(count);
  const result = await of({ messages: [user(words)] });
  working = false;
  assert.ok((result?.tokens.length ?? 0) > 60_000);
  assert.ok(turns > 5, `${turns} turns`);
});
