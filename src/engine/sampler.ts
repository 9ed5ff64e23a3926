/** From logits to a token: greedy, or temperature and nucleus sampling with a seeded generator. */

/** xorshift32 over the seed; one draw per token in order, so a seed names the whole text. */
export function createRandom(seed: number): () => number {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ 0x27d4eb2f) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 4294967296;
  };
}

/** Index of the largest logit; the first one of equals. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let at = 1; at < logits.length; at += 1) {
    if ((logits[at] ?? 0) > (logits[best] ?? 0)) best = at;
  }
  return best;
}

/**
 * @param temperature 0 = greedy
 * @param topP smallest set of most probable tokens with at least this mass, (0, 1]
 */
export function sample(
  logits: Float32Array,
  options: { readonly temperature: number; readonly topP: number },
  random: () => number,
): number {
  if (options.temperature <= 0) return argmax(logits);
  const top = logits[argmax(logits)] ?? 0;
  const weights = logits.map((logit) => Math.exp((logit - top) / options.temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const order = Array.from(weights.keys()).sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0));
  let mass = 0;
  let size = 0;
  while (size < order.length && mass < options.topP * total) {
    mass += weights[order[size] ?? 0] ?? 0;
    size += 1;
  }
  let draw = random() * mass;
  for (const id of order.slice(0, size)) {
    draw -= weights[id] ?? 0;
    if (draw <= 0) return id;
  }
  return order[Math.max(0, size - 1)] ?? 0;
}
