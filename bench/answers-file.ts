/** Answers of a long run, one a line, so that a run that was stopped goes on. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface AnswersFile<T> {
  /** Those of earlier runs, and what was added. */
  readonly answers: readonly T[];
  has(answer: Partial<T>): boolean;
  add(answer: T): void;
}

/** @param keyOf names an answer among all */
export function answersFile<T>(
  file: string,
  keyOf: (answer: Partial<T>) => string,
): AnswersFile<T> {
  mkdirSync(dirname(file), { recursive: true });
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const answers = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
  const done = new Set(answers.map(keyOf));
  return {
    answers,
    has: (answer) => done.has(keyOf(answer)),
    add: (answer) => {
      done.add(keyOf(answer));
      answers.push(answer);
      appendFileSync(file, `${JSON.stringify(answer)}\n`);
    },
  };
}
