/** Numbers and names: what questions ask for and a reader cannot guess. */
import { mapSteps, type Steps } from '../core/steps.ts';

/** Density of numbers and names in each text, at least 0. */
export function factSteps(texts: readonly string[]): Steps<number[]> {
  return mapSteps(texts, factDensity, (text) => text.length);
}

function factDensity(text: string): number {
  const words = text.match(/[\p{L}\p{N}]+/gu) ?? [];
  const facts = words.filter(
    (word, i) => /\p{N}/u.test(word) || (i > 0 && /^\p{Lu}\p{L}/u.test(word)),
  );
  return facts.length / Math.sqrt(words.length + 5);
}
