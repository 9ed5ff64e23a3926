/** The scorers as the reference modes ask for them. */
import type { KeepScorer, SurprisalScorer } from '../../score/types.ts';
import type { ReferenceModel } from './contexts.ts';
import type { PieceVocabulary, ReferenceKeepModel } from './llmlingua2.ts';
import type { ReferenceSelectiveModel } from './selective-context.ts';

export function referenceModel(
  scorer: SurprisalScorer,
  signal: AbortSignal | null = null,
): ReferenceModel {
  return {
    maxPositions: scorer.contextLength,
    bosId: scorer.bosId,
    encode: (text) => scorer.encode(text).ids,
    decode: (ids) => scorer.decode(ids),
    losses: async (ids) =>
      ids.length < 2 ? new Float32Array(0) : (await scorer.scoreIds(ids, { signal })).slice(1),
  };
}

/**
 * @param startId Token put before every sentence (GPT-2's `<|endoftext|>`, which is also its BOS); left out = the
 *   scorer's BOS.
 */
export function referenceSelectiveModel(
  scorer: SurprisalScorer,
  options: { readonly startId?: number; readonly signal?: AbortSignal | null } = {},
): ReferenceSelectiveModel {
  const start = options.startId ?? scorer.bosId;
  const signal = options.signal ?? null;
  return {
    encode: (text) => scorer.encode(text).ids,
    decode: (ids) => scorer.decode(ids),
    surprisal: async (ids) => {
      if (start === null) return scorer.scoreIds(ids, { signal });
      return (await scorer.scoreIds(Uint32Array.of(start, ...ids), { signal })).slice(1);
    },
  };
}

/** What the reference's classifier path needs beyond the scorer; given by the caller, who knows the vocabulary files. */
export interface ReferenceVocabulary extends PieceVocabulary {
  countTokens(text: string): number;
}

export function referenceKeepModel(
  scorer: KeepScorer,
  vocabulary: ReferenceVocabulary,
  signal: AbortSignal | null = null,
): ReferenceKeepModel {
  return {
    maxLength: vocabulary.maxLength,
    clsPiece: vocabulary.clsPiece,
    sepPiece: vocabulary.sepPiece,
    special: vocabulary.special,
    pieces: (text) => vocabulary.pieces(text),
    idOf: (piece) => vocabulary.idOf(piece),
    countTokens: (text) => vocabulary.countTokens(text),
    probabilities: (ids) => scorer.scoreIds(ids, { signal }),
  };
}
