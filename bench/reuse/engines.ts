/** Real engines for the reuse measurements, and what Sluice needs to know of them. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startEngine, stop } from '../../test/integration/processes.ts';

export interface Engine {
  readonly url: string;
  readonly blockTokens: number;
  /** ZMQ endpoints of its KV events and of their replay; null = it has none. */
  readonly events: { readonly endpoint: string; readonly replay: string } | null;
  /** Empties its prefix cache. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

async function post(url: string, body: object | null = null): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body === null ? null : JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
}

/** vLLM on CPU with KV events; replica `index` is bound to core `index`. */
export async function startVllm(options: {
  readonly binary: string;
  readonly model: string;
  readonly index: number;
  readonly maxModelLen: number;
  /** Blocks of KV; null or left out = as many as 1 GB holds. */
  readonly cacheBlocks?: number | null;
}): Promise<Engine> {
  const [port, events, replay] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const blockTokens = 32;
  const feed = {
    enable_kv_cache_events: true,
    publisher: 'zmq',
    endpoint: `tcp://*:${events}`,
    replay_endpoint: `tcp://*:${replay}`,
    topic: 'kv',
  };
  const child = await startEngine({
    command: options.binary,
    args: [
      ['serve', options.model, '--served-model-name', 'tiny', '--host', '127.0.0.1'],
      ['--port', String(port), '--max-model-len', String(options.maxModelLen)],
      ['--enforce-eager', '--enable-prefix-caching', '--enable-prompt-tokens-details'],
      ['--enable-scale-out', '--block-size', String(blockTokens)],
      ['--prefix-caching-hash-algo', 'sha256_cbor'],
      ['--kv-events-config', JSON.stringify(feed)],
      options.cacheBlocks == null ? [] : ['--num-gpu-blocks-override', String(options.cacheBlocks)],
    ].flat(),
    env: {
      VLLM_CPU_KVCACHE_SPACE: '1',
      VLLM_SERVER_DEV_MODE: '1',
      HF_HUB_OFFLINE: '1',
      VLLM_NO_USAGE_STATS: '1',
      VLLM_CPU_OMP_THREADS_BIND: String(options.index),
      // The model's weights are random: a longer window costs it nothing.
      VLLM_ALLOW_LONG_MAX_MODEL_LEN: '1',
    },
    healthUrl: `${url}/health`,
    timeoutMs: 600_000,
  });
  return {
    url,
    blockTokens,
    events: { endpoint: `tcp://127.0.0.1:${events}`, replay: `tcp://127.0.0.1:${replay}` },
    async reset() {
      await post(`${url}/reset_prefix_cache`);
      // An idle engine tells of it with its next step: a prompt too short to be cached.
      await post(`${url}/v1/completions`, { model: 'tiny', prompt: 'a', max_tokens: 1 });
    },
    close: () => stop(child),
  };
}

/** llama.cpp's server with `slots` slots over one KV cache. */
export async function startLlama(options: {
  readonly binary: string;
  readonly model: string;
  readonly slots: number;
  readonly contextTokens: number;
}): Promise<Engine> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const saved = mkdtempSync(join(tmpdir(), 'sluice-slots-'));
  const child = await startEngine({
    command: options.binary,
    args: [
      ['-m', options.model, '--port', String(port), '--no-webui', '--jinja'],
      ['-np', String(options.slots), '-c', String(options.contextTokens * options.slots)],
      ['--threads', '2', '--swa-full', '--slot-save-path', `${saved}/`],
    ].flat(),
    healthUrl: `${url}/health`,
    timeoutMs: 120_000,
  });
  return {
    url,
    blockTokens: 1,
    events: null,
    async reset() {
      for (let slot = 0; slot < options.slots; slot++) {
        await post(`${url}/slots/${slot}?action=erase`);
      }
    },
    close: () => stop(child),
  };
}
