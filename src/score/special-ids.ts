/** The tokens that stand around a text in BERT-like models. */
import { SluiceError } from '../core/errors.ts';
import type { TextTokenizer } from '../tokenize/types.ts';

/** BERT's names, then RoBERTa's. */
const literals = { opening: ['[CLS]', '<s>'], closing: ['[SEP]', '</s>'] } as const;

/** @throws SluiceError MODEL_INVALID for a tokenizer without such a token */
export function specialId(tokenizer: TextTokenizer, place: keyof typeof literals): number {
  for (const literal of literals[place]) {
    const found = tokenizer.specialId(literal);
    if (found !== null) return found;
  }
  throw new SluiceError(
    'MODEL_INVALID',
    `Tokenizer ${tokenizer.id} has none of ${literals[place].join(', ')}`,
  );
}

/**
 * Tokens between two texts that are read together: one closing token, or two in RoBERTa's family (XLM-R too), whose
 * closing token is `</s>`.
 */
export function separatorOf(tokenizer: TextTokenizer): number[] {
  const closing = specialId(tokenizer, 'closing');
  return tokenizer.specialId('[SEP]') === null ? [closing, closing] : [closing];
}
