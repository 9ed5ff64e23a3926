/**
 * Naive Bayes context extension (bojone, 2023): the text is continued behind every context and behind none, all rows
 * in one batch, and the distributions of the next token are pooled.
 */
import { SluiceError } from '../core/errors.ts';
import type { Sequence } from './kv/sequence.ts';
import type { EngineRuntime } from './runtime.ts';
import { createRandom, sample } from './sampler.ts';

export interface NbceOptions {
  /** The most confident context (least entropy), or the mean of all. */
  readonly pool: 'confident' | 'mean';
  /** Weight against the row without context; n - 1 with the mean of n contexts is naive Bayes. 0.25 */
  readonly beta?: number;
  /** Taken off the entropy of the context that was chosen before; 0.1. */
  readonly eta?: number;
  /** Contexts count with the nucleus of this mass only; 1 = all tokens. */
  readonly topP?: number;
}

export interface Pooled {
  /** Up to a constant: log-probabilities of the next token. */
  readonly logits: Float32Array;
  /** Index of the chosen context, or null under the mean. */
  readonly chosen: number | null;
  /** Of every context's distribution, in nats, before hysteresis. */
  readonly entropies: readonly number[];
}

/** Where the row without context has a log-probability below this, the contexts alone count. */
const impossible = -100;

/**
 * (1 + beta) pool_k[log p(T | S_k)] - beta log p(T).
 * @param without logits behind no context
 * @param contexts logits behind every context, at least one
 * @param previous context chosen for the token before, or null
 */
export function poolContexts(
  without: Float32Array,
  contexts: readonly Float32Array[],
  options: NbceOptions & { readonly previous: number | null },
): Pooled {
  const { pool, beta = 0.25, eta = 0.1, topP = 1, previous } = options;
  const base = logSoftmax(without);
  const rows = contexts.map((logits) => nucleus(logSoftmax(logits), topP));
  const entropies = rows.map(entropy);
  const settled = entropies.map((value, k) => (k === previous ? value - eta : value));
  const confident = settled.indexOf(Math.min(...settled));
  const chosen = pool === 'confident' ? confident : null;
  const logits = base.map((alone, id) => {
    const pooled =
      chosen === null
        ? rows.reduce((sum, row) => sum + (row[id] ?? 0), 0) / rows.length
        : (rows[chosen]?.[id] ?? 0);
    return alone <= impossible ? pooled : (1 + beta) * pooled - beta * alone;
  });
  return { logits: Float32Array.from(logits), chosen, entropies };
}

function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return Float64Array.from(logits, (logit) => logit - largest - Math.log(sum));
}

/** Log-probabilities outside the nucleus become -Infinity; the rest keeps its values. */
function nucleus(row: Float64Array, topP: number): Float64Array {
  if (topP >= 1) return row;
  const order = Array.from(row.keys()).sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0));
  const kept = new Float64Array(row.length).fill(-Infinity);
  let mass = 0;
  for (const id of order) {
    if (mass >= topP) break;
    kept[id] = row[id] ?? 0;
    mass += Math.exp(row[id] ?? 0);
  }
  return kept;
}

function entropy(row: Float64Array): number {
  return row.reduce((sum, logp) => (logp === -Infinity ? sum : sum - Math.exp(logp) * logp), 0);
}

export interface NbceRequest extends NbceOptions {
  readonly contexts: readonly ArrayLike<number>[];
  /** Goes behind every context, and alone; at least one token. */
  readonly text: ArrayLike<number>;
  /** In front of every row (BOS), or nothing. */
  readonly prefix: ArrayLike<number>;
  readonly maxTokens: number;
  readonly eosId: number | null;
  /** 0 = greedy. */
  readonly temperature: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/**
 * Continues the text. Every row is an ordinary prompt, so contexts are found in the prefix cache.
 * @returns the tokens and the context chosen for each
 */
export async function answerWithContexts(
  runtime: EngineRuntime,
  request: NbceRequest,
): Promise<{ readonly tokens: number[]; readonly chosen: (number | null)[] }> {
  const { contexts, text, prefix, maxTokens, eosId, temperature, signal } = request;
  if (contexts.length === 0 || text.length === 0) {
    throw new SluiceError('REQUEST_INVALID', 'NBCE: at least one context and a text, not empty');
  }
  const random = createRandom(request.seed);
  const rows: Sequence[] = [];
  const result = { tokens: [] as number[], chosen: [] as (number | null)[] };
  try {
    let logits: Float32Array[] = [];
    for (const context of [[], ...contexts]) {
      const ids = [prefix, context, text].flatMap((part) => Array.from(part));
      const sequence = runtime.open(ids);
      rows.push(sequence);
      logits.push(await runtime.read(sequence, signal === undefined ? {} : { signal }));
    }
    for (;;) {
      const [without = new Float32Array(0), ...behind] = logits;
      const previous = result.chosen.at(-1) ?? null;
      const pooled = poolContexts(without, behind, { ...request, previous });
      const token = sample(pooled.logits, { temperature, topP: 1 }, random);
      if (token === eosId) return result;
      result.tokens.push(token);
      result.chosen.push(pooled.chosen);
      if (result.tokens.length >= maxTokens) return result;
      signal?.throwIfAborted();
      for (const row of rows) row.tokens.push(token);
      logits = await decodeAll(runtime, rows);
    }
  } finally {
    for (const row of rows) runtime.release(row);
  }
}

/** One batch; rows that change their regime with this token are computed anew first. */
async function decodeAll(
  runtime: EngineRuntime,
  rows: readonly Sequence[],
): Promise<Float32Array[]> {
  const together = rows.filter((row) => runtime.canDecode(row));
  const decoded = await runtime.decode(together);
  const result: Float32Array[] = [];
  for (const row of rows) {
    const at = together.indexOf(row);
    result.push(at >= 0 ? (decoded[at] ?? new Float32Array(0)) : await runtime.read(row));
  }
  return result;
}
