/** llama.cpp and Ollama: both read a GGUF file; one takes flags for positions, the other none. */
import { assertNever } from '../../core/errors.ts';
import type { ModelShape } from './read-config.ts';
import { scaledRope, yarnMagnitude, type RopeScaling, type YarnScaling } from './rope.ts';
import { theBase } from './rope-override.ts';
import { commandOf, type ServerPlan, type ServerVerdict } from './server-types.ts';

const llamaEvidence =
  'source and runs of llama-server b11434 (docs/extension.md has what was served)';
const ollamaEvidence = "Ollama's source and its users' logs; not run by us";

interface Flags {
  readonly verdict: ServerVerdict;
  readonly flags: readonly string[];
  readonly cacheRow: string | null;
  readonly notes: readonly string[];
}

export function llamaPlan(shape: ModelShape, scaling: RopeScaling, length: number): ServerPlan {
  const { verdict, flags, cacheRow, notes } = llamaFlags(shape, scaling, length);
  const serves = verdict === 'runs' || verdict === 'needs-file';
  // Slots share -c: one slot, or each has a part of the length.
  const size = serves ? ['-c', String(length), '-np', '1'] : [];
  const settings = { arguments: [...flags, ...size], environment: [] };
  return {
    server: 'llamacpp',
    verdict,
    ...settings,
    command: serves ? commandOf('llamacpp', settings) : null,
    cacheRow,
    evidence: llamaEvidence,
    notes: serves ? [...notes, 'With -np above 1 every slot gets its part of -c only.'] : notes,
  };
}

function llamaFlags(shape: ModelShape, scaling: RopeScaling, length: number): Flags {
  const { family, trainedLength } = shape;
  const configured = scaling === shape.scaling;
  const raise = ['--override-kv', `${architectureOf(family)}.context_length=int:${length}`];
  const capped = `Without --override-kv the slots silently keep the file's context_length (${shape.statedLength}). Its key begins with the file's general.architecture.`;
  switch (scaling.type) {
    case 'default':
      return runs('rope', [], []);
    case 'linear': {
      const scale = ['--rope-scaling', 'linear', '--rope-scale', String(scaling.factor)];
      return runs('linear', [...scale, ...raise], [capped]);
    }
    case 'ntk-static':
    case 'adjusted-base': {
      const base = ['--rope-freq-base', String(theBase(shape, scaling))];
      return runs('ntk-static', [...base, ...raise], [capped]);
    }
    case 'yarn': {
      if (configured) {
        const inside = 'A GGUF file that was converted from this configuration has it inside.';
        return length <= shape.statedLength
          ? runs('yarn', [], [inside])
          : runs('yarn', raise, [inside, capped]);
      }
      return runs('yarn', yarnFlags(shape, scaling), yarnNotes(scaling));
    }
    case 'llama3':
      return needsFile('llama3', [
        'There is no flag: the divisors stand in the file (tensor rope_freqs). Convert the model anew from a config.json with these rope settings and max_position_embeddings.',
      ]);
    case 'longrope':
      return needsFile('longrope-constant', [
        `Both tables stand in the file. The long one is used for all prompts when -c is above ${trainedLength}.`,
      ]);
    case 'dynamic':
      return refused(['--rope-scaling knows none, linear and yarn; use NTK with a fixed base.']);
    case 'ntk-stepped':
      return refused(['Steps are not implemented; use NTK with a fixed base.']);
    case 'yarn-paper':
      return refused(["The ramp is that of YaRN's published code."]);
    default:
      return assertNever(scaling);
  }
}

function runs(cacheRow: string, flags: readonly string[], notes: readonly string[]): Flags {
  return { verdict: 'runs', flags, cacheRow, notes };
}

function needsFile(cacheRow: string, notes: readonly string[]): Flags {
  return { verdict: 'needs-file', flags: [], cacheRow, notes };
}

function refused(notes: readonly string[]): Flags {
  return { verdict: 'refused', flags: [], cacheRow: null, notes };
}

function yarnFlags(shape: ModelShape, scaling: YarnScaling): readonly string[] {
  const { factor, betaFast, betaSlow } = scaling;
  const { ropeDim: headDim, base, trainedLength } = shape;
  const { attentionFactor } = scaledRope({ headDim, base, trainedLength }, scaling, 1);
  const usual = yarnMagnitude(factor);
  return [
    '--rope-scaling',
    'yarn',
    '--rope-scale',
    String(factor),
    '--yarn-orig-ctx',
    String(trainedLength),
    ...(betaFast === undefined ? [] : ['--yarn-beta-fast', String(betaFast)]),
    ...(betaSlow === undefined ? [] : ['--yarn-beta-slow', String(betaSlow)]),
    // It is multiplied with what follows from the factor.
    ...(Math.abs(attentionFactor - usual) < 1e-9
      ? []
      : ['--yarn-attn-factor', (attentionFactor / usual).toPrecision(8)]),
  ];
}

function yarnNotes({ truncate }: YarnScaling): readonly string[] {
  const always = 'Raises the length that slots are capped at by itself.';
  return truncate === false
    ? [always, 'The borders of the ramp are always rounded here; the model has them unrounded.']
    : [always];
}

export function ollamaPlan(shape: ModelShape, scaling: RopeScaling, length: number): ServerPlan {
  const fits = scaling === shape.scaling && length <= shape.statedLength;
  const settings = {
    arguments: [],
    environment: [{ name: 'OLLAMA_CONTEXT_LENGTH', value: String(length) }],
  };
  const common = { server: 'ollama', evidence: ollamaEvidence } as const;
  if (fits) {
    return {
      ...common,
      verdict: 'runs',
      ...settings,
      command: commandOf('ollama', settings),
      cacheRow: rowOf(scaling),
      notes: [
        `Or per request or Modelfile: num_ctx ${length}.`,
        'Without it prompts are cut to a default of a few thousand tokens without an error.',
      ],
    };
  }
  return {
    ...common,
    verdict: 'capped',
    arguments: [],
    environment: [],
    command: null,
    cacheRow: null,
    notes: [
      `There are no options for positions, and num_ctx is cut to the file's context_length (${shape.statedLength}) with a line in the log; longer prompts are then cut without an error.`,
      'Possible only with a GGUF file that was converted from a config.json with these rope settings and max_position_embeddings.',
    ],
  };
}

function rowOf({ type }: RopeScaling): string {
  if (type === 'default' || type === 'ntk-stepped') return 'rope';
  if (type === 'longrope') return 'longrope-constant';
  return type === 'linear' || type === 'yarn' || type === 'llama3' ? type : 'ntk-static';
}

/** `general.architecture` of GGUF files by `model_type`, where they differ. */
const architectures: Readonly<Record<string, string>> = {
  mistral: 'llama',
  mixtral: 'llama',
  qwen2_moe: 'qwen2moe',
  qwen3_moe: 'qwen3moe',
  gemma3_text: 'gemma3',
  deepseek_v2: 'deepseek2',
  deepseek_v3: 'deepseek2',
  gpt_oss: 'gpt-oss',
  cohere: 'command-r',
};

function architectureOf(family: string): string {
  return architectures[family] ?? family;
}
