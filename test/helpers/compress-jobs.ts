/** Jobs and texts for tests of the compressors. */
import type {
  Budget,
  CompressJob,
  MethodOptions,
  Segment,
  Survivors,
} from '../../src/compress/types.ts';
import { hashOf } from './fake-scorer.ts';

export const noSurvivors: Survivors = { classes: [], literals: [], patterns: [] };

export function documentOf(text: string, more: Partial<Segment> = {}): Segment {
  return { text, kind: 'document', content: 'prose', policy: 'compressible', ...more };
}

export function jobOf(
  texts: readonly (string | Segment)[],
  more: {
    readonly budget?: Budget;
    readonly question?: string;
    readonly instruction?: string;
    readonly survivors?: Survivors;
    readonly options?: MethodOptions;
    readonly minTokens?: number;
    readonly signal?: AbortSignal | null;
  } = {},
): CompressJob {
  return {
    segments: texts.map((text) => (typeof text === 'string' ? documentOf(text) : text)),
    question: more.question ?? '',
    instruction: more.instruction ?? '',
    budget: more.budget ?? { type: 'rate', rate: 0.5 },
    survivors: more.survivors ?? noSurvivors,
    options: more.options ?? {},
    minTokens: more.minTokens ?? 0,
    signal: more.signal ?? null,
  };
}

const vocabulary = (
  'river stone market winter letter garden engine village painter window harbour signal mountain silver ' +
  'teacher bridge morning forest captain island ledger copper orchard lantern compass harvest'
).split(' ');
const verbs = 'crossed painted measured found carried left opened reached sold repaired'.split(' ');

/** `sentences` sentences of made-up prose, the same for the same seed; some have a number. */
export function prose(sentences: number, seed = 1): string {
  const pick = (list: readonly string[], i: number): string =>
    list[Math.floor(hashOf(i, seed) * list.length)] ?? '';
  return Array.from({ length: sentences }, (_, i) => {
    const at = i * 10;
    const number =
      hashOf(i, seed + 99) < 0.2 ? ` in ${1800 + Math.floor(hashOf(at, seed) * 200)}` : '';
    const end = i % 7 === 6 ? '.\n\n' : '. ';
    return (
      `The ${pick(vocabulary, at)} ${pick(vocabulary, at + 1)} ${pick(verbs, at + 2)} the ` +
      `${pick(vocabulary, at + 3)}${number}, and a ${pick(vocabulary, at + 4)} ${pick(verbs, at + 5)} ` +
      `its ${pick(vocabulary, at + 6)} near the ${pick(vocabulary, at + 7)}${end}`
    );
  }).join('');
}

/** Words of a text, for checks that no piece of one is left. */
export function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}_]+/gu) ?? [];
}
