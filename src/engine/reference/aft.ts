/** Attention-free transformer (AFT, arXiv 2105.14103, section 3): with its table of pair biases, and without. */
import { recurrent } from './linear-attention.ts';
import { at, multiply, randomMatrix, randomVector, sigmoid } from './numbers.ts';
import type { Matrix, Random } from './numbers.ts';
import type { Entry, Mixer, MixerResult, Shape } from './types.ts';

interface Weights {
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
}

function randomWeights(random: Random, { width }: Shape): Weights {
  const square = (): Matrix => randomMatrix(random, width, width);
  return { query: square(), key: square(), value: square() };
}

/**
 * AFT-full (section 3.1): per channel a sum over j <= i of exp(key_j + bias[i][j]) * value_j over the same without
 * values, gated by sigmoid(query_i). Needs every key and value; the table ends at `limit` tokens. `strength`
 * multiplies the table.
 */
export function aftFull(limit: number, strength = 1): (random: Random, shape: Shape) => Mixer {
  return (random, shape) => {
    const weights = randomWeights(random, shape);
    const table = randomVector(random, limit * limit, strength);
    return {
      empty: { kind: 'tokens', entries: [] },
      restore: (entry) => entry.key,
      store: (key) => key,
      run: (inputs, state, call): MixerResult => {
        const cached = state.kind === 'tokens' ? state.entries : [];
        const entries = [...cached];
        let missing = false;
        const outputs = inputs.map((input, i) => {
          const position = call.start + i;
          const value = multiply(weights.value, input);
          entries.push({ position, tag: call.tag, key: multiply(weights.key, input), value, call });
          missing ||= entries.length <= position;
          const query = multiply(weights.query, input);
          return full(query, entries, ({ position: from }) => at(table, position * limit + from));
        });
        return { outputs, state: { kind: 'tokens', entries }, missing };
      },
    };
  };
}

function full(
  query: Float64Array,
  entries: readonly Entry[],
  bias: (entry: Entry) => number,
): Float64Array {
  const biases = entries.map(bias);
  return query.map((gate, channel) => {
    let [top, bottom] = [0, 0];
    for (const [j, entry] of entries.entries()) {
      const weight = Math.exp(at(entry.key, channel) + at(biases, j));
      top += weight * at(entry.value, channel);
      bottom += weight;
    }
    return (sigmoid(gate) * top) / bottom;
  });
}

/** AFT-simple (section 3.2): the table is left out, so that two sums per channel are the whole state. */
export function aftSimple(random: Random, shape: Shape): Mixer {
  const weights = randomWeights(random, shape);
  const { width } = shape;
  return recurrent(2 * width, (input, state) => {
    const [key, value] = [multiply(weights.key, input), multiply(weights.value, input)];
    return multiply(weights.query, input).map((gate, i) => {
      const weight = Math.exp(at(key, i));
      state[i] = at(state, i) + weight * at(value, i);
      state[width + i] = at(state, width + i) + weight;
      return (sigmoid(gate) * at(state, i)) / at(state, width + i);
    });
  });
}
