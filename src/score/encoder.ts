/** A sentence encoder or cross-encoder in the hands of one worker: sequences in, a vector or a number for each out. */
import { dirname } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { type Batch, feedsOf } from './feeds.ts';
import type { ModelFile, ModelInput, OpenModel } from './model.ts';
import { openSession, type OrtSession, readModelBytes } from './session.ts';
import { toUnitLength } from './unit-length.ts';

interface Output {
  readonly name: string;
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** Names under which exports give what is wanted, the finished one first. */
const vectorOutputs = ['vectors', 'sentence_embedding', 'last_hidden_state', 'token_embeddings'];
const pairOutputs = ['scores', 'logits'];

/**
 * Opens a model of the role `vectors` or `pairs`. Vectors come from an output [b,d], or from hidden states [b,t,d]
 * that are pooled here (mean over the tokens, or the first token); both are scaled to length 1. Pair scores come
 * from an output [b] or [b,1], or from two classes [b,2] as the difference of their logits.
 * @throws SluiceError MODEL_INVALID
 */
export async function openEncoder(file: ModelFile, threads: number): Promise<OpenModel> {
  const session = await openSession(await readModelBytes(file.path), {
    threads,
    folder: dirname(file.path),
  });
  const wanted = file.role === 'vectors' ? vectorOutputs : pairOutputs;
  const name = wanted.find((known) => session.outputNames.includes(known));
  if (name === undefined)
    throw new SluiceError('MODEL_INVALID', `${file.path} has none of ${wanted.join(', ')}`);
  const read = file.role === 'vectors' ? vectorsOf : scoresOf;
  return {
    async run(input) {
      const sequences = sequencesOf(input);
      let result = new Float32Array(0);
      for (const indices of batchesOf(sequences, file.maxBatch)) {
        const batch = batchOf(sequences, input.seconds, indices);
        const rows = read(await runBatch(session, name, batch), batch, file);
        const width = rows.length / indices.length;
        if (result.length === 0) result = new Float32Array(width * sequences.length);
        indices.forEach((at, row) =>
          result.set(rows.subarray(row * width, (row + 1) * width), at * width),
        );
      }
      return result;
    },
    close: () => session.release(),
  };
}

async function runBatch(session: OrtSession, name: string, batch: Batch): Promise<Output> {
  const results = await session.run(feedsOf(session.inputMetadata, batch), [name]);
  const found = results[name];
  if (found === undefined || !(found.data instanceof Float32Array))
    throw new SluiceError('MODEL_INVALID', `Output "${name}" is not float32`);
  const output = { name, data: found.data.slice(), dims: [...found.dims] };
  found.dispose();
  return output;
}

function sequencesOf({ ids, lengths }: ModelInput): Uint32Array[] {
  if (lengths === null) return [ids];
  let at = 0;
  return Array.from(lengths, (length) => ids.subarray(at, (at += length)));
}

/**
 * Indices of sequences that run side by side: equal in length, at most `maxBatch`. Nothing is filled up, because
 * filling changes the order of additions and with it the last bits of a row.
 */
function batchesOf(sequences: readonly Uint32Array[], maxBatch: number): number[][] {
  const batches: number[][] = [];
  const open = new Map<number, number[]>();
  sequences.forEach(({ length }, at) => {
    const batch = open.get(length);
    if (batch !== undefined && batch.length < maxBatch) {
      batch.push(at);
      return;
    }
    const next = [at];
    open.set(length, next);
    batches.push(next);
  });
  return batches;
}

function batchOf(
  sequences: readonly Uint32Array[],
  seconds: Uint32Array | null,
  indices: readonly number[],
): Batch {
  const rows = indices.map((at) => sequences[at] ?? new Uint32Array(0));
  return {
    rows,
    width: rows[0]?.length ?? 0,
    seconds: seconds === null ? null : indices.map((at) => seconds[at] ?? 0),
  };
}

function vectorsOf(output: Output, { rows }: Batch, { path, pooling }: ModelFile): Float32Array {
  const { data, dims } = output;
  const dimension = dims.at(-1) ?? 0;
  if (dims[0] !== rows.length || dims.length > 3 || dims.length < 2)
    throw new SluiceError('MODEL_INVALID', `${path}: "${output.name}" is [${dims.join(',')}]`);
  const vectors = new Float32Array(rows.length * dimension);
  rows.forEach((row, r) => {
    const width = dims.length === 2 ? 1 : (dims[1] ?? 1);
    const tokens = dims.length === 2 || pooling === 'first' ? 1 : row.length;
    const sum = vectors.subarray(r * dimension, (r + 1) * dimension);
    for (let token = 0; token < tokens; token++) {
      const from = (r * width + token) * dimension;
      for (let i = 0; i < dimension; i++) sum[i] = (sum[i] ?? 0) + (data[from + i] ?? 0);
    }
    toUnitLength(sum);
  });
  return vectors;
}

function scoresOf(
  { name, data, dims }: Output,
  { rows }: Batch,
  { path }: ModelFile,
): Float32Array {
  const classes = data.length / rows.length;
  if (classes === 1) return data;
  if (classes === 2)
    return Float32Array.from(rows, (_, r) => (data[2 * r + 1] ?? 0) - (data[2 * r] ?? 0));
  throw new SluiceError(
    'MODEL_INVALID',
    `${path}: "${name}" is [${dims.join(',')}]; a cross-encoder gives one relevance or two classes`,
  );
}
