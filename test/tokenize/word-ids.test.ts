/** Ids from remembered words are the ids of the whole text. */
import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import { openWordIds } from '../../src/tokenize/word-ids.ts';

const models = resolve(import.meta.dirname, '../fixtures/models');

/** Uncased and cased WordPiece, and two kinds whose words do not stand alone. */
const folders = ['tiny-encoder', 'tiny-classifier', 'tiny-xlmr', 'tiny-causal'];

const texts = [
  '',
  ' ',
  'The committee met on 3 March 2021; the budget was $1,250,000.',
  "don't re-use snake_case(); x=[CLS] a[SEP]b [UNK] ##ing [MASK]",
  'two  spaces\tand a tab\r\n\r\nblank line\u00a0no-break\u2003em\u3000ideographic',
  'naïve café e\u0301te\u0301 Комитет — 委员会星期一开会。會議🎉👩‍👩‍👧 \uf900豈 \u{20000}x',
  'ΟΔΟΣ. ΣΟΦΟΣ ΑΣ中 İstanbul straße \u0000 \ufffd zero\u200bwidth soft\u00adhyphen',
  `${'x'.repeat(120)} ${'word'.repeat(30)} ${'9'.repeat(101)}`,
  'उनकी बैठक सोमवार को हुई। اجتمعت اللجنة \ud800 lone',
];

for (const name of folders) {
  const folder = join(models, name);
  const tokenizer = loadTokenizer(folder);
  const idsOf = openWordIds(folder, tokenizer);
  const same = (text: string): void =>
    assert.deepEqual([...idsOf(text)], [...tokenizer.encode(text).ids], JSON.stringify(text));

  test(`${name}: ids of chosen texts`, () => {
    for (const text of texts) same(text);
    same(texts.join(' '));
  });

  test(`${name}: ids of any text`, () => {
    const words = fc.constantFrom(...texts.flatMap((text) => text.split(' ')));
    const any = fc.array(fc.oneof(words, fc.string({ unit: 'binary' }), fc.string()));
    fc.assert(
      fc.property(any, fc.constantFrom(' ', '\n', ''), (list, blank) => same(list.join(blank))),
    );
  });
}
