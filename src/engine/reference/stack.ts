/** A stack of residual layers (token mixer, then a gated unit) with an explicit cache. */
import {
  accumulate,
  add,
  at,
  createRandom,
  gaussian,
  multiply,
  normalise,
  randomMatrix,
  randomVector,
  silu,
} from './numbers.ts';
import type { Matrix, Random } from './numbers.ts';
import type { CacheState, Call, LayerState, Mixer, Shape } from './types.ts';

/** 2 heads of 6: three rotary pairs per head. */
export const shape: Shape = { width: 12, heads: 2, headDim: 6 };

const vocabulary = 32;

export interface StackOptions {
  /** Same seed, same weights. */
  readonly seed: number;
  /** Makes the mixer of every layer, first layer first; draws its weights from `random`. */
  readonly mixers: readonly ((random: Random, shape: Shape) => Mixer)[];
  /** Learned absolute positions: length of the table that is added to the embeddings. */
  readonly learnedPositions?: number;
  /** What the process remembers after a call, from what it remembered before; for schemes with a history. */
  readonly advance?: (previous: number, total: number, start: number) => number;
}

export interface ExtendOptions {
  /** Position of the first new token; the length of the state when left out. */
  readonly start?: number;
  readonly tag?: number;
  readonly companion?: number;
}

export interface Stack {
  readonly mixers: readonly Mixer[];
  /** A cold run over `tokens`. */
  prefill(tokens: readonly number[], options?: ExtendOptions): CacheState;
  /** Continues a state, which is left as it is. @throws RangeError past a learned limit */
  append(state: CacheState, tokens: readonly number[], options?: ExtendOptions): CacheState;
  /** A new process with the same weights. */
  restart(): Stack;
}

/** One stack is one server process: `advance` sees all its calls. */
export function createStack(options: StackOptions): Stack {
  return startProcess(drawWeights(options), options.advance);
}

interface Weights {
  readonly embeddings: readonly Float64Array[];
  readonly positions: readonly Float64Array[];
  readonly gates: readonly Gate[];
  readonly mixers: readonly Mixer[];
}

function drawWeights(options: StackOptions): Weights {
  const random = createRandom(options.seed);
  const embeddings = Array.from({ length: vocabulary }, () => randomVector(random, shape.width));
  const positions = Array.from({ length: options.learnedPositions ?? 0 }, () =>
    randomVector(random, shape.width),
  );
  const gates = options.mixers.map(() => randomGate(random));
  const mixers = options.mixers.map((create) => create(random, shape));
  return { embeddings, positions, gates, mixers };
}

function startProcess(weights: Weights, advance: StackOptions['advance']): Stack {
  const { embeddings, positions, gates, mixers } = weights;
  const cold: CacheState = {
    length: 0,
    layers: mixers.map((mixer) => mixer.empty),
    outputs: [],
    missing: false,
  };
  let process = 0;

  function embed(token: number, position: number): Float64Array {
    const embedding = at(embeddings, token);
    return positions.length === 0 ? embedding : add(embedding, at(positions, position));
  }

  function append(
    state: CacheState,
    tokens: readonly number[],
    { start = state.length, tag = 0, companion = 0 }: ExtendOptions = {},
  ): CacheState {
    const total = start + tokens.length;
    process = advance?.(process, total, start) ?? 0;
    const call: Call = { total, process, companion, start, tag };
    let hidden: readonly Float64Array[] = tokens.map((token, i) => embed(token, start + i));
    let missing = false;
    const layers: LayerState[] = [];
    for (const [layer, mixer] of mixers.entries()) {
      const mixed = mixer.run(hidden.map(normalise), at(state.layers, layer), call);
      layers.push(mixed.state);
      missing ||= mixed.missing;
      hidden = hidden.map((vector, i) =>
        gated(at(gates, layer), add(vector, at(mixed.outputs, i))),
      );
    }
    return { length: total, layers, outputs: hidden, missing };
  }

  return {
    mixers,
    append,
    prefill: (tokens, extend) => append(cold, tokens, extend),
    restart: () => startProcess(weights, advance),
  };
}

interface Gate {
  readonly up: Matrix;
  readonly down: Matrix;
}

function randomGate(random: Random): Gate {
  return {
    up: randomMatrix(random, shape.width, shape.width),
    down: randomMatrix(random, shape.width, shape.width),
  };
}

function gated({ up, down }: Gate, hidden: Float64Array): Float64Array {
  const result = hidden.slice();
  accumulate(result, multiply(down, multiply(up, normalise(hidden)).map(silu)), 1);
  return result;
}

/** Random token ids for experiments. */
export function randomTokens(random: Random, count: number): number[] {
  return Array.from({ length: count }, () =>
    Math.min(vocabulary - 1, Math.floor(Math.abs(gaussian(random)) * 12)),
  );
}
