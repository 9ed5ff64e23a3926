/** Numbers, names and codes: what questions ask for and a reader cannot guess. */
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

/** A word of letters and digits like `H8Q05L` or `user_42`, neither an ordinal nor a unit (`21st`, `500ml`, `1990s`). */
const code =
  /(?<![\p{L}\p{N}_])(?!\d+\p{Ll}{1,3}(?![\p{L}\p{N}_]))(?=[\p{L}_]*\d)(?=\d*[\p{L}_])[\p{L}\p{N}_]{5,64}(?![\p{L}\p{N}_])/u;

/** 1 for each text with a code in it, else 0. */
export function codeSteps(texts: readonly string[]): Steps<number[]> {
  return mapSteps(
    texts,
    (text) => Number(code.test(text)),
    (text) => text.length,
  );
}
