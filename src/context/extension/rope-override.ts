/** A scaling as the `rope_parameters` of a `config.json`, for servers that take overrides of it. */
import { assertNever } from '../../core/errors.ts';
import { objectOf, type ConfigObject } from '../../core/model-config.ts';
import type { ModelShape } from './read-config.ts';
import { ntkBase, type RopeScaling, type YarnScaling } from './rope.ts';

/** Settings of the section that are no part of a scaling and stay. */
const lasting = ['partial_rotary_factor', 'mrope_section', 'mrope_interleaved'] as const;

/** All rope settings with the scaling, by kind of layer where the model has them so; `window` layers keep theirs. */
export function ropeParameters(shape: ModelShape, scaling: RopeScaling): ConfigObject {
  const { ropeSection } = shape;
  const perKind = 'full_attention' in ropeSection;
  const own = perKind ? objectOf(ropeSection['full_attention']) : ropeSection;
  const kept = lasting.flatMap((name) => (own[name] === undefined ? [] : [[name, own[name]]]));
  const rope: ConfigObject = { ...scaledParameters(shape, scaling), ...Object.fromEntries(kept) };
  return perKind ? { ...ropeSection, full_attention: rope } : rope;
}

function scaledParameters(shape: ModelShape, scaling: RopeScaling): ConfigObject {
  const { base, trainedLength } = shape;
  const theta = { rope_theta: base };
  const original = { original_max_position_embeddings: trainedLength };
  switch (scaling.type) {
    case 'default':
    case 'ntk-stepped':
      return { rope_type: 'default', ...theta };
    case 'linear':
    case 'dynamic':
      return { rope_type: scaling.type, ...theta, factor: scaling.factor };
    case 'ntk-static':
      return { rope_type: 'default', rope_theta: theBase(shape, scaling) };
    case 'adjusted-base':
      return { rope_type: 'default', rope_theta: scaling.base };
    case 'yarn':
    case 'yarn-paper':
      return { rope_type: 'yarn', ...theta, factor: scaling.factor, ...original, ...yarn(scaling) };
    case 'llama3':
      return {
        rope_type: 'llama3',
        ...theta,
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        ...original,
      };
    case 'longrope':
      return {
        rope_type: 'longrope',
        ...theta,
        factor: scaling.factor,
        ...original,
        short_factor: scaling.shortFactors,
        long_factor: scaling.longFactors,
        ...defined({ attention_factor: scaling.attentionFactor }),
      };
    default:
      return assertNever(scaling);
  }
}

/** The base that a scaling by base alone runs with, rounded to what a command line holds. */
export function theBase(
  shape: ModelShape,
  scaling: Extract<RopeScaling, { type: 'ntk-static' | 'adjusted-base' }>,
): number {
  if (scaling.type === 'adjusted-base') return scaling.base;
  const { ropeDim: headDim, base } = shape;
  return Number(ntkBase({ headDim, base }, scaling.factor).toPrecision(10));
}

function yarn(scaling: Omit<YarnScaling, 'type'>): ConfigObject {
  return defined({
    beta_fast: scaling.betaFast,
    beta_slow: scaling.betaSlow,
    attention_factor: scaling.attentionFactor,
    mscale: scaling.mscale,
    mscale_all_dim: scaling.mscaleAllDim,
    truncate: scaling.truncate,
  });
}

function defined(fields: ConfigObject): ConfigObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Keys that servers written in Python want as floating-point numbers: vLLM's linear scaling fails on a whole factor. */
const floats = /"(factor|rope_theta|low_freq_factor|high_freq_factor)":(\d+)(?=[,}])/g;

/** The override as one line of JSON, inside `text_config` where the model has its settings there. */
export function overrideJson(shape: ModelShape, override: ConfigObject): string {
  const placed = shape.nested ? { text_config: override } : override;
  return JSON.stringify(placed).replaceAll(floats, '"$1":$2.0');
}
