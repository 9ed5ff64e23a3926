/** Reading input and telling results: stdout for what was asked for, stderr for everything else. */
import { createReadStream } from 'node:fs';
import { SluiceError } from '../core/errors.ts';

/** Exit status of a command line that cannot be understood, as shells use it. */
export const usageStatus = 2;

/** Something is wrong with the command line itself; told with exit status 2. */
export class UsageError extends Error {}

/** Lines for a person, on stderr. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Writes to stdout and waits until it is taken, so that a slow reader is not outrun. */
export async function print(text: string): Promise<void> {
  if (text === '') return;
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** A reader that goes away early (`sluice compress | head -1`) ends the program quietly. */
export function endOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error;
}

/** A failure as lines: what happened, and what to do about it. */
export function describeFailure(error: unknown): string {
  if (SluiceError.isInstance(error)) {
    return `sluice: ${error.code}: ${error.message}\n  what to do: ${error.remedy}`;
  }
  return `sluice: ${error instanceof Error ? error.message : String(error)}`;
}

function openInput(file: string): NodeJS.ReadableStream {
  if (file !== '-') return createReadStream(file);
  if (process.stdin.isTTY) {
    throw new UsageError('no input: name a file, or pipe text into the command');
  }
  return process.stdin;
}

/**
 * All of a file, or of stdin for `-`, as text. Every character counts, a byte order mark too.
 * @throws SluiceError BODY_TOO_LARGE above `maxBytes`; REQUEST_INVALID when it cannot be read or is not UTF-8
 */
export async function readInput(file: string, maxBytes: number): Promise<string> {
  const name = file === '-' ? 'stdin' : file;
  const stream = openInput(file);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
      bytes += buffer.length;
      if (bytes > maxBytes) {
        throw new SluiceError(
          'BODY_TOO_LARGE',
          `${name} has more than the ${maxBytes} bytes that limits.max_body_bytes allows`,
        );
      }
      chunks.push(buffer);
    }
  } catch (error) {
    if (!isErrno(error) || SluiceError.isInstance(error)) throw error;
    throw new SluiceError('REQUEST_INVALID', `Cannot read ${name}: ${error.message}`, {
      cause: error,
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw new SluiceError('REQUEST_INVALID', `${name} is not UTF-8 text`, { cause: error });
  }
}
