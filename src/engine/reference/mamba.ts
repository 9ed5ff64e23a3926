/** Selective state space layer (Mamba, arXiv 2312.00752, section 3.2 and algorithm 2). */
import { recurrent } from './linear-attention.ts';
import { at, dot, multiply, randomMatrix, randomVector, silu } from './numbers.ts';
import type { Matrix, Random } from './numbers.ts';
import type { Mixer, Shape } from './types.ts';

const stateSize = 4;
const kernel = 4;

/**
 * Gate and input projections, causal depthwise convolution over 4 tokens, then per channel a diagonal recurrence
 * whose step size, input and output weights depend on the token. State: last 3 inputs of the convolution, then
 * width x 4 hidden states.
 */
export function mamba(random: Random, { width }: Shape): Mixer {
  const square = (): Matrix => randomMatrix(random, width, width);
  const weights = { input: square(), gate: square(), step: square(), output: square() };
  const enter = randomMatrix(random, stateSize, width);
  const leave = randomMatrix(random, stateSize, width);
  const taps = randomVector(random, kernel * width, 0.5);
  const bias = randomVector(random, width);
  const skip = randomVector(random, width);
  const past = (kernel - 1) * width;

  function convolve(input: Float64Array, state: Float64Array): Float64Array {
    const window = Float64Array.from([...state.subarray(0, past), ...input]);
    state.set(window.subarray(width));
    return input.map((_, i) => {
      let sum = 0;
      for (let tap = 0; tap < kernel; tap += 1)
        sum += at(taps, tap * width + i) * at(window, tap * width + i);
      return silu(sum);
    });
  }

  return recurrent(past + width * stateSize, (input, state) => {
    const signal = convolve(multiply(weights.input, input), state);
    const gate = multiply(weights.gate, input);
    const steps = multiply(weights.step, signal).map((raw, i) => softplus(raw + at(bias, i)));
    const [into, out] = [multiply(enter, signal), multiply(leave, signal)];
    const hidden = state.subarray(past);
    const result = signal.map((value, i) => {
      const channel = hidden.subarray(i * stateSize, (i + 1) * stateSize);
      for (let n = 0; n < stateSize; n += 1) {
        // A = -(n + 1), the real initialisation of section 3.6.
        const keep = Math.exp(-at(steps, i) * (n + 1));
        channel[n] = keep * at(channel, n) + at(steps, i) * at(into, n) * value;
      }
      return (dot(out, channel) + at(skip, i) * value) * silu(at(gate, i));
    });
    return multiply(weights.output, result);
  });
}

function softplus(value: number): number {
  return Math.log1p(Math.exp(value));
}
