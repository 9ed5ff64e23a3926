/** Rotary schemes: the frequencies may depend on lengths; keys are cached after rotation, as servers do. */
import { causal, scaledDot } from './attention.ts';
import type { AttentionScheme, Pair } from './attention.ts';
import {
  dynamicNtkBase,
  linearRotary,
  llama3Rotary,
  longRopeRotary,
  ntkBase,
  ntkStep,
  plainRotary,
  rotate,
  rotateBack,
  steppedNtkBase,
  yarnRotary,
} from './frequencies.ts';
import type { Rotary } from './frequencies.ts';
import type { Call } from './types.ts';

/** Settings that all rotary reference schemes share; small enough that a test crosses `original`. */
export interface RopeSettings {
  readonly headDim: number;
  readonly base: number;
  readonly original: number;
  /** Scale of the extension schemes. */
  readonly factor: number;
}

/** Keys cached after rotation with the frequencies of the call that stored them. */
export function rotated(
  rotary: (call: Call) => Rotary,
  visible: (pair: Pair) => boolean = causal,
): AttentionScheme {
  return {
    store: (key, { position, call }) => rotate(key, position, rotary(call)),
    restore: (stored, { position, call }) => rotateBack(stored, position, rotary(call)),
    prepare: (query, { position, call }) => rotate(query, position, rotary(call)),
    logit: scaledDot,
    visible,
  };
}

/** Rotary scheme whose frequencies never change; the result does not depend on any length. */
export function fixed(rotary: Rotary, visible?: (pair: Pair) => boolean): AttentionScheme {
  return rotated(() => rotary, visible);
}

export function plain({ headDim, base }: RopeSettings): AttentionScheme {
  return fixed(plainRotary(headDim, base));
}

export function linear({ headDim, base, factor }: RopeSettings): AttentionScheme {
  return fixed(linearRotary(headDim, base, factor));
}

export function ntkStatic({ headDim, base, factor }: RopeSettings): AttentionScheme {
  return fixed(plainRotary(headDim, ntkBase(headDim, base, factor)));
}

export function yarn({ headDim, base, factor, original }: RopeSettings): AttentionScheme {
  return fixed(yarnRotary({ headDim, base, scale: factor, original, betaFast: 2, betaSlow: 0.2 }));
}

export function llama3({ headDim, base, factor, original }: RopeSettings): AttentionScheme {
  return fixed(llama3Rotary({ headDim, base, factor, original, lowFactor: 0.5, highFactor: 2 }));
}

/**
 * Dynamic NTK as transformers has it: the base follows the longest length that the process has seen
 * (`transformersLongest`), so that it depends on other requests too.
 */
export function ntkDynamic({ headDim, base, factor, original }: RopeSettings): AttentionScheme {
  return rotated(({ process }) =>
    plainRotary(headDim, dynamicNtkBase({ headDim, base, factor, original }, process)),
  );
}

/** Longest length seen, back to `original` when a call is shorter than that (transformers, rope type `dynamic`). */
export function transformersLongest(original: number): (previous: number, total: number) => number {
  return (previous, total) => (total < original ? original : Math.max(previous, total, original));
}

/** Dynamic NTK in steps of a factor of two of the sequence's own length (Qwen 1). */
export function ntkStepped({ headDim, base, original }: RopeSettings): AttentionScheme {
  return rotated(({ total }) =>
    plainRotary(headDim, steppedNtkBase(headDim, base, ntkStep(original, total))),
  );
}

/** The same as Qwen 1's own code runs it: the step of the process's last cold run (`lastColdStep`). */
export function ntkSteppedLate({ headDim, base }: RopeSettings): AttentionScheme {
  return rotated(({ process }) => plainRotary(headDim, steppedNtkBase(headDim, base, process)));
}

/** A cold run computes its step; a continuation takes what is there (Qwen 1, `_ntk_alpha_cached_list`). */
export function lastColdStep(
  original: number,
): (previous: number, total: number, start: number) => number {
  return (previous, total, start) => (start === 0 ? ntkStep(original, total) : previous);
}

/** YaRN whose scale grows with the longest length that the process has seen and never shrinks (its research code). */
export function yarnDynamic({ headDim, base, original }: RopeSettings): AttentionScheme {
  return rotated(({ process }) => {
    const scale = Math.max(1, process / original);
    return yarnRotary({ headDim, base, scale, original, betaFast: 2, betaSlow: 0.2 });
  });
}

/** What decides between LongRoPE's tables: the sequence, the server's limit, or the longest of the batch. */
export type LongRopeSwitch = 'by-length' | 'constant-long' | 'by-batch';

export function longRope(settings: RopeSettings, decidedBy: LongRopeSwitch): AttentionScheme {
  const { headDim, base, original, factor } = settings;
  const longest = original * factor;
  const short = Array.from({ length: headDim / 2 }, (_, i) => 1 + 0.02 * i);
  const long = Array.from({ length: headDim / 2 }, (_, i) => 1 + i * (factor / headDim));
  const tables = {
    short: longRopeRotary({ base, divisors: short, original, longest }),
    long: longRopeRotary({ base, divisors: long, original, longest }),
  };
  const lengthThatDecides = {
    'by-length': ({ total }: Call) => total,
    'constant-long': () => longest,
    'by-batch': ({ total, companion }: Call) => Math.max(total, companion),
  }[decidedBy];
  return rotated((call) => (lengthThatDecides(call) <= original ? tables.short : tables.long));
}
