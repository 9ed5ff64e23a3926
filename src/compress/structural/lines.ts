/** Lines as units, and what makes a line of a list worth keeping. */
import { mapSteps, type Steps } from '../../core/steps.ts';
import {
  bm25Steps,
  indexSteps,
  inverseFrequency,
  queryTerms,
  termsSteps,
  zScores,
} from '../bm25.ts';
import type { GroupRanges } from '../mask.ts';

/** Lines found between two places to stop. */
const lineStride = 256;

/** Lines that are not blank, with their indentation and without their line break. */
export function* lineUnits(text: string): Steps<GroupRanges> {
  const starts: number[] = [];
  const ends: number[] = [];
  for (const match of text.matchAll(/[^\n\r]+/gu)) {
    if (starts.length % lineStride === 0) yield;
    if (match[0].trim() === '') continue;
    starts.push(match.index);
    ends.push(match.index + match[0].trimEnd().length);
  }
  return { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) };
}

export function unitTexts(text: string, units: GroupRanges): string[] {
  return Array.from(units.starts, (start, i) => text.slice(start, units.ends[i]));
}

/** BM25 to the question as z-scores over the units; all 0 without a question. */
export function* questionScores(
  units: readonly (readonly string[])[],
  question: string,
): Steps<Float64Array> {
  if (question.trim() === '') return new Float64Array(units.length);
  return zScores(yield* bm25Steps(yield* indexSteps(units), queryTerms(question)));
}

/** Mean inverse frequency of a unit's terms, as z-scores: units made of words that others lack. */
export function* rarityScores(units: readonly (readonly string[])[]): Steps<Float64Array> {
  const index = yield* indexSteps(units);
  const mean = (unit: readonly string[]): number => {
    const distinct = [...new Set(unit)];
    const sum = distinct.reduce((n, term) => n + inverseFrequency(index, term), 0);
    return sum / Math.max(1, distinct.length);
  };
  return zScores(yield* mapSteps(units, mean, (unit) => 4 * unit.length));
}

/** Rows of a list without more to go by: the question, else rarity; the first rows show what the list is. */
export function* rowScores(rows: readonly string[], question: string): Steps<Float64Array> {
  const rowTerms = yield* termsSteps(rows);
  const asked = yield* questionScores(rowTerms, question);
  const rare = yield* rarityScores(rowTerms);
  return asked.map((value, i) => 2 * value + 0.5 * (rare[i] ?? 0) + 0.5 / (1 + i));
}
