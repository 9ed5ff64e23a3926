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
  /** At most this many records of each set (`sample`); null = all. */
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
      sample(lines, options.limit).map(({ line, where }) => itemOf(name, parse(line, where))),
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

/**
 * A sample of at most `limit` of a list, in the list's order; null = all. Drawn by a fixed hash of the place, not at
 * equal steps: sets put their answers at regular places, which equal steps would hit or miss together. A smaller sample
 * is part of a larger one.
 */
export function sample<T>(list: readonly T[], limit: number | null): readonly T[] {
  if (limit === null || list.length <= limit) return list;
  const drawn = list
    .map((_, at) => ({ at, rank: hashOf(at) }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, limit);
  const chosen = new Set(drawn.map(({ at }) => at));
  return list.filter((_, at) => chosen.has(at));
}

/** 32-bit finaliser of MurmurHash3 (public domain): no two places share a value. */
function hashOf(place: number): number {
  let mixed = place + 1;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
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
