/** Schemes that fold positions into the trained range: dual chunk attention, self-extend. */
import { causal, scaledDot } from './attention.ts';
import type { AttentionScheme } from './attention.ts';
import { rotate, rotateBack } from './frequencies.ts';
import type { Rotary } from './frequencies.ts';
import type { Call } from './types.ts';

export interface DualChunk {
  readonly rotary: Rotary;
  readonly chunk: number;
  /** Trained length, larger than `chunk`. */
  readonly trained: number;
}

/**
 * Dual chunk attention (arXiv 2402.17463, section 2.2): keys are rotated by their position inside the chunk; the
 * query's position depends on whether the key lies in its own chunk, the one before, or further back.
 */
export function dualChunk({ rotary, chunk, trained }: DualChunk): AttentionScheme {
  const chunks = (query: number, key: number): number =>
    Math.floor(query / chunk) - Math.floor(key / chunk);
  const queryPosition = (query: number, key: number): number => {
    const apart = chunks(query, key);
    if (apart === 0) return query % chunk;
    return apart === 1 ? Math.min((query % chunk) + chunk, trained - 1) : trained - 1;
  };
  return {
    store: (key, { position }) => rotate(key, position % chunk, rotary),
    restore: (stored, { position }) => rotateBack(stored, position % chunk, rotary),
    prepare: (query) => query,
    logit: (query, stored, pair) =>
      scaledDot(rotate(query, queryPosition(pair.query, pair.key), rotary), stored),
    visible: causal,
  };
}

export interface SelfExtend {
  readonly rotary: Rotary;
  /** Tokens that keep their own positions. */
  readonly neighbours: number;
  /** Positions that fall together before them. */
  readonly group: number;
}

/**
 * Self-extend with keys cached after rotation: whenever the sequence outgrows the neighbour window, the positions
 * of all full windows before are divided by the group size, so that positions depend on the total length (the form
 * that llama.cpp's server once had; the method itself, arXiv 2401.01325, keeps bare keys).
 */
export function selfExtend({ rotary, neighbours, group }: SelfExtend): AttentionScheme {
  const folded = (position: number, { total }: Call): number => {
    const border = Math.floor((total - 1) / neighbours) * neighbours;
    if (position < border) return Math.floor(position / group);
    return Math.floor(border / group) + position - border;
  };
  return {
    store: (key, { position, call }) => rotate(key, folded(position, call), rotary),
    restore: (stored, { position, call }) => rotateBack(stored, folded(position, call), rotary),
    prepare: (query, { position, call }) => rotate(query, folded(position, call), rotary),
    logit: scaledDot,
    visible: causal,
  };
}

/** Temporal, vertical and horizontal position of a token. */
export type AxisPositions = readonly [time: number, row: number, column: number];

/**
 * M-RoPE (Qwen2-VL, arXiv 2409.12191, section 2.1): every rotary pair belongs to one of three axes; text has the same
 * number on all three. `layout` gives the positions of the n-th token.
 */
export function mRope(rotary: Rotary, layout: (index: number) => AxisPositions): AttentionScheme {
  // The rotations of pairs commute: one axis after the other, each with the angles of its own pairs.
  const turned = (vector: Float64Array, index: number, direction: 1 | -1 = 1): Float64Array =>
    layout(index).reduce((turning, position, axis) => {
      const angles = rotary.angles.map((angle, pair) => (pair % 3 === axis ? angle : 0));
      return rotate(turning, direction * position, { angles, factor: 1 });
    }, vector);
  return {
    store: (key, { position }) => turned(key, position),
    restore: (stored, { position }) => turned(stored, position, -1),
    prepare: (query, { position }) => turned(query, position),
    logit: scaledDot,
    visible: causal,
  };
}

/**
 * Layout of a text with one image of `rows` x `columns` patches from token `from` on: the image's tokens share one
 * time; the text behind it goes on after the largest number used.
 */
export function imageLayout(
  from: number,
  rows: number,
  columns: number,
): (index: number) => AxisPositions {
  return (index) => {
    const patch = index - from;
    if (patch < 0) return [index, index, index];
    if (patch < rows * columns)
      return [from, from + Math.floor(patch / columns), from + (patch % columns)];
    const position = index - rows * columns + Math.max(rows, columns);
    return [position, position, position];
  };
}
