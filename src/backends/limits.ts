/** What a server says about the size of its cache and of its blocks. */
import { field, wholeNumber } from './json-fields.ts';
import type { Probe } from './detect.ts';
import type { BackendKind, ServerLimits } from './types.ts';

/** Loaded models that are looked at. */
const mostModels = 100;

export const noLimits: ServerLimits = {
  blockTokens: null,
  capacityTokens: null,
  slots: null,
  contextWindow: null,
  modelWindows: null,
};

/** Asks the routes that this kind of server has. Never throws. */
export async function learnLimits(kind: BackendKind, probe: Probe): Promise<ServerLimits> {
  switch (kind) {
    case 'vllm':
      return vllmLimits((await probe('/metrics'))?.text ?? '');
    case 'sglang': {
      const answer = await probe('/server_info');
      // The older name of the route.
      const info = answer?.status === 200 ? answer : await probe('/get_server_info');
      return sglangLimits(info?.json);
    }
    case 'llamacpp':
      return llamaCppLimits((await probe('/props'))?.json);
    case 'tgi': {
      const capacityTokens = positive(
        field((await probe('/info'))?.json, 'max_batch_total_tokens'),
      );
      return { ...noLimits, capacityTokens };
    }
    case 'ollama':
      return ollamaLimits((await probe('/api/ps'))?.json);
    default:
      return noLimits;
  }
}

/**
 * The labels of `vllm:cache_config_info`, one line for each data-parallel rank: `block_size`, and either
 * `kv_cache_size_tokens` or `num_gpu_blocks`. Each rank has a cache of its own; the least is what surely fits.
 */
function vllmLimits(metrics: string): ServerLimits {
  const lines = metrics.match(/^vllm:cache_config_info\{[^\n]*/gm) ?? [];
  const label = (line: string, name: string): number | null =>
    positive(Number(new RegExp(`[{,]${name}="(\\d{1,15})"`).exec(line)?.[1] ?? NaN));
  const [first = ''] = lines;
  const blockTokens = label(first, 'block_size');
  const capacities = lines.flatMap((line) => {
    const blocks = label(line, 'num_gpu_blocks');
    const inBlocks = blocks === null || blockTokens === null ? null : blocks * blockTokens;
    return label(line, 'kv_cache_size_tokens') ?? inBlocks ?? [];
  });
  const capacityTokens = capacities.length === 0 ? null : Math.min(...capacities);
  return { ...noLimits, blockTokens, capacityTokens };
}

/** The server's arguments and what became of them, in one object. */
function sglangLimits(info: unknown): ServerLimits {
  return {
    ...noLimits,
    blockTokens: positive(field(info, 'page_size')),
    capacityTokens: positive(field(info, 'max_total_num_tokens')),
    contextWindow: positive(field(info, 'context_length')),
  };
}

/** Slots keep one prompt each; one token is the unit of reuse. */
function llamaCppLimits(props: unknown): ServerLimits {
  const slots = positive(field(props, 'total_slots'));
  const contextWindow = positive(field(field(props, 'default_generation_settings'), 'n_ctx'));
  const known = slots !== null && contextWindow !== null;
  return {
    ...noLimits,
    blockTokens: 1,
    capacityTokens: known ? slots * contextWindow : null,
    slots,
    contextWindow,
  };
}

/** Each loaded model has a context of its own; with several the shortest is safe for all. */
function ollamaLimits(loaded: unknown): ServerLimits {
  const models = field(loaded, 'models');
  const modelWindows = new Map<string, number>();
  for (const model of (Array.isArray(models) ? models : []).slice(0, mostModels)) {
    const name = field(model, 'name');
    const window = positive(field(model, 'context_length'));
    if (typeof name === 'string' && window !== null) modelWindows.set(name, window);
  }
  const contextWindow = modelWindows.size === 0 ? null : Math.min(...modelWindows.values());
  return { ...noLimits, contextWindow, modelWindows };
}

function positive(value: unknown): number | null {
  const count = wholeNumber(value);
  return count === 0 ? null : count;
}
