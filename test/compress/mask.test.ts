import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isSubsequence,
  maskFromKeep,
  renderMask,
  whyCode,
  wholeMask,
} from '../../src/compress/mask.ts';

/** Groups given by literal pieces, found from left to right; `-` before a piece drops it. */
function masked(text: string, pieces: readonly string[]): string {
  const starts: number[] = [];
  const ends: number[] = [];
  const keep: number[] = [];
  let from = 0;
  for (const piece of pieces) {
    const dropped = piece.startsWith('~');
    const body = dropped ? piece.slice(1) : piece;
    const at = text.indexOf(body, from);
    assert.ok(at >= 0, body);
    starts.push(at);
    ends.push(at + body.length);
    keep.push(dropped ? 0 : 1);
    from = at + body.length;
  }
  const groups = { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) };
  return renderMask(text, maskFromKeep({ groups, keep: Uint8Array.from(keep) }));
}

const cases: readonly [name: string, text: string, pieces: string[], expected: string][] = [
  ['neighbours keep their separator', 'The  cat sat', ['~The', 'cat', 'sat'], 'cat sat'],
  ['one blank across a gap', 'a  b   c', ['a', '~b', 'c'], 'a c'],
  ['a line break beats a blank', 'a b\nc d', ['a', '~b', '~c', 'd'], 'a\nd'],
  ['a blank line beats a line break', 'a b\n\nc\nd', ['a', '~b', '~c', 'd'], 'a\n\nd'],
  ['a blank line with blanks in it', 'a b\n \t\nc', ['a', '~b', 'c'], 'a\n\nc'],
  ['carriage returns stay together', 'a b\r\nc', ['a', '~b', 'c'], 'a\r\nc'],
  ['a kept line break needs no other', 'a b\nc', ['a', '~b', '\n', 'c'], 'a\nc'],
  ['an indented line stays on its own line', 'a\nb\n  c', ['a', '~b', '  c'], 'a\n  c'],
  ['a full stop leans on the word before', 'cat sat down.', ['cat', '~sat', '~down', '.'], 'cat.'],
  ['but never on a digit', 'up 3 now.5', ['~up', '3', '~now', '.', '5'], '3 .5'],
  [
    'words joined by a mark never fuse',
    'foo(bar)baz',
    ['foo', '~(', '~bar', '~)', 'baz'],
    'foo(baz',
  ],
  ['Chinese needs no separator', '我们今天去', ['我们', '~今天', '去'], '我们去'],
  ['Latin around Chinese does not fuse', 'foo今天bar', ['foo', '~今天', 'bar'], 'foo今bar'],
  ['edges stay', ' a b \n', ['~a', 'b'], ' b \n'],
  ['nothing kept leaves the edge', 'a b\n', ['~a', '~b'], '\n'],
  ['emoji stay whole', 'a 👩‍👩‍👧 b', ['~a', '👩‍👩‍👧', '~b'], '👩‍👩‍👧'],
];

for (const [name, text, pieces, expected] of cases) {
  test(`render: ${name}`, () => {
    const out = masked(text, pieces);
    assert.equal(out, expected);
    assert.ok(isSubsequence(out, text));
  });
}

test('a gap dropped as structure leaves nothing behind', () => {
  const text = '[1, 2]';
  const groups = {
    starts: Uint32Array.of(0, 1, 2, 3, 4, 5),
    ends: Uint32Array.of(1, 2, 3, 4, 5, 6),
  };
  const why = new Uint8Array(6).fill(whyCode('structure'));
  const mask = maskFromKeep({ groups, keep: Uint8Array.of(1, 1, 1, 0, 1, 1), why });
  assert.equal(renderMask(text, mask), '[1,2]');
});

test('a whole mask renders its text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(renderMask(text, wholeMask(text)), text);
    }),
  );
});

test('any choice of any groups renders a subsequence', () => {
  const texts = fc.stringMatching(/^[a-c ,.\n\t(5我ñ👍-]{0,40}$/u);
  fc.assert(
    fc.property(texts, fc.infiniteStream(fc.boolean()), (text, coins) => {
      const coin = (): boolean => coins.next().value === true;
      const bounds = [
        0,
        ...Array.from(text, (_, i) => i).filter((i) => i > 0 && coin()),
        text.length,
      ];
      const starts = Uint32Array.from(bounds.slice(0, -1));
      const ends = Uint32Array.from(bounds.slice(1));
      const keep = Uint8Array.from(starts, () => (coin() ? 1 : 0));
      const mask = maskFromKeep({ groups: { starts, ends }, keep });
      assert.ok(isSubsequence(renderMask(text, mask), text));
    }),
  );
});

test('isSubsequence says no', () => {
  assert.equal(isSubsequence('ba', 'ab'), false);
  assert.equal(isSubsequence('aa', 'a'), false);
  assert.equal(isSubsequence('', 'a'), true);
});
