/**
 * How the signals about a unit are mixed: data. All but `reach`, `neighbour` and `fade` are factors of z-scores over the
 * pool.
 *
 * Where they come from: a coordinate search on training questions (training/fusion: SQuAD and SelQA records among similar
 * texts, QMSum windows) says which signals help and roughly how much. It overrates the token table, which was trained on
 * most of those records, and knows no question that needs two documents. So the values are smaller than the search's,
 * and which signals are inherited, `secondRound` and the share of the table were chosen with an eye on the development
 * sets: docs/quality.md says so beside the table. `pairs` is a guess: no cross-encoder is shipped to measure it with.
 */
import type { Signals } from './signals.ts';

export interface DocumentWeights {
  /** BM25 of the unit, with a share of its better neighbour's (`neighbour`). */
  readonly bm25: number;
  /** BM25 of the whole document, and of its best unit. */
  readonly document: number;
  readonly best: number;
  readonly facts: number;
  /** Cosine of the token table with a share of the better neighbour's; the document's best. */
  readonly nearTable: number;
  readonly bestTable: number;
  /** Cosine of the sentence vectors; the same with a share of the better neighbour's; the document's best. */
  readonly vectors: number;
  readonly nearVectors: number;
  readonly bestVectors: number;
  readonly pairs: number;
}

export interface TurnWeights {
  /** BM25, inherited from the turns around. */
  readonly bm25: number;
  readonly facts: number;
  /** Codes (booking numbers, ids): the fewer turns have one, the more it counts. Later calls need them letter by letter. */
  readonly codes: number;
  /** Late interaction of the token table, and cosine of the sentence vectors, inherited in the same way. */
  readonly table: number;
  readonly vectors: number;
  readonly pairs: number;
}

/** Share of the better neighbour's value that a sentence inherits: answers stand next to the question's words. */
export const neighbour = 0.3;

/**
 * Second round for questions that need two documents: names in the best sentence of the first round are looked for in
 * the other documents, in their sentences (`unit`) and as a whole (`document`).
 */
export const secondRound = { unit: 0.2, document: 0.4 } as const;

/** What a turn of a conversation inherits per turn of distance, from the turns within `reach` on both sides. */
export const fade = 0.7;
export const reach = 4;

/** Without any model. A coarse look: each value halved or doubled moves survival by at most .02. */
const rules: DocumentWeights = {
  bm25: 1,
  document: 0.6,
  best: 0.4,
  facts: 0.2,
  nearTable: 0,
  bestTable: 0,
  vectors: 0,
  nearVectors: 0,
  bestVectors: 0,
  pairs: 0,
};

const withTable: DocumentWeights = { ...rules, nearTable: 0.4, bestTable: 0.2 };

const withVectors: DocumentWeights = {
  ...rules,
  document: 1,
  best: 0.5,
  facts: 0.1,
  vectors: 0.35,
  nearVectors: 1,
  bestVectors: 1,
};

/** Weights for sentences of documents, by what was asked. */
export function documentWeights(signals: Signals): DocumentWeights {
  const weights = documentMixture(signals);
  return signals.pairs === null ? weights : { ...weights, pairs: 0.5 };
}

function documentMixture(signals: Signals): DocumentWeights {
  if (signals.vectors !== null) return withVectors;
  return signals.tableVectors === null ? rules : withTable;
}

/** Weights for turns of conversations, by what was asked. */
export function turnWeights({ table, vectors, pairs }: Signals): TurnWeights {
  return {
    bm25: 1,
    facts: 0.25,
    codes: 0.5,
    table: table === null ? 0 : 0.5,
    vectors: vectors === null ? 0 : 1,
    pairs: pairs === null ? 0 : 0.5,
  };
}
