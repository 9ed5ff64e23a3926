/** Word groups: a table of what stays whole, and properties over text of many scripts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { wordGroups } from '../../src/tokenize/groups.ts';
import { mixedText, splitsPair } from './helpers.ts';

const textsOf = (text: string): string[] => {
  const { starts, ends } = wordGroups(text);
  return Array.from(starts, (start, i) => text.slice(start, ends[i]));
};
const kindsOf = (text: string): string =>
  wordGroups(text)
    .kinds.map((kind) => kind)
    .join(' ');

const table: [given: string, want: string[]][] = [
  ["The cat's well-known tail.", ['The', "cat's", 'well-known', 'tail', '.']],
  ["rock'n'roll ‘tis’ O’Neil's", ["rock'n'roll", '‘', 'tis', '’', "O’Neil's"]],
  ['See https://a.org/x_(y)?q=1, ok', ['See', 'https://a.org/x_(y)?q=1', ',', 'ok']],
  ['(http://a.org/b).', ['(', 'http://a.org/b', ')', '.']],
  ['mail bob.smith+x@mail.co.uk!', ['mail', 'bob.smith+x@mail.co.uk', '!']],
  ['/usr/bin ./a.txt ~/x src/main.ts', ['/usr/bin', './a.txt', '~/x', 'src/main.ts']],
  ['C:\\Users\\me\\f.txt and/or', ['C:\\Users\\me\\f.txt', 'and/or']],
  ['3.14 1,234.5 -5 +3 1e-7', ['3.14', '1,234.5', '-5', '+3', '1e-7']],
  ['$5.00 €20 50% 12 kg 5GB 20°C', ['$5.00', '€20', '50%', '12 kg', '5GB', '20°C']],
  ['2024-01-31T12:34:56Z 12:30 9/11', ['2024-01-31T12:34:56Z', '12:30', '9/11']],
  ['3fa85f64-5717-4562-b3fc-2c963f66afa6', ['3fa85f64-5717-4562-b3fc-2c963f66afa6']],
  ['snake_case os.path.join foo::bar', ['snake_case', 'os.path.join', 'foo::bar']],
  ['getUserName(x) C++ C#', ['getUserName', '(', 'x', ')', 'C++', 'C#']],
  ['the house.The cat', ['the', 'house', '.', 'The', 'cat']],
  ['a\n\n  \nb', ['a', '\n\n  \n', 'b']],
  ['wait... --- !?', ['wait', '...', '---', '!', '?']],
  ['👍🏽👩‍👩‍👧🇩🇪🇫🇷1️⃣', ['👍🏽', '👩‍👩‍👧', '🇩🇪', '🇫🇷', '1️⃣']],
  ['e\u0301te\u0301 हिन्दी है।', ['e\u0301te\u0301', 'हिन्दी', 'है', '।']],
  ['Привет, мир! مرحبا؟', ['Привет', ',', 'мир', '!', 'مرحبا', '؟']],
  ['我喜欢吃苹果。AI技术', ['我', '喜欢', '吃', '苹果', '。', 'AI', '技术']],
  ['東京へ行きます', ['東京', 'へ', '行き', 'ます']],
  ['ภาษาไทย', ['ภาษา', 'ไทย']],
];
for (const [given, want] of table)
  test(`groups of ${JSON.stringify(given)}`, () => assert.deepEqual(textsOf(given), want));

test('kinds', () => {
  assert.equal(
    kindsOf('word 3.5 https://a.b a@b.co /a/b x_y 中 , \n 👍'),
    'word number url email path identifier cjk punctuation newline emoji',
  );
  assert.equal(kindsOf('camelCase and/or U.S.A'), 'identifier word word');
});

test('groups are ordered, do not overlap, lose only blanks, split no pair and no mark', () => {
  fc.assert(
    fc.property(mixedText, (text) => {
      const { starts, ends, kinds } = wordGroups(text);
      assert.equal(kinds.length, starts.length);
      let at = 0;
      for (let i = 0; i < starts.length; i++) {
        const [start, end] = [starts[i]!, ends[i]!];
        assert.ok(start >= at && end > start && end <= text.length);
        assert.match(text.slice(at, start), /^[^\S\n\r\u2028\u2029]*$/u);
        assert.ok(!splitsPair(text, start) && !splitsPair(text, end));
        // a mark begins a group only at the start, after a line break or after a blank
        if (
          start > 0 &&
          start === at &&
          /\p{M}/u.test(String.fromCodePoint(text.codePointAt(start)!))
        )
          assert.match(text.slice(0, start), /[\s\p{C}]$/u);
        at = end;
      }
      assert.match(text.slice(at), /^[^\S\n\r\u2028\u2029]*$/u);
    }),
    { numRuns: 500 },
  );
});

test('text after a blank line does not change the groups before it', () => {
  fc.assert(
    fc.property(mixedText, mixedText, (before, after) => {
      const alone = textsOf(`${before}\n\nx`).slice(0, -2);
      const joined = textsOf(`${before}\n\nx ${after}`);
      assert.deepEqual(joined.slice(0, alone.length), alone);
    }),
    { numRuns: 200 },
  );
});

// a scan that is not linear runs into the time limit on these
test('hostile repeats end', { timeout: 120_000 }, () => {
  for (const unit of [
    '我',
    'a.-',
    'a/',
    "a'",
    'a@',
    'http://',
    '(',
    '1,',
    'x_',
    '@a',
    'e\u0301',
    '👍',
    '- ',
  ]) {
    const text = unit.repeat(400_000 / unit.length);
    const { starts } = wordGroups(text);
    assert.ok(starts.length > 0);
  }
});
