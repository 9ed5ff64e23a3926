/**
 * Every scheme that changes nothing but rotary frequencies: plain, linear (PI), NTK static, dynamic and stepped, YaRN
 * with both ramps, Llama 3, LongRoPE, adjusted base. Full causal attention; one table says what depends on the length.
 */
import { scaledRope } from '../../context/extension/rope.ts';
import type { RopeScaling, RopeScalingType } from '../../context/extension/rope.ts';
import type { ModelShape } from '../types.ts';
import { maskOf, placed } from './inputs.ts';
import type { PositionScheme, Rotary } from './types.ts';

/** Regime of a sequence longer than the trained length; up to it the trained length is the regime of all schemes. */
type BeyondTrained = (trained: number, length: number) => number;

const constant: BeyondTrained = (trained) => trained;

const beyondTrained: Readonly<Record<RopeScalingType, BeyondTrained>> = {
  default: constant,
  linear: constant,
  'ntk-static': constant,
  // The formula changes with every token. Computed for the next quarter of the trained length, a growing sequence is
  // computed anew four times per trained length and not once per token.
  dynamic: (trained, length) => Math.ceil((4 * length) / trained) * (trained / 4),
  'ntk-stepped': (trained, length) => trained * 2 ** Math.ceil(Math.log2(length / trained)),
  yarn: constant,
  'yarn-paper': constant,
  llama3: constant,
  // Two tables: short up to the trained length, long beyond it.
  longrope: (trained) => trained + 1,
  'adjusted-base': constant,
};

/** @throws SluiceError REQUEST_INVALID when the scaling does not fit the model */
export function frequencyScheme(scaling: RopeScaling, shape: ModelShape): PositionScheme {
  const { trainedLength } = shape;
  // Refuses a wrong scaling here, not at the first token.
  scaledRotary(shape, scaling, trainedLength);
  return {
    name: JSON.stringify(scaling),
    regime: (length) =>
      length <= trainedLength ? trainedLength : beyondTrained[scaling.type](trainedLength, length),
    rotary: (regime) => scaledRotary(shape, scaling, regime),
    inputs: (view) => ({
      ...placed(view),
      mask: maskOf(view, null),
      maskHeads: 1,
      second: null,
    }),
    retention: null,
  };
}

/** In single precision, as the graph takes them. */
export function scaledRotary(shape: ModelShape, scaling: RopeScaling, length: number): Rotary {
  const { headDim, ropeBase: base, trainedLength } = shape;
  const scaled = scaledRope({ headDim, base, trainedLength }, scaling, length);
  return {
    inverseFrequencies: Float32Array.from(scaled.inverseFrequencies),
    attentionFactor: scaled.attentionFactor,
  };
}

/** Frequencies as trained, in every regime. */
export function plainRotary(shape: ModelShape): Pick<PositionScheme, 'regime' | 'rotary'> {
  const rotary = scaledRotary(shape, { type: 'default' }, shape.trainedLength);
  return { regime: () => shape.trainedLength, rotary: () => rotary };
}
