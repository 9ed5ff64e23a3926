/** Borders of chunks: everything scored once, nothing seen ahead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { causalChunks, prefixRoom, sentenceChunks } from '../../src/score/chunks.ts';

test('causal windows cover every token once, with context, within the model', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3000 }),
      fc.integer({ min: 4, max: 2048 }),
      (n, length) => {
        const chunks = causalChunks(n, length);
        let at = 0;
        for (const { context, from, to } of chunks) {
          assert.equal(from, at);
          assert.ok(to > from && context <= from);
          assert.ok(1 + to - context <= length, 'fits with its BOS');
          if (length > 321) assert.ok(from - context === Math.min(from, 64) && to - from <= 256);
          at = to;
        }
        assert.equal(at, n);
        // appending tokens leaves all chunks but the last as they are
        const longer = causalChunks(n + 7, length);
        assert.deepEqual(longer.slice(0, Math.max(0, chunks.length - 1)), chunks.slice(0, -1));
      },
    ),
    { numRuns: 200 },
  );
  assert.equal(prefixRoom(512), 191);
  assert.equal(prefixRoom(100), 0);
});

test('classifier chunks end at sentences where they can, at words else, and never exceed the limit', () => {
  // tokens of two characters with a gap after every third; sentences of 20 characters
  const starts = Uint32Array.from({ length: 100 }, (_, i) => i * 2 + Math.floor(i / 3));
  const ends = starts.map((start) => start + 2);
  const total = ends[99]!;
  const sentences = Array.from({ length: Math.ceil(total / 20) }, (_, i) => ({
    start: i * 20,
    end: Math.min(total, i * 20 + 20),
  }));
  const chunks = sentenceChunks({ starts, ends }, sentences, 30);
  assert.equal(chunks[0]?.from, 0);
  assert.equal(chunks.at(-1)?.to, 100);
  for (const [i, { from, to }] of chunks.entries()) {
    assert.ok(to - from <= 30 && to > from);
    if (i > 0) assert.equal(from, chunks[i - 1]?.to);
    const next = sentences.find((sentence) => sentence.start >= starts[from]! && from > 0);
    if (from > 0) assert.ok(starts[from]! - (next?.start ?? 0) < 3, 'starts with a sentence');
  }
  const oneSentence = sentenceChunks({ starts, ends }, [{ start: 0, end: total }], 31);
  for (const { from } of oneSentence) assert.equal(from % 3, 0, 'starts with a word');
});
