/** What the gateway needs for inputs that are longer than the model's window. */
import { relevanceToQuestion } from './compress/relevance.ts';
import type { PoolUnit } from './compress/pool-unit.ts';
import { sinkCut, sinkMarker } from './context/sinks.ts';
import type { SinkTools } from './context/types.ts';
import { createWindowTools } from './context/windows/create.ts';
import type { WindowTools } from './context/windows/types.ts';
import { sentenceRanges } from './tokenize/sentences.ts';

/** Sentences of a window that its relevance is read from. */
const best = 3;

export const longInputTools: { readonly windows: WindowTools; readonly sinks: SinkTools } = {
  windows: createWindowTools(relevance),
  sinks: { cut: sinkCut, marker: sinkMarker },
};

/** Mean of the most relevant sentences of each text, by the same measure that sentences are kept by. */
export function relevance(texts: readonly string[], question: string): readonly number[] {
  const units = texts.flatMap((text, document) =>
    sentenceRanges(text).map(({ start, end }, position): PoolUnit => ({
      text: text.slice(start, end),
      document,
      paragraph: 0,
      position,
      turn: null,
    })),
  );
  const worth = relevanceToQuestion(units, question);
  const lists: number[][] = texts.map(() => []);
  for (const [at, { document }] of units.entries()) lists[document]?.push(worth[at] ?? 0);
  return lists.map((list) => {
    const top = list.sort((a, b) => b - a).slice(0, best);
    return top.reduce((sum, value) => sum + value, 0) / Math.max(1, top.length);
  });
}
