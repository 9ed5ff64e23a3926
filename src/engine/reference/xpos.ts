/** xPos (arXiv 2212.10554, section 3.2): rotary plus a decay, in three ways of caching its keys. */
import { causal, scaledDot } from './attention.ts';
import type { AttentionScheme } from './attention.ts';
import { plainRotary, rotate } from './frequencies.ts';
import type { Rotary } from './frequencies.ts';
import { at } from './numbers.ts';
import type { Call } from './types.ts';

export interface XposSettings {
  readonly headDim: number;
  readonly base: number;
  /** Tokens over which a pair decays by its zeta; 512 in the paper. */
  readonly scaleBase: number;
}

/** zeta_i = (2i/d + 0.4) / 1.4. */
export function xposZeta(headDim: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => ((2 * i) / headDim + 0.4) / 1.4);
}

/**
 * Keys cached bare and placed anew in every call. `suffixOffset` says where the first query of a call stands:
 * `own` is right for any suffix; `last` restates torchscale's incremental path, which takes the key length minus
 * one and so is right for one-token steps only.
 */
export function xposRaw(settings: XposSettings, suffixOffset: 'own' | 'last'): AttentionScheme {
  const place = placer(settings);
  const lead = ({ start, total }: Call): number =>
    suffixOffset === 'own' || start === 0 ? 0 : total - start - 1;
  return {
    store: (key) => key,
    restore: (stored) => stored,
    prepare: (query, { position, call }) => place.query(query, position + lead(call), 0),
    logit: (query, stored, { key }) => scaledDot(query, place.key(stored, key, 0)),
    visible: causal,
  };
}

/**
 * Keys cached rotated and scaled. The centre that positions are scaled from is half the sequence's length at the
 * time of the call, or always 0.
 */
export function xposScaled(settings: XposSettings, centre: 'length' | 'zero'): AttentionScheme {
  const place = placer(settings);
  const middle = ({ total }: Call): number => (centre === 'zero' ? 0 : Math.floor(total / 2));
  return {
    store: (key, { position, call }) => place.key(key, position, middle(call)),
    restore: (stored, { position, call }) => place.keyBack(stored, position, middle(call)),
    prepare: (query, { position, call }) => place.query(query, position, middle(call)),
    logit: scaledDot,
    visible: causal,
  };
}

interface Placer {
  query(vector: Float64Array, position: number, centre: number): Float64Array;
  key(vector: Float64Array, position: number, centre: number): Float64Array;
  keyBack(vector: Float64Array, position: number, centre: number): Float64Array;
}

function placer({ headDim, base, scaleBase }: XposSettings): Placer {
  const rotary = plainRotary(headDim, base);
  const zeta = xposZeta(headDim);
  const scaled = (vector: Float64Array, power: number): Float64Array =>
    vector.map((value, i) => value * at(zeta, i % zeta.length) ** power);
  const turned = (vector: Float64Array, position: number, turn: Rotary): Float64Array =>
    rotate(vector, position, turn);
  return {
    query: (vector, position, centre) =>
      scaled(turned(vector, position, rotary), (position - centre) / scaleBase),
    key: (vector, position, centre) =>
      scaled(turned(vector, position, rotary), (centre - position) / scaleBase),
    keyBack: (vector, position, centre) =>
      turned(scaled(vector, (position - centre) / scaleBase), -position, rotary),
  };
}
