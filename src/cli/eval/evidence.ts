/** Evidence recall: how many tokens of the annotated passages are left. */
import type { CompressResult, KeepMask, TextTokenizer } from '../../index.ts';
import type { EvalItem } from './types.ts';

/**
 * Kept tokens of the evidence over all its tokens; null without evidence. A token counts as kept when the character
 * that it starts with is; tokens of white space belong to no group and are not counted.
 */
export function evidenceRecall(
  item: EvalItem,
  result: CompressResult,
  tokenizer: TextTokenizer,
): number | null {
  let total = 0;
  let kept = 0;
  for (const [at, segment] of item.segments.entries()) {
    const ranges = item.evidence.filter((range) => range.segment === at);
    const mask = result.segments[at]?.mask;
    if (ranges.length === 0 || mask === undefined) continue;
    for (const place of tokenPlaces(segment.text, tokenizer)) {
      if (!ranges.some(({ start, end }) => start <= place && place < end)) continue;
      total += 1;
      if (isKept(mask, place)) kept += 1;
    }
  }
  return total === 0 ? null : kept / total;
}

/** The first visible character of every token that has one. */
function tokenPlaces(text: string, tokenizer: TextTokenizer): number[] {
  const { starts, ends } = tokenizer.encode(text);
  return Array.from(starts, (start, token) => {
    const raw = text.slice(start, ends[token]);
    return raw.trim() === '' ? -1 : start + raw.length - raw.trimStart().length;
  }).filter((place) => place >= 0);
}

/** Is the character at `place` in a kept group? A binary search: groups ascend. */
function isKept(mask: KeepMask, place: number): boolean {
  let low = 0;
  let high = mask.ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((mask.ends[middle] ?? 0) <= place) low = middle + 1;
    else high = middle;
  }
  return (mask.starts[low] ?? Infinity) <= place && mask.keep[low] === 1;
}
