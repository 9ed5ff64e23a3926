/** Encoding and counting in steps with any tokenizer; one that cannot be interrupted works at once. */
import type { Steps } from '../core/steps.ts';
import type { Encoding, TextTokenizer } from './types.ts';

/** `tokenizer.encode(text)` in steps. */
export function* encodeInSteps(tokenizer: TextTokenizer, text: string): Steps<Encoding> {
  if (tokenizer.encodeSteps !== undefined) return yield* tokenizer.encodeSteps(text);
  yield;
  return tokenizer.encode(text);
}

/** `tokenizer.count(text)` in steps. */
export function* countInSteps(tokenizer: TextTokenizer, text: string): Steps<number> {
  if (tokenizer.countSteps !== undefined) return yield* tokenizer.countSteps(text);
  yield;
  return tokenizer.count(text);
}
