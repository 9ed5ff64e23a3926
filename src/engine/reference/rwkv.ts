/** RWKV-4 (arXiv 2305.13048, section 3.1): time mixing and channel mixing, both with token shift. */
import { recurrent } from './linear-attention.ts';
import { at, multiply, randomMatrix, sigmoid } from './numbers.ts';
import type { Matrix, Random } from './numbers.ts';
import type { Mixer, Shape } from './types.ts';

/**
 * Time mixing: receptance, key and value from a blend of this token and the one before; per channel a decaying sum
 * with a bonus for the token itself. State: last input, numerator, denominator (3 * width).
 */
export function rwkvTimeMixing(random: Random, { width }: Shape): Mixer {
  const square = (): Matrix => randomMatrix(random, width, width);
  const weights = { receptance: square(), key: square(), value: square(), output: square() };
  const drawn = (from: number, to: number): Float64Array =>
    Float64Array.from({ length: width }, () => from + (to - from) * random());
  const share = { receptance: drawn(0, 1), key: drawn(0, 1), value: drawn(0, 1) };
  const decay = drawn(0.02, 0.5);
  const bonus = drawn(-0.5, 0.5);
  return recurrent(3 * width, (input, state) => {
    const last = state.slice(0, width);
    const key = multiply(weights.key, shift(input, last, share.key));
    const value = multiply(weights.value, shift(input, last, share.value));
    const receptance = multiply(weights.receptance, shift(input, last, share.receptance));
    const mixed = input.map((_, i) => {
      const [top, bottom] = [at(state, width + i), at(state, 2 * width + i)];
      const own = Math.exp(at(bonus, i) + at(key, i));
      const fade = Math.exp(-at(decay, i));
      state[width + i] = fade * top + Math.exp(at(key, i)) * at(value, i);
      state[2 * width + i] = fade * bottom + Math.exp(at(key, i));
      return (sigmoid(at(receptance, i)) * (top + own * at(value, i))) / (bottom + own);
    });
    state.set(input);
    return multiply(weights.output, mixed);
  });
}

/** Channel mixing: squared ReLU gated by a receptance, both after token shift. State: last input. */
export function rwkvChannelMixing(random: Random, { width }: Shape): Mixer {
  const square = (): Matrix => randomMatrix(random, width, width);
  const weights = { receptance: square(), key: square(), value: square() };
  const drawn = (): Float64Array => Float64Array.from({ length: width }, random);
  const share = { receptance: drawn(), key: drawn() };
  return recurrent(width, (input, state) => {
    const last = state.slice();
    const key = multiply(weights.key, shift(input, last, share.key));
    const receptance = multiply(weights.receptance, shift(input, last, share.receptance));
    state.set(input);
    const value = multiply(
      weights.value,
      key.map((entry) => Math.max(0, entry) ** 2),
    );
    return value.map((entry, i) => sigmoid(at(receptance, i)) * entry);
  });
}

function shift(now: Float64Array, last: Float64Array, share: Float64Array): Float64Array {
  return now.map((value, i) => at(share, i) * value + (1 - at(share, i)) * at(last, i));
}
