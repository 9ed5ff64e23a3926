/**
 * Lambda-shaped attention with a distance limit (LM-Infinite, arXiv 2308.16137 section 4): every token sees the
 * first few tokens and the last `trainedLength`; distances to the first ones are capped at the trained length, so
 * no distance ever leaves what the model was trained on. Inside the trained length it is plain attention.
 */
import type { ModelShape, PositionScheme, SchemeInputs } from '../types.ts';

const hidden = -1e9;

/** Tokens at the start that stay visible; the paper uses 4 to 100, StreamingLLM 4. */
const sinks = 4;

export const lambdaScheme: PositionScheme = { name: 'lambda', inputs };

function inputs(shape: ModelShape, past: number, fresh: number): SchemeInputs {
  const keys = past + fresh;
  const limit = shape.trainedLength;
  const keyPositions = Float32Array.from({ length: keys }, (_, at) => at);
  const mask = new Float32Array(fresh * keys);
  const beyond = keys > limit;
  const select = new Float32Array(beyond ? fresh * keys : 1);
  for (let row = 0; row < fresh; row += 1) {
    const query = past + row;
    const firstVisible = query - limit + 1;
    const base = row * keys;
    mask.fill(hidden, base + query + 1, base + keys);
    if (firstVisible <= 0) continue;
    mask.fill(hidden, base + Math.min(sinks, firstVisible), base + firstVisible);
    select.fill(1, base, base + Math.min(sinks, firstVisible));
  }
  return {
    queryPositions: keyPositions.subarray(past),
    keyPositions,
    inverseFrequencies: inverseFrequencies(shape),
    attentionFactor: 1,
    mask,
    // One distance for every selected pair: the largest that was trained.
    queryPositions2: new Float32Array(fresh).fill(limit - 1),
    keyPositions2: new Float32Array(1),
    select,
  };
}

/** RoPE frequencies theta^(-2i/d), i = 0 .. d/2-1 (RoFormer, section 3.2.2). */
export function inverseFrequencies(shape: ModelShape): Float32Array {
  return Float32Array.from(
    { length: shape.headDim / 2 },
    (_, i) => shape.ropeBase ** ((-2 * i) / shape.headDim),
  );
}
