/**
 * LM-Infinite (arXiv 2308.16137, section 4): every token sees the first few tokens and the most recent ones, and no
 * distance is ever larger than one that was trained. Inside the trained length it is plain attention.
 *
 * The optional part, taking back the k middle keys with the largest logits per layer and head, is left out: the logits
 * exist inside the graph only, and a mask is one input for all layers. `reference/windows.ts` has it.
 */
import type { ModelShape } from '../types.ts';
import { plainRotary } from './frequencies.ts';
import { maskOf, placed } from './inputs.ts';
import { emptySlot } from './types.ts';
import type { PositionScheme, SecondBranch, StepView } from './types.ts';

export interface LmInfinite {
  /** First tokens that all see; the paper uses 4 to 100. */
  readonly sinks?: number;
  /** Recent tokens that a token sees, itself included; the trained length. */
  readonly window?: number;
  /** Largest distance that is used; one less than the trained length. */
  readonly cap?: number;
}

export function lmInfinite(options: LmInfinite, shape: ModelShape): PositionScheme {
  const { sinks = 4, window = shape.trainedLength, cap = shape.trainedLength - 1 } = options;
  const sees = (query: number, key: number): boolean => key < sinks || query - key < window;
  return {
    ...plainRotary(shape),
    name: `lm-infinite(${sinks},${window},${cap})`,
    inputs: (view) => {
      const { start, fresh } = view;
      const origin = Math.max(0, start - window);
      // A single query: its distant keys are moved to the cap. Several: each would move them elsewhere.
      const nearest = fresh === 1 ? start - cap : 0;
      return {
        ...placed(view, origin, (position) => Math.max(position, nearest)),
        mask: maskOf(view, start + fresh <= window ? null : sees),
        maskHeads: 1,
        second: fresh === 1 || start + fresh - 1 <= cap ? null : capped(view, cap),
      };
    },
    retention: { sinks, recent: () => window - 1, exact: true, maxFresh: Infinity },
  };
}

/** Pairs farther apart than the cap, as if they were at it. What the mask hides may be selected, too. */
function capped({ past, start, fresh }: StepView, cap: number): SecondBranch {
  const keys = past.length + fresh;
  const select = new Float32Array(fresh * keys);
  for (let row = 0; row < fresh; row += 1) {
    const last = start + row - cap;
    const base = row * keys;
    for (let slot = 0; slot < past.length; slot += 1) {
      const key = past[slot] ?? emptySlot;
      if (key !== emptySlot && key < last) select[base + slot] = 1;
    }
    for (let key = 0; key < fresh && start + key < last; key += 1) {
      select[base + past.length + key] = 1;
    }
  }
  return {
    queryPositions: new Float32Array(fresh).fill(cap),
    keyPositions: new Float32Array(1),
    select,
  };
}
