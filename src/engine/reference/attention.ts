/** Softmax attention over cached entries; what a scheme decides is passed in. */
import { accumulate, at, dot, multiply, randomMatrix, softmax } from './numbers.ts';
import type { Matrix, Random } from './numbers.ts';
import type { Call, Entry, LayerState, Mixer, MixerResult, Shape } from './types.ts';

/** Where a key or query of one head stands. */
export interface Place {
  readonly head: number;
  readonly position: number;
  readonly call: Call;
}

/** Key tag of a position that has no entry; a scheme for which positions do not name tokens never sees it. */
export const absent = -1;

/** One query and one cached entry. */
export interface Pair {
  readonly head: number;
  readonly query: number;
  readonly key: number;
  readonly queryTag: number;
  readonly keyTag: number;
  /** Place in the cache, counted from its first entry; what StreamingLLM uses as position. */
  readonly queryIndex: number;
  readonly keyIndex: number;
  readonly call: Call;
}

export interface AttentionScheme {
  /** What goes into the cache for a key of one head. */
  store(key: Float64Array, place: Place): Float64Array;
  /** Inverse of `store`. */
  restore(stored: Float64Array, place: Place): Float64Array;
  /** Query of one head before it meets any key. */
  prepare(query: Float64Array, place: Place): Float64Array;
  /** Logit of a prepared query and a stored key, scale included. */
  logit(query: Float64Array, stored: Float64Array, pair: Pair): number;
  visible(pair: Pair): boolean;
  /** Among earlier entries that are not visible, so many with the largest of these logits come back. */
  readonly reinsert?: Reinsertion;
  /** Entries that stay before `fresh` new ones come; all when left out. */
  retain?(entries: readonly Entry[], fresh: number): readonly Entry[];
}

export interface Reinsertion {
  readonly count: number;
  logit(query: Float64Array, stored: Float64Array): number;
}

/** A scheme without positions: keys as they are, scaled dot product, causal mask. */
export const bareScheme: AttentionScheme = {
  store: (key) => key,
  restore: (stored) => stored,
  prepare: (query) => query,
  logit: scaledDot,
  visible: causal,
};

export function scaledDot(query: Float64Array, stored: Float64Array): number {
  return dot(query, stored) / Math.sqrt(query.length);
}

export function causal(pair: Pair): boolean {
  return pair.keyIndex <= pair.queryIndex;
}

interface Weights {
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly output: Matrix;
}

/** Mixer factory for one scheme. */
export function attention(scheme: AttentionScheme): (random: Random, shape: Shape) => Mixer {
  return (random, shape) => {
    const square = (): Matrix => randomMatrix(random, shape.width, shape.width);
    const weights: Weights = { query: square(), key: square(), value: square(), output: square() };
    return {
      empty: { kind: 'tokens', entries: [] },
      run: (inputs, state, call) => run({ scheme, shape, weights }, { inputs, state, call }),
      restore: (entry) =>
        byHead(entry.key, shape, (key, head) =>
          scheme.restore(key, { head, position: entry.position, call: entry.call }),
        ),
      store: (bare, position, call) =>
        byHead(bare, shape, (key, head) => scheme.store(key, { head, position, call })),
    };
  };
}

interface Layer {
  readonly scheme: AttentionScheme;
  readonly shape: Shape;
  readonly weights: Weights;
}

interface Step {
  readonly inputs: readonly Float64Array[];
  readonly state: LayerState;
  readonly call: Call;
}

function run({ scheme, shape, weights }: Layer, { inputs, state, call }: Step): MixerResult {
  const cached = state.kind === 'tokens' ? state.entries : [];
  const kept = scheme.retain?.(cached, inputs.length) ?? cached;
  const fresh = inputs.map((input, i): Entry => {
    const position = call.start + i;
    return {
      position,
      tag: call.tag,
      key: byHead(multiply(weights.key, input), shape, (key, head) =>
        scheme.store(key, { head, position, call }),
      ),
      value: multiply(weights.value, input),
      call,
    };
  });
  const entries = [...kept, ...fresh];
  const present = new Set(entries.map((entry) => entry.position));
  const mayMiss = scheme.retain === undefined && present.size < call.total;
  const heads = Array.from({ length: shape.heads }, (_, head) =>
    entries.map((entry) => headEntry(entry, head, shape)),
  );
  let missing = false;
  const outputs = inputs.map((input, i) => {
    const position = call.start + i;
    const base = { query: position, queryTag: call.tag, queryIndex: kept.length + i, call };
    if (mayMiss) missing ||= lacksVisible(scheme, base, { shape, present });
    const query = multiply(weights.query, input);
    const seen = byHead(query, shape, (part, head) => {
      const prepared = scheme.prepare(part, { head, position, call });
      return attend(scheme, prepared, { ...base, head, entries: at(heads, head) });
    });
    return multiply(weights.output, seen);
  });
  return { outputs, state: { kind: 'tokens', entries }, missing };
}

interface QueryPlace {
  readonly query: number;
  readonly queryTag: number;
  readonly queryIndex: number;
  readonly call: Call;
}

/** Is an earlier position that the query should see absent from the cache? */
function lacksVisible(
  scheme: AttentionScheme,
  place: QueryPlace,
  { shape, present }: { readonly shape: Shape; readonly present: ReadonlySet<number> },
): boolean {
  for (let key = 0; key < place.query; key += 1) {
    if (present.has(key)) continue;
    for (let head = 0; head < shape.heads; head += 1) {
      const pair = { ...place, head, key, keyTag: absent, keyIndex: key, queryIndex: place.query };
      if (scheme.reinsert !== undefined || scheme.visible(pair)) return true;
    }
  }
  return false;
}

interface HeadStep extends QueryPlace {
  readonly head: number;
  readonly entries: readonly HeadEntry[];
}

/** One head's part of an entry. */
interface HeadEntry {
  readonly position: number;
  readonly tag: number;
  readonly key: Float64Array;
  readonly value: Float64Array;
}

function headEntry({ position, tag, key, value }: Entry, head: number, shape: Shape): HeadEntry {
  const [from, to] = [head * shape.headDim, (head + 1) * shape.headDim];
  return { position, tag, key: key.subarray(from, to), value: value.subarray(from, to) };
}

interface Seen {
  readonly value: Float64Array;
  readonly logit: number;
}

function attend(scheme: AttentionScheme, query: Float64Array, step: HeadStep): Float64Array {
  const { entries, head, query: position, queryTag, queryIndex, call } = step;
  const seen: Seen[] = [];
  const hidden: Seen[] = [];
  for (const [keyIndex, entry] of entries.entries()) {
    const { position: key, tag: keyTag, value } = entry;
    const pair = { head, query: position, queryTag, queryIndex, call, key, keyTag, keyIndex };
    if (scheme.visible(pair)) seen.push({ value, logit: scheme.logit(query, entry.key, pair) });
    else if (scheme.reinsert !== undefined && causal(pair))
      hidden.push({ value, logit: scheme.reinsert.logit(query, entry.key) });
  }
  hidden.sort((left, right) => right.logit - left.logit);
  seen.push(...hidden.slice(0, scheme.reinsert?.count ?? 0));
  const result = new Float64Array(query.length);
  if (seen.length === 0) return result;
  for (const [i, weight] of softmax(seen.map(({ logit }) => logit)).entries())
    accumulate(result, at(seen, i).value, weight);
  return result;
}

/** Applies `change` to the part of every head. */
function byHead(
  vector: Float64Array,
  { heads, headDim }: Shape,
  change: (part: Float64Array, head: number) => Float64Array,
): Float64Array {
  const result = new Float64Array(vector.length);
  for (let head = 0; head < heads; head += 1) {
    const part = vector.subarray(head * headDim, (head + 1) * headDim);
    result.set(change(part, head), head * headDim);
  }
  return result;
}
