/** A GGUF file in this process gives what llama.cpp's server gives for it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import { loadGguf } from '../../src/engine/gguf/load.ts';
import type { LlamaLibrary } from '../../src/engine/gguf/library.ts';
import { freePort, startEngine, stop } from './processes.ts';

const env = (name: string): string => process.env[name] ?? '';
const [library, gguf, server] = [
  'SLUICE_IT_NODE_LLAMA_CPP',
  'SLUICE_IT_GGUF',
  'SLUICE_IT_LLAMA_SERVER',
].map(env) as [string, string, string];
const missing = [library, gguf, server].some((path) => !existsSync(path));
const tokens = 24;

test(
  'greedy tokens of a GGUF file in this process are those of its server',
  {
    skip:
      missing && 'SLUICE_IT_NODE_LLAMA_CPP, SLUICE_IT_GGUF or SLUICE_IT_LLAMA_SERVER is not set',
  },
  async () => {
    const engine = await loadGguf({
      file: gguf,
      threads: 2,
      queue: 2,
      library: () => import(pathToFileURL(library).href) as Promise<LlamaLibrary>,
    });
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const child = await startEngine({
      command: server,
      args: ['-m', gguf, '--port', String(port), '--no-webui', '-c', '2048', '--threads', '2'],
      healthUrl: `${url}/health`,
      timeoutMs: 60_000,
    });
    try {
      const promptIds = engine.textIds('The council met on Tuesday to talk about the new bridge.');
      const made: number[] = [];
      await new Promise<void>((resolve, reject) => {
        engine.generate(
          { promptIds, maxTokens: tokens, temperature: 0, topP: 1, seed: 1 },
          {
            onStart: () => {},
            onToken: (id) => made.push(id),
            onEnd: () => resolve(),
            onError: reject,
          },
        );
      });
      const response = await fetch(`${url}/completion`, {
        method: 'POST',
        body: JSON.stringify({
          prompt: Array.from(promptIds),
          n_predict: tokens,
          temperature: 0,
          return_tokens: true,
        }),
      });
      const answer = (await response.json()) as { tokens: number[] };
      assert.equal(made.length, tokens);
      assert.deepEqual(made, answer.tokens);
    } finally {
      await stop(child);
      await engine.close();
    }
  },
);
