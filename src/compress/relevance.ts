/** How much each unit of a pool of documents is worth, with a question and without one. */
import { mapSteps, runSteps, type Steps } from '../core/steps.ts';
import {
  bm25Steps,
  indexSteps,
  inverseFrequency,
  queryTerms,
  termsSteps,
  zScores,
} from './bm25.ts';
import type { TermIndex } from './bm25.ts';

/** One unit of text and where it stands. */
export interface PoolUnit {
  readonly text: string;
  /** Document (or segment) it belongs to, from 0. */
  readonly document: number;
  /** Paragraph inside its document and position inside that paragraph, from 0. */
  readonly paragraph: number;
  readonly position: number;
  /** One turn of a conversation. */
  readonly turn: boolean;
}

/**
 * Mixture of the question-aware score. Round values from a coarse look at several sets (each halved or doubled moves
 * survival by at most .02); not fitted.
 */
const weights = {
  /** BM25 of the whole document, as z-score. */
  document: 0.6,
  /** Best sentence of the document, as z-score. */
  best: 0.4,
  /** Share of the better neighbour's BM25 that a sentence inherits: answers stand next to the question's words. */
  neighbour: 0.3,
  /** What a turn of a conversation inherits per turn of distance, from the turns within `turnReach` on both sides. */
  turn: 0.7,
  turnReach: 4,
  /** Numbers and names per word, as z-score: what questions ask for. More in conversations, where much is courtesy. */
  facts: 0.2,
  turnFacts: 0.25,
} as const;

/**
 * Worth of each unit for a question: z-score of its BM25 (with a share of its neighbours') plus a prior of its document
 * (z-scores of the document's BM25 and of its best sentence) and a little for facts.
 */
export function relevanceToQuestion(units: readonly PoolUnit[], question: string): Float64Array {
  return runSteps(relevanceSteps(units, question));
}

/** `relevanceToQuestion` in steps. */
export function* relevanceSteps(units: readonly PoolUnit[], question: string): Steps<Float64Array> {
  const query = queryTerms(question);
  const unitTerms = yield* termsSteps(units.map(({ text }) => text));
  const own = yield* bm25Steps(yield* indexSteps(unitTerms), query);
  const sentence = zScores(spreadToNeighbours(units, own));
  yield;
  const prior = yield* documentPrior({ units, unitTerms, query, own });
  const facts = zScores(yield* factSteps(units));
  return sentence.map((value, i) => {
    const share = units[i]?.turn === true ? weights.turnFacts : weights.facts;
    return value + (prior[i] ?? 0) + share * (facts[i] ?? 0);
  });
}

function* documentPrior(pool: {
  units: readonly PoolUnit[];
  unitTerms: readonly (readonly string[])[];
  query: readonly string[];
  own: Float64Array;
}): Steps<Float64Array> {
  const { units, unitTerms, query, own } = pool;
  const documents: string[][] = [];
  const best: number[] = [];
  units.forEach(({ document }, i) => {
    const all = (documents[document] ??= []);
    for (const term of unitTerms[i] ?? []) all.push(term);
    best[document] = Math.max(best[document] ?? 0, own[i] ?? 0);
  });
  yield;
  const whole = yield* bm25Steps(yield* indexSteps(documents), query);
  const zWhole = zScores(units.map(({ document }) => whole[document] ?? 0));
  const zBest = zScores(units.map(({ document }) => best[document] ?? 0));
  return zWhole.map((value, i) => weights.document * value + weights.best * (zBest[i] ?? 0));
}

function spreadToNeighbours(units: readonly PoolUnit[], own: Float64Array): Float64Array {
  return own.map((value, i) => {
    const unit = units[i];
    if (unit === undefined) return value;
    const near = (j: number): number => (units[j]?.document === unit.document ? (own[j] ?? 0) : 0);
    if (!unit.turn) return value + weights.neighbour * Math.max(near(i - 1), near(i + 1));
    let sum = value;
    for (let far = 1; far <= weights.turnReach; far++)
      sum += weights.turn ** far * (near(i - far) + near(i + far));
    return sum;
  });
}

/** Mixture of the score without a question; see `salience`. */
const salienceWeights = { laterParagraph: 0.25, turnCentrality: 0.3 } as const;

/**
 * Worth of each unit when no question is known. In documents: how early the unit stands in its paragraph and, less so,
 * the paragraph in its document; equal ones in order. In conversations: density of facts and how central the turn is.
 * Centrality and facts are left out for documents: with them selection did worse than random sentences at low rates.
 */
export function salience(units: readonly PoolUnit[]): Float64Array {
  return runSteps(salienceSteps(units));
}

/** `salience` in steps. */
export function* salienceSteps(units: readonly PoolUnit[]): Steps<Float64Array> {
  const facts = zScores(yield* factSteps(units));
  const spoken = units.map(({ text, turn }) => (turn ? text : ''));
  const index = yield* indexSteps(yield* termsSteps(spoken));
  const centroids = yield* documentCentroids(units, index);
  const central = zScores(
    yield* mapSteps(
      units,
      ({ document }, i) => cosine(index, i, centroids[document]),
      ({ text }) => text.length,
    ),
  );
  return facts.map((value, i) => {
    const unit = units[i];
    if (unit === undefined) return 0;
    if (unit.turn) return value + salienceWeights.turnCentrality * (central[i] ?? 0);
    return -Math.log1p(unit.position) - salienceWeights.laterParagraph * Math.log1p(unit.paragraph);
  });
}

type Weights = ReadonlyMap<string, number>;

function* documentCentroids(units: readonly PoolUnit[], index: TermIndex): Steps<Weights[]> {
  const sums: Map<string, number>[] = [];
  const add = ({ document }: PoolUnit, i: number): void => {
    const sum = (sums[document] ??= new Map());
    for (const [term, times] of index.counts[i] ?? [])
      sum.set(term, (sum.get(term) ?? 0) + times * inverseFrequency(index, term));
  };
  yield* mapSteps(units, add, ({ text }) => text.length);
  return sums;
}

function cosine(index: TermIndex, unit: number, centroid: Weights | undefined): number {
  let dot = 0;
  let square = 0;
  for (const [term, times] of index.counts[unit] ?? []) {
    const weight = times * inverseFrequency(index, term);
    dot += weight * (centroid?.get(term) ?? 0);
    square += weight * weight;
  }
  return square === 0 ? 0 : dot / Math.sqrt(square);
}

function factSteps(units: readonly PoolUnit[]): Steps<number[]> {
  return mapSteps(
    units,
    ({ text }) => factDensity(text),
    ({ text }) => text.length,
  );
}

/** Numbers and names per word: what a reader cannot guess. */
function factDensity(text: string): number {
  const words = text.match(/[\p{L}\p{N}]+/gu) ?? [];
  const facts = words.filter(
    (word, i) => /\p{N}/u.test(word) || (i > 0 && /^\p{Lu}\p{L}/u.test(word)),
  );
  return facts.length / Math.sqrt(words.length + 5);
}
