/** A model in the hands of one worker: ids in, one number per position out. */
import { dirname } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { openEncoder } from './encoder.ts';
import { feedsOf } from './feeds.ts';
import { nllNodes, readGraphShape } from './nll-graph.ts';
import { openSession, readModelBytes } from './session.ts';

/** Roles of the models that run in workers. */
export type ModelRole = 'surprisal' | 'keep' | 'vectors' | 'pairs';

export interface ModelFile {
  readonly role: ModelRole;
  /** Path of the .onnx file. */
  readonly path: string;
  /**
   * Sequences that may run side by side. Above 1 only for graphs whose rows do not depend on the rows beside them,
   * which quantisation with one scale per tensor breaks.
   */
  readonly maxBatch: number;
  /** Positions of one pass. */
  readonly contextLength: number;
  /** How hidden states become one vector, for graphs that leave it open. */
  readonly pooling: 'mean' | 'first';
}

/** What a model is given. */
export interface ModelInput {
  /** Token ids, sequence after sequence. */
  readonly ids: Uint32Array;
  /** Length of every sequence; null = all ids are one. */
  readonly lengths: Uint32Array | null;
  /** Where the second text of every sequence starts; null = they hold one text each. */
  readonly seconds: Uint32Array | null;
}

export interface OpenModel {
  /**
   * Role `surprisal` or `keep`: one forward pass, surprisal per id (0 for the first) or keep probability per id.
   * `vectors`: the vectors of the sequences, one after another. `pairs`: one score per sequence.
   */
  run(input: ModelInput): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Opens a model for its role. @throws SluiceError MODEL_INVALID */
export function openModel(file: ModelFile, threads: number): Promise<OpenModel> {
  return file.role === 'vectors' || file.role === 'pairs'
    ? openEncoder(file, threads)
    : openTokenScorer(file, threads);
}

/** A causal model (output `nll`, appended where the file has `logits` only) or a two-class token classifier. */
async function openTokenScorer(file: ModelFile, threads: number): Promise<OpenModel> {
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
    async run({ ids }) {
      const feeds = feedsOf(session.inputMetadata, {
        rows: [ids],
        width: ids.length,
        seconds: null,
      });
      const results = await session.run(feeds, [output]);
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
