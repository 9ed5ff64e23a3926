/** How many tokens a server counts for one of the local tokenizer's. */
import type { Backend } from '../backends/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';

/** Time for asking a server how many tokens a text has, milliseconds. */
const countMs = 2000;
/** UTF-16 units of text that a server is asked about. */
const countedChars = 200_000;
/** Where nobody has counted. */
const uncountedScale = 1.15;
/** So much of a window is not trusted to be hit exactly. */
const margin = 1.03;

/**
 * Asks the server; 1 where its own tokenizer counts here.
 * @param told tokens that it said these texts have, with everything around them; null = it said nothing
 */
export async function serverScale(
  texts: readonly string[],
  options: {
    readonly tokenizer: Pick<TextTokenizer, 'estimated'>;
    /** The local tokenizer. */
    readonly count: (text: string) => number | Promise<number>;
    readonly backend: Pick<Backend, 'countTokens'>;
    readonly model: string | null;
    readonly told: number | null;
    readonly signal?: AbortSignal;
  },
): Promise<number> {
  const { tokenizer, count, backend, model, told, signal } = options;
  if (!tokenizer.estimated) return 1;
  const sample = texts.join('\n').slice(0, countedChars);
  const local = await count(sample);
  if (local === 0) return 1;
  const late = AbortSignal.timeout(countMs);
  const [counted = null] =
    (await backend.countTokens?.([sample], {
      model,
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    })) ?? [];
  if (counted !== null) return Math.max(0.2, (counted / local) * margin);
  const byRefusal = told === null ? 0 : (told / (await count(texts.join('\n')))) * margin;
  return Math.max(byRefusal, uncountedScale);
}
