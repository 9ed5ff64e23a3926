/** Starting of real servers and of Sluice itself as child processes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Kills the process and what it started. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  const closed = once(child, 'close');
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    child.kill('SIGTERM');
  }
  const late = setTimeout(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  }, 15_000);
  await closed;
  clearTimeout(late);
}

/** Starts a server and waits until `GET url` answers 200. The last lines of its output are in the error if it does not. */
export async function startEngine(options: {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly healthUrl: string;
  readonly timeoutMs: number;
}): Promise<ChildProcess> {
  const child = spawn(options.command, [...options.args], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > 30) lines.shift();
    });
  }
  const end = Date.now() + options.timeoutMs;
  while (Date.now() < end) {
    if (child.exitCode !== null) break;
    const answer = await fetch(options.healthUrl).catch(() => null);
    if (answer?.ok === true) return child;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await stop(child);
  throw new Error(`${options.command} did not become ready:\n${lines.join('\n')}`);
}

/** `sluice serve` as a user starts it; resolves with the URL of its first line. */
export async function startSluice(
  args: readonly string[],
): Promise<{ url: string; child: ChildProcess }> {
  // What an earlier run has forwarded is not this run's.
  const state = mkdtempSync(join(tmpdir(), 'sluice-state-'));
  const child = spawn(
    process.execPath,
    ['bin/sluice.js', 'serve', '--port', '0', '--log-level', 'error', ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
      env: { SLUICE_STATE_DIR: state, ...process.env },
    },
  );
  child.once('exit', () => rmSync(state, { recursive: true, force: true }));
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`sluice ended with ${String(code)} before it listened`);
  });
  const lines = once(createInterface({ input: child.stdout }), 'line');
  const [line] = (await Promise.race([lines, exited])) as [string];
  exited.catch(() => {});
  const url = /^sluice listening on (http:\S+)$/.exec(line)?.[1];
  if (url === undefined) throw new Error(`unexpected first line: ${line}`);
  return { url, child };
}

/** The official Python client in a process of its own. @throws Error with its stderr when it fails */
export async function runPython(python: string, args: readonly string[]): Promise<void> {
  const child = spawn(python, ['test/integration/openai_client.py', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(errors);
}
