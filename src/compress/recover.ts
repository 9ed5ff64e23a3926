/**
 * Subsequence recovery (LongLLMLingua, Algorithm 1): an answer written from a compressed prompt
 * gets the original's wording back where it quotes the compressed one.
 *
 * It rewrites what the model said, so it is never applied to code, JSON or tool calls, and it needs the whole answer:
 * streaming is lost. Nothing in the proxy calls it by itself.
 */
import type { TextTokenizer } from '../tokenize/types.ts';

export interface RecoverInput {
  readonly original: string;
  readonly compressed: string;
  readonly response: string;
  readonly tokenizer: Pick<TextTokenizer, 'encode'>;
  /**
   * Share of a phrase's tokens that must be found again for it to be replaced, in [0, 1]. The reference replaces on
   * any match, even of one token, and so loses text; 0 repeats that.
   */
  readonly minimumMatch?: number;
}

/** Matched tokens of a phrase may lie this many tokens apart in the original. */
const longestGap = 10;

/**
 * The response with every longest phrase that stands in the compressed prompt replaced by the stretch of the original
 * that it came from. Line breaks and blanks of the response outside these phrases stay as they are.
 */
export function recoverSubsequence(input: RecoverInput): string {
  const { original, compressed, response, tokenizer, minimumMatch = 0.8 } = input;
  const source = tokenizer.encode(original);
  const places = placesOf(source.ids);
  const words = response.split(' ');
  const recovered: string[] = [];
  for (let left = 0; left < words.length;) {
    const word = words[left] ?? '';
    if (word === '' || !compressed.includes(word)) {
      recovered.push(word);
      left++;
      continue;
    }
    let phrase = word;
    let right = left + 1;
    for (; right < words.length; right++) {
      const longer = `${phrase} ${words[right] ?? ''}`;
      if (!compressed.includes(longer)) break;
      phrase = longer;
    }
    const match = betterMatch(
      bestMatch(tokenizer.encode(phrase).ids, places),
      bestMatch(tokenizer.encode(` ${phrase}`).ids, places),
    );
    const enough = match !== null && match.found >= minimumMatch * match.wanted;
    recovered.push(enough ? textOf(original, source, match) : phrase);
    left = right;
  }
  return recovered.join(' ');
}

/** Ascending positions of every token id. */
function placesOf(ids: Uint32Array): ReadonlyMap<number, readonly number[]> {
  const places = new Map<number, number[]>();
  ids.forEach((id, position) => {
    const list = places.get(id);
    if (list === undefined) places.set(id, [position]);
    else list.push(position);
  });
  return places;
}

interface Match {
  /** Tokens of the original, inclusive. */
  readonly first: number;
  readonly last: number;
  readonly found: number;
  readonly wanted: number;
}

/** From every place of the first token: the following ones greedily, left to right. Most tokens win, then shortest. */
function bestMatch(
  phrase: Uint32Array,
  places: ReadonlyMap<number, readonly number[]>,
): Match | null {
  let best: Match | null = null;
  for (const first of places.get(phrase[0] ?? -1) ?? []) {
    let last = first;
    let found = 1;
    for (const id of phrase.subarray(1)) {
      const next = firstAfter(places.get(id) ?? [], last);
      if (next === null || next - last > longestGap) continue;
      last = next;
      found++;
    }
    const better =
      best === null ||
      found > best.found ||
      (found === best.found && last - first < best.last - best.first);
    if (better) best = { first, last, found, wanted: phrase.length };
  }
  return best;
}

/** Many vocabularies have one token for a word at the start and another after a blank: the better reading counts. */
function betterMatch(left: Match | null, right: Match | null): Match | null {
  if (left === null || right === null) return left ?? right;
  const lead = right.found / right.wanted - left.found / left.wanted;
  const shorter = right.last - right.first < left.last - left.first;
  return lead > 0 || (lead === 0 && shorter) ? right : left;
}

/** First of the ascending positions that is greater than `position`. */
function firstAfter(positions: readonly number[], position: number): number | null {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((positions[middle] ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return positions[low] ?? null;
}

/** The original's text from the first to the last matched token, without blanks at its ends. */
function textOf(
  original: string,
  source: { readonly starts: Uint32Array; readonly ends: Uint32Array },
  match: Match,
): string {
  return original.slice(source.starts[match.first], source.ends[match.last]).trim();
}
