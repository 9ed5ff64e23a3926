/** vLLM and SGLang: both read a `config.json` and take overrides of it. */
import { assertNever } from '../../core/errors.ts';
import type { ConfigObject } from '../../core/model-config.ts';
import type { ModelShape } from './read-config.ts';
import type { RopeScaling } from './rope.ts';
import { overrideJson, ropeParameters } from './rope-override.ts';
import { commandOf, type ServerPlan } from './server-types.ts';

/** Parts of a server's plan that depend on the scheme. */
interface Scheme {
  readonly override: ConfigObject | null;
  readonly cacheRow: string;
  readonly notes: readonly string[];
}

const vllmEvidence = 'source and runs of vLLM 0.32.0 (docs/extension.md has what was served)';
const sglangEvidence = 'source of SGLang 0.5; not run by us';

export function vllmPlan(shape: ModelShape, scaling: RopeScaling, length: number): ServerPlan {
  if (scaling.type === 'ntk-stepped' || scaling.type === 'yarn-paper') {
    return refused('vllm', scaling, vllmEvidence);
  }
  const { override, cacheRow, notes } = vllmScheme(shape, scaling, length);
  const flags = ['--max-model-len', String(length)];
  const words = override === null ? [] : ['--hf-overrides', overrideJson(shape, override)];
  const settings = { arguments: [...words, ...flags], environment: [] };
  return {
    server: 'vllm',
    verdict: 'runs',
    ...settings,
    command: commandOf('vllm', settings),
    cacheRow,
    evidence: vllmEvidence,
    notes: [
      ...notes,
      ...(override === null
        ? []
        : ['A smaller model_max_length in tokenizer_config.json still limits the length.']),
    ],
  };
}

/** vLLM multiplies max_position_embeddings by the factor of some types only; of the others it has to be told. */
function vllmScheme(
  shape: ModelShape,
  scaling: Exclude<RopeScaling, { type: 'ntk-stepped' | 'yarn-paper' }>,
  length: number,
): Scheme {
  const rope = ropeParameters(shape, scaling);
  const stated = { max_position_embeddings: Math.max(length, shape.statedLength) };
  const configured = scaling === shape.scaling;
  const stays = configured && length <= shape.statedLength;
  const byBands = stays ? null : { ...stated, rope_parameters: rope };
  switch (scaling.type) {
    case 'default':
      return { override: null, cacheRow: 'rope', notes: [] };
    case 'linear':
      return {
        override: configured ? null : { rope_parameters: rope },
        cacheRow: 'linear',
        notes: ['A factor of an override must be written as 4.0, not 4, which fails at start.'],
      };
    case 'dynamic': {
      const trained = { max_trained_positions: shape.trainedLength };
      return {
        override: { ...stated, rope_parameters: { ...rope, ...trained } },
        cacheRow: 'ntk-static',
        notes: [
          `Runs as static NTK: one base, that of a sequence of ${stated.max_position_embeddings} tokens, for every prompt.`,
          'With the factor alone it starts and answers too, but with the unscaled base and a table of angles that ends at max_position_embeddings: longer prompts read past it.',
        ],
      };
    }
    case 'yarn':
    case 'llama3':
      return {
        override: byBands,
        cacheRow: scaling.type,
        notes: ['The factor does not raise the limit: max_position_embeddings decides.'],
      };
    case 'longrope':
      return {
        override: byBands,
        cacheRow: 'longrope-constant',
        notes: [
          `Without --max-model-len it serves ${shape.trainedLength} tokens only.`,
          `The long table holds for all prompts when --max-model-len is above ${shape.trainedLength} (since 0.11.1; older versions chose per batch).`,
        ],
      };
    case 'ntk-static':
    case 'adjusted-base':
      return {
        override: { ...stated, rope_parameters: rope },
        cacheRow: 'ntk-static',
        notes: ["Given as a base: vLLM's own type ntk follows another formula."],
      };
    default:
      return assertNever(scaling);
  }
}

/** Without it a limit above the configured one is refused. */
const allowLonger = { name: 'SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN', value: '1' };

export function sglangPlan(shape: ModelShape, scaling: RopeScaling, length: number): ServerPlan {
  if (scaling.type === 'ntk-stepped' || scaling.type === 'yarn-paper') {
    return refused('sglang', scaling, sglangEvidence);
  }
  const override = sglangOverride(shape, scaling, length);
  const words =
    override === null ? [] : ['--json-model-override-args', overrideJson(shape, override)];
  const settings = {
    arguments: [...words, '--context-length', String(length)],
    environment: override === null ? [] : [allowLonger],
  };
  return {
    server: 'sglang',
    verdict: 'runs',
    ...settings,
    command: commandOf('sglang', settings),
    cacheRow: sglangRow(scaling),
    evidence: sglangEvidence,
    notes: sglangNotes(scaling),
  };
}

/** Both names of the rope settings: releases on transformers 5 read the first, older ones the second. */
function sglangOverride(
  shape: ModelShape,
  scaling: RopeScaling,
  length: number,
): ConfigObject | null {
  if (scaling.type === 'default') return null;
  if (scaling === shape.scaling && length <= shape.statedLength) return null;
  const { rope_theta: theta, ...rope } = ropeParameters(shape, scaling);
  const byBase = scaling.type === 'ntk-static' || scaling.type === 'adjusted-base';
  const byFactor = scaling.type === 'linear' || scaling.type === 'dynamic';
  return {
    ...(byFactor ? {} : { max_position_embeddings: Math.max(length, shape.statedLength) }),
    rope_parameters: { ...rope, rope_theta: theta },
    ...(byBase ? { rope_theta: theta } : { rope_scaling: rope }),
  };
}

function sglangRow({ type }: RopeScaling): string {
  if (type === 'longrope') return 'longrope-batch';
  if (type === 'default') return 'rope';
  return type === 'linear' || type === 'yarn' || type === 'llama3' ? type : 'ntk-static';
}

function sglangNotes(scaling: RopeScaling): readonly string[] {
  if (scaling.type === 'longrope') {
    return [
      'The version read chooses the table per batch: one long prompt changes the keys of all others. Not safe past the trained length.',
    ];
  }
  if (scaling.type === 'dynamic') {
    const { factor } = scaling;
    return [
      `Runs as static NTK with a factor of ${factor * factor - factor + 1}: the base is computed once, for max_position_embeddings times the factor.`,
    ];
  }
  return [];
}

function refused(server: 'vllm' | 'sglang', { type }: RopeScaling, evidence: string): ServerPlan {
  const why =
    type === 'ntk-stepped'
      ? "The steps exist in the model's own code for transformers only; here its prompts are served up to the trained length."
      : "Servers have the ramp of YaRN's published code only.";
  return {
    server,
    verdict: 'refused',
    arguments: [],
    environment: [],
    command: null,
    cacheRow: null,
    evidence,
    notes: [why],
  };
}
