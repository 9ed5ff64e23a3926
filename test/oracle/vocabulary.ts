/** The classifier's vocabulary and the counting vocabulary as the Python reference sees them. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReferenceVocabulary } from '../../src/compress/reference/models.ts';
import type { KeepScorer } from '../../src/score/types.ts';
import type { Expectation } from './load.ts';

interface CountFixture {
  /** Base-36 digits: tokens of each distinct word of the traces, in order of first appearance. */
  readonly words: string;
  /** Tokens of longer texts by the first 16 hex digits of their SHA-256. */
  readonly texts: Readonly<Record<string, number>>;
}

/**
 * Counts of cl100k_base, as data: the vocabulary itself is not part of this repository. Made with tiktoken over the
 * words of `expected.jsonl.gz`.
 */
export function countsOf(expectations: ReadonlyMap<string, Expectation>): (text: string) => number {
  const fixture = JSON.parse(
    readFileSync(join('test', 'oracle', 'fixtures', 'cl100k-counts.json'), 'utf8'),
  ) as CountFixture;
  const counts = new Map<string, number>();
  for (const { trace } of expectations.values())
    for (const [words] of trace?.chunks_words ?? [])
      for (const word of words)
        if (!counts.has(word))
          counts.set(word, Number.parseInt(fixture.words[counts.size] ?? '', 36));
  return (text) => counts.get(text) ?? fixture.texts[shortHash(text)] ?? Number.NaN;
}

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

interface TokenizerFile {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
}

export function vocabularyOf(
  folder: string,
  scorer: KeepScorer,
  countTokens: (text: string) => number,
): ReferenceVocabulary {
  const file = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')) as TokenizerFile;
  const ids = new Map(Object.entries(file.model.vocab));
  for (const { id, content } of file.added_tokens) ids.set(content, id);
  const pieces = new Map([...ids].map(([piece, id]) => [id, piece]));
  const literals = file.added_tokens.map(({ content }) => content);
  const escaped = literals.map((literal) => literal.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  const special = new RegExp(`(${escaped.join('|')})`, 'u');
  return {
    maxLength: 512,
    clsPiece: '[CLS]',
    sepPiece: '[SEP]',
    special: new Set(['[UNK]', '[SEP]', '[PAD]', '[CLS]', '[MASK]']),
    idOf: (piece) => ids.get(piece) ?? ids.get('[UNK]') ?? 0,
    pieces: (text) =>
      text.split(special).flatMap((part, i) => {
        if (i % 2 === 1) return [part];
        return part === '' ? [] : Array.from(scorer.encode(part).ids, (id) => pieces.get(id) ?? '');
      }),
    countTokens,
  };
}
