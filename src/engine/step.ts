/** One pass of engine.onnx: cached KV and new tokens in, logits of the last token and the longer KV out. */
import { Tensor, type OrtSession } from '../score/session.ts';
import { SluiceError } from '../core/errors.ts';
import type { KvState } from './kv-state.ts';
import { lambdaScheme } from './schemes/lambda.ts';
import type { ModelShape } from './types.ts';

export interface StepResult {
  /** Logits after the last new token, one per vocabulary entry. */
  readonly logits: Float32Array;
  readonly state: KvState;
}

export type Stepper = (past: KvState, fresh: Uint32Array) => Promise<StepResult>;

export function createStepper(session: OrtSession, shape: ModelShape): Stepper {
  return async (past, fresh) => {
    const result = await session.run(feedsOf(past, fresh, shape));
    const ids = new Uint32Array(past.length + fresh.length);
    ids.set(past.ids);
    ids.set(fresh, past.length);
    return {
      logits: floats(result, 'logits'),
      state: {
        ids,
        length: ids.length,
        keys: floats(result, 'present_keys'),
        values: floats(result, 'present_values'),
      },
    };
  };
}

function feedsOf(past: KvState, fresh: Uint32Array, shape: ModelShape): Record<string, Tensor> {
  const inputs = lambdaScheme.inputs(shape, past.length, fresh.length);
  const keys = past.length + fresh.length;
  const kv = [shape.layers, 1, shape.kvHeads, past.length, shape.headDim];
  const float = (data: Float32Array, dims: readonly number[]): Tensor =>
    new Tensor('float32', data, dims);
  return {
    ids: new Tensor('int64', BigInt64Array.from(fresh, BigInt), [1, fresh.length]),
    past_keys: float(past.keys, kv),
    past_values: float(past.values, kv),
    query_positions: float(inputs.queryPositions, [1, fresh.length]),
    key_positions: float(inputs.keyPositions, [1, keys]),
    inverse_frequencies: float(inputs.inverseFrequencies, [shape.headDim / 2]),
    attention_factor: float(Float32Array.of(inputs.attentionFactor), [1]),
    mask: float(inputs.mask, [1, 1, fresh.length, keys]),
    query_positions_2: float(inputs.queryPositions2, [1, fresh.length]),
    key_positions_2: float(inputs.keyPositions2, [1, inputs.keyPositions2.length]),
    select: float(
      inputs.select,
      inputs.select.length === 1 ? [1, 1, 1, 1] : [1, 1, fresh.length, keys],
    ),
    logits_from: new Tensor('int64', BigInt64Array.of(-1n), [1]),
  };
}

function floats(
  result: Readonly<Record<string, { readonly data: unknown }>>,
  name: string,
): Float32Array {
  const data = result[name]?.data;
  if (data instanceof Float32Array) return data;
  throw new SluiceError('MODEL_INVALID', `The engine graph has no float32 output named ${name}`);
}
