/** Model archives: fetched and hashed on the way, looked through before anything is written, then unpacked. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, list } from 'tar';
import { SluiceError } from '../core/errors.ts';

export interface FetchOptions {
  /** http(s) address, or path of a file. */
  readonly source: string;
  /** Where the archive is written. */
  readonly file: string;
  /** Hex digits that the archive's SHA-256 must have; null = any, for local files only. */
  readonly sha256: string | null;
  readonly maxBytes: number;
  readonly signal: AbortSignal | null;
}

export const isUrl = (source: string): boolean => /^https?:\/\//i.test(source);

/** @throws SluiceError MODEL_INVALID when it cannot be had, is too long, or has another SHA-256 */
export async function fetchArchive(options: FetchOptions): Promise<void> {
  const { source, file, sha256, maxBytes, signal } = options;
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      const over = bytes > maxBytes;
      done(over ? new SluiceError('MODEL_INVALID', tooLong(source, maxBytes)) : null, chunk);
    },
  });
  const input = isUrl(source) ? await download(source, signal) : createReadStream(source);
  try {
    const settings = signal === null ? {} : { signal };
    await pipeline(input, meter, createWriteStream(file), settings);
  } catch (cause) {
    if (SluiceError.isInstance(cause)) throw cause;
    throw new SluiceError('MODEL_INVALID', `Cannot read ${source}: ${messageOf(cause)}`, { cause });
  }
  const found = hash.digest('hex');
  if (sha256 !== null && found !== sha256.toLowerCase())
    throw new SluiceError('MODEL_INVALID', `${source} has SHA-256 ${found}, not ${sha256}`);
}

async function download(url: string, signal: AbortSignal | null): Promise<Readable> {
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `Cannot fetch ${url}: ${messageOf(cause)}`, { cause });
  }
  if (!response.ok || response.body === null)
    throw new SluiceError('MODEL_INVALID', `${url} answers ${response.status}`);
  return Readable.from(response.body);
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);

const tooLong = (source: string, maxBytes: number): string =>
  `${source} holds more than ${maxBytes} bytes (--max-bytes)`;

/** Entries of an archive; models have a few dozen. */
const MAX_ENTRIES = 10_000;

/**
 * Unpacks a tar archive, gzipped or not. Refused before anything is written: entries that are neither files nor
 * folders (links, devices), names that lead out of the folder, more than 10,000 entries, more bytes than `maxBytes`.
 * @throws SluiceError MODEL_INVALID
 */
export async function unpack(
  file: string,
  folder: string,
  options: { readonly source: string; readonly maxBytes: number },
): Promise<void> {
  const { source, maxBytes } = options;
  await refuseZip(file, source);
  let problem: string | null = null;
  let bytes = 0;
  let entries = 0;
  try {
    await list({
      file,
      strict: true,
      onReadEntry: ({ path, type, size }) => {
        bytes += size;
        entries++;
        problem ??= problemOf(path, type);
        if (bytes > maxBytes) problem ??= tooLong(source, maxBytes);
        if (entries > MAX_ENTRIES) problem ??= `${source} has more than ${MAX_ENTRIES} entries`;
      },
    });
    if (problem === null && entries === 0) problem = `${source} is no tar archive, or an empty one`;
    if (problem === null) await extract({ file, cwd: folder, strict: true, preserveOwner: false });
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `${source} is no tar archive: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (problem !== null) throw new SluiceError('MODEL_INVALID', problem);
}

function problemOf(path: string, type: string): string | null {
  const shown = JSON.stringify(path);
  if (type !== 'File' && type !== 'OldFile' && type !== 'Directory')
    return `Entry ${shown} of the archive is a ${type}; only files and folders are unpacked`;
  const leaves = path.split('/').includes('..') || /^([/\\]|[A-Za-z]:)/.test(path);
  if (leaves || path.includes('\\') || path.includes('\0'))
    return `Entry ${shown} of the archive leads out of its folder`;
  return null;
}

/** A zip archive would only be told as a broken tar archive. */
async function refuseZip(file: string, source: string): Promise<void> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    if (buffer.toString('latin1') === 'PK')
      throw new SluiceError('MODEL_INVALID', `${source} is a zip archive; a .tar.gz is needed`);
  } finally {
    await handle.close();
  }
}
