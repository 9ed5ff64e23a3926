/** Scales a vector to length 1 in place; the zero vector stays as it is. */
export function toUnitLength(vector: Float32Array): void {
  let square = 0;
  for (const value of vector) square += value * value;
  const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) * scale;
}
