/**
 * Rotary frequencies of every extension scheme as pure functions. Pair i of a head turns by theta_i per position;
 * a scheme changes theta, and some multiply cos and sin with an attention factor (logits grow by its square).
 */
import { assertNever, SluiceError } from '../../core/errors.ts';

/** Rotary part of a model. */
export interface RopeShape {
  /** Channels of a head that are rotated; even. */
  readonly headDim: number;
  /** Above 1. */
  readonly base: number;
  /** Tokens of the longest sequence before any scaling (`original_max_position_embeddings`). */
  readonly trainedLength: number;
}

/** Every `factor` is target length / trained length, at least 1. */
export type RopeScaling =
  | { readonly type: 'default' }
  /** Position interpolation (arXiv 2306.15595): all frequencies divided. */
  | { readonly type: 'linear'; readonly factor: number }
  /** NTK-aware: base * factor^(d/(d-2)), so that the slowest pair is divided and the fastest left alone. */
  | { readonly type: 'ntk-static'; readonly factor: number }
  /** As transformers computes it: the base follows the sequence length past the trained one. */
  | { readonly type: 'dynamic'; readonly factor: number }
  /** Qwen 1: NTK in steps of two; the factor follows from the length. */
  | { readonly type: 'ntk-stepped' }
  /** YaRN (arXiv 2309.00071) as its published code and every server have it: ramp linear in the pair's index. */
  | YarnScaling
  /** YaRN as in the paper's section 3.2: ramp linear in the number of turns, between `betaSlow` and `betaFast`. */
  | (Omit<YarnScaling, 'type' | 'truncate'> & { readonly type: 'yarn-paper' })
  /** Llama 3.1: bands by wavelength. */
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
    }
  /** LongRoPE (arXiv 2402.13753): a divisor for every pair, from one of two tables. */
  | {
      readonly type: 'longrope';
      readonly shortFactors: readonly number[];
      /** For sequences longer than the trained length. */
      readonly longFactors: readonly number[];
      /** Longest supported / trained length; decides the attention factor. */
      readonly factor: number;
      readonly attentionFactor?: number;
    }
  /** Another base, chosen by the scaling law (arXiv 2310.05209) or trained with. */
  | { readonly type: 'adjusted-base'; readonly base: number };

export interface YarnScaling {
  readonly type: 'yarn';
  readonly factor: number;
  /** Instead of what follows from the factor. */
  readonly attentionFactor?: number;
  /** Turns within the trained length from which on a pair is left alone; 32. */
  readonly betaFast?: number;
  /** Turns below which a pair is divided; 1. */
  readonly betaSlow?: number;
  /** DeepSeek: the attention factor is m(mscale) / m(mscaleAllDim), m(a) = 0.1 a ln(factor) + 1. Only both count. */
  readonly mscale?: number;
  readonly mscaleAllDim?: number;
  /** False leaves the borders of the ramp unrounded (gpt-oss); true. */
  readonly truncate?: boolean;
}

export type RopeScalingType = RopeScaling['type'];

export interface ScaledRope {
  /** One per pair, radians per position. */
  readonly inverseFrequencies: Float64Array;
  /** Multiplies cos and sin. */
  readonly attentionFactor: number;
}

/** theta_i = base^(-2i/d), i = 0 .. d/2-1 (arXiv 2104.09864, section 3.2.2); `headDim` even. */
export function plainFrequencies({
  headDim,
  base,
}: Pick<RopeShape, 'headDim' | 'base'>): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => base ** ((-2 * i) / headDim));
}

/** base * factor^(d/(d-2)). */
export function ntkBase(
  { headDim, base }: Omit<RopeShape, 'trainedLength'>,
  factor: number,
): number {
  return base * factor ** (headDim / (headDim - 2));
}

/** 0.1 a ln(factor) + 1, the square root of YaRN's temperature (arXiv 2309.00071, section 3.4). */
export function yarnMagnitude(factor: number, weight = 1): number {
  return factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
}

/** sqrt(1 + ln(factor) / ln(trained length)). */
export function longRopeMagnitude(factor: number, trainedLength: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(trainedLength));
}

/** The factor that `dynamic` NTK uses for a sequence; 1 up to the trained length. */
export function dynamicFactor(factor: number, trainedLength: number, length: number): number {
  return length <= trainedLength ? 1 : (factor * length) / trainedLength - (factor - 1);
}

/** The factor of Qwen 1's step for a sequence: 1, 3, 7, 15, ... past 1, 2, 4, ... times the trained length. */
export function steppedFactor(trainedLength: number, length: number): number {
  if (length <= trainedLength) return 1;
  return 2 ** (Math.ceil(Math.log2(length / trainedLength)) + 1) - 1;
}

/**
 * Inverse frequencies and attention factor that hold for a sequence of `length` tokens. Only `dynamic`, `ntk-stepped`
 * and `longrope` depend on it.
 * @throws SluiceError REQUEST_INVALID that names what is wrong
 */
export function scaledRope(shape: RopeShape, scaling: RopeScaling, length: number): ScaledRope {
  checkShape(shape);
  checkScaling(shape, scaling);
  if (!(length >= 1)) throw invalid('length', 'at least 1', length);
  return computed(shape, scaling, length);
}

function computed(shape: RopeShape, scaling: RopeScaling, length: number): ScaledRope {
  const { trainedLength } = shape;
  const plain = plainFrequencies(shape);
  const withBase = (base: number): ScaledRope => only(plainFrequencies({ ...shape, base }));
  switch (scaling.type) {
    case 'default':
      return only(plain);
    case 'linear':
      return only(plain.map((theta) => theta / scaling.factor));
    case 'ntk-static':
      return withBase(ntkBase(shape, scaling.factor));
    case 'dynamic':
      return withBase(ntkBase(shape, dynamicFactor(scaling.factor, trainedLength, length)));
    case 'ntk-stepped':
      return withBase(ntkBase(shape, steppedFactor(trainedLength, length)));
    case 'yarn':
      return yarn(shape, scaling, indexRamp(shape, scaling));
    case 'yarn-paper':
      return yarn(shape, scaling, turnRamp(shape, scaling));
    case 'llama3': {
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
      const kept = plain.map((theta) => clamp((turns(theta, trainedLength) - low) / (high - low)));
      return only(divided(plain, factor, kept));
    }
    case 'longrope': {
      const { shortFactors, longFactors, factor } = scaling;
      const table = length > trainedLength ? longFactors : shortFactors;
      return {
        inverseFrequencies: plain.map((theta, i) => theta / (table[i] ?? 1)),
        attentionFactor: scaling.attentionFactor ?? longRopeMagnitude(factor, trainedLength),
      };
    }
    case 'adjusted-base':
      return withBase(scaling.base);
    default:
      return assertNever(scaling);
  }
}

function only(inverseFrequencies: Float64Array): ScaledRope {
  return { inverseFrequencies, attentionFactor: 1 };
}

/** Full turns of a pair within a length. */
function turns(theta: number, length: number): number {
  return (length * theta) / (2 * Math.PI);
}

/** `kept[i]` of every frequency stays as it is, the rest of it is divided. */
function divided(plain: Float64Array, factor: number, kept: Float64Array): Float64Array {
  return plain.map((theta, i) => {
    const share = kept[i] ?? 0;
    return (theta / factor) * (1 - share) + theta * share;
  });
}

type AnyYarn = Omit<YarnScaling, 'type'>;

function yarn(shape: RopeShape, scaling: AnyYarn, kept: Float64Array): ScaledRope {
  const { factor, mscale, mscaleAllDim } = scaling;
  const magnitude =
    mscale !== undefined && mscaleAllDim !== undefined && mscale !== 0 && mscaleAllDim !== 0
      ? yarnMagnitude(factor, mscale) / yarnMagnitude(factor, mscaleAllDim)
      : yarnMagnitude(factor);
  return {
    inverseFrequencies: divided(plainFrequencies(shape), factor, kept),
    attentionFactor: scaling.attentionFactor ?? magnitude,
  };
}

/** Kept shares that fall with the pair's index, between the pairs that turn `betaFast` and `betaSlow` times. */
function indexRamp({ headDim, base, trainedLength }: RopeShape, scaling: AnyYarn): Float64Array {
  const { betaFast = 32, betaSlow = 1, truncate = true } = scaling;
  const border = (count: number): number =>
    (headDim * Math.log(trainedLength / (2 * Math.PI * count))) / (2 * Math.log(base));
  const [first, last] = [border(betaFast), border(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, headDim - 1);
  const width = high === low ? 0.001 : high - low;
  return Float64Array.from({ length: headDim / 2 }, (_, i) => 1 - clamp((i - low) / width));
}

/** Kept shares that fall with the number of turns. */
function turnRamp(shape: RopeShape, { betaFast = 32, betaSlow = 1 }: AnyYarn): Float64Array {
  return plainFrequencies(shape).map((theta) =>
    clamp((turns(theta, shape.trainedLength) - betaSlow) / (betaFast - betaSlow)),
  );
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}

function checkShape({ headDim, base, trainedLength }: RopeShape): void {
  if (!Number.isInteger(headDim) || headDim < 2 || headDim % 2 !== 0) {
    throw invalid('headDim', 'an even number of channels', headDim);
  }
  checkBase('base', base);
  if (!(trainedLength >= 1) || !Number.isFinite(trainedLength)) {
    throw invalid('trainedLength', 'at least 1', trainedLength);
  }
}

function checkScaling({ headDim }: RopeShape, scaling: RopeScaling): void {
  const { type } = scaling;
  if ('factor' in scaling) checkFactor(type, scaling.factor);
  switch (type) {
    case 'ntk-static':
    case 'dynamic':
    case 'ntk-stepped':
      if (headDim === 2) throw invalid(`headDim for ${type}`, 'at least 4', headDim);
      return;
    case 'yarn':
    case 'yarn-paper':
      return checkYarn(scaling);
    case 'llama3':
      return checkBands(scaling);
    case 'longrope':
      return checkTables(scaling, headDim / 2);
    case 'adjusted-base':
      return checkBase(`base of ${type}`, scaling.base);
    default:
  }
}

function checkBase(name: string, base: number): void {
  if (!(base > 1 && Number.isFinite(base))) throw invalid(name, 'above 1', base);
}

function checkFactor(type: string, factor: number): void {
  if (!(factor >= 1 && Number.isFinite(factor))) {
    throw invalid(`factor of ${type}`, 'at least 1', factor);
  }
}

function checkBands({
  lowFrequencyFactor: low,
  highFrequencyFactor: high,
}: Extract<RopeScaling, { type: 'llama3' }>): void {
  if (low > 0 && high > low) return;
  throw invalid('bands of llama3', '0 < low_freq_factor < high_freq_factor', `${low}, ${high}`);
}

function checkYarn({ betaFast = 32, betaSlow = 1, attentionFactor = 1 }: AnyYarn): void {
  if (!(betaSlow > 0 && betaFast > betaSlow)) {
    throw invalid('ramp of yarn', '0 < beta_slow < beta_fast', `${betaSlow}, ${betaFast}`);
  }
  if (!(attentionFactor > 0)) throw invalid('attention_factor', 'above 0', attentionFactor);
}

function checkTables(
  { shortFactors, longFactors }: Extract<RopeScaling, { type: 'longrope' }>,
  pairs: number,
): void {
  for (const [name, table] of Object.entries({ shortFactors, longFactors })) {
    if (table.length !== pairs) throw invalid(name, `${pairs} factors`, table.length);
    const wrong = table.find((value) => !(value > 0 && Number.isFinite(value)));
    if (wrong !== undefined) throw invalid(name, 'factors above 0', wrong);
  }
}

function invalid(name: string, expected: string, found: unknown): SluiceError {
  const message = `RoPE: ${name} must be ${expected}; found ${String(found)}`;
  return new SluiceError('REQUEST_INVALID', message);
}
