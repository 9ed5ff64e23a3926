/** A model in the hands of one worker: ids in, one number per position out. */
import { dirname } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { nllNodes, readGraphShape } from './nll-graph.ts';
import { openSession, type OrtSession, readModelBytes, Tensor } from './session.ts';

export type ModelRole = 'surprisal' | 'keep';

export interface ModelFile {
  readonly role: ModelRole;
  /** Path of the .onnx file. */
  readonly path: string;
}

export interface OpenModel {
  /** One forward pass, batch 1. Surprisal per id (0 for the first), or keep probability per id. */
  run(ids: Uint32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

type Feeds = Record<string, Tensor>;
type InputInfo = OrtSession['inputMetadata'][number];

/**
 * Opens a causal model (output `nll`, appended where the file has `logits` only) or a two-class token classifier.
 * @throws SluiceError MODEL_INVALID
 */
export async function openModel(file: ModelFile, threads: number): Promise<OpenModel> {
  const original = await readModelBytes(file.path);
  const shape = readGraphShape(original);
  const hasNll = shape.outputs.some((output) => output.name === 'nll');
  const bytes =
    file.role === 'surprisal' && !hasNll ? Buffer.concat([original, nllNodes(shape)]) : original;
  const session = await openSession(bytes, { threads, folder: dirname(file.path) });
  const output = file.role === 'surprisal' ? 'nll' : 'logits';
  if (!session.outputNames.includes(output))
    throw new SluiceError('MODEL_INVALID', `${file.path} has no output "${output}"`);
  return {
    async run(ids) {
      const results = await session.run(feedsOf(session.inputMetadata, ids), [output]);
      const found = results[output];
      if (found === undefined || !(found.data instanceof Float32Array))
        throw new SluiceError('MODEL_INVALID', `${file.path}: "${output}" is not float32`);
      const values =
        file.role === 'surprisal' ? found.data.slice() : keepProbabilities(found.data, found.dims);
      found.dispose();
      return values;
    },
    close: () => session.release(),
  };
}

/** softmax(logits)[1] per position of a [1,T,2] tensor. */
function keepProbabilities(logits: Float32Array, dims: readonly number[]): Float32Array {
  const classes = dims.at(-1) ?? 0;
  if (classes !== 2)
    throw new SluiceError('MODEL_INVALID', `A keep classifier has 2 classes, found ${classes}`);
  return Float32Array.from(
    { length: logits.length / 2 },
    (_, i) => 1 / (1 + Math.exp((logits[2 * i] ?? 0) - (logits[2 * i + 1] ?? 0))),
  );
}

/** Fills every input by its name: ids, mask, positions, types, and empty pasts of models with a KV cache. */
function feedsOf(inputs: readonly InputInfo[], ids: Uint32Array): Feeds {
  const feeds: Feeds = {};
  for (const input of inputs) {
    if (!input.isTensor) throw new SluiceError('MODEL_INVALID', `Input ${input.name} is no tensor`);
    feeds[input.name] = feedOf(input, ids);
  }
  return feeds;
}

function feedOf(input: InputInfo & { isTensor: true }, ids: Uint32Array): Tensor {
  const { name, type } = input;
  if (name.startsWith('past_key_values') || name.startsWith('past'))
    return emptyPast(type, input.shape);
  if (name === 'use_cache_branch') return new Tensor('bool', [false], [1]);
  const value = integerFor(name, ids);
  if (value === null)
    throw new SluiceError('MODEL_INVALID', `Input "${name}" (${type}) has no known meaning`);
  const dims = [1, ids.length];
  if (type === 'int32')
    return new Tensor(
      'int32',
      Int32Array.from(ids, (_, i) => value(i)),
      dims,
    );
  return new Tensor(
    'int64',
    BigInt64Array.from(ids, (_, i) => BigInt(value(i))),
    dims,
  );
}

/** Value at every position of an integer input, by name; null = an input we do not know. */
function integerFor(name: string, ids: Uint32Array): ((position: number) => number) | null {
  if (name === 'input_ids' || name === 'ids') return (i) => ids[i] ?? 0;
  if (name === 'attention_mask') return () => 1;
  if (name === 'position_ids') return (i) => i;
  if (name === 'token_type_ids') return () => 0;
  return null;
}

/** Batch 1, past length 0; other free dimensions cannot be filled. */
function emptyPast(type: Tensor.Type, shape: readonly (number | string)[]): Tensor {
  const dims = shape.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 1 : 0));
  return type === 'float16'
    ? new Tensor('float16', new Uint16Array(0), dims)
    : new Tensor('float32', new Float32Array(0), dims);
}
