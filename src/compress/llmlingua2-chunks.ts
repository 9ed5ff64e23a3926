/** Where a text is cut for the classifier when the caller names the tokens that a chunk should end with. */
import type { KeepScorer, TokenScores } from '../score/types.ts';
import type { TextRange } from '../tokenize/types.ts';
import type { GroupRanges } from './mask.ts';

export interface ChunkInput {
  readonly text: string;
  readonly groups: GroupRanges;
  /** `chunk_end_tokens`; null = the scorer's own borders. */
  readonly ends: readonly string[] | null;
  readonly signal: AbortSignal | null;
}

/** Keep probabilities of the whole text, in chunks that end with one of `ends` where one is in reach. */
export async function scoreInChunks(scorer: KeepScorer, input: ChunkInput): Promise<TokenScores> {
  const { text, ends, signal } = input;
  if (ends === null) return scorer.score(text, { signal });
  const parts: TokenScores[] = [];
  const ranges = chunkRanges(scorer, { ...input, ends });
  for (const { start, end } of ranges) {
    const scores = await scorer.score(text.slice(start, end), { signal });
    parts.push({
      ...scores,
      starts: scores.starts.map((offset) => offset + start),
      ends: scores.ends.map((offset) => offset + start),
    });
  }
  return {
    ids: Uint32Array.from(parts.flatMap((part) => [...part.ids])),
    starts: Uint32Array.from(parts.flatMap((part) => [...part.starts])),
    ends: Uint32Array.from(parts.flatMap((part) => [...part.ends])),
    values: Float32Array.from(parts.flatMap((part) => [...part.values])),
  };
}

/**
 * Ranges that cover the text, each at most `contextLength - 2` tokens: cut after the last end token within reach, else
 * where a group ends, else at the token.
 */
export function chunkRanges(
  scorer: Pick<KeepScorer, 'encode' | 'contextLength'>,
  input: ChunkInput & { readonly ends: readonly string[] },
): TextRange[] {
  const { text, groups, ends } = input;
  const encoding = scorer.encode(text);
  const count = encoding.starts.length;
  const most = Math.max(1, scorer.contextLength - 2);
  const groupEnds = new Set(groups.ends);
  const offsetOf = (token: number): number =>
    token >= count ? text.length : (encoding.ends[token - 1] ?? 0);
  const isBorder = (token: number): boolean => groupEnds.has(offsetOf(token));
  /** The last token before the cut, with the blanks and line breaks after it, holds an end token. */
  const endsHere = (token: number): boolean => {
    const last = text.slice(encoding.starts[token - 1], encoding.starts[token] ?? text.length);
    return isBorder(token) && ends.some((end) => last.includes(end));
  };
  const ranges: TextRange[] = [];
  for (let from = 0; from < count;) {
    const last = Math.min(count, from + most);
    const cut = last === count ? count : bestCut({ from, last, endsHere, isBorder });
    ranges.push({ start: ranges.at(-1)?.end ?? 0, end: offsetOf(cut) });
    from = cut;
  }
  return ranges;
}

function bestCut(at: {
  readonly from: number;
  readonly last: number;
  readonly endsHere: (token: number) => boolean;
  readonly isBorder: (token: number) => boolean;
}): number {
  for (const fits of [at.endsHere, at.isBorder])
    for (let token = at.last; token > at.from; token--) if (fits(token)) return token;
  return at.last;
}
