/** Input tensors of a batch, by the names that exported transformers give them. */
import { SluiceError } from '../core/errors.ts';
import { type OrtSession, Tensor } from './session.ts';

export type Feeds = Record<string, Tensor>;
type InputInfo = OrtSession['inputMetadata'][number];

/** Sequences of equal length side by side. */
export interface Batch {
  readonly rows: readonly Uint32Array[];
  /** Positions of every row. */
  readonly width: number;
  /** Per row: where its second text starts (token type 1); null = token type 0 throughout. */
  readonly seconds: readonly number[] | null;
}

/** Fills every input by its name: ids, mask, positions, types, and empty pasts of models with a KV cache. */
export function feedsOf(inputs: readonly InputInfo[], batch: Batch): Feeds {
  const feeds: Feeds = {};
  for (const input of inputs) {
    if (!input.isTensor) throw new SluiceError('MODEL_INVALID', `Input ${input.name} is no tensor`);
    feeds[input.name] = feedOf(input, batch);
  }
  return feeds;
}

function feedOf(input: InputInfo & { isTensor: true }, batch: Batch): Tensor {
  const { name, type } = input;
  if (name.startsWith('past')) return emptyPast(type, input.shape);
  if (name === 'use_cache_branch') return new Tensor('bool', [false], [1]);
  const value = integerFor(name, batch);
  if (value === null)
    throw new SluiceError('MODEL_INVALID', `Input "${name}" (${type}) has no known meaning`);
  const { rows, width } = batch;
  const dims = [rows.length, width];
  if (type === 'int32') {
    const data = new Int32Array(rows.length * width);
    rows.forEach((row, r) => row.forEach((_, i) => (data[r * width + i] = value(r, i))));
    return new Tensor('int32', data, dims);
  }
  const data = new BigInt64Array(rows.length * width);
  rows.forEach((row, r) => row.forEach((_, i) => (data[r * width + i] = BigInt(value(r, i)))));
  return new Tensor('int64', data, dims);
}

/** Value at a position of a row, by the input's name; null = an input we do not know. */
function integerFor(name: string, batch: Batch): ((row: number, at: number) => number) | null {
  const { rows, seconds } = batch;
  if (name === 'input_ids' || name === 'ids') return (row, at) => rows[row]?.[at] ?? 0;
  if (name === 'attention_mask') return () => 1;
  if (name === 'position_ids') return (_, at) => at;
  if (name === 'token_type_ids')
    return (row, at) => (seconds === null || at < (seconds[row] ?? Infinity) ? 0 : 1);
  return null;
}

/** Batch 1, past length 0; other free dimensions cannot be filled. */
function emptyPast(type: Tensor.Type, shape: readonly (number | string)[]): Tensor {
  const dims = shape.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 1 : 0));
  return type === 'float16'
    ? new Tensor('float16', new Uint16Array(0), dims)
    : new Tensor('float32', new Float32Array(0), dims);
}
