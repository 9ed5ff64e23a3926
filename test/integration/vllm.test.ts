import { existsSync } from 'node:fs';
import { engineSuite } from './engine-suite.ts';
import { freePort, startEngine, stop } from './processes.ts';

engineSuite('vLLM', async () => {
  const binary = process.env['SLUICE_IT_VLLM'] ?? '';
  const model = process.env['SLUICE_IT_HF'] ?? '';
  if (!existsSync(binary)) return 'SLUICE_IT_VLLM does not name a vllm command';
  if (!existsSync(model)) return 'SLUICE_IT_HF does not name a Hugging Face model folder';
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = await startEngine({
    command: binary,
    args: [
      'serve',
      model,
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
    ],
    env: {
      VLLM_CPU_KVCACHE_SPACE: '1',
      HF_HUB_OFFLINE: '1',
      VLLM_NO_USAGE_STATS: '1',
      VLLM_CPU_OMP_THREADS_BIND: '0',
    },
    healthUrl: `${url}/health`,
    timeoutMs: 600_000,
  });
  return { name: 'vLLM', url, model: 'tiny', kind: 'vllm', close: () => stop(child) };
});
