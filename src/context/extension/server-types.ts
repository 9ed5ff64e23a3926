/** What a server is started with for a scheme, or why it cannot run it. */

import type { PlanServer } from '../../core/backend-kind.ts';

/**
 * - `runs`: with the arguments
 * - `needs-file`: the model file must be made with the scheme first; then with the arguments
 * - `capped`: it starts, but goes on serving the old length
 * - `refused`: it does not start, or knows no such scheme
 */
export type ServerVerdict = 'runs' | 'needs-file' | 'capped' | 'refused';

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

export interface ServerPlan {
  readonly server: PlanServer;
  readonly verdict: ServerVerdict;
  /** Arguments after the model; empty where nothing helps. */
  readonly arguments: readonly string[];
  /** Environment variables. */
  readonly environment: readonly EnvironmentVariable[];
  /** All of it as one line for a shell, MODEL standing for the model; null where nothing helps. */
  readonly command: string | null;
  /** Row of the validity table (docs/validity.md) that cached keys and values follow here; null = not served. */
  readonly cacheRow: string | null;
  /** What the verdict rests on. */
  readonly evidence: string;
  readonly notes: readonly string[];
}

/** Before the arguments. */
const programs: Readonly<Record<PlanServer, string>> = {
  vllm: 'vllm serve MODEL',
  sglang: 'python -m sglang.launch_server --model-path MODEL',
  llamacpp: 'llama-server -m MODEL.gguf',
  ollama: 'ollama serve',
};

/** The line for a shell. */
export function commandOf(
  server: PlanServer,
  { arguments: words, environment }: Pick<ServerPlan, 'arguments' | 'environment'>,
): string {
  const settings = environment.map(({ name, value }) => `${name}=${quoted(value)}`);
  return [...settings, programs[server], ...words.map(quoted)].join(' ');
}

function quoted(word: string): string {
  return /^[\w.,:=/@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
