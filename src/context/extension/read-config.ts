/** Hugging Face `config.json` -> what the planner needs of a model. Says what is missing or not known instead of guessing. */
import { SluiceError } from '../../core/errors.ts';
import {
  languageModelOf,
  namedLayersOf,
  numberOf,
  objectOf,
  recurrentModels,
  ropeSectionOf,
  textOf,
  usesWindow,
} from '../../core/model-config.ts';
import type { ConfigObject } from '../../core/model-config.ts';
import { readScaling, shown } from './read-scaling.ts';
import type { RopeScaling } from './rope.ts';

/** What a layer keeps of a token. */
export type KeptEntries =
  /** Key and value of every key-value head. */
  | { readonly kind: 'heads'; readonly kvHeads: number; readonly headDim: number }
  /** One compressed vector and the rotated part of the key (MLA). */
  | { readonly kind: 'latent'; readonly rank: number; readonly ropeDim: number };

export interface ModelShape {
  /** `model_type`. */
  readonly family: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly heads: number;
  /** Channels of a query or key; the rotated ones are `ropeDim`. */
  readonly headDim: number;
  readonly ropeDim: number;
  readonly base: number;
  /** Longest sequence before any scaling. */
  readonly trainedLength: number;
  /** Longest sequence that the configuration promises, its own scaling included. */
  readonly configuredLength: number;
  /** `max_position_embeddings` as it stands. */
  readonly statedLength: number;
  readonly scaling: RopeScaling;
  readonly kept: KeptEntries;
  /** Layers that see no more than `tokens` back; null = none. */
  readonly window: { readonly tokens: number; readonly layers: number } | null;
  /** Layers with a state instead of entries. */
  readonly recurrentLayers: number;
  /** Bytes of a cached number, by the type of the weights. */
  readonly bytesPerValue: number;
  readonly dtype: string;
  /** Weights that a token of a prompt passes, without embeddings and output layer; null = the configuration does not tell. */
  readonly activeParameters: number | null;
  /** All rope settings as they stand; where layers differ, by kind of layer. */
  readonly ropeSection: ConfigObject;
  /** The settings stand in `text_config`. */
  readonly nested: boolean;
  /** What was not in the configuration and is taken to be as usual. */
  readonly assumed: readonly string[];
}

/**
 * @param config parsed `config.json`, with `rope_scaling` or the newer `rope_parameters`
 * @throws SluiceError REQUEST_INVALID: no rotary positions, an unknown rope type, a field missing or out of range
 */
export function readModelConfig(config: unknown): ModelShape {
  const model = languageModelOf(config);
  if (Object.keys(model).length === 0) throw invalid('is no configuration: expected an object');
  const family = (textOf(model['model_type']) ?? 'unknown').slice(0, 64);
  refuseOtherPositions(model, family);
  const assumed: string[] = [];
  const { section, rope } = ropeSectionOf(model);
  const layers = wholeOf(model, 'num_hidden_layers');
  const heads = wholeOf(model, 'num_attention_heads');
  const hiddenSize = wholeOf(model, 'hidden_size');
  const { headDim, ropeDim } = headOf(model, rope, { heads, hiddenSize });
  const statedLength = wholeOf(model, 'max_position_embeddings');
  const base = baseOf(model, rope, assumed);
  const read = readScaling(rope, { model, statedLength, pairs: ropeDim / 2 });
  const dtype = dtypeOf(model, assumed);
  return {
    family,
    layers,
    hiddenSize,
    heads,
    headDim,
    ropeDim,
    base,
    ...read,
    statedLength,
    kept: keptOf(model, { heads, headDim }),
    window: windowOf(model, layers),
    recurrentLayers: (namedLayersOf(model) ?? []).filter((layer) => layer === 'recurrent').length,
    dtype: dtype.name,
    bytesPerValue: dtype.bytes,
    activeParameters: activeParametersOf(model, { layers, heads, hiddenSize, headDim }),
    ropeSection: section,
    nested: Object.keys(objectOf(objectOf(config)['text_config'])).length > 0,
    assumed,
  };
}

/** Families that rotate nothing cannot be extended by rotating less. */
function refuseOtherPositions(model: ConfigObject, family: string): void {
  if (recurrentModels.includes(family)) {
    throw invalid(
      `is of ${family}: it keeps a state and has no positions, so no length is built in`,
    );
  }
  const alibi = model['alibi'] === true || objectOf(model['attn_config'])['alibi'] === true;
  if (alibi || family === 'bloom') {
    throw invalid(`is of ${family} with ALiBi: nothing is rotated, so there is nothing to scale`);
  }
  if (['gpt2', 'opt', 'gpt_bigcode'].includes(family)) {
    throw invalid(
      `is of ${family}: its learned positions end with their table, and no scheme adds rows`,
    );
  }
}

interface Heads {
  readonly heads: number;
  readonly hiddenSize: number;
}

function headOf(
  model: ConfigObject,
  rope: ConfigObject,
  { heads, hiddenSize }: Heads,
): { readonly headDim: number; readonly ropeDim: number } {
  const rotatedPart = numberOf(model['qk_rope_head_dim']);
  if (rotatedPart !== undefined) {
    const headDim = rotatedPart + (numberOf(model['qk_nope_head_dim']) ?? 0);
    return { headDim, ropeDim: evenDim(rotatedPart, 'qk_rope_head_dim') };
  }
  const headDim = numberOf(model['head_dim']) ?? hiddenSize / heads;
  if (!Number.isInteger(headDim)) {
    throw invalid(
      `has no head_dim, and hidden_size ${hiddenSize} is no multiple of ${heads} heads`,
    );
  }
  const share = fieldOf(rope, 'partial_rotary_factor', model) ?? numberOf(model['rotary_pct']) ?? 1;
  if (share > 1) throw invalid(`has partial_rotary_factor ${share}; it is at most 1`);
  return { headDim, ropeDim: evenDim(Math.floor(headDim * share), 'rotated part of the head') };
}

/** No model has more; a plan looks at every pair at every distance. */
const mostChannels = 4096;

function evenDim(dim: number, name: string): number {
  if (dim > mostChannels) {
    throw invalid(`has a ${name} of ${dim} channels; at most ${mostChannels} are planned for`);
  }
  if (Number.isInteger(dim) && dim >= 2 && dim % 2 === 0) return dim;
  throw invalid(`has a ${name} of ${dim} channels; rotation needs an even number`);
}

function fieldOf(rope: ConfigObject, name: string, model: ConfigObject): number | undefined {
  const found = rope[name] ?? model[name];
  if (found === undefined || found === null) return undefined;
  const number = numberOf(found);
  if (number === undefined) throw invalid(`has ${name} ${shown(found)}; expected a number above 0`);
  return number;
}

/** What configurations of the first LLaMA models leave out. */
const usualBase = 10_000;

function baseOf(model: ConfigObject, rope: ConfigObject, assumed: string[]): number {
  const base = fieldOf(rope, 'rope_theta', model) ?? numberOf(model['rotary_emb_base']);
  if (base === undefined)
    assumed.push(`rope_theta ${usualBase}, which the configuration leaves out`);
  const value = base ?? usualBase;
  if (value <= 1) throw invalid(`has rope_theta ${value}; it is above 1`);
  return value;
}

function keptOf(
  model: ConfigObject,
  { heads, headDim }: { readonly heads: number; readonly headDim: number },
): KeptEntries {
  const rank = numberOf(model['kv_lora_rank']);
  if (rank !== undefined) {
    return { kind: 'latent', rank, ropeDim: wholeOf(model, 'qk_rope_head_dim') };
  }
  const named = model['num_key_value_heads'] ?? (model['multi_query'] === true ? 1 : heads);
  const kvHeads = numberOf(named);
  if (kvHeads === undefined || !Number.isInteger(kvHeads) || heads % kvHeads !== 0) {
    throw invalid(`has num_key_value_heads ${shown(named)}, which does not divide ${heads} heads`);
  }
  return { kind: 'heads', kvHeads, headDim };
}

function windowOf(model: ConfigObject, layers: number): ModelShape['window'] {
  const tokens = numberOf(model['sliding_window']);
  if (tokens === undefined || !usesWindow(model)) return null;
  const named = namedLayersOf(model);
  if (named !== null) {
    const count = named.filter((layer) => layer === 'window').length;
    return count === 0 ? null : { tokens, layers: count };
  }
  // Every n-th layer is full (Gemma).
  const pattern = numberOf(model['sliding_window_pattern']);
  return { tokens, layers: pattern === undefined ? layers : layers - Math.floor(layers / pattern) };
}

const dtypeBytes: Readonly<Record<string, number>> = {
  float32: 4,
  bfloat16: 2,
  float16: 2,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
};

function dtypeOf(
  model: ConfigObject,
  assumed: string[],
): { readonly name: string; readonly bytes: number } {
  const name = textOf(model['dtype'] ?? model['torch_dtype']);
  const bytes = name === undefined ? undefined : dtypeBytes[name];
  if (name !== undefined && bytes !== undefined) return { name, bytes };
  assumed.push('2 bytes for every cached number');
  return { name: name ?? 'bfloat16', bytes: 2 };
}

interface Sizes extends Heads {
  readonly layers: number;
  readonly headDim: number;
}

/** Attention and feed-forward weights that one token passes. */
function activeParametersOf(model: ConfigObject, sizes: Sizes): number | null {
  const intermediate = numberOf(model['intermediate_size']);
  if (intermediate === undefined) return null;
  const { layers, hiddenSize } = sizes;
  const used = numberOf(model['num_experts_per_tok'] ?? model['num_experts_per_token']) ?? 0;
  const width = numberOf(model['moe_intermediate_size']) ?? intermediate;
  const shared = numberOf(model['n_shared_experts']) ?? 0;
  const dense = used === 0 ? layers : (numberOf(model['first_k_dense_replace']) ?? 0);
  const feedForward = dense * intermediate + (layers - dense) * (used + shared) * width;
  return layers * attentionParameters(model, sizes) + 3 * hiddenSize * feedForward;
}

function attentionParameters(model: ConfigObject, { heads, hiddenSize, headDim }: Sizes): number {
  const kept = keptOf(model, { heads, headDim });
  if (kept.kind === 'heads') {
    return 2 * hiddenSize * headDim * (heads + kept.kvHeads);
  }
  const valueDim = numberOf(model['v_head_dim']) ?? headDim;
  const queryRank = numberOf(model['q_lora_rank']);
  const query =
    queryRank === undefined
      ? hiddenSize * heads * headDim
      : queryRank * (hiddenSize + heads * headDim);
  const keys = hiddenSize * (kept.rank + kept.ropeDim);
  const expanded = kept.rank * heads * (headDim - kept.ropeDim + valueDim);
  return query + keys + expanded + heads * valueDim * hiddenSize;
}

function wholeOf(model: ConfigObject, name: string): number {
  const value = numberOf(model[name]);
  if (value !== undefined && Number.isInteger(value)) return value;
  const found = model[name] === undefined ? 'it is missing' : `found ${shown(model[name])}`;
  throw invalid(`needs ${name} as a whole number above 0; ${found}`);
}

function invalid(what: string): SluiceError {
  return new SluiceError('REQUEST_INVALID', `The model configuration ${what}`);
}
