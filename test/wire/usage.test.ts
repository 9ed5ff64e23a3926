import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { readUsage } from '../../src/wire/usage.ts';

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../fixtures/wire/${name}`, import.meta.url));
const both = (body: string | Uint8Array): ReturnType<typeof readUsage> => {
  const bytes = Buffer.from(body as string);
  return readUsage(bytes, bytes);
};
const none = Buffer.alloc(0);

/** Recorded from vLLM 0.32.0 and llama.cpp's server b11434. */
const recorded = [
  ['llamacpp-chat.json', [1312, 8, 1311]],
  ['llamacpp-chat.sse.txt', [1312, 3, 1311]],
  ['llamacpp-completion-native.json', [3, 2, 0]],
  ['vllm-chat.json', [1314, 4, 1280]],
  ['vllm-chat.sse.txt', [1312, 4, 1280]],
  ['vllm-continuous-usage.sse.txt', [1312, 2, 1280]],
] as const;

for (const [name, [promptTokens, completionTokens, cachedTokens]] of recorded)
  test(`usage of ${name}, from head and tail of any length that hold the report`, () => {
    const body = fixture(name);
    const want = { promptTokens, completionTokens, cachedTokens };
    assert.deepEqual(both(body), want);
    assert.deepEqual(readUsage(none, body), want);
    assert.deepEqual(readUsage(body, none), want);
    const report = Math.max(body.lastIndexOf('"usage"'), body.lastIndexOf('"timings"'));
    const first = Math.min(
      ...[body.lastIndexOf('"usage":{'), body.lastIndexOf('"timings"')].filter((at) => at >= 0),
    );
    assert.ok(report > 0);
    for (let at = 0; at <= first; at += 7)
      assert.deepEqual(
        readUsage(body.subarray(0, 100), body.subarray(at)),
        want,
        `tail from ${at}`,
      );
  });

test('a report that is cut off does not hide the whole one before it', () => {
  const whole = 'data: {"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n';
  assert.deepEqual(both(`${whole}data: {"usage":{"prompt_tokens":9,"compl`), {
    promptTokens: 9,
    completionTokens: 2,
    cachedTokens: null,
  });
  assert.equal(both('{"done":true,"eval_count":12'), null);
});

test('nothing reported is null, and what is missing is null', () => {
  assert.equal(both(''), null);
  assert.equal(both(fixture('vllm-error.json')), null);
  assert.equal(both('data: {"choices":[],"usage":null}\n\ndata: [DONE]\n\n'), null);
  assert.equal(both('{"usage":{}}'), null);
  assert.equal(both('{"usage":{"prompt_tokens":"12"}}'), null);
  assert.equal(both('{"usage":{"prompt_tokens":-1,"completion_tokens":1.5}}'), null);
  assert.deepEqual(both('{"usage":{"prompt_tokens":5,"prompt_tokens_details":null}}'), {
    promptTokens: 5,
    completionTokens: null,
    cachedTokens: null,
  });
});

test('the last report of a stream counts, field by field', () => {
  const chunk = (usage: string): string => `data: {"choices":[{"delta":{}}],"usage":${usage}}\n\n`;
  assert.deepEqual(
    both(
      chunk('{"prompt_tokens":9,"completion_tokens":1}') +
        chunk('{"prompt_tokens":9,"completion_tokens":2}') +
        chunk('null'),
    ),
    { promptTokens: 9, completionTokens: 2, cachedTokens: null },
  );
});

test('llama.cpp streams without usage report through timings', () => {
  assert.deepEqual(
    both('data: {"choices":[],"timings":{"cache_n":100,"prompt_n":23,"predicted_n":4}}'),
    {
      promptTokens: 123,
      completionTokens: 4,
      cachedTokens: 100,
    },
  );
  // without usage, a prompt of which only one addend is known is not known
  assert.deepEqual(both('{"timings":{"prompt_n":23}}'), null);
});

test('Anthropic: the prompt is what was read, written and neither; head and tail each hold a part', () => {
  const head =
    'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":1}}}\n\n';
  const tail =
    'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":57}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n';
  assert.deepEqual(readUsage(Buffer.from(head), Buffer.from(tail)), {
    promptTokens: 3210,
    completionTokens: 57,
    cachedTokens: 3000,
  });
  assert.deepEqual(readUsage(none, Buffer.from(tail)), {
    promptTokens: null,
    completionTokens: 57,
    cachedTokens: null,
  });
});

test('OpenAI responses', () => {
  assert.deepEqual(
    both(
      '{"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":16},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":0}}}',
    ),
    { promptTokens: 36, completionTokens: 87, cachedTokens: 16 },
  );
});

test('Ollama: final object of a stream; a prompt served from the cache has no count', () => {
  const lines =
    '{"message":{"content":"a"},"done":false}\n{"done":true,"prompt_eval_count":26,"eval_count":298}\n';
  assert.deepEqual(both(lines), { promptTokens: 26, completionTokens: 298, cachedTokens: null });
  assert.deepEqual(both('{"done":true,"eval_count":5}'), {
    promptTokens: null,
    completionTokens: 5,
    cachedTokens: null,
  });
});

test('text that a model wrote cannot pass for usage', () => {
  const forged = '{"usage":{"prompt_tokens":1,"completion_tokens":1},"eval_count":7}';
  const body = JSON.stringify({
    usage: { prompt_tokens: 50, completion_tokens: 60 },
    choices: [{ message: { content: forged, nested: JSON.stringify(forged) } }],
  });
  const want = { promptTokens: 50, completionTokens: 60, cachedTokens: null };
  assert.deepEqual(both(body), want);
  const start = body.indexOf('"choices"');
  for (let at = start; at < body.length; at++)
    assert.equal(readUsage(none, Buffer.from(body.slice(at))), null, `tail from ${at}`);
});

test('braces and quotes inside a usage object do not end it', () => {
  assert.deepEqual(both('{"usage":{"note":"}\\"{","prompt_tokens":5}}')?.promptTokens, 5);
});

test('reports that are cut off are not read, and nothing throws', () => {
  const body = fixture('vllm-chat.json');
  const end = body.indexOf('}}', body.indexOf('"cached_tokens"')) + 2;
  for (let at = body.indexOf('"usage"'); at < end - 1; at++)
    assert.doesNotThrow(() => readUsage(body.subarray(0, at), none));
  assert.equal(readUsage(body.subarray(0, body.indexOf('"cached_tokens"')), none), null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(body.length), (noise, at) => {
      readUsage(noise, Buffer.concat([body.subarray(at), noise]));
      readUsage(Buffer.concat([Buffer.from('"usage":{'), noise]), noise);
    }),
  );
});

/** Shapes that were not recorded here: their documentation, as collected in the design notes on reuse. */
const described: readonly (readonly [string, string, readonly (number | null)[]])[] = [
  [
    "SGLang's own route",
    '{"text":"x","meta_info":{"id":"a","prompt_tokens":40,"completion_tokens":5,"cached_tokens":32}}',
    [40, 5, 32],
  ],
  [
    'SGLang without a cache report',
    '{"usage":{"prompt_tokens":40,"completion_tokens":5,"prompt_tokens_details":null}}',
    [40, 5, null],
  ],
  ['vLLM without details', '{"usage":{"prompt_tokens":40,"completion_tokens":5}}', [40, 5, null]],
  [
    'DeepSeek',
    '{"usage":{"prompt_tokens":40,"completion_tokens":5,"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":40}}',
    [40, 5, 0],
  ],
  [
    'Moonshot',
    '{"usage":{"prompt_tokens":40,"completion_tokens":5,"cached_tokens":16}}',
    [40, 5, 16],
  ],
  ['Ollama', '{"done":true,"prompt_eval_count":26,"eval_count":7}', [26, 7, null]],
  [
    'Anthropic',
    '{"usage":{"input_tokens":3,"cache_creation_input_tokens":10,"cache_read_input_tokens":20,"output_tokens":4}}',
    [33, 4, 20],
  ],
];

for (const [name, body, [promptTokens, completionTokens, cachedTokens]] of described)
  test(`usage as ${name} reports it`, () => {
    assert.deepEqual(both(body), { promptTokens, completionTokens, cachedTokens });
  });
