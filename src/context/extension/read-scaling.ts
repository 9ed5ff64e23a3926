/** The rope section of a `config.json` -> scaling and lengths, as transformers understands it. */
import { SluiceError } from '../../core/errors.ts';
import { listOf, numberOf, textOf } from '../../core/model-config.ts';
import type { ConfigObject } from '../../core/model-config.ts';
import type { RopeScaling, YarnScaling } from './rope.ts';

export interface ReadScaling {
  readonly scaling: RopeScaling;
  /** Longest sequence before any scaling. */
  readonly trainedLength: number;
  /** Longest sequence with it. */
  readonly configuredLength: number;
}

interface Around {
  readonly model: ConfigObject;
  /** `max_position_embeddings` as it stands. */
  readonly statedLength: number;
  /** Rotated pairs of a head. */
  readonly pairs: number;
}

/** Names that mean the same. */
const types: Readonly<Record<string, RopeScaling['type']>> = {
  default: 'default',
  // The three axes of text tokens are equal: plain rotation.
  mrope: 'default',
  linear: 'linear',
  dynamic: 'dynamic',
  ntk: 'ntk-static',
  yarn: 'yarn',
  deepseek_yarn: 'yarn',
  llama3: 'llama3',
  longrope: 'longrope',
  su: 'longrope',
};

/** @throws SluiceError REQUEST_INVALID for an unknown type or a parameter missing or out of range */
export function readScaling(rope: ConfigObject, around: Around): ReadScaling {
  const { model, statedLength } = around;
  if (model['use_dynamic_ntk'] === true) {
    const trainedLength = numberOf(model['seq_length']) ?? statedLength;
    const scaling = { type: 'ntk-stepped' } as const;
    return { scaling, trainedLength, configuredLength: statedLength };
  }
  const type = typeOf(rope);
  if (type === 'default') {
    return {
      scaling: { type },
      trainedLength: statedLength,
      configuredLength: statedLength,
    };
  }
  if (type === 'linear' || type === 'dynamic' || type === 'ntk-static') {
    const factor = needed(rope, 'factor');
    const configuredLength = Math.floor(statedLength * factor);
    return { scaling: { type, factor }, trainedLength: statedLength, configuredLength };
  }
  const trainedLength = originalOf(rope, model) ?? statedLength;
  const factor = numberOf(rope['factor']) ?? statedLength / trainedLength;
  const scaling = bandsOf(type, { rope, factor, pairs: around.pairs });
  // Qwen leaves max_position_embeddings unscaled; all others state the scaled length.
  const scaled = Math.floor(trainedLength * factor);
  return { scaling, trainedLength, configuredLength: Math.max(statedLength, scaled) };
}

function typeOf(rope: ConfigObject): 'default' | RopeScaling['type'] {
  const named = rope['rope_type'] ?? rope['type'];
  if (named === undefined || named === null) {
    if (rope['factor'] === undefined) return 'default';
    throw invalid('names a factor, but no rope_type');
  }
  const type = textOf(named);
  const known = type === undefined ? undefined : types[type];
  if (known !== undefined) return known;
  const list = Object.keys(types).join(', ');
  throw invalid(`has the rope_type ${shown(named)}, which is not known; known are ${list}`);
}

function originalOf(rope: ConfigObject, model: ConfigObject): number | undefined {
  const name = 'original_max_position_embeddings';
  return optional(rope, name) ?? optional(model, name);
}

function bandsOf(
  type: RopeScaling['type'],
  from: { readonly rope: ConfigObject; readonly factor: number; readonly pairs: number },
): RopeScaling {
  const { rope, factor } = from;
  if (factor < 1) throw invalid(`has the factor ${factor}; it is at least 1`);
  if (type === 'llama3') {
    return {
      type,
      factor,
      lowFrequencyFactor: needed(rope, 'low_freq_factor'),
      highFrequencyFactor: needed(rope, 'high_freq_factor'),
    };
  }
  if (type === 'longrope') {
    const given = optional(rope, 'attention_factor');
    return {
      type,
      factor,
      shortFactors: tableOf(rope, 'short_factor', from.pairs),
      longFactors: tableOf(rope, 'long_factor', from.pairs),
      ...(given === undefined ? {} : { attentionFactor: given }),
    };
  }
  return yarnOf(rope, factor);
}

function yarnOf(rope: ConfigObject, factor: number): YarnScaling {
  const fields = {
    attentionFactor: optional(rope, 'attention_factor'),
    betaFast: optional(rope, 'beta_fast'),
    betaSlow: optional(rope, 'beta_slow'),
    mscale: optional(rope, 'mscale'),
    mscaleAllDim: optional(rope, 'mscale_all_dim'),
  };
  const given = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  );
  const { truncate } = rope;
  return { type: 'yarn', factor, ...given, ...(truncate === false ? { truncate } : {}) };
}

function tableOf(rope: ConfigObject, name: string, pairs: number): readonly number[] {
  const table = listOf(rope[name]).flatMap((value) => numberOf(value) ?? []);
  if (table.length === pairs && listOf(rope[name]).length === pairs) return table;
  const found = Array.isArray(rope[name]) ? `${table.length} of them` : 'no list';
  throw invalid(`needs ${name} with ${pairs} numbers above 0 (one per pair); found ${found}`);
}

/** 0 stands for "not used" in published configurations. */
function optional(rope: ConfigObject, name: string): number | undefined {
  const found = rope[name];
  if (found === undefined || found === null || found === 0) return undefined;
  const value = numberOf(found);
  if (value === undefined) {
    throw invalid(`has ${name} ${shown(found)}; expected a number above 0`);
  }
  return value;
}

function needed(rope: ConfigObject, name: string): number {
  const value = optional(rope, name);
  if (value === undefined) throw invalid(`needs ${name} for its rope_type; it is missing`);
  if (name === 'factor' && value < 1) throw invalid(`has the factor ${value}; it is at least 1`);
  return value;
}

function invalid(what: string): SluiceError {
  return new SluiceError('REQUEST_INVALID', `The model configuration ${what}`);
}

/** A value of a configuration for a message, no longer than a line. */
export function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}
