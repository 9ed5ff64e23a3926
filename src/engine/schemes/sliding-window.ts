/** The last `window` tokens, the query's own included; without sinks (Longformer's causal form, Mistral). */
import type { ModelShape } from '../types.ts';
import { plainRotary } from './frequencies.ts';
import { maskOf, placed } from './inputs.ts';
import type { PositionScheme } from './types.ts';

export interface SlidingWindow {
  /** The trained length when left out. */
  readonly window?: number;
}

export function slidingWindow(options: SlidingWindow, shape: ModelShape): PositionScheme {
  const { window = shape.trainedLength } = options;
  return {
    ...plainRotary(shape),
    name: `sliding-window(${window})`,
    inputs: (view) => ({
      ...placed(view, Math.max(0, view.start - window)),
      mask: maskOf(
        view,
        view.start + view.fresh <= window ? null : (query, key) => query - key < window,
      ),
      maskHeads: 1,
      second: null,
    }),
    retention: { sinks: 0, recent: () => window - 1, exact: true, maxFresh: Infinity },
  };
}
