/**
 * Parts encoded alone and put side by side. Parallel context windows (arXiv 2212.10947) need no inputs of their own:
 * every window is a sequence that starts at 0, the text behind them starts where the longest ends and sees all.
 * Structured prompting (arXiv 2212.06713) aligns the groups at their ends and lets the text count `groups` times.
 */
import type { ModelShape } from '../types.ts';
import { plainRotary } from './frequencies.ts';
import { maskOf, placed } from './inputs.ts';
import type { PositionScheme, StepView } from './types.ts';

export interface Structured {
  /** Groups of demonstrations, at least 1; 1 is plain attention. */
  readonly groups: number;
}

/**
 * Positions as the PCW paper counts them, from 1: `windows` times 1..C, then the task's.
 * @param length the model's window
 * @param task tokens of question and answer
 */
export function windowPositions(
  length: number,
  { task, windows }: { readonly task: number; readonly windows: number },
): number[] {
  const context = length - task;
  return Array.from({ length: windows * context + task }, (_, i) =>
    i < windows * context ? (i % context) + 1 : i - (windows - 1) * context + 1,
  );
}

/** Rescaled attention (section 2.2): ln(groups) is added to the logits of the text's own keys. */
export function structured({ groups }: Structured, shape: ModelShape): PositionScheme {
  return {
    ...plainRotary(shape),
    name: `structured(${groups})`,
    inputs: (view) => ({
      ...placed(view),
      mask: rescaled(view, Math.log(groups)),
      maskHeads: 1,
      second: null,
    }),
    retention: null,
  };
}

function rescaled(view: StepView, bonus: number): Float32Array {
  const { past, pastParts, fresh } = view;
  const keys = past.length + fresh;
  const mask = maskOf(view, null);
  // A sequence without groups in front is a group itself, or a prompt without any: nothing to make up for.
  if (pastParts === null) return mask;
  for (let at = 0; at < mask.length; at += 1) {
    if ((pastParts[at % keys] ?? 0) === 0) mask[at] = (mask[at] ?? 0) + bonus;
  }
  return mask;
}
