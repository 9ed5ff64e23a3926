/**
 * Do the flags of extension plans start real servers, and is refused what a plan says is refused? Every case starts its
 * own server; a served case must answer a prompt longer than the model was made for.
 *
 *   SLUICE_IT_VLLM=... SLUICE_IT_HF=... SLUICE_IT_LLAMA_SERVER=... SLUICE_IT_GGUF=... SLUICE_IT_PYTHON=...
 *     npm run eval:extension-flags
 *
 * The model is made for 4,096 tokens. What has no path is skipped and said so. Words after -- choose cases by the
 * beginning of "server: name"; the others keep their results. Writes bench/results/extension-flags.json.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { PlanServer } from '../../src/core/backend-kind.ts';
import { planExtension, type SchemePlan, type ServerPlan } from '../../src/extension.ts';
import { freePort, startEngine, stop } from '../../test/integration/processes.ts';

type Outcome = 'serves' | 'refuses-start' | 'refuses-prompt';

interface Case {
  readonly server: 'vllm' | 'llamacpp';
  readonly name: string;
  /** In the plan, or what the plan warns of. */
  readonly from: 'plan' | 'warning';
  readonly arguments: readonly string[];
  readonly expected: Outcome;
  /** Divisors of the frequencies that are written into a copy of the model file first. */
  readonly divisors?: readonly number[];
}

interface Result extends Case {
  readonly found: Outcome;
  readonly ok: boolean;
  readonly promptTokens: number | null;
  /** What the server said when it refused. */
  readonly reason: string | null;
  readonly seconds: number;
}

const targetLength = 8192;
const promptLength = 6000;
const schemes: readonly string[] = ['linear', 'ntk-static', 'dynamic', 'yarn', 'llama3'];
const file = 'bench/results/extension-flags.json';

/** Token ids without any special one. */
const prompt = Array.from({ length: promptLength }, (_, i) => 300 + ((i * 37) % 4000));

function planned(
  config: unknown,
  server: PlanServer,
): readonly (readonly [SchemePlan, ServerPlan])[] {
  return planExtension({ config, length: targetLength, server }).schemes.flatMap((scheme) => {
    const [plan] = scheme.servers;
    return plan !== undefined && schemes.includes(scheme.type) ? [[scheme, plan] as const] : [];
  });
}

function casesOf(config: unknown, server: 'vllm' | 'llamacpp'): readonly Case[] {
  const served = planned(config, server).flatMap(([scheme, plan]): readonly Case[] => {
    const one = {
      server,
      name: scheme.type,
      from: 'plan',
      arguments: plan.arguments,
      expected: 'serves',
    } as const;
    if (plan.verdict === 'runs') return [one];
    return plan.verdict === 'needs-file' ? [{ ...one, divisors: divisorsOf(config, scheme) }] : [];
  });
  return [...served, ...(server === 'vllm' ? vllmWarnings : llamaWarnings)];
}

/** What a conversion of the model would write into its file. */
function divisorsOf(config: unknown, { inverseFrequencies }: SchemePlan): readonly number[] {
  const [plain] = planExtension({ config, length: 1 }).schemes;
  return inverseFrequencies.map((theta, i) => (plain?.inverseFrequencies[i] ?? NaN) / theta);
}

function warning(
  server: 'vllm' | 'llamacpp',
  name: string,
  words: readonly string[],
  expected: Outcome,
): Case {
  return { server, name, from: 'warning', arguments: words, expected };
}

const limit = ['--max-model-len', String(targetLength)];
const rope = (parameters: object): string => JSON.stringify({ rope_parameters: parameters });
const bare = { rope_theta: 10_000.5, original_max_position_embeddings: 4096 };

const bareDynamic = { rope_theta: 10_000.5, rope_type: 'dynamic', factor: 2.5 };

const vllmWarnings: readonly Case[] = [
  warning('vllm', 'longer without a scheme', limit, 'refuses-start'),
  warning(
    'vllm',
    'yarn without max_position_embeddings',
    ['--hf-overrides', rope({ ...bare, rope_type: 'yarn', factor: 2.5 }), ...limit],
    'refuses-start',
  ),
  warning(
    'vllm',
    'linear with a whole factor',
    ['--hf-overrides', rope({ rope_theta: 10_000, rope_type: 'linear', factor: 2 }), ...limit],
    'refuses-start',
  ),
  // It answers: nobody is told that the angles are wrong (see `tables`).
  warning(
    'vllm',
    'dynamic with the factor alone',
    ['--hf-overrides', rope(bareDynamic), ...limit],
    'serves',
  ),
];

const size = ['-c', String(targetLength), '-np', '1'];

const llamaWarnings: readonly Case[] = [
  warning('llamacpp', 'longer without a scheme', size, 'refuses-prompt'),
  warning(
    'llamacpp',
    'linear without --override-kv',
    ['--rope-scaling', 'linear', '--rope-scale', '2', ...size],
    'refuses-prompt',
  ),
  warning(
    'llamacpp',
    'base without --override-kv',
    ['--rope-freq-base', '20221', ...size],
    'refuses-prompt',
  ),
  warning('llamacpp', 'dynamic as a flag', ['--rope-scaling', 'dynamic', ...size], 'refuses-start'),
  warning('llamacpp', 'llama3 as a flag', ['--rope-scaling', 'llama3', ...size], 'refuses-start'),
];

interface Servers {
  readonly vllm: { readonly binary: string; readonly model: string } | null;
  readonly llamacpp: { readonly binary: string; readonly model: string } | null;
}

async function run(
  one: Case,
  { binary, model }: { binary: string; model: string },
): Promise<Result> {
  const started = performance.now();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const done = (found: Outcome, reason: string | null, promptTokens: number | null): Result => ({
    ...one,
    found,
    ok: found === one.expected,
    promptTokens,
    reason,
    seconds: Math.round((performance.now() - started) / 1000),
  });
  const isVllm = one.server === 'vllm';
  try {
    const source = one.divisors === undefined ? model : await convert(model, one.divisors);
    const child = await startEngine({
      command: binary,
      args: isVllm ? vllmArguments(source, port, one) : llamaArguments(source, port, one),
      env: isVllm ? vllmEnvironment : {},
      healthUrl: `${url}/health`,
      timeoutMs: 900_000,
    });
    try {
      const answer = await ask(url);
      return 'tokens' in answer
        ? done('serves', null, answer.tokens)
        : done('refuses-prompt', answer.error, null);
    } finally {
      await stop(child);
    }
  } catch (error) {
    return done('refuses-start', lastReason(String(error)), null);
  }
}

/** A copy of the GGUF file with the divisors and the target as its context length. */
async function convert(model: string, divisors: readonly number[]): Promise<string> {
  const python = process.env['SLUICE_IT_PYTHON'];
  if (python === undefined) throw new Error('SLUICE_IT_PYTHON names no Python with gguf');
  const target = join(mkdtempSync(join(tmpdir(), 'sluice-flags-')), 'converted.gguf');
  const script = 'bench/extension/add_rope_freqs.py';
  const input = JSON.stringify(divisors);
  const result = spawnSync(python, [script, model, target, String(targetLength)], { input });
  if (result.status !== 0) throw new Error(`error in ${script}: ${result.stderr.toString()}`);
  return target;
}

function vllmArguments(model: string, port: number, one: Case): readonly string[] {
  const place = ['--served-model-name', 'tiny', '--host', '127.0.0.1', '--port', String(port)];
  return ['serve', model, ...place, '--enforce-eager', '--block-size', '32', ...one.arguments];
}

const vllmEnvironment = {
  VLLM_CPU_KVCACHE_SPACE: '1',
  HF_HUB_OFFLINE: '1',
  VLLM_NO_USAGE_STATS: '1',
  VLLM_CPU_OMP_THREADS_BIND: '0',
};

function llamaArguments(model: string, port: number, one: Case): readonly string[] {
  const place = ['--alias', 'tiny', '--host', '127.0.0.1', '--port', String(port), '-t', '1'];
  return ['-m', model, ...place, ...one.arguments];
}

/** Both servers take token ids here and count them. */
async function ask(url: string): Promise<{ readonly tokens: number } | { readonly error: string }> {
  const body = JSON.stringify({ model: 'tiny', prompt, max_tokens: 8, temperature: 0 });
  const headers = { 'content-type': 'application/json' };
  try {
    const response = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body });
    const text = await response.text();
    if (!response.ok) return { error: `${response.status}: ${text.slice(0, 300)}` };
    const { usage } = JSON.parse(text) as {
      usage: { prompt_tokens: number; completion_tokens: number };
    };
    const whole = usage.prompt_tokens === promptLength && usage.completion_tokens >= 1;
    return whole ? { tokens: usage.prompt_tokens } : { error: `answered ${text.slice(0, 300)}` };
  } catch (error) {
    return { error: String(error) };
  }
}

/** The line of a server's last words that names an error. */
function lastReason(text: string): string {
  const lines = text.split('\n').filter((line) => !/for further information/i.test(line));
  const telling = [/value error|TypeError|ValueError/i, /error|invalid|exceed/i];
  const found = telling.flatMap((pattern) => lines.findLast((line) => pattern.test(line)) ?? []);
  return (found[0] ?? text.slice(-300)).trim().slice(0, 300);
}

function serversOf(env: Readonly<Record<string, string | undefined>>): Servers {
  const pair = (
    binary: string | undefined,
    model: string | undefined,
  ): { binary: string; model: string } | null =>
    binary === undefined || model === undefined ? null : { binary, model };
  return {
    vllm: pair(env['SLUICE_IT_VLLM'], env['SLUICE_IT_HF']),
    llamacpp: pair(env['SLUICE_IT_LLAMA_SERVER'], env['SLUICE_IT_GGUF']),
  };
}

interface Table {
  readonly name: string;
  /** Positions that it has angles for. */
  readonly rows: number;
  /** Largest relative distance of a frequency from the plan's, and of the factor. */
  readonly worst: number;
  readonly ok: boolean;
}

/** The angles that vLLM computes from the override of each plan, against the plan; and from what the plan warns of. */
function vllmTables(config: unknown, vllm: string): readonly Table[] {
  const plans = planned(config, 'vllm');
  const bare = 'dynamic with the factor alone';
  const overrides = [...plans.map(([, plan]) => overrideOf(plan)), rope(bareDynamic)];
  const input = `[${overrides.join()}]`;
  const python = join(dirname(vllm), 'python');
  const env = { ...process.env, ...vllmEnvironment };
  const words = ['bench/extension/vllm_rope.py', String(headDim), '4096'];
  const result = spawnSync(python, words, { input, env });
  if (result.status !== 0) throw new Error(result.stderr.toString().slice(-500));
  const tables = JSON.parse(result.stdout.toString()) as readonly {
    rows: number;
    frequencies: readonly number[];
    factor: number;
  }[];
  const dynamic = plans.find(([{ type }]) => type === 'dynamic')?.[0];
  return tables.map(({ rows, frequencies, factor }, at) => {
    const scheme = plans[at]?.[0] ?? dynamic;
    const found = [...frequencies, factor];
    const wanted = [...(scheme?.inverseFrequencies ?? []), scheme?.attentionFactor ?? NaN];
    const worst = Math.max(...found.map((value, i) => Math.abs(value / (wanted[i] ?? NaN) - 1)));
    const right = rows >= targetLength && worst < 1e-5;
    return {
      name: plans[at]?.[0].type ?? bare,
      rows,
      worst,
      ok: at < plans.length ? right : !right,
    };
  });
}

/** Channels of a head of the tiny model. */
const headDim = 64;

/** As written in the plan: a whole float stays one. */
function overrideOf(plan: ServerPlan): string {
  return plan.arguments[plan.arguments.indexOf('--hf-overrides') + 1] ?? '{}';
}

/** What was found before stays for cases that are not run again. */
function earlier(): readonly Result[] {
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly results: readonly Result[] })
    .results;
}

function keyOf({ server, name }: Pick<Case, 'server' | 'name'>): string {
  return `${server}: ${name}`;
}

async function main(wanted: readonly string[]): Promise<void> {
  const servers = serversOf(process.env);
  const folder = process.env['SLUICE_IT_HF'];
  if (folder === undefined) throw new Error('SLUICE_IT_HF names no model folder');
  const config: unknown = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const cases = (['llamacpp', 'vllm'] as const).flatMap((server) => casesOf(config, server));
  const found = new Map(earlier().map((result) => [keyOf(result), result]));
  for (const one of cases) {
    const place = servers[one.server];
    const chosen = wanted.length === 0 || wanted.some((word) => keyOf(one).startsWith(word));
    if (!chosen || place === null) {
      console.log(`skip ${keyOf(one)}${place === null ? ': no path to the server' : ''}`);
      continue;
    }
    const result = await run(one, place);
    found.set(keyOf(one), result);
    const { ok, expected, seconds, reason } = result;
    console.log(
      `${ok ? 'ok  ' : 'FAIL'} ${keyOf(one)}: ${result.found} (expected ${expected}), ${seconds} s ${reason ?? ''}`,
    );
    const results = cases.flatMap((every) => found.get(keyOf(every)) ?? []);
    const head = { trainedLength: 4096, targetLength, promptLength };
    writeFileSync(file, `${JSON.stringify({ ...head, results }, null, 2)}\n`);
  }
  if (servers.vllm !== null) {
    const tables = vllmTables(config, servers.vllm.binary);
    for (const { name, rows, worst, ok } of tables) {
      console.log(`${ok ? 'ok  ' : 'FAIL'} vllm angles: ${name}: ${rows} rows, worst ${worst}`);
    }
    const all = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, `${JSON.stringify({ ...all, tables }, null, 2)}\n`);
    if (tables.some(({ ok }) => !ok)) process.exitCode = 1;
  }
  if (cases.some((one) => found.get(keyOf(one))?.ok === false)) process.exitCode = 1;
}

await main(process.argv.slice(2));
