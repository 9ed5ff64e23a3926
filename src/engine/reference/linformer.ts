/** Linformer (arXiv 2006.04768, section 4): keys and values projected along the sequence onto a few rows. */
import { accumulate, at, multiply, randomMatrix, softmax } from './numbers.ts';
import type { Random } from './numbers.ts';
import { scaledDot } from './attention.ts';
import type { Mixer, MixerResult, Shape } from './types.ts';

export interface LinformerSettings {
  /** Rows that the sequence is projected onto. */
  readonly rows: number;
  /** Columns of the projections: the longest sequence. */
  readonly limit: number;
  /** Multiplies the projections; another value stands for other learned ones. */
  readonly strength?: number;
}

/**
 * Bidirectional, as published: every token sees the projection of all tokens of the call. The state is the projected
 * keys and values (2 * rows * width), to which further tokens add their share.
 */
export function linformer({
  rows,
  limit,
  strength = 1,
}: LinformerSettings): (random: Random, shape: Shape) => Mixer {
  return (random, { width }) => {
    const weights = {
      query: randomMatrix(random, width, width),
      key: randomMatrix(random, width, width),
      value: randomMatrix(random, width, width),
    };
    const projections = {
      key: randomMatrix(random, rows, limit),
      value: randomMatrix(random, rows, limit),
    };
    const row = (values: Float64Array, index: number): Float64Array =>
      values.subarray(index * width, (index + 1) * width);
    return {
      empty: { kind: 'mixed', values: new Float64Array(2 * rows * width) },
      run: (inputs, state, call): MixerResult => {
        const values =
          state.kind === 'mixed' ? state.values.slice() : new Float64Array(2 * rows * width);
        for (const [i, input] of inputs.entries()) {
          const position = call.start + i;
          if (position >= limit)
            throw new RangeError(`Position ${position} is past the limit of ${limit}`);
          const [key, value] = [multiply(weights.key, input), multiply(weights.value, input)];
          for (let r = 0; r < rows; r += 1) {
            accumulate(
              row(values, r),
              key,
              strength * at(projections.key.data, r * limit + position),
            );
            accumulate(
              row(values, rows + r),
              value,
              strength * at(projections.value.data, r * limit + position),
            );
          }
        }
        const indices = Array.from({ length: rows }, (_, r) => r);
        const outputs = inputs.map((input) => {
          const query = multiply(weights.query, input);
          const shares = softmax(indices.map((r) => scaledDot(query, row(values, r))));
          const result = new Float64Array(width);
          for (const [r, share] of shares.entries())
            accumulate(result, row(values, rows + r), share);
          return result;
        });
        return { outputs, state: { kind: 'mixed', values }, missing: false };
      },
    };
  };
}
