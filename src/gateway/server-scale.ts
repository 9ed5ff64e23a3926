/** How many tokens a server counts for one of the local tokenizer's. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { Backend } from '../backends/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';

/** UTF-16 units of text that a server is asked about. */
const countedChars = 200_000;
/** Where nobody has counted. */
export const uncountedScale = 1.15;
/** So much of a window is not trusted to be hit exactly. */
const margin = 1.03;
/** Models whose last count is remembered, for when the server is late. */
const maxModels = 100;
/** Milliseconds in which a server that was late is not asked again: it would cost every text the same wait. */
const pauseMs = 10_000;

export type ServerScale = (
  texts: readonly string[],
  options: {
    /** The local tokenizer. */
    readonly count: (text: string) => number | Promise<number>;
    readonly model: string | null;
    /** Tokens that it said these texts have, with everything around them; left out = it said nothing. */
    readonly told?: number | null;
    readonly signal?: AbortSignal;
  },
) => Promise<number>;

/**
 * Asks the server, but not for longer than this; 1 where its own tokenizer counts here. A server that is late is taken
 * to count as it did last time, and left alone for a while. Never rejects.
 */
export function createServerScale({
  tokenizer,
  backend,
  waitMs,
}: {
  readonly tokenizer: Pick<TextTokenizer, 'estimated'>;
  readonly backend: Pick<Backend, 'countTokens'>;
  readonly waitMs: number;
}): ServerScale {
  const known = boundedCache<number>({ maxEntries: maxModels });
  const pausedUntil = boundedCache<number>({ maxEntries: maxModels });
  const ask = async (
    text: string,
    { model, signal }: { readonly model: string | null; readonly signal: AbortSignal | undefined },
  ): Promise<number | null> => {
    if (performance.now() < (pausedUntil.get(model ?? '') ?? 0)) return null;
    // Timers take whole milliseconds only.
    const late = AbortSignal.timeout(Math.ceil(waitMs));
    const both = signal === undefined ? late : AbortSignal.any([signal, late]);
    const [counted = null] = (await backend.countTokens?.([text], { model, signal: both })) ?? [];
    if (counted === null && late.aborted) {
      pausedUntil.set(model ?? '', performance.now() + pauseMs);
    }
    return counted;
  };
  return async (texts, { count, model, told = null, signal }) => {
    if (!tokenizer.estimated) return 1;
    const whole = texts.join('\n');
    const sample = whole.slice(0, countedChars);
    const local = await count(sample);
    if (local === 0) return 1;
    const counted = await ask(sample, { model, signal });
    if (counted !== null) {
      const scale = Math.max(0.2, (counted / local) * margin);
      known.set(model ?? '', scale);
      return scale;
    }
    if (told !== null) return Math.max(0.2, (told / (await count(whole))) * margin);
    return known.get(model ?? '') ?? uncountedScale;
  };
}
