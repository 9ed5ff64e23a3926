import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeHtml, renderHtml } from '../../src/cli/render/html.ts';
import type { ExplainInput, Piece } from '../../src/cli/render/runs.ts';
import { runsOf } from '../../src/cli/render/runs.ts';
import { summaryOf } from '../../src/cli/render/summary.ts';
import { colourStyle, harmless, plainStyle, renderText } from '../../src/cli/render/text.ts';

const text = 'The <b>old</b> pump failed in 1987, twice.';

function piece(word: string, kept: boolean, why: string, score: number | null = null): Piece {
  const start = text.indexOf(word);
  assert.notEqual(start, -1, word);
  return { start, end: start + word.length, kept, why, score };
}

const input: ExplainInput = {
  texts: [text],
  report: {
    tokensBefore: 12,
    tokensAfter: 6,
    tokenizer: 'scout@1',
    estimated: true,
    budgetTokens: 6,
    order: [0],
    notes: [],
    compressMs: 12.4,
    segments: [
      {
        method: 'llmlingua2',
        content: 'prose',
        skipped: null,
        tokensBefore: 12,
        tokensAfter: 6,
        pieces: [
          piece('The', false, 'dropped', 0.1),
          piece('<b>old</b>', false, 'dropped', 0.2),
          piece('pump', true, 'score', 0.987654),
          piece('failed', true, 'score', 0.9),
          piece('in', false, 'dropped', 0.3),
          piece('1987', true, 'survivor', 0.4),
          piece(',', true, 'structure'),
          piece('twice', true, 'forced'),
          piece('.', false, 'dropped'),
        ],
      },
    ],
  },
};

test('plain text marks what is dropped and what a guard kept', () => {
  const lines = renderText(input, plainStyle).split('\n');
  assert.equal(lines[0], '12 -> 6 tokens (50 %), llmlingua2, 12 ms, tokenizer scout@1 (estimated)');
  assert.ok(lines.includes('segment 1: prose, llmlingua2, 12 -> 6 tokens'));
  assert.ok(
    lines.includes('[-The <b>old</b>-] pump failed [-in-] {+1987+}{=,=} {!twice!}[-.-]'),
    lines.join('\n'),
  );
});

test('the legend counts every fate that occurs, and no other', () => {
  const output = renderText(input, plainStyle);
  assert.match(output, /\[-dropped-\] 4 {2}left out/);
  assert.match(output, /\{\+survivor\+\} 1 {2}kept: a guard/);
  assert.match(output, / score 2 {2}kept: above/);
  assert.doesNotMatch(output, /pinned/);
});

test('plain output has no escape sequences, coloured output has them', () => {
  assert.ok(!renderText(input, plainStyle).includes('\u001b'));
  assert.ok(renderText(input, colourStyle).includes('\u001b[2;9;31mThe <b>old</b>\u001b[0m'));
});

test('control characters of the text cannot drive the terminal', () => {
  assert.equal(harmless('a\u001b[2Jb\tc\nd\r\u009b'), 'a\u241b[2Jb\tc\nd\u240d\ufffd');
});

test('the page escapes the text and carries scores', () => {
  const page = renderHtml(input);
  assert.ok(page.includes('&lt;b&gt;old&lt;/b&gt;'));
  assert.ok(!page.includes('<b>old'));
  assert.ok(page.includes('<span title="score, score 0.988">pump</span>'));
  assert.ok(page.includes('<span class="survivor"><span title="survivor, score 0.400">1987'));
  assert.doesNotMatch(page, /<script|https?:/);
  assert.equal(escapeHtml(`<'&">`), '&lt;&#39;&amp;&quot;&gt;');
});

test('the summary tells why nothing was compressed', () => {
  const [segment] = input.report.segments;
  assert.ok(segment);
  const report = {
    ...input.report,
    tokensAfter: 12,
    notes: ['budget-below-survivors'],
    segments: [{ ...segment, method: null, skipped: 'too-short', tokensAfter: 12 }],
  };
  assert.equal(
    summaryOf(report),
    'nothing was worth compressing: too-short (12 tokens), 12 ms, tokenizer scout@1 (estimated); budget-below-survivors',
  );
  assert.match(
    renderText({ texts: [text], report }, plainStyle),
    /segment 1: prose, left alone \(too-short\)/,
  );
});

test('runs put together are the text, whatever the pieces', () => {
  const pieces = fc.array(
    fc.record({ gap: fc.nat(3), length: fc.integer({ min: 1, max: 4 }), kept: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.string({ minLength: 0, maxLength: 80 }), pieces, (source, shapes) => {
      let at = 0;
      const list: Piece[] = [];
      for (const { gap, length, kept } of shapes) {
        const start = at + gap;
        at = start + length;
        if (at > source.length) break;
        list.push({ start, end: at, kept, why: kept ? 'score' : 'dropped', score: null });
      }
      const runs = runsOf(source, list);
      assert.equal(runs.map((run) => run.text).join(''), source);
      assert.deepEqual(
        runs.flatMap((run) => run.pieces),
        list,
      );
      for (const [index, run] of runs.entries())
        assert.notEqual(run.fate, runs[index + 1]?.fate, 'neighbours of one fate are joined');
    }),
  );
});
