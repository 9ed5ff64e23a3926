/** Where a text is cut before it is scored. Borders depend on the text alone, never on what follows far ahead. */
import type { TextRange } from '../tokenize/types.ts';

/** Tokens [from, to) are scored; [context, from) are read before them. */
export interface CausalChunk {
  readonly context: number;
  readonly from: number;
  readonly to: number;
}

/** New tokens per forward pass: short enough that a cancelled request frees its worker within tens of milliseconds. */
const NEW_TOKENS = 256;
/** Tokens read again to the left of every chunk but the first. */
const CONTEXT_TOKENS = 64;

/**
 * Fixed windows: chunk k scores tokens [256 k, 256 (k+1)) after the 64 tokens before them (fewer where the model's
 * context is shorter than 321 positions). Each token is scored once with at least 64 tokens of context, or all that
 * there are; the cost is 1.25 passes per token. A chunk never sees later text, so scores of a text stay as they are
 * when text is appended.
 */
export function causalChunks(tokens: number, contextLength: number): CausalChunk[] {
  const room = Math.max(2, contextLength - 1);
  const fresh = Math.min(NEW_TOKENS, Math.max(1, Math.floor(room * 0.8)));
  const context = Math.min(CONTEXT_TOKENS, room - fresh);
  const chunks: CausalChunk[] = [];
  for (let from = 0; from < tokens; from += fresh)
    chunks.push({
      context: Math.max(0, from - context),
      from,
      to: Math.min(tokens, from + fresh),
    });
  return chunks;
}

/** Positions left for a condition before the text. */
export function prefixRoom(contextLength: number): number {
  return Math.max(0, contextLength - 1 - NEW_TOKENS - CONTEXT_TOKENS);
}

/**
 * Chunks of at most `limit` tokens for a classifier, cut after the last sentence that ends inside, else before the
 * last word that starts inside, else at the limit. A cut depends on the text up to the limit behind it.
 *
 * @param starts, ends Offsets of the tokens in the text.
 */
export function sentenceChunks(
  tokens: { readonly starts: Uint32Array; readonly ends: Uint32Array },
  sentences: readonly TextRange[],
  limit: number,
): { from: number; to: number }[] {
  const { starts, ends } = tokens;
  const total = starts.length;
  const cuts = sentenceCuts(starts, sentences);
  const chunks: { from: number; to: number }[] = [];
  let cut = 0;
  for (let from = 0; from < total;) {
    let to = Math.min(total, from + limit);
    if (to < total) {
      while ((cuts[cut + 1] ?? total) <= to) cut++;
      const last = cuts[cut] ?? 0;
      to = last > from ? last : wordStart(starts, ends, { from, to });
    }
    chunks.push({ from, to });
    from = to;
  }
  return chunks;
}

/** For every sentence, the index of the first token that starts in it or later; ascending, without repeats. */
function sentenceCuts(starts: Uint32Array, sentences: readonly TextRange[]): number[] {
  const cuts: number[] = [];
  let token = 0;
  for (const { start } of sentences) {
    while (token < starts.length && (starts[token] ?? 0) < start) token++;
    if (cuts.at(-1) !== token) cuts.push(token);
  }
  return cuts;
}

/** The last token of the window that starts after a gap (a new word), or the window's end when there is none. */
function wordStart(
  starts: Uint32Array,
  ends: Uint32Array,
  { from, to }: { from: number; to: number },
): number {
  for (let i = to; i > from + (to - from) / 2; i--)
    if ((starts[i] ?? 0) > (ends[i - 1] ?? 0)) return i;
  return to;
}
