/** KV of one sequence: keys before rotation and values, `[layers, 1, kvHeads, length, headDim]` each. */
import type { ModelShape } from './types.ts';

export interface KvState {
  /** The tokens whose KV this is; `length` of them. */
  readonly ids: Uint32Array;
  readonly length: number;
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

export const emptyState: KvState = {
  ids: new Uint32Array(0),
  length: 0,
  keys: new Float32Array(0),
  values: new Float32Array(0),
};

/** The first `length` tokens of a state; keys are stored before rotation, so a prefix is simply shorter. */
export function prefixOf(state: KvState, length: number, shape: ModelShape): KvState {
  if (length === state.length) return state;
  if (length === 0) return emptyState;
  const rows = shape.layers * shape.kvHeads;
  const from = state.length * shape.headDim;
  const to = length * shape.headDim;
  const cut = (source: Float32Array): Float32Array => {
    const target = new Float32Array(rows * to);
    for (let row = 0; row < rows; row += 1) {
      target.set(source.subarray(row * from, row * from + to), row * to);
    }
    return target;
  };
  return {
    ids: state.ids.subarray(0, length),
    length,
    keys: cut(state.keys),
    values: cut(state.values),
  };
}

export function commonPrefix(a: Uint32Array, b: Uint32Array): number {
  const limit = Math.min(a.length, b.length);
  let at = 0;
  while (at < limit && a[at] === b[at]) at += 1;
  return at;
}

/** Finished sequences, newest last; the oldest goes when there are too many or they hold too many tokens. */
export class PrefixCache {
  readonly #states: KvState[] = [];
  readonly #maxSequences: number;
  readonly #maxTokens: number;

  constructor(maxSequences: number, maxTokens: number) {
    this.#maxSequences = maxSequences;
    this.#maxTokens = maxTokens;
  }

  /** The state that shares the longest prefix with `ids`, and how long that prefix is. */
  longest(ids: Uint32Array): { readonly state: KvState; readonly shared: number } {
    let best = { state: emptyState, shared: 0 };
    for (const state of this.#states) {
      const shared = commonPrefix(state.ids, ids);
      if (shared > best.shared) best = { state, shared };
    }
    return best;
  }

  add(state: KvState): void {
    if (state.length === 0 || state.length > this.#maxTokens) return;
    // A sequence that the new one extends holds nothing that the new one lacks.
    const keep = this.#states.filter((old) => commonPrefix(old.ids, state.ids) < old.length);
    this.#states.splice(0, this.#states.length, ...keep, state);
    let tokens = this.#states.reduce((sum, { length }) => sum + length, 0);
    while (this.#states.length > this.#maxSequences || tokens > this.#maxTokens) {
      tokens -= this.#states.shift()?.length ?? 0;
    }
  }
}
