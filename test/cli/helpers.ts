/** Running the command line from tests. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandLine {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** What tests forward must not be remembered for whoever runs them, nor the other way round. */
const stateHome = mkdtempSync(join(tmpdir(), 'sluice-state-'));
process.once('exit', () => rmSync(stateHome, { recursive: true, force: true }));

/** The environment without settings of whoever runs the tests, and without colours. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => !name.startsWith('SLUICE_'));
  return {
    ...Object.fromEntries(names.map((name) => [name, process.env[name]])),
    NO_COLOR: '1',
    XDG_STATE_HOME: stateHome,
  };
}

/** Starts `sluice` with the sources of this checkout. */
export function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
    env: { ...cleanEnvironment(), ...env },
  });
}

export async function finish(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stdout, stderr };
}

/** Runs one command line to its end, with `input` on stdin. */
export function run(args: readonly string[], input = ''): Promise<Outcome> {
  const child = start(args);
  child.stdin.end(input);
  return finish(child);
}

/** Runs several command lines in one process, one after the other; none may read stdin. */
export async function runAll(commandLines: readonly CommandLine[]): Promise<Outcome[]> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'test/cli/batch.ts', JSON.stringify(commandLines)],
    { env: cleanEnvironment() },
  );
  child.stdin.end();
  const { status, stdout, stderr } = await finish(child);
  assert.equal(status, 0, stderr);
  const results = JSON.parse(stdout) as Outcome[];
  assert.equal(results.length, commandLines.length);
  return results;
}

/** The outcome at a place; fails when there is none. */
export function outcome(outcomes: readonly Outcome[], index: number): Outcome {
  const found = outcomes[index];
  assert.ok(found);
  return found;
}
