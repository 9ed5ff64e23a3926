/** Cases and expectations of the Python reference, and the small models they were made with. Absent = tests skip. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';

export const oracleFolder = resolve(process.env['SLUICE_ORACLE_DIR'] ?? '../shared/oracle');
export const causalFolder = join(oracleFolder, 'models', 'tiny-llama');
export const classifierFolder = join(oracleFolder, 'models', 'tiny-bert-base-multilingual-cased');

/** Reason to skip, or false. */
export const oracleMissing: string | false =
  existsSync(join(oracleFolder, 'expected.jsonl.gz')) && existsSync(causalFolder)
    ? false
    : `no reference data at ${process.env['SLUICE_ORACLE_DIR'] ?? '../shared/oracle'} (set SLUICE_ORACLE_DIR)`;

export interface OracleCase {
  readonly id: string;
  readonly method: 'llmlingua' | 'longllmlingua' | 'llmlingua2' | 'selective-context';
  readonly context?: string;
  readonly contexts?: readonly string[];
  readonly instruction?: string;
  readonly question?: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface OracleTrace {
  readonly contexts_used?: readonly number[];
  readonly dynamic_ratio?: readonly number[];
  readonly token_budget?: number;
  readonly thresholds?: readonly (readonly [number, number | null, number])[];
  readonly kept_ids?: readonly number[];
  readonly chunks?: readonly (readonly number[])[];
  readonly chunks_words?: readonly (readonly [readonly string[], readonly (readonly number[])[]])[];
  readonly labels?: string;
  readonly units?: Readonly<
    Record<string, readonly [readonly string[], readonly (number | null)[]]>
  >;
  readonly threshold?: number | null;
}

export interface Expectation {
  readonly id: string;
  readonly method: OracleCase['method'];
  readonly compressed?: string;
  readonly origin_tokens?: number;
  readonly error?: string;
  readonly trace?: OracleTrace;
  readonly token_ids?: readonly number[] | readonly (readonly number[])[];
  readonly nll?: readonly number[] | readonly (readonly number[])[];
  readonly defects?: readonly string[];
}

/** The files are written by Python, whose `NaN` is no JSON. */
function readLines<T>(name: string): T[] {
  return gunzipSync(readFileSync(join(oracleFolder, name)))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line.replaceAll(/(?<=[:[,] ?)NaN(?=[,\]}])/g, 'null')) as T);
}

export function readCases(): OracleCase[] {
  return readLines<OracleCase>('cases.jsonl.gz');
}

export function readExpectations(): Map<string, Expectation> {
  return new Map(readLines<Expectation>('expected.jsonl.gz').map((row) => [row.id, row]));
}

export function textsOf(test: OracleCase): readonly string[] {
  return test.contexts ?? [test.context ?? ''];
}

/** Jaccard of two sequences as sets of positions, aligned by their longest common subsequence. */
export function sequenceJaccard(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let from = 0;
  while (from < left.length && from < right.length && left[from] === right[from]) from++;
  let leftEnd = left.length;
  let rightEnd = right.length;
  while (leftEnd > from && rightEnd > from && left[leftEnd - 1] === right[rightEnd - 1]) {
    leftEnd--;
    rightEnd--;
  }
  const width = rightEnd - from + 1;
  let above = new Uint32Array(width);
  for (let i = from; i < leftEnd; i++) {
    const row = new Uint32Array(width);
    for (let j = 1; j < width; j++)
      row[j] =
        left[i] === right[from + j - 1]
          ? (above[j - 1] ?? 0) + 1
          : Math.max(above[j] ?? 0, row[j - 1] ?? 0);
    above = row;
  }
  const common = from + (left.length - leftEnd) + (above.at(-1) ?? 0);
  const union = left.length + right.length - common;
  return union === 0 ? 1 : common / union;
}
