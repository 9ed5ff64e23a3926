/** How much each unit of a pool of documents is worth when no question is known. */
import { mapSteps, runSteps, type Steps } from '../core/steps.ts';
import { indexSteps, inverseFrequency, termsSteps, zScores } from './bm25.ts';
import type { TermIndex } from './bm25.ts';
import { factSteps } from './facts.ts';
import type { PoolUnit } from './pool-unit.ts';

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
  const facts = zScores(yield* factSteps(units.map(({ text }) => text)));
  const spoken = units.map(({ text, turn }) => (turn === null ? '' : text));
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
    if (unit.turn !== null) return value + salienceWeights.turnCentrality * (central[i] ?? 0);
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
