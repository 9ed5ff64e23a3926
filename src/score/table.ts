/** Token vectors without context as weighted late interaction; see `TokenTable` for what its calls mean. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { boundedCache } from '../core/bounded-cache.ts';
import { SluiceError } from '../core/errors.ts';
import { isRecord } from './json-file.ts';
import { modelId } from './manifest.ts';
import type { ModelManifest, TokenTable } from './types.ts';
import { toUnitLength } from './unit-length.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Tokens of the warm-up, cut into texts of this many. */
const WARM_UP_TOKENS = 2048;
const WARM_UP_TEXT = 32;

/** Scores texts made of the vocabulary, so that the first request finds compiled code. */
export function warmUpTable(table: TokenTable, { tokenizer }: Vocabulary): void {
  const size = tokenizer.vocabularySize;
  const first = Math.max(0, Math.min(Math.floor(size / 10), size - WARM_UP_TOKENS));
  const texts: string[] = [];
  for (let from = first; from < Math.min(size, first + WARM_UP_TOKENS); from += WARM_UP_TEXT)
    texts.push(tokenizer.decode(Array.from({ length: WARM_UP_TEXT }, (_, i) => from + i)));
  table.scores(texts[0] ?? '', texts);
}

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
  const cosinesFor = cosineMemory(table);
  return {
    kind: 'table',
    id: modelId(manifest, file),
    dimension: table.dimension,
    encode,
    scores(question, texts) {
      const cosines = cosinesFor(question, encode);
      return Float32Array.from(texts, (text) => lateInteraction(encode(text), cosines));
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

/** Cosines of vocabulary entries with the tokens of one question, worked out when an entry is first met. */
interface Cosines {
  readonly asked: Asked;
  /** Numbers from one entry's cosines to the next one's: `asked.count` filled up to a multiple of four. */
  readonly stride: number;
  /** Where an entry's cosines start in `values`. */
  startOf(id: number): number;
  values(): Float32Array;
}

/** Questions whose cosines are kept: each at most the vocabulary times its tokens, 4 bytes each. */
const KEPT_QUESTIONS = 4;

/** Keeps the cosines of the last questions, since a long text is asked about in parts, and requests take turns. */
function cosineMemory(
  table: Table,
): (question: string, encode: (text: string) => Uint32Array) => Cosines {
  const lengths = rowLengths(table);
  const kept = boundedCache<Cosines>({ maxEntries: KEPT_QUESTIONS });
  return (question, encode) => {
    const known = kept.get(question);
    if (known !== undefined) return known;
    const cosines = newCosines(askedTokens(encode(question), table, lengths), table, lengths);
    kept.set(question, cosines);
    return cosines;
  };
}

const FIRST_ENTRIES = 1024;

function newCosines(asked: Asked, table: Table, lengths: Float32Array): Cosines {
  const stride = 4 * Math.ceil(asked.count / 4);
  const starts = new Int32Array(table.rows).fill(-1);
  let values = new Float32Array(FIRST_ENTRIES * stride);
  let used = 0;
  return {
    asked,
    stride,
    values: () => values,
    startOf(id) {
      const known = starts[id] ?? -1;
      if (known >= 0) return known;
      const start = used;
      used += stride;
      if (used > values.length) {
        const grown = new Float32Array(2 * values.length);
        grown.set(values);
        values = grown;
      }
      addCosines(id, { asked, table, scale: lengths[id] ?? 0 }, values.subarray(start, used));
      starts[id] = start;
      return start;
    },
  };
}

/** Cosine of one vocabulary entry with every asked token, four at a time. */
function addCosines(
  id: number,
  from: { readonly asked: Asked; readonly table: Table; readonly scale: number },
  into: Float32Array,
): void {
  const { vectors } = from.asked;
  const { values, dimension } = from.table;
  const row = id * dimension;
  for (let out = 0; out < into.length; out += 4) {
    let [a, b, c, d] = [0, 0, 0, 0];
    let at = out * dimension;
    for (let i = row; i < row + dimension; i++, at += 4) {
      const value = values[i] ?? 0;
      a += value * (vectors[at] ?? 0);
      b += value * (vectors[at + 1] ?? 0);
      c += value * (vectors[at + 2] ?? 0);
      d += value * (vectors[at + 3] ?? 0);
    }
    into[out] = a * from.scale;
    into[out + 1] = b * from.scale;
    into[out + 2] = c * from.scale;
    into[out + 3] = d * from.scale;
  }
}

function lateInteraction(ids: Uint32Array, cosines: Cosines): number {
  const { count, weights } = cosines.asked;
  if (ids.length === 0 || count === 0) return 0;
  const best = new Float32Array(count).fill(-1);
  for (const id of ids) {
    const start = cosines.startOf(id);
    const values = cosines.values();
    for (let q = 0; q < count; q++) {
      const cosine = values[start + q] ?? -1;
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
