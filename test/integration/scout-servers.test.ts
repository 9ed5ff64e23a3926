/**
 * The shipped scout weights in other servers: exported as a Hugging Face folder and a GGUF file (training/README.md),
 * they go on a prompt with the same tokens as the embedded engine.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { loadEngine } from '../../src/engine/load.ts';
import type { Engine } from '../../src/engine/types.ts';
import { scoutFolder } from '../../src/sluice.ts';
import { freePort, startEngine, stop } from './processes.ts';

const prompts: readonly string[] = [
  'User: I need a hotel in London for two nights.\nAssistant: There are ten hotels. How about',
  'Question: naïve café, 1234567 €, 你好 — where is it?\nAnswer: It is ',
  'def read(path):\n    with open(path) as f:\n        ',
];

const newTokens = 32;
/** As many tokens must be equal; behind them a rounding difference may have grown into another word. */
const equalTokens = 16;
/** Two tokens whose log probabilities are nearer than this are a tie: half precision decides which comes first. */
const tieNats = 0.01;

interface Continuation {
  readonly promptTokens: number;
  readonly ids: readonly number[];
  readonly text: string;
  /** Per new token: how far its log probability is above the second best. */
  readonly margins: readonly number[];
}

interface Server {
  readonly url: string;
  generate(prompt: string): Promise<Continuation>;
  close(): Promise<void>;
}

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `${url}: ${text}`);
  return JSON.parse(text);
}

const flags = (line: string): string[] => line.split(' ');

async function llamaServer(): Promise<Server | string> {
  const command = process.env['SLUICE_IT_LLAMA_SERVER'] ?? '';
  const model = process.env['SLUICE_IT_SCOUT_GGUF'] ?? '';
  if (!existsSync(command)) return 'SLUICE_IT_LLAMA_SERVER does not name a llama-server binary';
  if (!existsSync(model)) return 'SLUICE_IT_SCOUT_GGUF does not name the GGUF export of scout';
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = await startEngine({
    command,
    args: [
      '-m',
      model,
      ...flags(`--host 127.0.0.1 --port ${port} -c 1024 -np 1 -t 1 -ctk f32 -ctv f32 -fa off`),
    ],
    healthUrl: `${url}/health`,
    timeoutMs: 60_000,
  });
  const generate = async (prompt: string): Promise<Continuation> => {
    const answer = (await post(`${url}/completion`, {
      prompt,
      n_predict: newTokens,
      temperature: 0,
      n_probs: 2,
      return_tokens: true,
      cache_prompt: false,
    })) as {
      content: string;
      tokens: number[];
      tokens_evaluated: number;
      completion_probabilities: { top_logprobs: { logprob: number }[] }[];
    };
    return {
      promptTokens: answer.tokens_evaluated,
      ids: answer.tokens,
      text: answer.content,
      margins: answer.completion_probabilities.map(({ top_logprobs: top }) =>
        marginOf(top.map(({ logprob }) => logprob)),
      ),
    };
  };
  return { url, generate, close: () => stop(child) };
}

async function vllmServer(): Promise<Server | string> {
  const command = process.env['SLUICE_IT_VLLM'] ?? '';
  const model = process.env['SLUICE_IT_SCOUT_HF'] ?? '';
  if (!existsSync(command)) return 'SLUICE_IT_VLLM does not name a vllm command';
  if (!existsSync(model))
    return 'SLUICE_IT_SCOUT_HF does not name the Hugging Face export of scout';
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = await startEngine({
    command,
    args: [
      'serve',
      model,
      ...flags(`--served-model-name scout --host 127.0.0.1 --port ${port} --max-model-len 1024`),
      ...flags('--dtype float32 --enforce-eager --block-size 32'),
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
  const generate = async (prompt: string): Promise<Continuation> => {
    const answer = (await post(`${url}/v1/completions`, {
      model: 'scout',
      prompt,
      max_tokens: newTokens,
      temperature: 0,
      logprobs: 2,
      return_token_ids: true,
    })) as {
      choices: {
        text: string;
        token_ids: number[];
        logprobs: { top_logprobs: Record<string, number>[] };
      }[];
      usage: { prompt_tokens: number };
    };
    const [choice] = answer.choices;
    assert.ok(choice !== undefined);
    return {
      promptTokens: answer.usage.prompt_tokens,
      ids: choice.token_ids,
      text: choice.text,
      margins: choice.logprobs.top_logprobs.map((top) => marginOf(Object.values(top))),
    };
  };
  return { url, generate, close: () => stop(child) };
}

function marginOf(logprobs: readonly number[]): number {
  const [first = 0, second = -Infinity] = [...logprobs].sort((a, b) => b - a);
  return first - second;
}

async function embedded(engine: Engine, prompt: string): Promise<Omit<Continuation, 'margins'>> {
  const promptIds = engine.textIds(prompt);
  const ids = await new Promise<number[]>((resolve, reject) => {
    const made: number[] = [];
    engine.generate(
      { promptIds, maxTokens: newTokens, temperature: 0, topP: 1, seed: 1 },
      {
        onStart: () => {},
        onToken: (id) => made.push(id),
        onEnd: () => resolve(made),
        onError: reject,
      },
    );
  });
  return { promptTokens: promptIds.length, ids, text: engine.tokenizer.decode(ids) };
}

/** Equal for at least `equalTokens`, or up to a tie. */
function compare(
  ours: Omit<Continuation, 'margins'>,
  theirs: Continuation,
  say: (line: string) => void,
): void {
  assert.equal(theirs.promptTokens, ours.promptTokens, 'tokens of the prompt');
  assert.ok(ours.ids.length >= equalTokens, `only ${ours.ids.length} tokens were generated`);
  const parted = ours.ids.findIndex((id, at) => id !== theirs.ids[at]);
  const equal = parted < 0 ? ours.ids.length : parted;
  const margin = theirs.margins[equal] ?? Infinity;
  say(`${ours.promptTokens} prompt tokens; ${equal} of ${ours.ids.length} new tokens equal`);
  if (equal < ours.ids.length) say(`there the best two are ${margin.toFixed(4)} nats apart`);
  if (equal < equalTokens) {
    assert.ok(margin < tieNats, `token ${equal} differs, and it is no tie: ${margin} nats`);
    return;
  }
  if (equal === ours.ids.length) assert.equal(theirs.text, ours.text);
}

const servers = { 'llama.cpp': llamaServer, vLLM: vllmServer };

for (const [name, start] of Object.entries(servers)) {
  test(`${name} goes on with the tokens of the embedded engine`, async (t) => {
    const server = await start();
    if (typeof server === 'string') {
      console.log(`skipped: ${server}`);
      t.skip(server);
      return;
    }
    t.after(() => server.close());
    const engine = await loadEngine({ folder: scoutFolder, threads: 1, queue: 4 });
    t.after(() => engine.close());
    for (const prompt of prompts) {
      await t.test(JSON.stringify(prompt.slice(0, 24)), async (inner) => {
        compare(await embedded(engine, prompt), await server.generate(prompt), (line) =>
          inner.diagnostic(line),
        );
      });
    }
  });
}
