import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLengthRefusal } from '../../src/backends/length-refusal.ts';

const read = (status: number, body: unknown) =>
  readLengthRefusal(status, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
const message = (text: string) => ({ error: { message: text } });

const refusals: readonly (readonly [
  string,
  unknown,
  { limit: number | null; prompt: number | null },
])[] = [
  [
    'llama.cpp',
    { error: { code: 400, type: 'exceed_context_size_error', n_prompt_tokens: 5000, n_ctx: 4096 } },
    { limit: 4096, prompt: 5000 },
  ],
  [
    'llama.cpp, words only',
    message(
      'request (1700 tokens) exceeds the available context size (1024 tokens), try increasing it',
    ),
    { limit: 1024, prompt: 1700 },
  ],
  [
    'vLLM 0.32',
    message(
      "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, which exceeds this limit even without any output tokens.",
    ),
    { limit: 4096, prompt: 4097 },
  ],
  [
    'OpenAI',
    {
      error: {
        message:
          "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        code: 'context_length_exceeded',
      },
    },
    { limit: 8192, prompt: 9001 },
  ],
  [
    'SGLang',
    message("The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
    { limit: 4096, prompt: 5000 },
  ],
  [
    'Anthropic',
    message('prompt is too long: 210000 tokens > 200000 maximum'),
    { limit: 200_000, prompt: 210_000 },
  ],
  [
    'TGI',
    { error: 'Input validation error: `inputs` must have less than 1024 tokens. Given: 1500' },
    { limit: 1024, prompt: 1500 },
  ],
  ['a name alone', { error: { code: 'context_length_exceeded' } }, { limit: null, prompt: null }],
];

test('refusals of a length, in the words of each server', () => {
  for (const [name, body, want] of refusals) assert.deepEqual(read(400, body), want, name);
});

test('other errors are none, whatever they look like', () => {
  const other = message('Invalid value for temperature');
  for (const [status, body] of [
    [400, other],
    [400, 'not JSON'],
    [400, ''],
    [500, refusals[0]?.[1]],
    [200, refusals[0]?.[1]],
  ] as const)
    assert.equal(read(status, body), null);
});
