/** Masks that hide distant tokens: sliding window, global plus window, dilation, Lambda, sinks. */
import { causal, scaledDot } from './attention.ts';
import type { AttentionScheme, Pair } from './attention.ts';
import { rotate } from './frequencies.ts';
import type { Rotary } from './frequencies.ts';

/** The last `window` tokens, the query's own included (Longformer's causal form; Mistral, arXiv 2310.06825). */
export function slidingWindow(window: number): (pair: Pair) => boolean {
  return (pair) => causal(pair) && pair.query - pair.key < window;
}

/** The first `globals` tokens and the last `window`. */
export function globalAndWindow(globals: number, window: number): (pair: Pair) => boolean {
  return (pair) => causal(pair) && (pair.key < globals || pair.query - pair.key < window);
}

/**
 * Longformer's encoder (arXiv 2004.05150, section 3.1): half a window to each side, and global tokens that see and
 * are seen by all. Not causal.
 */
export function encoderWindow(globals: number, half: number): (pair: Pair) => boolean {
  return ({ query, key }) => query < globals || key < globals || Math.abs(query - key) <= half;
}

/** A segment length and the interval at which tokens are picked inside the segment. */
export interface Dilation {
  readonly segment: number;
  readonly interval: number;
}

/**
 * LongNet (arXiv 2307.02486, section 3.1): per dilation, query and key lie in one segment and both on the head's
 * grid. Which tokens are seen depends on absolute positions; a pair that lies in several dilations counts as often
 * (mixing them by their softmax denominators is one softmax with multiplicities).
 */
export function dilated(rotary: Rotary, dilations: readonly Dilation[]): AttentionScheme {
  const multiplicity = ({ head, query, key }: Pair): number =>
    dilations.filter(
      ({ segment, interval }) =>
        Math.floor(query / segment) === Math.floor(key / segment) &&
        query % interval === head % interval &&
        key % interval === head % interval,
    ).length;
  return {
    store: (key, { position }) => rotate(key, position, rotary),
    restore: (stored, { position }) => rotate(stored, -position, rotary),
    prepare: (query, { position }) => rotate(query, position, rotary),
    logit: (query, stored, pair) => scaledDot(query, stored) + Math.log(multiplicity(pair)),
    visible: (pair) => causal(pair) && multiplicity(pair) > 0,
  };
}

export interface Lambda {
  readonly rotary: Rotary;
  /** First tokens that every query sees. */
  readonly globals: number;
  /** Length of the local branch, and the largest distance that is ever used. */
  readonly limit: number;
  /** Hidden tokens that every query takes back, seen from half the limit (section 4.1, optional part); 0 = none. */
  readonly topK?: number;
}

/**
 * LM-Infinite (arXiv 2308.16137, section 4.1): the Lambda mask with distances capped at the trained length. Keys are
 * cached bare: the local branch rotates by the true distance, the global one turns the query by the cap.
 */
export function lambda({ rotary, globals, limit, topK = 0 }: Lambda): AttentionScheme {
  const across = (query: Float64Array, stored: Float64Array, distance: number): number =>
    scaledDot(rotate(query, distance, rotary), stored);
  const half = Math.floor(limit / 2);
  return {
    ...(topK > 0 && {
      reinsert: { count: topK, logit: (query, stored) => across(query, stored, half) },
    }),
    store: (key) => key,
    restore: (stored) => stored,
    prepare: (query) => query,
    logit: (query, stored, pair) => across(query, stored, Math.min(pair.query - pair.key, limit)),
    visible: globalAndWindow(globals, limit),
  };
}

export interface Sinks {
  readonly rotary: Rotary;
  readonly sinks: number;
  /** Recent tokens that stay beside the sinks. */
  readonly recent: number;
}

/**
 * StreamingLLM (arXiv 2309.17453, section 3.2): before new tokens come, all but the sinks and the most recent ones
 * are dropped; positions are places in the cache, so keys are cached bare and rotated in every call.
 */
export function streaming({ rotary, sinks, recent }: Sinks): AttentionScheme {
  return {
    store: (key) => key,
    restore: (stored) => stored,
    prepare: (query) => query,
    logit: (query, stored, { queryIndex, keyIndex }) =>
      scaledDot(rotate(query, queryIndex, rotary), rotate(stored, keyIndex, rotary)),
    visible: causal,
    retain: (entries, fresh) => {
      if (entries.length + fresh <= sinks + recent) return entries;
      const tail = Math.max(0, recent - fresh);
      return entries.filter((_, i) => i < sinks || i >= entries.length - tail);
    },
  };
}
