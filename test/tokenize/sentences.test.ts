/** Sentence ranges: a table of borders, and properties over text of many scripts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sentenceRanges } from '../../src/tokenize/sentences.ts';
import { mixedText, splitsPair } from './helpers.ts';

const split = (text: string): string[] =>
  sentenceRanges(text).map(({ start, end }) => text.slice(start, end));

const table: [name: string, want: string[]][] = [
  ['plain', ['One is here. ', 'Two is there! ', 'Is three? ', 'Yes']],
  ['abbreviations and initials', ['Dr. J. R. Smith of Acme Inc. met Mrs. Lee. ', 'They agreed.']],
  [
    'decimals, addresses, versions',
    ['It costs 3.50 at https://a.org/b.c?d=e now. ', 'Use v1.2.3.'],
  ],
  ['quotes and brackets', ['“Stop!” he said. ', '(It was late.) ', 'He left.']],
  ['lower case goes on', ['It works with e.g. this and cf. that... and more. ', 'End.']],
  ['blank lines', ['A title\n\n', 'Some text that\nis wrapped here.\n\n\n', 'Next']],
  [
    'list items',
    ['Intro:\n', '- one\n', '- two goes\n  on here\n', '1. First. ', 'More.\n', '2. Second'],
  ],
  ['headings', ['# Head\n', 'Body starts here']],
  ['CJK', ['今天天气很好。', '我们去公园吧！', '“好吗？”', '他说３．１４。']],
  ['Hindi and Arabic', ['यह पहला है। ', 'यह दूसरा है॥ ', 'مرحبا؟ ', 'نعم.']],
  ['leading blanks stay with the first', ['\n\n  First. ', 'Second.']],
];
for (const [name, want] of table)
  test(`sentences: ${name}`, () => assert.deepEqual(split(want.join('')), want));

test('the ranges cover the text without gap or overlap, and split no pair', () => {
  fc.assert(
    fc.property(mixedText, (text) => {
      let at = 0;
      for (const { start, end } of sentenceRanges(text)) {
        assert.equal(start, at);
        assert.ok(end > start);
        assert.ok(!splitsPair(text, end));
        at = end;
      }
      assert.equal(at, text.length);
    }),
    { numRuns: 500 },
  );
});

test('text after a blank line does not move the borders before it', () => {
  fc.assert(
    fc.property(mixedText, mixedText, (before, after) => {
      const head = `${before}.\n\n`;
      const alone = sentenceRanges(`${head}x`).slice(0, -1);
      const joined = sentenceRanges(`${head}x ${after}`);
      assert.deepEqual(joined.slice(0, alone.length), alone);
    }),
    { numRuns: 200 },
  );
});

// a scan that is not linear runs into the time limit on these
test('hostile repeats end', { timeout: 120_000 }, () => {
  for (const unit of [
    '. ',
    '1. ',
    '\n',
    '\n ',
    'Mr. ',
    '- a\n',
    '。',
    '." ',
    '...a ',
    '\n\u00a0',
  ]) {
    const text = unit.repeat(400_000 / unit.length);
    const ranges = sentenceRanges(text);
    assert.ok(ranges.length > 0);
  }
});
