/** What a position scheme is told and what it answers; engine.onnx takes the answer as it is. */
import type { ModelShape } from '../types.ts';

/** Position of a slot of the cache that holds no token. */
export const emptySlot = -1;

/** Added to a score that must not count. */
export const hidden = -1e9;

/** One step of one sequence: what is cached and what is new. Slots are in no particular order. */
export interface StepView {
  /** Position of the token in every cached slot, or `emptySlot`; all positions are below `start`. */
  readonly past: Int32Array;
  /** Part of the input that a slot's token belongs to: 0 = the text itself, from 1 = window or group. Null = all 0. */
  readonly pastParts: Uint16Array | null;
  /** Position of the first new token. */
  readonly start: number;
  /** New tokens, at least 1. */
  readonly fresh: number;
  /** Tokens behind the sinks that are no longer kept (`Retention`). */
  readonly dropped: number;
}

/** Position and mask inputs of one step. T = new tokens, K = cached slots and new tokens. */
export interface SchemeInputs {
  /** Position of every new token, length T. */
  readonly queryPositions: Float32Array;
  /** Position of every key, length K. */
  readonly keyPositions: Float32Array;
  /** Added to the scores, row-major `maskHeads` x T x K; 0 keeps, `hidden` hides. */
  readonly mask: Float32Array;
  /** 1 when all heads share one mask, else the number of heads. */
  readonly maskHeads: number;
  /** Pairs that use other positions, or null. */
  readonly second: SecondBranch | null;
}

export interface SecondBranch {
  readonly queryPositions: Float32Array;
  /** Length K, or 1 for one position of all keys. */
  readonly keyPositions: Float32Array;
  /** Row-major T x K; 1 where this branch counts. */
  readonly select: Float32Array;
}

/** Which cached tokens stay when KV is bounded: the first `sinks` and the most recent ones. */
export interface Retention {
  readonly sinks: number;
  /** Recent tokens that stay before `fresh` new ones come. */
  recent(fresh: number): number;
  /** No later token could have seen what is dropped: KV is the same as without dropping, and may be shared. */
  readonly exact: boolean;
  /** Most new tokens of one step. */
  readonly maxFresh: number;
}

export interface Rotary {
  /** One per rotary pair. */
  readonly inverseFrequencies: Float32Array;
  /** Multiplies cos and sin of queries and keys. */
  readonly attentionFactor: number;
}

/** One file per scheme. */
export interface PositionScheme {
  /** Name and parameters: KV of two schemes is the same only under the same name. */
  readonly name: string;
  /**
   * Length that the frequencies of a sequence of `length` tokens are made for. KV of two regimes never mixes: a
   * sequence that crosses is computed anew.
   */
  regime(length: number): number;
  rotary(regime: number): Rotary;
  inputs(view: StepView): SchemeInputs;
  /** Null: everything is kept. */
  readonly retention: Retention | null;
}

/** Makes a scheme for a model; the parameters are bound already. */
export type SchemeMaker = (shape: ModelShape) => PositionScheme;
