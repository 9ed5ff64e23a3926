import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { withTools } from './chat-template.ts';
import { engineSuite } from './engine-suite.ts';
import { freePort, startEngine, stop } from './processes.ts';

engineSuite('llama.cpp', async () => {
  const binary = process.env['SLUICE_IT_LLAMA_SERVER'] ?? '';
  const model = process.env['SLUICE_IT_GGUF'] ?? '';
  if (!existsSync(binary)) return 'SLUICE_IT_LLAMA_SERVER does not name a llama-server binary';
  if (!existsSync(model)) return 'SLUICE_IT_GGUF does not name a GGUF file';
  const hf = process.env['SLUICE_IT_HF'] ?? '';
  const templated = existsSync(hf) ? withTools(hf) : null;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = await startEngine({
    command: binary,
    args: [
      '-m',
      model,
      '--alias',
      'tiny',
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '-c',
      '8192',
      '-np',
      '2',
      '--no-kv-unified',
      '--slots',
      '--metrics',
      '--props',
      '-t',
      '1',
      // Prompts beside those in the slots would outlive a reset.
      '--cache-ram',
      '0',
      '--slot-save-path',
      tmpdir(),
      ...(templated === null ? [] : ['--jinja', '--chat-template-file', templated.templateFile]),
    ],
    healthUrl: `${url}/health`,
    timeoutMs: 60_000,
  });
  return {
    name: 'llama.cpp',
    url,
    model: 'tiny',
    kind: 'llamacpp',
    folder: templated?.folder ?? null,
    limits: {
      blockTokens: 1,
      capacityTokens: 8192,
      slots: 2,
      contextWindow: 4096,
      modelWindows: null,
    },
    async close() {
      await stop(child);
      templated?.remove();
    },
  };
});
