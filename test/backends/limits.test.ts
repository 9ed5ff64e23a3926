/** What servers tell about their caches, and how those are emptied. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { learnLimits, noLimits } from '../../src/backends/limits.ts';
import { createRemoteBackend } from '../../src/backends/remote.ts';
import { resetCache } from '../../src/backends/reset.ts';
import type { BackendKind, ServerLimits } from '../../src/backends/types.ts';
import { backendKinds } from '../../src/core/backend-kind.ts';
import { startFakeUpstream } from '../helpers/fake-upstream.ts';

const recorded = (name: string): string => readFileSync(`test/fixtures/backends/${name}`, 'utf8');

async function learned(
  kind: BackendKind,
  routes: Readonly<Record<string, string>>,
): Promise<ServerLimits> {
  return learnLimits(kind, (path) => {
    const text = routes[path];
    if (text === undefined)
      return Promise.resolve({ status: 404, server: null, text: '{}', json: {} });
    const json: unknown = text.startsWith('{') ? JSON.parse(text) : undefined;
    return Promise.resolve({ status: 200, server: null, text, json });
  });
}

test('vLLM tells blocks and tokens that fit in its metrics', async () => {
  const metrics = recorded('vllm-metrics.txt');
  const known = { ...noLimits, blockTokens: 32, capacityTokens: 524_288 };
  assert.deepEqual(await learned('vllm', { '/metrics': metrics }), known);
  const older =
    'vllm:cache_config_info{block_size="16",cache_dtype="auto",num_gpu_blocks="100"} 1.0\n';
  assert.deepEqual(await learned('vllm', { '/metrics': older }), {
    ...noLimits,
    blockTokens: 16,
    capacityTokens: 1600,
  });
  const ranks = `${older}vllm:cache_config_info{block_size="16",engine="1",num_gpu_blocks="90"} 1.0\n`;
  assert.equal((await learned('vllm', { '/metrics': ranks })).capacityTokens, 1440);
  const unset = 'vllm:cache_config_info{block_size="None",num_gpu_blocks="0"} 1.0\n';
  assert.deepEqual(await learned('vllm', { '/metrics': unset }), noLimits);
});

test('SGLang tells them with its arguments, under either name of the route', async () => {
  const info = '{"page_size":1,"context_length":32768,"max_total_num_tokens":400000}';
  const known = {
    ...noLimits,
    blockTokens: 1,
    capacityTokens: 400_000,
    contextWindow: 32_768,
  };
  assert.deepEqual(await learned('sglang', { '/server_info': info }), known);
  assert.deepEqual(await learned('sglang', { '/get_server_info': info }), known);
});

test('llama.cpp tells its slots and what each holds', async () => {
  assert.deepEqual(await learned('llamacpp', { '/props': recorded('llamacpp-props.json') }), {
    ...noLimits,
    blockTokens: 1,
    capacityTokens: 8192,
    slots: 2,
    contextWindow: 4096,
  });
});

test('Ollama tells the context of what is loaded, TGI its batch', async () => {
  const loaded =
    '{"models":[{"name":"a","context_length":8192},{"name":"b","context_length":4096}]}';
  assert.deepEqual(await learned('ollama', { '/api/ps': loaded }), {
    ...noLimits,
    contextWindow: 4096,
    modelWindows: new Map([
      ['a', 8192],
      ['b', 4096],
    ]),
  });
  assert.deepEqual(await learned('tgi', { '/info': '{"max_batch_total_tokens":50000}' }), {
    ...noLimits,
    capacityTokens: 50_000,
  });
});

test('what is not told is not known', async () => {
  for (const kind of backendKinds) {
    // No model is loaded yet.
    const modelWindows = kind === 'ollama' ? new Map<string, number>() : null;
    const nothing = { ...noLimits, modelWindows };
    const limits = await learned(kind, {});
    assert.deepEqual({ ...limits, blockTokens: null }, nothing, kind);
    const none = await learnLimits(kind, () => Promise.resolve(null));
    assert.deepEqual({ ...none, blockTokens: null }, nothing, kind);
  }
});

test('a backend has the limits of its server, also when the kind is configured', async (t) => {
  const props = recorded('llamacpp-props.json');
  const upstream = await startFakeUpstream(t, {
    type: 'custom',
    answer(request, response) {
      const body = request.url === '/props' ? props : '{"data":[{"id":"m","owned_by":"llamacpp"}]}';
      response.end(request.url === '/slots/1?action=erase' ? '{"id_slot":1}' : body);
    },
  });
  for (const kind of ['auto', 'llamacpp'] as const) {
    const backend = await createRemoteBackend({
      url: upstream.url,
      kind,
      connectMs: 1000,
      headMs: 1000,
      idleMs: 1000,
      tokenizer: null,
    });
    t.after(() => backend.close());
    assert.deepEqual([backend.limits?.slots, backend.capabilities.contextWindow], [2, 4096]);
    assert.equal(await backend.resetCache?.(new AbortController().signal), true);
  }
  const erased = upstream.requests.filter(({ method }) => method === 'POST').map(({ url }) => url);
  const both = ['/slots/0?action=erase', '/slots/1?action=erase'];
  assert.deepEqual(erased, [...both, ...both]);
});

test('caches are emptied where a server has a route for it', async () => {
  const { signal } = new AbortController();
  const asked: string[] = [];
  const reset = (kind: BackendKind, status = 200): Promise<boolean> =>
    resetCache(
      {
        kind,
        slots: kind === 'llamacpp' ? 2 : null,
        ask: (route) => {
          asked.push(route);
          return status === 0
            ? Promise.reject(new Error('down'))
            : Promise.resolve({ status, json: undefined });
        },
      },
      signal,
    );
  assert.deepEqual(
    [await reset('vllm'), await reset('sglang'), await reset('llamacpp')],
    [true, true, true],
  );
  assert.deepEqual(asked, [
    '/reset_prefix_cache',
    '/flush_cache',
    '/slots/0?action=erase',
    '/slots/1?action=erase',
  ]);
  assert.deepEqual([await reset('vllm', 404), await reset('vllm', 0)], [false, false]);
  assert.deepEqual([await reset('openai'), await reset('ollama')], [false, false]);
});
