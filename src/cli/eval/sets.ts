/** Reading of evaluation sets: `*.jsonl` and `*.jsonl.gz`, fields as in eval/README.md. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SluiceError } from '../../core/errors.ts';
import { isRecord, itemOf, type Json } from './record.ts';
import type { EvalItem } from './types.ts';

export interface ReadSetsOptions {
  readonly folder: string;
  /** Names of sets to read; empty = all. */
  readonly only: readonly string[];
  /** At most this many records of each set, evenly spread; null = all. */
  readonly limit: number | null;
}

/** @throws SluiceError REQUEST_INVALID when the folder holds no such set or a record cannot be read */
export function readSets(options: ReadSetsOptions): ReadonlyMap<string, readonly EvalItem[]> {
  const sets = new Map<string, readonly EvalItem[]>();
  for (const file of setFiles(options.folder)) {
    const name = basename(file).replace(/\.jsonl(\.gz)?$/, '');
    if (options.only.length > 0 && !options.only.includes(name)) continue;
    const bytes = readFileSync(join(options.folder, file));
    const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
    const lines = text
      .split('\n')
      .map((line, at) => ({ line, where: `${file}, line ${at + 1}` }))
      .filter(({ line }) => line !== '');
    sets.set(
      name,
      spread(lines, options.limit).map(({ line, where }) => itemOf(name, parse(line, where))),
    );
  }
  const missing = options.only.find((name) => !sets.has(name));
  if (sets.size === 0 || missing !== undefined) {
    throw new SluiceError(
      'REQUEST_INVALID',
      `No evaluation set ${missing ?? '*.jsonl[.gz]'} found in ${options.folder}`,
    );
  }
  return sets;
}

function setFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.jsonl(\.gz)?$/.test(name))
      .sort();
  } catch (cause) {
    throw new SluiceError('REQUEST_INVALID', `The folder ${folder} cannot be read`, { cause });
  }
}

/** At most `limit` of a list, evenly spread, the first one among them; null = all. */
export function spread<T>(list: readonly T[], limit: number | null): readonly T[] {
  if (limit === null || list.length <= limit) return list;
  return list.filter(
    (_, at) =>
      Math.floor((at * limit) / list.length) !== Math.floor(((at - 1) * limit) / list.length),
  );
}

function parse(line: string, where: string): Json {
  try {
    const value: unknown = JSON.parse(line);
    if (isRecord(value)) return value;
  } catch (cause) {
    throw new SluiceError('REQUEST_INVALID', `${where} is not JSON`, { cause });
  }
  throw new SluiceError('REQUEST_INVALID', `${where} is not an object`);
}
