/**
 * selective-context 0.1.4 with its own arithmetic, for comparison on the same weights: white space
 * collapsed, every sentence scored on its own, percentile over units instead of tokens.
 */
import { mean, percentile } from './numbers.ts';

export interface ReferenceSelectiveModel {
  /** Ids without special tokens. */
  encode(text: string): Uint32Array;
  decode(ids: ArrayLike<number>): string;
  /** Surprisal of every id after the model's start-of-text token. */
  surprisal(ids: Uint32Array): Promise<Float32Array>;
}

export interface ReferenceUnit {
  readonly text: string;
  /** Mean surprisal of its tokens; NaN where no token belongs to it. */
  readonly value: number;
}

export interface SelectivePrompt {
  readonly text: string;
  /** Share of the units to remove. */
  readonly reduceRatio: number;
  readonly level: 'phrase' | 'sent' | 'token';
  /** Phrases of one sentence (index among the sentences); joined they must give it again. The reference uses spaCy. */
  readonly phrasesOf: (sentence: string, index: number) => readonly string[];
}

export interface SelectiveRun {
  readonly sentences: readonly string[];
  /** Ids and surprisals per sentence. */
  readonly ids: readonly Uint32Array[];
  readonly surprisals: readonly Float32Array[];
  readonly units: readonly ReferenceUnit[];
  readonly threshold: number;
  readonly kept: Uint8Array;
  readonly text: string;
}

/** After a full stop or question mark, unless it looks like an abbreviation or initial (look-behinds as in 2.2). */
const sentenceBorder = /(?<![\p{L}\p{N}_]\.[\p{L}\p{N}_].)(?<![A-Z][a-z]\.)(?<=\.|\?)\s/u;

export async function referenceSelectiveContext(
  model: ReferenceSelectiveModel,
  prompt: SelectivePrompt,
): Promise<SelectiveRun> {
  const sentences = prompt.text
    .replaceAll(/\s+/gu, ' ')
    .split(sentenceBorder)
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== '');
  const ids: Uint32Array[] = [];
  const surprisals: Float32Array[] = [];
  const units: ReferenceUnit[] = [];
  for (const [index, sentence] of sentences.entries()) {
    const own = model.encode(sentence);
    const values = await model.surprisal(own);
    ids.push(own);
    surprisals.push(values);
    const tokens = Array.from(own, (id) => model.decode([id]));
    if (prompt.level === 'sent') units.push({ text: sentence, value: mean(values) });
    else if (prompt.level === 'token')
      tokens.forEach((text, i) => units.push({ text, value: values[i] ?? Number.NaN }));
    else {
      const phrases = prompt.phrasesOf(tokens.join(''), index);
      const shared = shareOverUnits(tokens, { values, units: phrases });
      phrases.forEach((text, i) =>
        units.push({
          text: i === 0 && units.length > 0 ? ` ${text}` : text,
          value: shared[i] ?? Number.NaN,
        }),
      );
    }
  }
  const values = units.map((unit) => unit.value);
  const { threshold, kept } = referenceSelection(values, prompt.reduceRatio);
  const survivors = units.map((unit, i) => (kept[i] === 1 ? unit.text : ''));
  return {
    sentences,
    ids,
    surprisals,
    units,
    threshold,
    kept,
    text: survivors.join(prompt.level === 'sent' ? ' ' : ''),
  };
}

/** Percentile threshold over units; a unit goes when its value is below it (NaN and ties stay). */
export function referenceSelection(
  values: readonly number[],
  reduceRatio: number,
): { readonly threshold: number; readonly kept: Uint8Array } {
  const threshold = percentile(values, reduceRatio * 100);
  return { threshold, kept: Uint8Array.from(values, (value) => (value < threshold ? 0 : 1)) };
}

/**
 * Mean value per unit, tokens placed by their length in characters. A token that runs over the end of a unit is shared
 * equally by the units it completes; the one it only begins gets nothing of it; a lone blank inside a unit counts for
 * none.
 */
function shareOverUnits(
  tokens: readonly string[],
  at: { readonly values: Float32Array; readonly units: readonly string[] },
): number[] {
  const lengths = at.units.map((unit) => Array.from(unit).length);
  const lists: number[][] = at.units.map(() => []);
  let unit = 0;
  let place = 0;
  tokens.forEach((token, i) => {
    if (unit >= lengths.length) return;
    const value = at.values[i] ?? 0;
    place += Array.from(token).length;
    const length = lengths[unit] ?? 0;
    if (place < length) {
      if (token !== ' ') lists[unit]?.push(value);
      return;
    }
    let completed = 0;
    do {
      place -= lengths[unit] ?? 0;
      unit++;
      completed++;
    } while (place > 0 && unit < lengths.length && place >= (lengths[unit] ?? 0));
    for (let back = 1; back <= completed; back++) lists[unit - back]?.push(value / completed);
  });
  return lists.map((list) => mean(list));
}
