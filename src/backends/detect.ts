/** Which server answers behind a URL, told from its own answers. */
import type { BackendKind } from './types.ts';

/** One probe's answer; null = no answer at all. */
export interface ProbeAnswer {
  readonly status: number;
  /** Value of the `server` response header, or null. */
  readonly server: string | null;
  readonly text: string;
  /** Parsed JSON body, or undefined when it was none. */
  readonly json: unknown;
}

/** GETs a path below the upstream's base URL. Never throws; bounded in time and size by the caller. */
export type Probe = (path: string) => Promise<ProbeAnswer | null>;

export interface Detected {
  readonly kind: BackendKind;
  /** Context window in tokens, or null when the server does not tell. */
  readonly contextWindow: number | null;
  /** The server's model name, or null. */
  readonly model: string | null;
}

/** Routes that only one kind of server has, and how its answer is recognised; the first match counts. */
const tells: readonly {
  readonly path: string;
  readonly recognise: (json: unknown) => Detected | null;
}[] = [
  {
    path: '/props',
    recognise: (json) =>
      field(json, 'default_generation_settings') === undefined
        ? null
        : { kind: 'llamacpp', contextWindow: slotContext(json), model: null },
  },
  {
    path: '/info',
    recognise: (json) =>
      text(field(json, 'router')) === 'text-generation-router'
        ? {
            kind: 'tgi',
            contextWindow:
              count(field(json, 'max_total_tokens')) ?? count(field(json, 'max_input_tokens')),
            model: text(field(json, 'model_id')),
          }
        : null,
  },
  {
    path: '/get_model_info',
    recognise: (json) =>
      field(json, 'model_path') === undefined
        ? null
        : { kind: 'sglang', contextWindow: null, model: text(field(json, 'model_path')) },
  },
  { path: '/api/version', recognise: (json) => versioned(json, 'ollama') },
  { path: '/version', recognise: (json) => versioned(json, 'vllm') },
];

/**
 * Asks `/v1/models` first, whose `owned_by` settles most cases with one request, then the routes that only one kind of
 * server has. A server that answers but matches nothing is `openai`. null = nothing answered.
 */
export async function detectBackend(probe: Probe): Promise<Detected | null> {
  const models = await probe('/v1/models');
  const byOwner = models === null ? null : fromModels(models);
  if (byOwner !== null && byOwner.kind !== 'llamacpp') return byOwner;
  if (byOwner !== null) {
    return { ...byOwner, contextWindow: slotContext((await probe('/props'))?.json) };
  }
  const answers = await Promise.all(tells.map(({ path }) => probe(path)));
  for (const [at, { recognise }] of tells.entries()) {
    const found = recognise(answers[at]?.json);
    if (found !== null) return found;
  }
  const answered = models !== null || answers.some((answer) => answer !== null);
  return answered ? { kind: 'openai', contextWindow: null, model: firstModelName(models) } : null;
}

/** `owned_by` of the first model, or the shape and headers of a refusal. */
function fromModels(answer: ProbeAnswer): Detected | null {
  const model = firstModel(answer);
  const name = text(field(model, 'id'));
  switch (text(field(model, 'owned_by'))) {
    case 'vllm':
      return { kind: 'vllm', contextWindow: count(field(model, 'max_model_len')), model: name };
    case 'sglang':
      return { kind: 'sglang', contextWindow: count(field(model, 'max_model_len')), model: name };
    case 'llamacpp':
      return { kind: 'llamacpp', contextWindow: null, model: name };
    case 'library':
      return { kind: 'ollama', contextWindow: null, model: name };
    default:
  }
  if (answer.server?.startsWith('llama.cpp') === true) {
    return { kind: 'llamacpp', contextWindow: null, model: name };
  }
  // Anthropic refuses without a key in its own shape: {"type":"error","error":{...}}.
  if (text(field(answer.json, 'type')) === 'error' && field(answer.json, 'error') !== undefined) {
    return { kind: 'anthropic', contextWindow: null, model: null };
  }
  return null;
}

function versioned(json: unknown, kind: BackendKind): Detected | null {
  if (text(field(json, 'version')) === null) return null;
  return { kind, contextWindow: null, model: null };
}

function slotContext(props: unknown): number | null {
  return count(field(field(props, 'default_generation_settings'), 'n_ctx'));
}

function firstModel(answer: ProbeAnswer | null): unknown {
  const data = field(answer?.json, 'data');
  return Array.isArray(data) ? data[0] : undefined;
}

function firstModelName(answer: ProbeAnswer | null): string | null {
  return text(field(firstModel(answer), 'id'));
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !(name in value)) return undefined;
  return Reflect.get(value, name);
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : null;
}
