/** Rotary frequencies of every extension scheme: pure functions of the configuration and a length. */
import { at } from './numbers.ts';

/** Angle per position of every rotary pair, and the factor that both cos and sin are multiplied with. */
export interface Rotary {
  /** theta_i, one per pair (half the head dimension). */
  readonly angles: Float64Array;
  readonly factor: number;
}

/** theta_i = base^(-2i/d), i = 0 .. d/2-1 (RoFormer, arXiv 2104.09864, section 3.2.2). */
export function plainRotary(headDim: number, base: number): Rotary {
  const angles = Float64Array.from({ length: headDim / 2 }, (_, i) => base ** ((-2 * i) / headDim));
  return { angles, factor: 1 };
}

/** All angles divided by the scale (position interpolation, arXiv 2306.15595, section 2.3). */
export function linearRotary(headDim: number, base: number, scale: number): Rotary {
  return { angles: plainRotary(headDim, base).angles.map((angle) => angle / scale), factor: 1 };
}

/** base * scale^(d/(d-2)): the last pair is scaled by 1/scale, the first not at all (YaRN paper, section 3.1). */
export function ntkBase(headDim: number, base: number, scale: number): number {
  return base * scale ** (headDim / (headDim - 2));
}

export interface DynamicNtk {
  readonly headDim: number;
  readonly base: number;
  readonly factor: number;
  /** Longest trained sequence. */
  readonly original: number;
}

/** Base for a sequence of `length` tokens; `base` up to `original` (transformers, rope type `dynamic`). */
export function dynamicNtkBase(
  { headDim, base, factor, original }: DynamicNtk,
  length: number,
): number {
  if (length <= original) return base;
  return ntkBase(headDim, base, (factor * length) / original - (factor - 1));
}

/** Number of the step: 0 up to `original`, else ceil(log2(length / original)) (Qwen 1, `get_ntk_alpha`). */
export function ntkStep(original: number, length: number): number {
  return length <= original ? 0 : Math.ceil(Math.log2(length / original));
}

/** Base of a step: scale 2^(step+1) - 1, so that step 0 leaves the base alone (Qwen 1, `get_ntk_alpha`). */
export function steppedNtkBase(headDim: number, base: number, step: number): number {
  return ntkBase(headDim, base, 2 ** (step + 1) - 1);
}

export interface Yarn {
  readonly headDim: number;
  readonly base: number;
  readonly scale: number;
  readonly original: number;
  readonly betaFast?: number;
  readonly betaSlow?: number;
  /** False keeps the borders of the ramp unrounded (gpt-oss). */
  readonly truncate?: boolean;
}

/**
 * YaRN (arXiv 2309.00071, section 3.2; the ramp linear in the pair's index as in its published code): fast pairs
 * stay, slow ones are divided by the scale, a ramp lies between; the factor is 0.1 ln(scale) + 1 (section 3.3).
 */
export function yarnRotary(yarn: Yarn): Rotary {
  const { headDim, base, scale, original, betaFast = 32, betaSlow = 1, truncate = true } = yarn;
  const border = (turns: number): number =>
    (headDim * Math.log(original / (2 * Math.PI * turns))) / (2 * Math.log(base));
  const round = truncate ? { low: Math.floor, high: Math.ceil } : { low: identity, high: identity };
  const low = Math.max(round.low(border(betaFast)), 0);
  let high = Math.min(round.high(border(betaSlow)), headDim - 1);
  if (high === low) high += 0.001;
  const angles = plainRotary(headDim, base).angles.map((angle, i) => {
    const ramp = clamp((i - low) / (high - low));
    return (angle / scale) * ramp + angle * (1 - ramp);
  });
  return { angles, factor: scale > 1 ? 0.1 * Math.log(scale) + 1 : 1 };
}

export interface Llama3 {
  readonly headDim: number;
  readonly base: number;
  readonly factor: number;
  readonly lowFactor: number;
  readonly highFactor: number;
  readonly original: number;
}

/** Llama 3.1's bands: short wavelengths stay, long ones are divided, a blend lies between (rope type `llama3`). */
export function llama3Rotary({
  headDim,
  base,
  factor,
  lowFactor,
  highFactor,
  original,
}: Llama3): Rotary {
  const angles = plainRotary(headDim, base).angles.map((angle) => {
    const turns = (original * angle) / (2 * Math.PI);
    const keep = clamp((turns - lowFactor) / (highFactor - lowFactor));
    return ((1 - keep) * angle) / factor + keep * angle;
  });
  return { angles, factor: 1 };
}

export interface LongRope {
  readonly base: number;
  /** One divisor per pair: the short or the long table of the model. */
  readonly divisors: readonly number[];
  readonly original: number;
  /** Longest supported sequence; its ratio to `original` decides the factor. */
  readonly longest: number;
}

/** LongRoPE (arXiv 2402.13753, section 3): every angle has its own divisor; factor sqrt(1 + ln(s)/ln(original)). */
export function longRopeRotary({ base, divisors, original, longest }: LongRope): Rotary {
  const plain = plainRotary(divisors.length * 2, base).angles;
  const scale = longest / original;
  return {
    angles: plain.map((angle, i) => angle / at(divisors, i)),
    factor: scale > 1 ? Math.sqrt(1 + Math.log(scale) / Math.log(original)) : 1,
  };
}

/** Rotates the pairs (i, i + d/2) of `vector` by position * theta_i and multiplies by the factor. */
export function rotate(
  vector: Float64Array,
  position: number,
  { angles, factor }: Rotary,
): Float64Array {
  const half = angles.length;
  const result = new Float64Array(vector.length);
  for (let i = 0; i < half; i += 1) {
    const cosine = factor * Math.cos(position * at(angles, i));
    const sine = factor * Math.sin(position * at(angles, i));
    const [left, right] = [at(vector, i), at(vector, i + half)];
    result[i] = left * cosine - right * sine;
    result[i + half] = right * cosine + left * sine;
  }
  return result;
}

/** Inverse of `rotate`. */
export function rotateBack(
  vector: Float64Array,
  position: number,
  { angles, factor }: Rotary,
): Float64Array {
  return rotate(vector, -position, { angles, factor: 1 / factor });
}

function identity(value: number): number {
  return value;
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
