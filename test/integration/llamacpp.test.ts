import { existsSync } from 'node:fs';
import { engineSuite } from './engine-suite.ts';
import { freePort, startEngine, stop } from './processes.ts';

engineSuite('llama.cpp', async () => {
  const binary = process.env['SLUICE_IT_LLAMA_SERVER'] ?? '';
  const model = process.env['SLUICE_IT_GGUF'] ?? '';
  if (!existsSync(binary)) return 'SLUICE_IT_LLAMA_SERVER does not name a llama-server binary';
  if (!existsSync(model)) return 'SLUICE_IT_GGUF does not name a GGUF file';
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
    ],
    healthUrl: `${url}/health`,
    timeoutMs: 60_000,
  });
  return { name: 'llama.cpp', url, model: 'tiny', kind: 'llamacpp', close: () => stop(child) };
});
