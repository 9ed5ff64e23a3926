/** One pass of engine.onnx over a batch: past KV and new tokens in, logits and the KV of the new tokens out. */
import { Tensor, type OrtSession } from '../score/session.ts';
import { SluiceError } from '../core/errors.ts';
import type { StagedPast } from './kv/staging.ts';
import type { Rotary, SchemeInputs } from './schemes/types.ts';
import type { ModelShape } from './types.ts';

export interface StepInput {
  /** New tokens of every sequence, equally many. */
  readonly ids: readonly ArrayLike<number>[];
  readonly past: StagedPast;
  /** Inputs of every sequence; several sequences have no second branch. */
  readonly inputs: readonly SchemeInputs[];
  readonly rotary: Rotary;
  /** Logits of every new token, or of the last one only. */
  readonly logits: 'all' | 'last';
}

export interface StepOutput {
  /** Row-major B x wanted tokens x vocabulary. */
  readonly logits: Float32Array;
  /** layers x B x KV heads x (past slots + T) x headDim; the new tokens' are the last T of every head. */
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

export type Stepper = (input: StepInput) => Promise<StepOutput>;

type Dims = readonly number[];

const float = (data: Float32Array, dims: Dims): Tensor => new Tensor('float32', data, dims);

/** Outputs lie in memory that the next step uses again: take what is wanted before it. */
export function createStepper(session: OrtSession, shape: ModelShape): Stepper {
  let present: { readonly size: number; readonly keys: Tensor; readonly values: Tensor } | null =
    null;
  return async (input) => {
    const dims = kvDims(input, shape, input.past.slots + fresh(input));
    const size = dims.reduce((product, length) => product * length, 1);
    if (present?.size !== size || String(present.keys.dims) !== String(dims)) {
      present = {
        size,
        keys: float(new Float32Array(size), dims),
        values: float(new Float32Array(size), dims),
      };
    }
    const result = await session.run(feedsOf(input, shape), {
      logits: null,
      present_keys: present.keys,
      present_values: present.values,
    });
    return {
      logits: floats(result, 'logits'),
      keys: floats(result, 'present_keys'),
      values: floats(result, 'present_values'),
    };
  };
}

function fresh({ ids }: StepInput): number {
  return ids[0]?.length ?? 0;
}

function kvDims({ ids }: StepInput, shape: ModelShape, tokens: number): Dims {
  return [shape.layers, ids.length, shape.kvHeads, tokens, shape.headDim];
}

function feedsOf(input: StepInput, shape: ModelShape): Record<string, Tensor> {
  const { ids, past, inputs, rotary } = input;
  const batch = ids.length;
  const rows = fresh(input);
  const keys = past.slots + rows;
  const heads = inputs[0]?.maskHeads ?? 1;
  const second = inputs[0]?.second ?? null;
  const kv = kvDims(input, shape, past.slots);
  return {
    ids: new Tensor('int64', BigInt64Array.from(ids.flatMap(bigints)), [batch, rows]),
    past_keys: float(past.keys, kv),
    past_values: float(past.values, kv),
    query_positions: float(joined(inputs.map((each) => each.queryPositions)), [batch, rows]),
    key_positions: float(joined(inputs.map((each) => each.keyPositions)), [batch, keys]),
    inverse_frequencies: float(rotary.inverseFrequencies, [shape.headDim / 2]),
    attention_factor: float(Float32Array.of(rotary.attentionFactor), [1]),
    mask: float(joined(inputs.map((each) => each.mask)), [batch, heads, rows, keys]),
    query_positions_2: float(second?.queryPositions ?? new Float32Array(rows), [1, rows]),
    key_positions_2: float(second?.keyPositions ?? new Float32Array(1), [
      1,
      second?.keyPositions.length ?? 1,
    ]),
    select: float(
      second?.select ?? new Float32Array(1),
      second === null ? [1, 1, 1, 1] : [1, 1, rows, keys],
    ),
    logits_from: new Tensor('int64', BigInt64Array.of(input.logits === 'all' ? 0n : -1n), [1]),
  };
}

function bigints(ids: ArrayLike<number>): bigint[] {
  return Array.from(ids, BigInt);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

function floats(
  result: Readonly<Record<string, { readonly data: unknown }>>,
  name: string,
): Float32Array {
  const data = result[name]?.data;
  if (data instanceof Float32Array) return data;
  throw new SluiceError('MODEL_INVALID', `The engine graph has no float32 output named ${name}`);
}
