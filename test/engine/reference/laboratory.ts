/**
 * Experiments that decide a cell of the validity table: a cached state against a cold run of what it should stand
 * for, entry by entry and layer by layer.
 */
import { createRandom } from '../../../src/engine/reference/numbers.ts';
import { randomTokens } from '../../../src/engine/reference/stack.ts';
import type { ExtendOptions, Stack } from '../../../src/engine/reference/stack.ts';
import type { CacheState, Entry, LayerState, Mixer } from '../../../src/engine/reference/types.ts';
import type { Verdict } from '../../../src/reuse/validity.ts';

/** Equal means equal to this, absolutely; hidden values are of order 1. */
export const tolerance = 1e-9;
/** Unequal means further apart than this: nothing may lie between by accident of rounding. */
const clearlyApart = 1e-6;

export interface Trial {
  readonly stored: Verdict;
  readonly repaired: Verdict;
}

export type Make = (seed: number) => Stack;

/** Largest difference per layer; null where an entry that the reference has is not in the cache. */
export interface Comparison {
  readonly layers: readonly {
    readonly kind: LayerState['kind'];
    readonly difference: number | null;
  }[];
}

/**
 * Exact: every layer. Approximate: the first layer is exact and all others hold one entry per token, so that what is
 * wrong is only the context that deeper entries were computed in. Invalid: anything else.
 */
export function verdictOf({ layers }: Comparison): Verdict {
  for (const { difference } of layers)
    if (difference !== null && difference > tolerance && difference < clearlyApart)
      throw new Error(`A difference of ${difference} is neither equal nor clearly apart`);
  const wrong = layers.map(({ difference }) => difference === null || difference > tolerance);
  if (!wrong.includes(true)) return 'exact';
  if (wrong[0] === true || layers.some(({ difference }) => difference === null)) return 'invalid';
  return layers.some(({ kind }, i) => wrong[i] === true && kind === 'mixed')
    ? 'invalid'
    : 'approximate';
}

const order: readonly Verdict[] = ['exact', 'approximate', 'invalid'];

export function worst(verdicts: readonly Verdict[]): Verdict {
  const ranks = verdicts.map((verdict) => order.indexOf(verdict));
  if (ranks.length === 0 || ranks.includes(-1))
    throw new Error('Only executed verdicts can be compared');
  return order[Math.max(...ranks)]!;
}

export function worstTrial(trials: readonly Trial[]): Trial {
  return {
    stored: worst(trials.map((trial) => trial.stored)),
    repaired: worst(trials.map((trial) => trial.repaired)),
  };
}

/** How far two vectors are apart at most. */
function distance(left: Float64Array, right: Float64Array): number {
  if (left.length !== right.length) return Infinity;
  return left.reduce((largest, value, i) => Math.max(largest, Math.abs(value - right[i]!)), 0);
}

function compareEntries(cached: readonly Entry[], reference: readonly Entry[]): number | null {
  let largest = 0;
  for (const wanted of reference) {
    const found = cached.find((e) => e.position === wanted.position && e.tag === wanted.tag);
    if (found === undefined) return null;
    largest = Math.max(
      largest,
      distance(found.key, wanted.key),
      distance(found.value, wanted.value),
    );
  }
  return largest;
}

/** Compares what the reference holds with the entries of the same position and tag. */
export function compare(cached: CacheState, reference: CacheState): Comparison {
  return {
    layers: reference.layers.map((wanted, i) => {
      const found = cached.layers[i]!;
      if (cached.missing) return { kind: wanted.kind, difference: null };
      if (wanted.kind === 'mixed' || found.kind === 'mixed') {
        if (wanted.kind !== 'mixed' || found.kind !== 'mixed')
          throw new Error('Layers of two kinds');
        return { kind: 'mixed', difference: distance(found.values, wanted.values) };
      }
      return { kind: 'tokens', difference: compareEntries(found.entries, wanted.entries) };
    }),
  };
}

/** The last hidden state as one more layer: a continuation must also answer the same. */
export function compareWithOutput(cached: CacheState, reference: CacheState): Comparison {
  const { layers } = compare(cached, reference);
  const difference = distance(cached.outputs.at(-1)!, reference.outputs.at(-1)!);
  return { layers: [...layers, { kind: 'tokens', difference }] };
}

/** Entries that `change` maps, with a new place; those mapped to null go. */
export function mapEntries(
  state: CacheState,
  change: (entry: Entry, layer: number) => Entry | null,
): CacheState {
  const layers = state.layers.map((layerState, layer): LayerState => {
    if (layerState.kind === 'mixed') return layerState;
    const entries = layerState.entries.flatMap((entry) => change(entry, layer) ?? []);
    return { kind: 'tokens', entries };
  });
  return { ...state, layers };
}

/**
 * The repair that needs no model: takes the old position out of every key and puts in the one (and the lengths) that
 * the reference stored for it. Entries without a counterpart stay.
 */
export function repair(
  state: CacheState,
  reference: CacheState,
  { from, to }: { readonly from: readonly Mixer[]; readonly to: readonly Mixer[] },
): CacheState {
  return mapEntries(state, (entry, layer) => {
    const wanted = reference.layers[layer]!;
    if (wanted.kind !== 'tokens') return entry;
    const target = wanted.entries.find((e) => e.position === entry.position && e.tag === entry.tag);
    const [source, destination] = [from[layer]!, to[layer]!];
    if (target === undefined || source.restore === undefined || destination.store === undefined)
      return entry;
    const { origin = entry } = entry as Entry & { origin?: Entry };
    const bare = source.restore(origin);
    return {
      ...entry,
      call: target.call,
      key: destination.store(bare, target.position, target.call),
    };
  });
}

/** The entry under another position, its key as it lies; `repair` still knows where it came from. */
export function relabel(entry: Entry, position: number, tag = entry.tag): Entry {
  const moved: Entry & { origin: Entry } = { ...entry, position, tag, origin: entry };
  return moved;
}

/** What is exact as it lies needs no repair. */
function storedAndRepaired(run: (mend: boolean) => Verdict): Trial {
  const stored = run(false);
  return { stored, repaired: stored === 'exact' ? 'exact' : run(true) };
}

export interface Growth {
  readonly seed: number;
  /** Tokens in the cache, and tokens that follow. */
  readonly head: number;
  readonly tail: number;
  /** Tokens per call for the tail; all at once when left out. */
  readonly step?: number;
  /** Options of the calls that make the cached state. */
  readonly cached?: ExtendOptions;
}

/** Cached head, then the tail, against one cold run of both. */
export function appendTrial(
  make: Make,
  { seed, head, tail, step = tail, cached = {} }: Growth,
): Trial {
  const tokens = randomTokens(createRandom(seed), head + tail);
  const cold = make(seed);
  const reference = cold.prefill(tokens);
  const grow = (mend: boolean): Verdict => {
    const stack = make(seed);
    let state = stack.prefill(tokens.slice(0, head), cached);
    if (mend) state = repair(state, reference, { from: stack.mixers, to: cold.mixers });
    for (let at = head; at < tokens.length; at += step)
      state = stack.append(state, tokens.slice(at, Math.min(tokens.length, at + step)), cached);
    if (mend) state = repair(state, reference, { from: stack.mixers, to: cold.mixers });
    return verdictOf(compareWithOutput(state, reference));
  };
  return storedAndRepaired(grow);
}

export interface Move {
  readonly seed: number;
  /** Tokens before the chunk when it was cached, and where it is wanted. */
  readonly before: number;
  readonly after: number;
  readonly chunk: number;
  readonly cached?: ExtendOptions;
  /** Compares only entries of the chunk from here on, per layer. */
  readonly skip?: readonly number[];
}

/** A chunk cached after one text, wanted after another at another offset. */
export function moveTrial(make: Make, move: Move, wanted: Make = make): Trial {
  const { seed, before, after, chunk, cached = {}, skip = [] } = move;
  const random = createRandom(seed);
  const [left, right, text] = [before, after, chunk].map((count) => randomTokens(random, count));
  const stack = make(seed);
  const cold = wanted(seed);
  const inChunk = (entry: Entry, layer: number, start: number): boolean =>
    entry.position >= start + (skip[layer] ?? 0);
  const state = mapEntries(stack.prefill([...left!, ...text!], cached), (entry, layer) =>
    inChunk(entry, layer, before) ? relabel(entry, entry.position - before + after) : null,
  );
  const reference = mapEntries(cold.prefill([...right!, ...text!]), (entry, layer) =>
    inChunk(entry, layer, after) ? entry : null,
  );
  const mended = repair(state, reference, { from: stack.mixers, to: cold.mixers });
  return {
    stored: verdictOf(compare(state, reference)),
    repaired: verdictOf(compare(mended, reference)),
  };
}

/** The same text under another factor, base or table. */
export function rescaleTrial(make: Make, rescaled: Make, seed: number, length = 14): Trial {
  const tokens = randomTokens(createRandom(seed), length);
  const [stack, other] = [make(seed), rescaled(seed)];
  const [state, reference] = [stack.prefill(tokens), other.prefill(tokens)];
  const mended = repair(state, reference, { from: stack.mixers, to: other.mixers });
  return {
    stored: verdictOf(compare(state, reference)),
    repaired: verdictOf(compare(mended, reference)),
  };
}

export interface Edit {
  readonly seed: number;
  readonly head: number;
  readonly dropped: number;
  readonly rest: number;
  readonly cached?: ExtendOptions;
}

/** Tokens cut out of the middle; what follows them closes up. Against a cold run of the edited text. */
export function editTrial(make: Make, { seed, head, dropped, rest, cached = {} }: Edit): Trial {
  const tokens = randomTokens(createRandom(seed), head + dropped + rest);
  const edited = [...tokens.slice(0, head), ...tokens.slice(head + dropped)];
  const stack = make(seed);
  const cold = make(seed);
  const state = mapEntries(stack.prefill(tokens, cached), (entry) => {
    if (entry.position < head) return entry;
    return entry.position < head + dropped ? null : relabel(entry, entry.position - dropped);
  });
  const reference = cold.prefill(edited);
  const mended = repair(state, reference, { from: stack.mixers, to: cold.mixers });
  return {
    stored: verdictOf(compare(state, reference)),
    repaired: verdictOf(compare(mended, reference)),
  };
}

export interface Slide {
  readonly seed: number;
  readonly head: number;
  readonly tail: number;
  /** Entries of the head that stay. */
  readonly keep: (entry: Entry, layer: number) => boolean;
}

/** Entries dropped, text and positions left as they are, then continued; against a cold run of the whole text. */
export function slideTrial(make: Make, { seed, head, tail, keep }: Slide): Trial {
  const tokens = randomTokens(createRandom(seed), head + tail);
  const stack = make(seed);
  const kept = mapEntries(stack.prefill(tokens.slice(0, head)), (entry, layer) =>
    keep(entry, layer) ? entry : null,
  );
  const state = stack.append(kept, tokens.slice(head));
  const reference = mapEntries(make(seed).prefill(tokens), (entry, layer) =>
    entry.position >= head || keep(entry, layer) ? entry : null,
  );
  const verdict = verdictOf(compareWithOutput(state, reference));
  return { stored: verdict, repaired: verdict };
}

export interface Rollback {
  readonly seed: number;
  /** Tokens up to the branch, tokens cut off, tokens that follow instead. */
  readonly head: number;
  readonly cut: number;
  readonly tail: number;
  readonly cached?: ExtendOptions;
  /** Entries that are still there when the branch is taken; all when left out. */
  readonly keep?: (entry: Entry, layer: number) => boolean;
  /** Branch from a state that was saved at the head, instead of cutting. */
  readonly saved?: boolean;
}

/** The tail cut off and another one put behind; against a cold run of the branch. */
export function rollbackTrial(make: Make, rollback: Rollback): Trial {
  const { seed, head, cut, tail, cached = {}, keep = () => true, saved = false } = rollback;
  const random = createRandom(seed);
  const [common, old, other] = [head, cut, tail].map((count) => randomTokens(random, count));
  const cold = make(seed);
  const whole = cold.prefill([...common!, ...other!]);
  const reference = mapEntries(whole, (entry, layer) =>
    entry.position >= head || keep(entry, layer) ? entry : null,
  );
  const branch = (mend: boolean): Verdict => {
    const stack = make(seed);
    const source = stack.prefill(saved ? common! : [...common!, ...old!], cached);
    const cutState = mapEntries({ ...source, length: head }, (entry, layer) =>
      entry.position < head && keep(entry, layer) ? entry : null,
    );
    const mixers = { from: stack.mixers, to: cold.mixers };
    const start = mend ? repair(cutState, whole, mixers) : cutState;
    const grown = stack.append(start, other!);
    return verdictOf(compareWithOutput(mend ? repair(grown, whole, mixers) : grown, reference));
  };
  return storedAndRepaired(branch);
}
