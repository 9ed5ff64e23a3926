/** Models of the score tests: the committed tiny ones, and the oracle's where it lies beside the repository. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  createScorers,
  type CreateScorersOptions,
  type ScorerPool,
} from '../../src/score/create.ts';

const root = resolve(import.meta.dirname, '../..');
export const fixtures: string = join(root, 'test/fixtures/models');
export const tinyCausal: string = join(fixtures, 'tiny-causal');
export const tinyClassifier: string = join(fixtures, 'tiny-classifier');
export const oracleFolder: string = resolve(root, '../shared/oracle');

/** Options of `test()` for tests that need the oracle. */
export const needsOracle: { skip: string | false } = {
  skip: existsSync(oracleFolder) ? false : 'needs ../shared/oracle beside the repository',
};

export interface Expected {
  readonly text: string;
  readonly ids: readonly number[];
  readonly offsets: readonly (readonly [number, number])[];
  readonly values: readonly number[];
}

export function expectedOf(folder: string): Expected[] {
  return JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected[];
}

/** Rows of a gzipped JSON-lines file of the oracle (Python writes NaN, which JSON has not). */
export function oracleRows(name: string): Record<string, unknown>[] {
  return gunzipSync(readFileSync(join(oracleFolder, name)))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line.replace(/: NaN\b/g, ': null')) as Record<string, unknown>);
}

/** Opens scorers with small defaults, hands them to `use`, and closes them. */
export async function withScorers(
  options: Partial<CreateScorersOptions>,
  use: (pool: ScorerPool) => Promise<void>,
): Promise<void> {
  const pool = await createScorers({
    surprisal: tinyCausal,
    keep: null,
    workers: 1,
    threads: 1,
    queue: 64,
    cacheEntries: 256,
    ...options,
  });
  try {
    await use(pool);
  } finally {
    await pool.close();
  }
}

/** Ordinary English text of about `words` words, different for every seed. */
export function prose(words: number, seed = 1): string {
  const stock =
    'the budget committee met on Monday and agreed that a report would be published in draft form before winter'.split(
      ' ',
    );
  let state = seed;
  const picked = Array.from({ length: words }, (_, i) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    const word = stock[state % stock.length] ?? 'the';
    return i % 12 === 11 ? `${word}.` : word;
  });
  return picked.join(' ');
}
