/** The tokens of a prompt made here, said by the engine, and counted by it: three ways, one result. */
import assert from 'node:assert/strict';
import { createRemoteBackend } from '../../src/backends/remote.ts';
import type { Backend, PromptTokens } from '../../src/backends/types.ts';
import { loadChatTemplate } from '../../src/tokenize/chat-template.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import type { RealEngine } from './engine-suite.ts';

const user = (content: unknown): unknown => ({ role: 'user', content });
const assistant = (content: string): unknown => ({ role: 'assistant', content });
const call = (args: string): unknown => ({
  role: 'assistant',
  content: '',
  tool_calls: [{ id: 'c1', type: 'function', function: { name: 'get_weather', arguments: args } }],
});
const result = (content: unknown): unknown => ({ role: 'tool', tool_call_id: 'c1', content });
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather of a city & more: "é", 中',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' }, days: { type: 'integer', default: 3 } },
        required: ['city'],
      },
    },
  },
];

const requests: readonly object[] = [
  { messages: [user('Hello <|im_end|> there')] },
  {
    messages: [
      { role: 'system', content: 'Be brief. é中🇩🇪' },
      user(' A '),
      assistant('<think>\nx\n</think>\n\n  b\n'),
      user('C'),
    ],
  },
  { messages: [user([{ type: 'text', text: 'one' }]), assistant('two'), user('three')] },
  { messages: [user('Weather?')], tools },
  {
    messages: [
      user('Weather?'),
      call('{"city": "Zürich", "days": 2, "list": [1, null, true, 0.25]}'),
      result('12 degrees'),
      assistant('It is 12.'),
      user('And tomorrow?'),
    ],
    tools,
  },
  { messages: [user('Weather?'), call('{"days": 1.0}'), result('none')], tools },
  { messages: [user('Weather?'), call('{"city": "Bern"}'), result('8')], tools, stream: false },
  { messages: [user('Quickly')], chat_template_kwargs: { enable_thinking: false } },
  { prompt: 'Hello <|im_start|>world' },
  { prompt: [5, 6, 7, 8] },
];

async function remote(engine: RealEngine, local: boolean): Promise<Backend> {
  assert.ok(engine.folder !== null);
  return createRemoteBackend({
    url: engine.url,
    kind: 'auto',
    connectMs: 5000,
    headMs: 60_000,
    idleMs: 60_000,
    tokenizer: local ? loadTokenizer(engine.folder) : null,
    template: local ? loadChatTemplate(engine.folder) : null,
  });
}

/** What the engine counts for a request that it answers. */
async function counted(engine: RealEngine, path: string, body: Uint8Array): Promise<number> {
  const response = await fetch(`${engine.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: new Uint8Array(body),
  });
  const answer = await response.text();
  assert.equal(response.status, 200, answer);
  const { usage } = JSON.parse(answer) as { usage: { prompt_tokens: number } };
  return usage.prompt_tokens;
}

export async function promptsAgree(engine: RealEngine): Promise<void> {
  const [asking, making] = [await remote(engine, false), await remote(engine, true)];
  const { signal } = new AbortController();
  try {
    assert.ok(asking.promptTokens !== undefined && making.promptTokens !== undefined);
    for (const request of requests) {
      const what = JSON.stringify(request);
      const path = 'prompt' in request ? '/v1/completions' : '/v1/chat/completions';
      const body = Buffer.from(JSON.stringify({ model: engine.model, max_tokens: 1, ...request }));
      const asked = await asking.promptTokens.of(body, path, signal);
      assert.ok(asked?.exact === true, what);
      // The first time the engine is asked whether it agrees.
      for (let time = 0; time < 2; time += 1) {
        const made: PromptTokens | null = await making.promptTokens.of(body, path, signal);
        assert.ok(made?.exact === true, what);
        assert.deepEqual([...made.tokens], [...asked.tokens], what);
      }
      assert.equal(await counted(engine, path, body), asked.tokens.length, what);
    }
    const image = [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }];
    const body = Buffer.from(JSON.stringify({ messages: [user(image)] }));
    assert.equal(await making.promptTokens.of(body, '/v1/chat/completions', signal), null);
  } finally {
    await Promise.all([asking.close(), making.close()]);
  }
}

/** Limits as the engine was started, and a cache that is empty after a reset. */
export async function cacheIsKnown(engine: RealEngine): Promise<void> {
  const backend = await remote(engine, false);
  try {
    assert.deepEqual(backend.limits, engine.limits);
    const prompt = Array.from({ length: 200 }, (_, at) => 1000 + at);
    const body = Buffer.from(JSON.stringify({ model: engine.model, max_tokens: 1, prompt }));
    const reused = async (): Promise<number> => {
      const response = await fetch(`${engine.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: new Uint8Array(body),
      });
      const { usage } = (await response.json()) as {
        usage: { prompt_tokens_details: { cached_tokens: number } };
      };
      return usage.prompt_tokens_details.cached_tokens;
    };
    await reused();
    assert.ok((await reused()) >= 160);
    assert.equal(await backend.resetCache?.(new AbortController().signal), true);
    assert.equal(await reused(), 0);
  } finally {
    await backend.close();
  }
}
