/** How good an answer is, 0 to 1. */
import { normalise } from '../../src/cli/eval/normalise.ts';
import { answerLine, isRight } from '../reader/prompt.ts';
import type { Item } from './types.ts';

/** A summary by ROUGE-L against the best reference, another answer by whether a reference stands in it. */
export function scoreOf(item: Item, text: string): number {
  if (!item.summary) return Number(isRight(item.answers, text));
  const line = answerLine(text);
  return Math.max(0, ...item.answers.map((answer) => rougeL(line, normalise(answer))));
}

/** F1 of the longest common subsequence of words (ROUGE-L). */
function rougeL(text: string, reference: string): number {
  const a = text.split(' ').filter((word) => word !== '');
  const b = reference.split(' ').filter((word) => word !== '');
  if (a.length === 0 || b.length === 0) return 0;
  let row = new Uint16Array(b.length + 1);
  for (const word of a) {
    const next = new Uint16Array(b.length + 1);
    b.forEach((other, at) => {
      next[at + 1] = word === other ? row[at]! + 1 : Math.max(row[at + 1]!, next[at]!);
    });
    row = next;
  }
  const common = row[b.length]!;
  return common === 0 ? 0 : (2 * common) / (a.length + b.length);
}
