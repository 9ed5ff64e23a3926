/** The records: questions over documents, and meetings. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readSets } from '../../src/cli/eval/sets.ts';
import { inTurns } from '../reader/prompt.ts';
import type { Item } from './types.ts';

/** A record, and the windows that it is asked about in. */
export interface Task {
  readonly item: Item;
  readonly windows: readonly number[];
}

/**
 * The first records of each set that do not fit, for every window: what fits is a plain request.
 * @param options.sizeOf tokens of the whole prompt and its answer
 */
export async function tasksOf(
  folder: string,
  only: readonly string[],
  options: {
    readonly windows: readonly number[];
    /** Records of a set for each window, meetings apart. */
    readonly limit: number;
    readonly meetings: number;
    /** UTF-16 units. */
    readonly shortest: number;
    readonly longest: number;
    readonly meeting: number;
    readonly sizeOf: (item: Item) => Promise<number>;
  },
): Promise<Task[]> {
  const lists: Task[][] = [];
  for (const set of only) {
    const meetings = set === 'qmsum';
    const items = meetings ? meetingsOf(folder, options) : questions(folder, set, options);
    const limit = meetings ? options.meetings : options.limit;
    const taken = new Map<number, number>();
    const tasks: Task[] = [];
    for (const item of items) {
      const open = options.windows.filter((window) => (taken.get(window) ?? 0) < limit);
      if (open.length === 0) break;
      const size = await options.sizeOf(item);
      const windows = open.filter((window) => size > window);
      for (const window of windows) taken.set(window, (taken.get(window) ?? 0) + 1);
      if (windows.length > 0) tasks.push({ item, windows });
    }
    lists.push(tasks);
  }
  return inTurns(lists);
}

/** Records with an answer in their text, in the file's order. */
function questions(
  folder: string,
  set: string,
  { shortest, longest }: { shortest: number; longest: number },
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
    });
}

/** Meetings and the references that abstract from them; the shortest ones, which a large window still holds. */
function meetingsOf(folder: string, { meeting }: { meeting: number }): Item[] {
  const text = gunzipSync(readFileSync(join(folder, 'qmsum.jsonl.gz'))).toString();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(
      (line) =>
        JSON.parse(line) as { id: string; context: string; question: string; answers: string[] },
    )
    .filter(({ context }) => context.length <= meeting)
    .map(({ id, context, question, answers }) => ({
      set: 'qmsum',
      id,
      texts: [context],
      question,
      answers,
      summary: true,
    }));
}
