/** Small linear algebra in double precision and a seeded generator; the reference layers need nothing else. */

/** Uniform numbers in [0, 1). */
export type Random = () => number;

/** Row-major matrix. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** Mulberry32: 32 bits of state, the same sequence on every machine for one seed. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal number (Box-Muller). */
export function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function randomVector(random: Random, length: number, scale = 1): Float64Array {
  return Float64Array.from({ length }, () => scale * gaussian(random));
}

/** Entries with variance 1/columns, so that unit inputs give unit outputs. */
export function randomMatrix(random: Random, rows: number, columns: number): Matrix {
  return { rows, columns, data: randomVector(random, rows * columns, columns ** -0.5) };
}

/** Matrix times vector of `columns` entries; the checks of `at` would be most of the time here. */
export function multiply(matrix: Matrix, vector: Float64Array): Float64Array {
  const { rows, columns, data } = matrix;
  const result = new Float64Array(rows);
  for (let row = 0; row < rows; row += 1) {
    let sum = 0;
    const from = row * columns;
    for (let i = 0; i < columns; i += 1) sum += (data[from + i] ?? 0) * (vector[i] ?? 0);
    result[row] = sum;
  }
  return result;
}

/** Both of the same length. */
export function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < left.length; i += 1) sum += (left[i] ?? 0) * (right[i] ?? 0);
  return sum;
}

export function add(left: Float64Array, right: Float64Array): Float64Array {
  const result = left.slice();
  accumulate(result, right, 1);
  return result;
}

/** Adds `scale * addend` to `target` in place. */
export function accumulate(target: Float64Array, addend: Float64Array, scale: number): void {
  for (let i = 0; i < target.length; i += 1)
    target[i] = (target[i] ?? 0) + scale * (addend[i] ?? 0);
}

/** Divides by the root mean square (RMSNorm without a gain). */
export function normalise(vector: Float64Array): Float64Array {
  const scale = 1 / Math.sqrt(dot(vector, vector) / vector.length + 1e-12);
  return vector.map((value) => value * scale);
}

/** Softmax of finite logits, at least one; the largest is subtracted first. */
export function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - largest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

export function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

export function silu(value: number): number {
  return value * sigmoid(value);
}

/** Element that must be there. @throws RangeError outside the array */
export function at<T>(
  values: { readonly length: number; readonly [index: number]: T },
  index: number,
): T {
  const value = values[index];
  if (value === undefined)
    throw new RangeError(`No element ${index} in an array of ${values.length}`);
  return value;
}
