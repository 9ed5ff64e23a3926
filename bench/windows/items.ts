/** The records: questions over documents, and meetings. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readSets } from '../../src/cli/eval/sets.ts';
import { inTurns } from '../reader/prompt.ts';
import type { Item } from './types.ts';

export function itemsOf(
  folder: string,
  only: readonly string[],
  limits: {
    readonly limit: number;
    readonly shortest: number;
    readonly longest: number;
    readonly meetings: number;
    readonly meeting: number;
  },
): Item[] {
  const sets = only.map((set) =>
    set === 'qmsum' ? meetingsOf(folder, limits) : questions(folder, set, limits),
  );
  return inTurns(sets);
}

/** Records with an answer in their text that are too long for every window. */
function questions(
  folder: string,
  set: string,
  { limit, shortest, longest }: { limit: number; shortest: number; longest: number },
): Item[] {
  return [...(readSets({ folder, only: [set], limit: null }).get(set) ?? [])]
    .filter(({ answers }) => answers.length > 0)
    .map(({ id, segments, question, answers }) => ({
      set,
      id,
      texts: segments.map(({ text }) => text),
      question,
      answers,
      summary: false,
    }))
    .filter(({ texts }) => {
      const chars = texts.join('').length;
      return chars >= shortest && chars <= longest;
    })
    .slice(0, limit);
}

/** Meetings and the references that abstract from them; the shortest ones, which a large window still holds. */
function meetingsOf(
  folder: string,
  { meetings, meeting }: { meetings: number; meeting: number },
): Item[] {
  const text = gunzipSync(readFileSync(join(folder, 'qmsum.jsonl.gz'))).toString();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(
      (line) =>
        JSON.parse(line) as { id: string; context: string; question: string; answers: string[] },
    )
    .filter(({ context }) => context.length <= meeting)
    .slice(0, meetings)
    .map(({ id, context, question, answers }) => ({
      set: 'qmsum',
      id,
      texts: [context],
      question,
      answers,
      summary: true,
    }));
}
