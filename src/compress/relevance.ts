/** How much each unit of a pool of documents is worth for a question. */
import { runSteps, type Steps } from '../core/steps.ts';
import { bm25Steps, indexSteps, queryTerms, termsSteps, zScores } from './bm25.ts';
import type { TermIndex } from './bm25.ts';
import { codeSteps, factSteps } from './facts.ts';
import { documentWeights, fade, neighbour, reach, secondRound, turnWeights } from './fusion.ts';
import type { PoolUnit } from './pool-unit.ts';
import { noSignals, type Signals } from './signals.ts';

/**
 * Worth of each unit for a question: a mixture of z-scores (fusion.ts). In documents the unit's own BM25 and what models
 * say about it, each with a share of its neighbours', a prior of its document, and a little for facts; in conversations
 * what a turn inherits from the turns around it.
 */
export function relevanceToQuestion(
  units: readonly PoolUnit[],
  question: string,
  signals: Signals = noSignals,
): Float64Array {
  return runSteps(relevanceSteps(units, question, signals));
}

/** `relevanceToQuestion` in steps. */
export function* relevanceSteps(
  units: readonly PoolUnit[],
  question: string,
  signals: Signals = noSignals,
): Steps<Float64Array> {
  const query = queryTerms(question);
  const unitTerms = yield* termsSteps(units.map(({ text }) => text));
  const unitIndex = yield* indexSteps(unitTerms);
  const documentIndex = yield* documentIndexSteps(units, unitTerms);
  const own = yield* bm25Steps(unitIndex, query);
  const whole = yield* wholeDocuments(units, documentIndex, query);
  const facts = zScores(yield* factSteps(units.map(({ text }) => text)));
  const spoken = units.some(({ turn }) => turn !== null);
  const codes = spoken ? zScores(yield* codeSteps(units.map(({ text }) => text))) : null;
  yield;
  const inherit = inheritance(units);
  const near = (values: ArrayLike<number>): Float64Array => zScores(inherit(values));
  const best = (values: ArrayLike<number>): Float64Array => zScores(bestOf(units, values));
  const inDocument = documentWeights(signals);
  const inTurn = turnWeights(signals);
  const total = new Float64Array(units.length);
  const add = (values: ArrayLike<number>, document: number, turn: number): void => {
    units.forEach((unit, i) => {
      total[i] = (total[i] ?? 0) + (values[i] ?? 0) * (unit.turn === null ? document : turn);
    });
  };
  add(near(own), inDocument.bm25, inTurn.bm25);
  add(zScores(whole), inDocument.document, 0);
  add(best(own), inDocument.best, 0);
  add(facts, inDocument.facts, inTurn.facts);
  if (codes !== null) add(codes, 0, inTurn.codes);
  yield;
  if (signals.table !== null) add(near(aboveMedian(signals.table)), 0, inTurn.table);
  if (signals.tableVectors !== null) {
    add(near(aboveMedian(signals.tableVectors)), inDocument.nearTable, 0);
    add(best(signals.tableVectors), inDocument.bestTable, 0);
  }
  if (signals.vectors !== null) {
    add(zScores(signals.vectors), inDocument.vectors, 0);
    add(near(aboveMedian(signals.vectors)), inDocument.nearVectors, inTurn.vectors);
    add(best(signals.vectors), inDocument.bestVectors, 0);
  }
  if (signals.pairs !== null) add(zScores(signals.pairs), inDocument.pairs, inTurn.pairs);
  const hop = yield* otherDocuments({ units, unitIndex, documentIndex, query, total });
  add(hop.units, secondRound.unit, 0);
  add(hop.documents, secondRound.document, 0);
  return total;
}

/** A name: a capitalised word that does not begin a sentence. */
const name = /(?<![.!?]\s)(?<=[\s(])\p{Lu}[\p{L}\p{N}'’-]+/gu;

/**
 * What the names in the best unit say about the other documents: BM25 (as z-scores) of their units and of each as a
 * whole. All 0 when there is one document, or no name that the question does not have.
 */
function* otherDocuments(round: {
  readonly units: readonly PoolUnit[];
  readonly unitIndex: TermIndex;
  readonly documentIndex: TermIndex;
  readonly query: readonly string[];
  readonly total: Float64Array;
}): Steps<{ readonly units: Float64Array; readonly documents: Float64Array }> {
  const { units, unitIndex, documentIndex, query, total } = round;
  const none = new Float64Array(units.length);
  const first = units[total.indexOf(total.reduce((a, b) => Math.max(a, b), -Infinity))];
  if (first === undefined || first.turn !== null) return { units: none, documents: none };
  const names = new Set((first.text.match(name) ?? []).flatMap((word) => queryTerms(word)));
  for (const term of query) names.delete(term);
  if (names.size === 0) return { units: none, documents: none };
  const asked = [...names];
  const elsewhere = (values: ArrayLike<number>): Float64Array =>
    zScores(units.map((unit, i) => (unit.document === first.document ? 0 : (values[i] ?? 0))));
  const own = yield* bm25Steps(unitIndex, asked);
  const whole = yield* wholeDocuments(units, documentIndex, asked);
  return { units: elsewhere(own), documents: elsewhere(whole) };
}

/** Index of the documents, each the terms of its units. */
function* documentIndexSteps(
  units: readonly PoolUnit[],
  unitTerms: readonly (readonly string[])[],
): Steps<TermIndex> {
  const documents: string[][] = [];
  units.forEach(({ document }, i) => {
    const all = (documents[document] ??= []);
    for (const term of unitTerms[i] ?? []) all.push(term);
  });
  yield;
  return yield* indexSteps(Array.from(documents, (list) => list ?? []));
}

/** BM25 of each unit's document among the documents. */
function* wholeDocuments(
  units: readonly PoolUnit[],
  documents: TermIndex,
  query: readonly string[],
): Steps<number[]> {
  const scores = yield* bm25Steps(documents, query);
  return units.map(({ document }) => scores[document] ?? 0);
}

/** The highest value of each unit's document. */
function bestOf(units: readonly PoolUnit[], values: ArrayLike<number>): number[] {
  const best: number[] = [];
  units.forEach(({ document }, i) => {
    best[document] = Math.max(best[document] ?? -Infinity, values[i] ?? 0);
  });
  return units.map(({ document }) => best[document] ?? 0);
}

/**
 * Similarities have no zero that means "nothing": the median stands for it, so that only what is more alike than usual
 * is inherited.
 */
function aboveMedian(values: Float32Array): Float32Array {
  const median = Float32Array.from(values).sort()[values.length >> 1] ?? 0;
  return values.map((value) => Math.max(0, value - median));
}

/** Values with what units inherit: sentences from the better neighbour, turns from the turns around. */
function inheritance(units: readonly PoolUnit[]): (values: ArrayLike<number>) => Float64Array {
  /** Highest unit of every turn, by conversation and turn. */
  const keyOf = ({ document }: PoolUnit, turn: number): string => `${document} ${turn}`;
  return (values) => {
    const turns = new Map<string, number>();
    units.forEach((unit, i) => {
      if (unit.turn === null) return;
      const key = keyOf(unit, unit.turn);
      turns.set(key, Math.max(turns.get(key) ?? 0, values[i] ?? 0));
    });
    return Float64Array.from(units, (unit, i) => {
      const value = values[i] ?? 0;
      if (unit.turn === null) {
        const near = (j: number): number =>
          units[j]?.document === unit.document ? (values[j] ?? 0) : 0;
        return value + neighbour * Math.max(near(i - 1), near(i + 1));
      }
      let sum = value;
      for (let far = 1; far <= reach; far++)
        for (const turn of [unit.turn - far, unit.turn + far])
          sum += fade ** far * (turns.get(keyOf(unit, turn)) ?? 0);
      return sum;
    });
  };
}
