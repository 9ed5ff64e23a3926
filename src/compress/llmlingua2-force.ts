/** The cut of `llmlingua2` with forced tokens that may repeat (`force_tokens`, `drop_consecutive`). */
import type { FitResult } from './budget.ts';
import { cutWords, forcedGroups } from './llmlingua-words.ts';
import type { SegmentWords } from './llmlingua-words.ts';
import { why } from './job.ts';
import type { CompressorDeps, MethodOptions } from './types.ts';

/** Rounds of dropping repeats and spending what they free; each round only adds repeats, so few are needed. */
const repeatRounds = 4;

export interface ForcedCut {
  readonly words: SegmentWords;
  readonly probabilities: ArrayLike<number>;
  readonly budgetTokens: number;
  readonly deps: CompressorDeps;
  readonly options: MethodOptions;
}

/**
 * One threshold for the segment. With `drop_consecutive` a force token goes that follows the same force token with
 * nothing kept between them; what it frees is spent on other words.
 */
export function cutForced(input: ForcedCut): FitResult {
  const { words, options } = input;
  const marks = forcedGroups(words.text, words.groups, {
    force_tokens: options.force_tokens ?? [],
  });
  const fixed = Uint8Array.from(words.fixed);
  const banned = new Uint8Array(fixed.length);
  const cut = (): FitResult =>
    cutWords({
      words: { ...words, fixed },
      scores: input.probabilities,
      by: 'score',
      budgetTokens: input.budgetTokens,
      tokenizer: input.deps.tokenizer,
      banned,
    });
  let result = cut();
  if (options.drop_consecutive !== true) return result;
  for (let round = 0; round < repeatRounds; round++) {
    const repeats = repeatedForced(result.mask.keep, { marks, fixed });
    if (repeats.length === 0) break;
    for (const group of repeats) {
      fixed[group] = 0;
      banned[group] = 1;
    }
    result = cut();
  }
  return result;
}

/** Kept force groups that come right after a group of the same force token among the kept ones. */
function repeatedForced(
  keep: Uint8Array,
  at: { readonly marks: Uint32Array; readonly fixed: Uint8Array },
): number[] {
  const repeats: number[] = [];
  let previous = 0;
  keep.forEach((kept, group) => {
    if (kept === 0) return;
    const mark = at.fixed[group] === why.forced ? (at.marks[group] ?? 0) : 0;
    if (mark !== 0 && mark === previous) repeats.push(group);
    previous = mark;
  });
  return repeats;
}
