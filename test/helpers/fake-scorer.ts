/** Scorers without a network: values are a fixed function of the token ids, so that every test knows what to expect. */
import { SluiceError } from '../../src/core/errors.ts';
import type { KeepScorer, ScorerSet, SurprisalScorer, TokenScores } from '../../src/score/types.ts';
import type { TextTokenizer } from '../../src/tokenize/types.ts';

/** A set without any model, to put single scorers into. */
export const noScorers: ScorerSet = {
  surprisal: null,
  keep: null,
  vectors: null,
  table: null,
  pairs: null,
};

export interface FakeOptions {
  readonly tokenizer: TextTokenizer;
  readonly contextLength?: number;
  readonly bosId?: number | null;
  /** Called before every pass with the ids that are fed. */
  readonly onPass?: (ids: Uint32Array) => void;
  /** Surprisal of `id` after `previous` (null at the start) and after everything in `before`. */
  readonly value?: (id: number, previous: number | null, before: Uint32Array) => number;
}

/** A number in [0, 1) that depends on the two ids only. */
export function hashOf(id: number, previous: number): number {
  let h = Math.imul(id + 0x9e37, 0x85ebca6b) ^ Math.imul(previous + 0x7f4a, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 32;
}

function stopIfAborted(signal: AbortSignal | null | undefined): void {
  if (signal?.aborted) throw new SluiceError('ABORTED', 'The caller went away');
}

export function fakeSurprisal(options: FakeOptions): SurprisalScorer & { readonly passes: number } {
  const { tokenizer, contextLength = 512, bosId = 900_001, onPass } = options;
  const value = options.value ?? ((id, previous) => 12 * hashOf(id, previous ?? -1));
  let fed = 0;
  let passes = 0;
  const scoreIds: SurprisalScorer['scoreIds'] = async (ids, settings) => {
    stopIfAborted(settings?.signal);
    if (ids.length > contextLength)
      throw new SluiceError('SCORER_FAILED', `${ids.length} ids are more than ${contextLength}`);
    onPass?.(ids);
    fed += ids.length;
    passes++;
    await Promise.resolve();
    return Float32Array.from(ids, (id, i) =>
      i === 0 ? 0 : value(id, ids[i - 1] ?? null, ids.subarray(0, i)),
    );
  };
  return {
    kind: 'surprisal',
    id: 'fake-surprisal@1',
    contextLength,
    bosId,
    encode: (text) => tokenizer.encode(text),
    decode: (ids) => tokenizer.decode(ids),
    scoreIds,
    async score(text, settings) {
      const encoding = tokenizer.encode(text);
      const values = await scoreIds(Uint32Array.of(bosId ?? 0, ...encoding.ids), settings);
      return { ...encoding, values: values.slice(1) };
    },
    get tokensFed() {
      return fed;
    },
    get passes() {
      return passes;
    },
  };
}

export function fakeKeep(options: {
  readonly tokenizer: TextTokenizer;
  readonly contextLength?: number;
  /** Keep probability of a token by its text. */
  readonly probability?: (text: string) => number;
  readonly onText?: (text: string) => void;
}): KeepScorer {
  const { tokenizer, contextLength = 128, onText } = options;
  const probability =
    options.probability ?? ((text: string) => hashOf(text.length, text.charCodeAt(0)));
  let fed = 0;
  return {
    kind: 'keep',
    id: 'fake-keep@1',
    contextLength,
    encode: (text) => tokenizer.encode(text),
    decode: (ids) => tokenizer.decode(ids),
    async scoreIds(ids, settings) {
      stopIfAborted(settings?.signal);
      await Promise.resolve();
      fed += ids.length;
      return Float32Array.from(ids, (id) => probability(tokenizer.decode([id])));
    },
    async score(text, settings): Promise<TokenScores> {
      stopIfAborted(settings?.signal);
      await Promise.resolve();
      onText?.(text);
      const encoding = tokenizer.encode(text);
      fed += encoding.ids.length;
      const values = Float32Array.from(encoding.starts, (start, i) =>
        probability(text.slice(start, encoding.ends[i])),
      );
      return { ...encoding, values };
    },
    get tokensFed() {
      return fed;
    },
  };
}
