import { existsSync } from 'node:fs';
import { withTools } from './chat-template.ts';
import { engineSuite } from './engine-suite.ts';
import { freePort, startEngine, stop } from './processes.ts';

engineSuite('vLLM', async () => {
  const binary = process.env['SLUICE_IT_VLLM'] ?? '';
  const model = process.env['SLUICE_IT_HF'] ?? '';
  if (!existsSync(binary)) return 'SLUICE_IT_VLLM does not name a vllm command';
  if (!existsSync(model)) return 'SLUICE_IT_HF does not name a Hugging Face model folder';
  const { folder, remove } = withTools(model);
  const port = await freePort();
  const [events, replay] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const child = await startEngine({
    command: binary,
    args: [
      'serve',
      folder,
      '--served-model-name',
      'tiny',
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--max-model-len',
      '4096',
      '--enforce-eager',
      '--enable-prefix-caching',
      '--enable-prompt-tokens-details',
      '--block-size',
      '32',
      '--prefix-caching-hash-algo',
      'sha256_cbor',
      '--enable-auto-tool-choice',
      '--tool-call-parser',
      'hermes',
      '--kv-events-config',
      JSON.stringify({
        enable_kv_cache_events: true,
        publisher: 'zmq',
        endpoint: `tcp://*:${events}`,
        replay_endpoint: `tcp://*:${replay}`,
      }),
    ],
    env: {
      VLLM_CPU_KVCACHE_SPACE: '1',
      VLLM_SERVER_DEV_MODE: '1',
      HF_HUB_OFFLINE: '1',
      VLLM_NO_USAGE_STATS: '1',
      VLLM_CPU_OMP_THREADS_BIND: '0',
    },
    healthUrl: `${url}/health`,
    timeoutMs: 600_000,
  });
  return {
    name: 'vLLM',
    url,
    model: 'tiny',
    kind: 'vllm',
    folder,
    limits: {
      blockTokens: 32,
      capacityTokens: 524_288,
      slots: null,
      contextWindow: 4096,
      modelWindows: null,
    },
    events: {
      endpoint: `tcp://127.0.0.1:${events}`,
      replayEndpoint: `tcp://127.0.0.1:${replay}`,
    },
    async close() {
      await stop(child);
      remove();
    },
  };
});
