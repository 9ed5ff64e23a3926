/**
 * Reference layers: two small layers in double precision with random weights, one file per family of position or
 * mixing scheme. They exist so that what a cache may be used for is computed, not believed.
 */

/** What a call of the model knows beside its tokens. */
export interface Call {
  /** Tokens of the sequence after this call, cached ones included. */
  readonly total: number;
  /** Value that the process carries from call to call (`StackOptions.advance`); 0 in a fresh process. */
  readonly process: number;
  /** Length of the longest other sequence in the same batch; 0 when the sequence runs alone. */
  readonly companion: number;
  /** Position of the first new token. */
  readonly start: number;
  /** Names the part of the input that the new tokens belong to (window, group); 0 = ordinary text. */
  readonly tag: number;
}

/** What is cached of one token in one layer. */
export interface Entry {
  /** Position that the key was stored for. */
  readonly position: number;
  readonly tag: number;
  /** As stored, i.e. rotated or not as the scheme has it; all heads in a row. */
  readonly key: Float64Array;
  readonly value: Float64Array;
  /** The call that stored the entry; its lengths decide the key of a length-dependent scheme. */
  readonly call: Call;
}

/** Cached state of one layer: one entry per token, or one state into which all tokens were mixed. */
export type LayerState =
  | { readonly kind: 'tokens'; readonly entries: readonly Entry[] }
  | { readonly kind: 'mixed'; readonly values: Float64Array };

export interface CacheState {
  /** Position of the next token. */
  readonly length: number;
  /** First layer first. */
  readonly layers: readonly LayerState[];
  /** Hidden states after the last layer, of the tokens of the last call. */
  readonly outputs: readonly Float64Array[];
  /** True when a query should have seen an entry that was not in the cache: the result is not the model's. */
  readonly missing: boolean;
}

export interface MixerResult {
  readonly outputs: readonly Float64Array[];
  readonly state: LayerState;
  readonly missing: boolean;
}

/** The part of a layer that mixes tokens. */
export interface Mixer {
  readonly empty: LayerState;
  /** Inputs are normalised hidden states of the new tokens, in order. */
  run(inputs: readonly Float64Array[], state: LayerState, call: Call): MixerResult;
  /** Takes the position out of a stored key; absent where a state has no keys. */
  restore?(entry: Entry): Float64Array;
  /** Puts a position into a bare key. */
  store?(key: Float64Array, position: number, call: Call): Float64Array;
}

/** Sizes of all reference layers. */
export interface Shape {
  /** Hidden width; heads * headDim. */
  readonly width: number;
  readonly heads: number;
  readonly headDim: number;
}
