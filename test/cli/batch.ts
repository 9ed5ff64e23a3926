/**
 * Runs several command lines in one process (starting one takes a second) and prints what each wrote as JSON.
 * Arguments: one JSON list of `{args, env?}`.
 */
import { runProgram } from '../../src/cli/program.ts';

interface CommandLine {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const commandLines = JSON.parse(process.argv[2] ?? '[]') as readonly CommandLine[];
const results: unknown[] = [];
const writers = { stdout: process.stdout.write, stderr: process.stderr.write };
const written = { stdout: '', stderr: '' };

function capture(name: 'stdout' | 'stderr'): void {
  process[name].write = (chunk: Uint8Array | string, ...rest: unknown[]): boolean => {
    written[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    const done = rest.find((value) => typeof value === 'function');
    if (done) queueMicrotask(() => void done());
    return true;
  };
}

const environment = { ...process.env };
for (const { args, env } of commandLines) {
  written.stdout = '';
  written.stderr = '';
  process.exitCode = undefined;
  process.env = { ...environment, ...env };
  capture('stdout');
  capture('stderr');
  const status = await runProgram(args);
  Object.assign(process.stdout, { write: writers.stdout });
  Object.assign(process.stderr, { write: writers.stderr });
  results.push({ status, ...written });
}
process.exitCode = 0;
process.stdout.write(`${JSON.stringify(results)}\n`);
