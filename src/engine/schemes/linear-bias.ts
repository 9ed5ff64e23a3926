/**
 * ALiBi's bias (arXiv 2108.12409): every head lowers the logit of a pair in proportion to its distance. Alone, as the
 * paper has it, or on top of the rotation that a rotary model was trained with.
 */
import { alibiSlopes } from '../../context/extension/position-bias.ts';
import type { ModelShape } from '../types.ts';
import { plainRotary } from './frequencies.ts';
import { maskOf, placed } from './inputs.ts';
import { emptySlot } from './types.ts';
import type { PositionScheme, Rotary, StepView } from './types.ts';

export interface LinearBias {
  /** Multiplies all slopes; 1. */
  readonly strength?: number;
  /** Rotate as trained, too; false as in the paper. */
  readonly rotary?: boolean;
}

export function linearBias(options: LinearBias, shape: ModelShape): PositionScheme {
  const { strength = 1, rotary = false } = options;
  const slopes = alibiSlopes(shape.heads).map((slope) => slope * strength);
  const trained = plainRotary(shape);
  const still: Rotary = {
    inverseFrequencies: new Float32Array(shape.headDim / 2),
    attentionFactor: 1,
  };
  return {
    ...trained,
    ...(!rotary && { rotary: () => still }),
    name: `linear-bias(${strength},${rotary})`,
    inputs: (view) => ({
      ...placed(view),
      mask: biased(view, slopes),
      maskHeads: shape.heads,
      second: null,
    }),
    retention: null,
  };
}

/** heads x T x K. */
function biased(view: StepView, slopes: Float64Array): Float32Array {
  const { past, start, fresh } = view;
  const keys = past.length + fresh;
  const causal = maskOf(view, null);
  const mask = new Float32Array(slopes.length * causal.length);
  for (const [head, slope] of slopes.entries()) {
    const from = head * causal.length;
    for (let at = 0; at < causal.length; at += 1) {
      const [row, column] = [Math.floor(at / keys), at % keys];
      const key = past[column] ?? start + column - past.length;
      const distance = key === emptySlot ? 0 : start + row - key;
      mask[from + at] = (causal[at] ?? 0) - slope * distance;
    }
  }
  return mask;
}
