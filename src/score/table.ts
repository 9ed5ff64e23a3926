/** Token vectors without context as weighted late interaction; see `TokenTable` for what its calls mean. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { isRecord } from './json-file.ts';
import { modelId } from './manifest.ts';
import type { ModelManifest, TokenTable } from './types.ts';
import { toUnitLength } from './unit-length.ts';
import type { Vocabulary } from './vocabulary.ts';

/** The arrays of a table: `rows` vectors of `dimension` numbers. */
interface Table {
  readonly rows: number;
  readonly dimension: number;
  /** Row by row. */
  readonly values: Int8Array;
  /** A row's numbers times its scale are the vector. */
  readonly scales: Float32Array;
  /** How much a token says about what a text is about, at least 0. */
  readonly weights: Float32Array;
}

/**
 * Reads a `token-table` folder into memory (8 MB for 30,000 tokens).
 * @throws SluiceError MODEL_INVALID naming the file whose size does not fit the manifest
 */
export function openTokenTable(
  folder: string,
  manifest: ModelManifest,
  vocabulary: Vocabulary,
): TokenTable {
  const { table, file } = readTable(folder, manifest);
  const encode = (text: string): Uint32Array =>
    vocabulary.idsOf(text).filter((token) => token < table.rows);
  const lengths = rowLengths(table);
  const places = createPlaces(table.rows);
  return {
    kind: 'table',
    id: modelId(manifest, file),
    dimension: table.dimension,
    encode,
    scores(question, texts) {
      const asked = askedTokens(encode(question), table, lengths);
      const scores = new Float32Array(texts.length);
      if (asked.count === 0) return scores;
      const tokens = texts.map(encode);
      const { distinct, placeOf } = places.collect(tokens);
      const cosines = cosinesOf(distinct, asked, table, lengths);
      tokens.forEach((ids, at) => {
        scores[at] = lateInteraction(ids, asked, cosines, placeOf);
      });
      return scores;
    },
    vectors: (texts) => texts.map((text) => meanVector(encode(text), table)),
  };
}

function readTable(
  folder: string,
  manifest: ModelManifest,
): { readonly table: Table; readonly file: string } {
  const given = isRecord(manifest['table']) ? manifest['table'] : {};
  const { rows, dimension } = given;
  if (!isCount(rows) || !isCount(dimension))
    throw new SluiceError(
      'MODEL_INVALID',
      `${folder}: "table" must have rows and dimension, integers above 0`,
    );
  const nameOf = (key: string): string => {
    const name = given[key];
    if (typeof name === 'string' && name in manifest.files) return name;
    throw new SluiceError('MODEL_INVALID', `${folder}: "table.${key}" names no file of "files"`);
  };
  const bytesOf = (key: string, size: number): Buffer => {
    const name = nameOf(key);
    const bytes = readFileSync(join(folder, name));
    if (bytes.length !== size)
      throw new SluiceError(
        'MODEL_INVALID',
        `${join(folder, name)} has ${bytes.length} bytes; ${size} are needed`,
      );
    return bytes;
  };
  const values = bytesOf('vectors', rows * dimension);
  const scales = bytesOf('scales', 2 * rows);
  const weights = bytesOf('weights', 4 * rows);
  const table = {
    rows,
    dimension,
    values: new Int8Array(values.buffer, values.byteOffset, values.length),
    scales: Float32Array.from({ length: rows }, (_, i) => halfToNumber(scales.readUInt16LE(2 * i))),
    weights: Float32Array.from({ length: rows }, (_, i) => weights.readFloatLE(4 * i)),
  };
  return { table, file: nameOf('vectors') };
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0;

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** One over the length of every row's integers; 0 for a row of zeros. A row's scale cancels out of a cosine. */
function rowLengths({ rows, dimension, values }: Table): Float32Array {
  const inverse = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let square = 0;
    for (let i = row * dimension; i < (row + 1) * dimension; i++) square += (values[i] ?? 0) ** 2;
    inverse[row] = square > 0 ? 1 / Math.sqrt(square) : 0;
  }
  return inverse;
}

/** The question's distinct tokens with a weight. */
interface Asked {
  readonly count: number;
  /** Unit vectors, four tokens side by side: number i of tokens 4k..4k+3 lies at 4 * (k * dimension + i). */
  readonly vectors: Float32Array;
  /** Weight of each token times how often it occurs; they add up to 1. */
  readonly weights: Float32Array;
}

function askedTokens(ids: Uint32Array, table: Table, lengths: Float32Array): Asked {
  const { dimension, values } = table;
  const weightOf = new Map<number, number>();
  let total = 0;
  for (const id of ids) {
    const weight = table.weights[id] ?? 0;
    if (!(weight > 0)) continue;
    weightOf.set(id, (weightOf.get(id) ?? 0) + weight);
    total += weight;
  }
  const tokens = [...weightOf.keys()];
  const vectors = new Float32Array(4 * Math.ceil(tokens.length / 4) * dimension);
  tokens.forEach((id, at) => {
    const base = 4 * Math.floor(at / 4) * dimension + (at % 4);
    for (let i = 0; i < dimension; i++)
      vectors[base + 4 * i] = (values[id * dimension + i] ?? 0) * (lengths[id] ?? 0);
  });
  const weights = Float32Array.from(tokens, (id) => (weightOf.get(id) ?? 0) / total);
  return { count: tokens.length, vectors, weights };
}

/** Numbers the distinct tokens of some texts; the array that does it is used again for the next texts. */
function createPlaces(rows: number): {
  collect(texts: readonly Uint32Array[]): { distinct: number[]; placeOf: Int32Array };
} {
  const placeOf = new Int32Array(rows).fill(-1);
  let distinct: number[] = [];
  return {
    collect(texts) {
      for (const id of distinct) placeOf[id] = -1;
      distinct = [];
      for (const ids of texts)
        for (const id of ids) {
          if (placeOf[id] !== -1) continue;
          placeOf[id] = distinct.length;
          distinct.push(id);
        }
      return { distinct, placeOf };
    },
  };
}

/** Cosine of every distinct token with every asked token, row by row, rows filled up to a multiple of four. */
function cosinesOf(
  distinct: readonly number[],
  asked: Asked,
  { values, dimension }: Table,
  lengths: Float32Array,
): Float32Array {
  const { vectors } = asked;
  const groups = vectors.length / (4 * dimension);
  const cosines = new Float32Array(distinct.length * 4 * groups);
  let out = 0;
  for (const id of distinct) {
    const row = id * dimension;
    const scale = lengths[id] ?? 0;
    for (let group = 0; group < groups; group++, out += 4) {
      let [a, b, c, d] = [0, 0, 0, 0];
      let at = 4 * group * dimension;
      for (let i = row; i < row + dimension; i++, at += 4) {
        const value = values[i] ?? 0;
        a += value * (vectors[at] ?? 0);
        b += value * (vectors[at + 1] ?? 0);
        c += value * (vectors[at + 2] ?? 0);
        d += value * (vectors[at + 3] ?? 0);
      }
      cosines[out] = a * scale;
      cosines[out + 1] = b * scale;
      cosines[out + 2] = c * scale;
      cosines[out + 3] = d * scale;
    }
  }
  return cosines;
}

function lateInteraction(
  ids: Uint32Array,
  { count, weights }: Asked,
  cosines: Float32Array,
  placeOf: Int32Array,
): number {
  if (ids.length === 0) return 0;
  const stride = 4 * Math.ceil(count / 4);
  const best = new Float32Array(count).fill(-1);
  for (const id of ids) {
    const from = (placeOf[id] ?? 0) * stride;
    for (let q = 0; q < count; q++) {
      const cosine = cosines[from + q] ?? -1;
      if (cosine > (best[q] ?? 0)) best[q] = cosine;
    }
  }
  let score = 0;
  for (let q = 0; q < count; q++) score += (weights[q] ?? 0) * (best[q] ?? 0);
  return score;
}

function meanVector(ids: Uint32Array, { values, scales, weights, dimension }: Table): Float32Array {
  const mean = new Float32Array(dimension);
  for (const id of ids) {
    const factor = (weights[id] ?? 0) * (scales[id] ?? 0);
    const row = id * dimension;
    for (let i = 0; i < dimension; i++) mean[i] = (mean[i] ?? 0) + factor * (values[row + i] ?? 0);
  }
  toUnitLength(mean);
  return mean;
}
