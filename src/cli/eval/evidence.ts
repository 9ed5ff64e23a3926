/** Evidence: how much of the annotated passages is left. */
import type { CompressResult, KeepMask, TextTokenizer } from '../../index.ts';
import { mean } from './bootstrap.ts';
import type { EvalItem } from './types.ts';

/** Shares in 0..1; null where the item has no evidence. */
export interface EvidenceKept {
  /** Kept tokens of all passages over their tokens: long passages count more. */
  readonly recall: number | null;
  /** Mean over the passages of each one's kept share: every passage counts the same. */
  readonly passages: number | null;
}

/**
 * A token counts as kept when the character that it starts with is; tokens of white space belong to no group and are
 * not counted. A token that stands in two overlapping passages counts once in `recall`.
 */
export function evidenceKept(
  item: EvalItem,
  result: CompressResult,
  tokenizer: TextTokenizer,
): EvidenceKept {
  const all: boolean[] = [];
  const shares: number[] = [];
  for (const [at, segment] of item.segments.entries()) {
    const ranges = item.evidence.filter((range) => range.segment === at);
    const mask = result.segments[at]?.mask;
    if (ranges.length === 0 || mask === undefined) continue;
    const tokens = tokenPlaces(segment.text, tokenizer).map((place) => ({
      within: ranges.map(({ start, end }) => start <= place && place < end),
      kept: isKept(mask, place),
    }));
    all.push(...tokens.filter(({ within }) => within.includes(true)).map(({ kept }) => kept));
    const each = ranges.map((_, range) => tokens.filter(({ within }) => within[range] === true));
    shares.push(...each.flatMap((own) => shareOf(own.map(({ kept }) => kept)) ?? []));
  }
  return { recall: shareOf(all), passages: shares.length === 0 ? null : mean(shares) };
}

function shareOf(kept: readonly boolean[]): number | null {
  return kept.length === 0 ? null : mean(kept.map(Number));
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
