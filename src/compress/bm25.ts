/** Terms of a text and BM25 over any list of units. */
import { mapSteps, runSteps, type Steps } from '../core/steps.ts';

export interface Bm25Options {
  /** Saturation of repeated terms. */
  readonly k1: number;
  /** Weight of length normalisation, 0 to 1. */
  readonly b: number;
}

const wordOrRun =
  /[\p{Script=Han}]+|[\p{Script=Hiragana}\p{Script=Katakana}ー]+|[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+|[\p{L}\p{M}\p{N}]+(?:[.,_'’:/@-][\p{L}\p{M}\p{N}]+)*/gu;
const unspacedStart =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const joiner = /[.,_'’:/@-]/u;

/**
 * Terms of a text, in order: words lower-cased with English endings taken off, numbers and identifiers whole (and
 * their parts), character bigrams for scripts without spaces.
 */
export function terms(text: string): string[] {
  const found: string[] = [];
  for (const [run] of text.normalize('NFKC').toLowerCase().matchAll(wordOrRun)) {
    if (unspacedStart.test(run)) pushBigrams(run, found);
    else if (joiner.test(run)) pushCompound(run, found);
    else found.push(stem(run));
  }
  return found;
}

/** Terms of each text. */
export function termsSteps(texts: readonly string[]): Steps<string[][]> {
  return mapSteps(texts, terms, (text) => text.length);
}

function pushBigrams(run: string, into: string[]): void {
  const characters = Array.from(run);
  if (characters.length === 1) into.push(run);
  for (let i = 0; i + 1 < characters.length; i++)
    into.push(`${characters[i] ?? ''}${characters[i + 1] ?? ''}`);
}

function pushCompound(run: string, into: string[]): void {
  const possessive = /^(.+)['’]s$/u.exec(run)?.[1];
  if (possessive !== undefined && !joiner.test(possessive)) {
    into.push(stem(possessive));
    return;
  }
  into.push(run);
  if (/^\p{N}[\p{N}.,]*$/u.test(run)) return;
  for (const part of run.split(joiner)) if (part.length > 1) into.push(stem(part));
}

/** Light English stemming: plurals, -ing, -ed, -ly. Words of other scripts and words with digits stay. */
export function stem(word: string): string {
  if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
  const base = singular(word);
  if (base === word && /(?:ss|us|is)$/.test(word)) return word;
  const root = withoutEnding(base);
  return root.length > 3 && root.endsWith('e') ? root.slice(0, -1) : root;
}

function singular(word: string): string {
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(?:ss|us|is)$/.test(word)) return word;
  if (/(?:s|x|z|ch|sh)es$/.test(word)) return word.slice(0, -2);
  return word.endsWith('s') ? word.slice(0, -1) : word;
}

function withoutEnding(word: string): string {
  if (word.endsWith('ing') && word.length > 5) return undouble(word.slice(0, -3));
  if (word.endsWith('ed') && word.length > 4) return undouble(word.slice(0, -2));
  return word.endsWith('ly') && word.length > 5 ? word.slice(0, -2) : word;
}

function undouble(word: string): string {
  return /([bdfgmnprt])\1$/.test(word) ? word.slice(0, -1) : word;
}

/** Words of questions and grammar that say nothing about what is asked for. */
const questionWords = new Set(
  'a an the of in on at to for from by with and or is are was were be been do does did has have had what which who whom whose when where why how that this these those it its as than then there their they he she his her you your i me my we our can could would should will shall may might please tell much many'
    .split(' ')
    .map(stem),
);

/** Distinct terms of a question without function words; all of them if nothing else is left. */
export function queryTerms(question: string): string[] {
  const all = [...new Set(terms(question))];
  const content = all.filter((term) => !questionWords.has(term));
  return content.length > 0 ? content : all;
}

export interface TermIndex {
  /** Term counts of each unit. */
  readonly counts: readonly ReadonlyMap<string, number>[];
  /** Number of terms of each unit. */
  readonly lengths: readonly number[];
  /** In how many units a term occurs. */
  readonly frequency: ReadonlyMap<string, number>;
  readonly averageLength: number;
}

/** @param units terms of each unit (`terms`) */
export function indexTerms(units: readonly (readonly string[])[]): TermIndex {
  return runSteps(indexSteps(units));
}

/** Terms counted between two places to stop. */
const termStride = 2_048;

/** `indexTerms` in steps. */
export function* indexSteps(units: readonly (readonly string[])[]): Steps<TermIndex> {
  const frequency = new Map<string, number>();
  const counts: Map<string, number>[] = [];
  let done = 0;
  for (const unit of units) {
    const count = new Map<string, number>();
    for (const term of unit) {
      count.set(term, (count.get(term) ?? 0) + 1);
      if (++done % termStride === 0) yield;
    }
    for (const term of count.keys()) {
      frequency.set(term, (frequency.get(term) ?? 0) + 1);
      if (++done % termStride === 0) yield;
    }
    counts.push(count);
  }
  const lengths = units.map((unit) => unit.length);
  const sum = lengths.reduce((n, length) => n + length, 0);
  return { counts, lengths, frequency, averageLength: sum / Math.max(1, units.length) };
}

/** Robertson-Sparck Jones weight without relevance information, floored above 0: ln(1 + (N - n + .5)/(n + .5)). */
export function inverseFrequency(index: TermIndex, term: string): number {
  const containing = index.frequency.get(term) ?? 0;
  return Math.log(1 + (index.counts.length - containing + 0.5) / (containing + 0.5));
}

/** BM25 (Robertson, Walker 1994) of every unit for the query terms; 0 where nothing matches. */
export function bm25(
  index: TermIndex,
  query: readonly string[],
  options: Bm25Options = { k1: 1.2, b: 0.75 },
): Float64Array {
  return runSteps(bm25Steps(index, query, options));
}

/** `bm25` in steps. */
export function* bm25Steps(
  index: TermIndex,
  query: readonly string[],
  { k1, b }: Bm25Options = { k1: 1.2, b: 0.75 },
): Steps<Float64Array> {
  const scores = new Float64Array(index.counts.length);
  for (const term of query) {
    yield;
    const weight = inverseFrequency(index, term);
    index.counts.forEach((count, unit) => {
      const times = count.get(term);
      if (times === undefined) return;
      const length = (index.lengths[unit] ?? 0) / Math.max(1e-9, index.averageLength);
      const value = (weight * times * (k1 + 1)) / (times + k1 * (1 - b + b * length));
      scores[unit] = (scores[unit] ?? 0) + value;
    });
  }
  return scores;
}

/** Shifts and scales to mean 0 and deviation 1; all 0 when the values do not differ. */
export function zScores(values: ArrayLike<number>): Float64Array {
  const all = Float64Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / Math.max(1, all.length);
  const variance =
    all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, all.length);
  const deviation = Math.sqrt(variance);
  return all.map((value) => (deviation < 1e-12 ? 0 : (value - mean) / deviation));
}
