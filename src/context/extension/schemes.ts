/** Schemes that can carry a model to a length, and what is known of each: effect on short prompts, tuning, cached keys. */
import { assertNever, SluiceError } from '../../core/errors.ts';
import type { ModelShape } from './read-config.ts';
import type { RopeScaling, RopeScalingType } from './rope.ts';
import { baseForLength, criticalBase, criticalDimension } from './scaling-law.ts';

export interface SchemeFacts {
  readonly title: string;
  readonly source: string;
  /** What it does to prompts that the model could take anyway. */
  readonly shortPrompts: string;
  /** What it needs beyond flags to be good. */
  readonly tuning: string;
  /** What happens to cached keys and values when lengths or factors change. */
  readonly cache: string;
}

const fixedCache =
  'Static: a cached prefix stays exact when the text grows. Another factor or base is another domain: nothing cached under it may be used.';

export const schemeFacts: Readonly<Record<RopeScalingType, SchemeFacts>> = {
  default: {
    title: 'As configured',
    source: 'RoPE, arXiv 2104.09864',
    shortPrompts: 'None: nothing changes.',
    tuning: 'None.',
    cache: fixedCache,
  },
  linear: {
    title: 'Linear interpolation (PI)',
    source: 'arXiv 2306.15595',
    shortPrompts:
      'All pairs turn slower for every prompt, so that neighbouring tokens are harder to tell apart.',
    tuning: 'Made for about 1,000 steps of tuning at the new length; poor without.',
    cache: fixedCache,
  },
  'ntk-static': {
    title: 'NTK-aware base, static',
    source: 'NTK-aware scaling (bloc97, 2023); YaRN, arXiv 2309.00071, section 3.1',
    shortPrompts: 'The slow pairs turn slower for every prompt; the fastest are left alone.',
    tuning: 'Works without; some pairs go slightly out of range near the target length.',
    cache: fixedCache,
  },
  dynamic: {
    title: 'Dynamic NTK',
    source: 'dynamic scaling (emozilla, 2023); rope type dynamic of transformers',
    shortPrompts:
      'None up to the trained length where the base follows the sequence (transformers); servers that compute it once change every prompt.',
    tuning: 'Made to work without.',
    cache:
      'As transformers has it, past the trained length every growth changes all keys: a cached prefix is wrong for a longer text. vLLM and SGLang compute one base for their limit, which is static.',
  },
  'ntk-stepped': {
    title: 'NTK in steps of two',
    source: 'Qwen 1 (get_ntk_alpha)',
    shortPrompts: 'None up to the trained length.',
    tuning: 'None: it is how the model was published.',
    cache: 'Keys of different steps never mix: a cached prefix is exact within a step only.',
  },
  yarn: {
    title: 'YaRN',
    source: 'arXiv 2309.00071',
    shortPrompts:
      'Static in every server: slow pairs and the attention factor change for every prompt. Qwen3 reports Arena-Hard 39 -> 26.5 with YaRN on for short text (Qwen3 issue 1567): serve short prompts without it where you can.',
    tuning: 'Best after some 400 steps; usable without at small factors.',
    cache: `${fixedCache} Turning YaRN on or off is such a change too.`,
  },
  'yarn-paper': {
    title: 'YaRN, ramp of the paper',
    source: 'arXiv 2309.00071, section 3.2',
    shortPrompts: 'As YaRN.',
    tuning: 'As YaRN.',
    cache: fixedCache,
  },
  llama3: {
    title: 'Llama 3 bands',
    source: 'Llama 3.1; rope type llama3',
    shortPrompts:
      'Pairs with long wavelengths turn slower for every prompt; the fast ones are left alone.',
    tuning: 'Published models were trained on with it.',
    cache: fixedCache,
  },
  longrope: {
    title: 'LongRoPE',
    source: 'arXiv 2402.13753',
    shortPrompts:
      'Up to the trained length the short table holds, which is searched to keep them; a server that chooses its table once uses the long one for all.',
    tuning: 'The tables were searched and tuned for the configured length.',
    cache:
      'Two tables: keys of one never serve the other. Chosen once per server (vLLM since 0.11.1, llama.cpp) it is static, and replicas must agree on their limit; chosen by length, prompts on either side of the trained length share nothing.',
  },
  'adjusted-base': {
    title: 'Adjusted base (scaling law)',
    source: 'arXiv 2310.05209',
    shortPrompts: 'All pairs but the first turn slower for every prompt.',
    tuning:
      'The law speaks of models tuned with the new base (about 1,000 steps at the trained length or longer); without, as NTK with a larger factor.',
    cache: fixedCache,
  },
};

/** Longest target that is planned for: eight times the longest that was ever claimed (LongRoPE, 2,097,152). */
export const maxPlannedLength = 2 ** 24;

/**
 * Schemes for a length, the model's own configuration alone where that is enough. A model that was trained with a
 * scaling of its own keeps it, with a larger factor.
 * @throws SluiceError REQUEST_INVALID for a target that no scheme reaches
 */
export function candidatesFor(shape: ModelShape, length: number): readonly RopeScaling[] {
  checkLength(length);
  const { scaling, trainedLength, configuredLength } = shape;
  if (length <= configuredLength || scaling.type === 'ntk-stepped') return [scaling];
  const factor = factorFor(length, trainedLength);
  switch (scaling.type) {
    case 'default':
      return [
        { type: 'linear', factor },
        { type: 'ntk-static', factor },
        { type: 'dynamic', factor },
        { type: 'yarn', factor },
        { type: 'llama3', factor, lowFrequencyFactor: 1, highFrequencyFactor: 4 },
        ...adjustedBase(shape, length),
      ];
    case 'longrope':
      throw invalid(
        `${length} tokens are out of reach: the LongRoPE tables of this model were searched for ${configuredLength}, and longer ones need another search (arXiv 2402.13753)`,
      );
    case 'adjusted-base':
      return [scaling];
    case 'linear':
    case 'ntk-static':
    case 'dynamic':
    case 'yarn':
    case 'yarn-paper':
    case 'llama3':
      return [{ ...scaling, factor }];
    default:
      return assertNever(scaling);
  }
}

/** Rounded up to a quarter: servers multiply lengths by it, and must not end below the target. */
export function factorFor(length: number, trainedLength: number): number {
  return Math.max(1, Math.ceil((4 * length) / trainedLength) / 4);
}

/** The law has a base for the length where it lies above the critical one. */
function adjustedBase(shape: ModelShape, length: number): readonly RopeScaling[] {
  const { ropeDim: headDim, base, trainedLength } = shape;
  const pretraining = { headDim, base, trainedLength };
  const critical = criticalDimension(pretraining);
  if (critical === 0) return [];
  const wanted = Math.ceil(baseForLength(length, headDim, critical));
  return wanted > criticalBase(pretraining, trainedLength)
    ? [{ type: 'adjusted-base', base: wanted }]
    : [];
}

function checkLength(length: number): void {
  if (Number.isInteger(length) && length >= 1 && length <= maxPlannedLength) return;
  throw invalid(
    `The target length must be a whole number of tokens from 1 to ${maxPlannedLength}; found ${String(length)}`,
  );
}

function invalid(message: string): SluiceError {
  return new SluiceError('REQUEST_INVALID', message);
}
