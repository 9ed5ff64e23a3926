/**
 * Routers in front of two real vLLM replicas: which share of the prompt tokens comes from the replicas' caches, and how
 * evenly requests are split. The arms take turns; caches are emptied before each.
 *
 *   npm run eval:routing -- --replay FILE --corpus FILE [--rounds 2] [--cache-blocks N]
 *
 * `--cache-blocks` bounds each replica's cache in blocks of 32 tokens: with fewer than all conversations fill, one
 * replica cannot hold what two can.
 *
 * `--replay` is a program that replays growing conversations against one URL and prints cached_share as JSON. Needs
 * SLUICE_IT_VLLM, SLUICE_IT_HF and SLUICE_IT_ROUTERS (folder with vllm-router, smg and a python with httpx).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort, startEngine, startSluice, stop } from '../../test/integration/processes.ts';
import { sluiceConfig } from './config.ts';
import { startVllm, type Engine } from './engines.ts';

interface Router {
  readonly name: string;
  /** Header that names the conversation; null = none. */
  readonly header: string | null;
  start(engines: readonly Engine[], folder: string): Promise<{ url: string; child: ChildProcess }>;
}

async function startRouter(
  command: string,
  args: (port: number) => readonly string[],
): Promise<{ url: string; child: ChildProcess }> {
  const port = await freePort();
  const child = await startEngine({
    command,
    args: args(port),
    healthUrl: `http://127.0.0.1:${port}/health`,
    timeoutMs: 120_000,
  });
  return { url: `http://127.0.0.1:${port}`, child };
}

function vllmRouter(policy: string, header: string | null = null): Router {
  return {
    name: `vllm-router ${policy}`,
    header,
    async start(engines, folder) {
      const metrics = await freePort();
      const events = engines.flatMap(({ url, events: feed }) =>
        feed === null
          ? []
          : [
              ['--kv-event-source', `${url}=${feed.endpoint}`],
              ['--kv-event-replay-source', `${url}=${feed.replay}`],
            ].flat(),
      );
      const kv = ['--kv-event-block-size', '32', '--kv-event-model', 'tiny'];
      return await startRouter(join(folder, 'vllm-router'), (port) =>
        [
          ['--host', '127.0.0.1', '--port', String(port), '--policy', policy],
          ['--worker-urls', ...engines.map(({ url }) => url)],
          ['--worker-startup-check-interval', '1', '--prometheus-port', String(metrics)],
          policy === 'kv_aware' ? [...events, ...kv] : [],
        ].flat(),
      );
    },
  };
}

const smg: Router = {
  name: 'smg cache_aware',
  header: null,
  async start(engines, folder) {
    const metrics = await freePort();
    return await startRouter(join(folder, 'smg'), (port) =>
      [
        ['launch', '--host', '127.0.0.1', '--port', String(port), '--policy', 'cache_aware'],
        ['--worker-urls', ...engines.map(({ url }) => url)],
        ['--prometheus-port', String(metrics)],
      ].flat(),
    );
  },
};

const sluice: Router = {
  name: 'sluice',
  header: null,
  start: (engines) => startSluice(['--config', sluiceConfig(engines, 'vllm', 0.5)]),
};

const routers: readonly Router[] = [
  vllmRouter('round_robin'),
  vllmRouter('consistent_hash', 'x-session-id'),
  vllmRouter('cache_aware'),
  vllmRouter('kv_aware'),
  smg,
  sluice,
];

/** Requests that a replica has finished. */
async function finished({ url }: Engine): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return [...text.matchAll(/^vllm:request_success_total\{[^}]*\} ([\d.e+]+)$/gm)].reduce(
    (total, [, count]) => total + Number(count),
    0,
  );
}

/** What Sluice itself counted: modes and miss reasons. */
async function reuseOf(url: string): Promise<object> {
  const stats = (await (await fetch(`${url}/v1/stats`)).json()) as { reuse?: unknown };
  return { reuse: stats.reuse };
}

async function replay(options: {
  readonly python: string;
  readonly program: string;
  readonly args: readonly string[];
}): Promise<Record<string, unknown>> {
  const child = spawn(options.python, [options.program, ...options.args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`${options.program} ended with ${code}`);
  return JSON.parse(text) as Record<string, unknown>;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      replay: { type: 'string', default: '../shared/backends/replay_routing.py' },
      corpus: { type: 'string', default: '../shared/corpus/valid-00.jsonl.xz' },
      conversations: { type: 'string', default: '10' },
      turns: { type: 'string', default: '6' },
      words: { type: 'string', default: '160' },
      concurrency: { type: 'string', default: '6' },
      rounds: { type: 'string', default: '1' },
      'cache-blocks': { type: 'string' },
      only: { type: 'string' },
    },
  });
  const env = (name: string): string => process.env[name] ?? '';
  const [binary, model, folder] = ['SLUICE_IT_VLLM', 'SLUICE_IT_HF', 'SLUICE_IT_ROUTERS'].map(env);
  if (!existsSync(binary ?? '') || !existsSync(model ?? '') || !existsSync(folder ?? '')) {
    process.stdout.write('skipped: SLUICE_IT_VLLM, SLUICE_IT_HF or SLUICE_IT_ROUTERS is not set\n');
    return;
  }
  const cacheBlocks = values['cache-blocks'];
  const engines = await Promise.all(
    [0, 1].map((index) =>
      startVllm({
        binary: binary ?? '',
        model: model ?? '',
        index,
        maxModelLen: 8192,
        cacheBlocks: cacheBlocks === undefined ? null : Number(cacheBlocks),
      }),
    ),
  );
  const arms = routers.filter(({ name }) => values.only === undefined || name === values.only);
  const rows: object[] = [];
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const router of arms) {
        await Promise.all(engines.map((engine) => engine.reset()));
        const before = await Promise.all(engines.map(finished));
        const { url, child } = await router.start(engines, folder ?? '');
        try {
          const result = await replay({
            python: join(folder ?? '', 'python'),
            program: values.replay,
            args: [
              [url, '--tag', router.name, '--corpus', values.corpus, '--seed', String(round + 1)],
              ['--conversations', values.conversations, '--turns', values.turns],
              ['--user-words', values.words, '--concurrency', values.concurrency],
              router.header === null ? [] : ['--session-header', router.header],
            ].flat(),
          });
          const after = await Promise.all(engines.map(finished));
          const split = after.map((count, at) => count - (before[at] ?? 0));
          const reuse = router === sluice ? await reuseOf(url) : {};
          rows.push({ round, ...result, split, ...reuse });
          process.stdout.write(`${JSON.stringify(rows.at(-1))}\n`);
        } finally {
          await stop(child);
        }
      }
    }
  } finally {
    await Promise.all(engines.map((engine) => engine.close()));
  }
  mkdirSync('bench/results', { recursive: true });
  const report = { date: new Date().toISOString().slice(0, 10), ...values, rows };
  const { replay: _, corpus: __, ...kept } = report;
  const size = cacheBlocks === undefined ? '' : `-${cacheBlocks}`;
  writeFileSync(`bench/results/routing-vllm${size}.json`, `${JSON.stringify(kept, null, 1)}\n`);
}

await main();
