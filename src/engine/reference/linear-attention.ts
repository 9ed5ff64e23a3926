/** Linear attention with cosine re-weighting (cosFormer, arXiv 2202.08791, section 3): one state per layer. */
import { accumulate, at, dot, multiply, randomMatrix } from './numbers.ts';
import type { Random } from './numbers.ts';
import type { Call, Mixer, MixerResult, Shape } from './types.ts';

/** The length M of the weight cos(pi/2 * (i - j) / M): a constant, or the sequence's length at each call. */
export type CosineLength = number | 'sequence';

/**
 * Causal cosFormer with one head: features relu(k), split by cos(a-b) = cos a cos b + sin a sin b into two running
 * sums. State: both sums of feature x value (width x width) and both sums of features (width).
 */
export function cosFormer(length: CosineLength): (random: Random, shape: Shape) => Mixer {
  return (random, { width }) => {
    const square = (): ReturnType<typeof randomMatrix> => randomMatrix(random, width, width);
    const weights = { query: square(), key: square(), value: square(), output: square() };
    const half = width * width + width;

    function mix(
      input: Float64Array,
      position: number,
      sums: Float64Array,
      call: Call,
    ): Float64Array {
      const angle = (Math.PI / 2) * (position / (length === 'sequence' ? call.total : length));
      const [query, key] = [
        relu(multiply(weights.query, input)),
        relu(multiply(weights.key, input)),
      ];
      const value = multiply(weights.value, input);
      const result = new Float64Array(width);
      let mass = 0;
      for (const [part, weight] of [Math.cos(angle), Math.sin(angle)].entries()) {
        const products = sums.subarray(part * half, part * half + width * width);
        const features = sums.subarray(part * half + width * width, (part + 1) * half);
        accumulate(features, key, weight);
        for (let i = 0; i < width; i += 1) {
          const row = products.subarray(i * width, (i + 1) * width);
          accumulate(row, value, weight * at(key, i));
          accumulate(result, row, weight * at(query, i));
        }
        mass += weight * dot(query, features);
      }
      const norm = 1 / Math.max(Math.abs(mass), 0.1);
      return multiply(
        weights.output,
        result.map((entry) => entry * norm),
      );
    }

    return recurrent(2 * half, (input, sums, call, i) => mix(input, call.start + i, sums, call));
  };
}

/** One token: reads `input`, changes `state` in place, returns the output. `index` counts inside the call. */
export type Recurrence = (
  input: Float64Array,
  state: Float64Array,
  call: Call,
  index: number,
) => Float64Array;

/** Mixer around a recurrence whose state has `size` numbers and starts at 0. */
export function recurrent(size: number, step: Recurrence): Mixer {
  return {
    empty: { kind: 'mixed', values: new Float64Array(size) },
    run: (inputs, state, call): MixerResult => {
      const values = state.kind === 'mixed' ? state.values.slice() : new Float64Array(size);
      const outputs = inputs.map((input, i) => step(input, values, call, i));
      return { outputs, state: { kind: 'mixed', values }, missing: false };
    },
  };
}

function relu(vector: Float64Array): Float64Array {
  return vector.map((value) => Math.max(0, value));
}
