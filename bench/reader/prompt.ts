/** What a small base model is asked with: a few-shot completion over documents, and when its answer is right. */
import { containsAnswer, normalise } from '../../src/cli/eval/normalise.ts';

/** Worked examples that show the form; none of their words are about the records. */
export const examples = [
  ['What is the capital of France?', 'Paris'],
  ['Who wrote the play Hamlet?', 'William Shakespeare'],
  ['How many days are in a leap year?', '366'],
]
  .map(([question, answer]) => `Question: ${question}\nAnswer: ${answer}\n\n`)
  .join('');

/** The prompt around texts that stand for the documents; one that is empty is left out. */
export function promptAround(texts: readonly string[], question: string, head = examples): string {
  const listed = texts
    .map((text, at) => ({ text, at }))
    .filter(({ text }) => text.trim() !== '')
    .map(({ text, at }) => `Document [${at + 1}] ${text}`);
  return `${head}${listed.join('\n\n')}\n\nQuestion: ${question}\nAnswer:`;
}

/** The line that was answered, as answers are compared. */
export function answerLine(text: string): string {
  return normalise(text.trimStart().split('\n')[0] ?? '');
}

export function isRight(answers: readonly string[], text: string): boolean {
  const line = answerLine(text);
  return answers.some((answer) => containsAnswer([line], answer));
}

/** Turns go from list to list, so that a stopped run has some of each. */
export function inTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const most = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: most }, (_, at) => lists.flatMap((list) => list[at] ?? [])).flat();
}
