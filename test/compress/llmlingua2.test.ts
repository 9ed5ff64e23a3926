import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLlmlingua2 } from '../../src/compress/llmlingua2.ts';
import { chunkRanges } from '../../src/compress/llmlingua2-chunks.ts';
import { isSubsequence } from '../../src/compress/mask.ts';
import { wordGroups } from '../../src/tokenize/groups.ts';
import type { MethodOptions } from '../../src/compress/types.ts';
import { jobOf, noSurvivors, prose, wordsOf } from '../helpers/compress-jobs.ts';
import { fakeKeep, hashOf, noScorers } from '../helpers/fake-scorer.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

const tokenizer = fakeTokenizer();
const probability = (text: string): number => hashOf(text.charCodeAt(1) || 1, text.length);
const compressorOf = (of: (text: string) => number = probability) =>
  createLlmlingua2({
    tokenizer,
    scorers: { ...noScorers, keep: fakeKeep({ tokenizer, probability: of }) },
  });
const run = async (
  text: string,
  options: MethodOptions = {},
  rate = 0.5,
  of?: (text: string) => number,
) => {
  const job = jobOf([text], { options, budget: { type: 'rate', rate } });
  const result = await compressorOf(of).compress(job);
  const [segment] = result.segments;
  assert.ok(segment);
  return { ...segment, notes: result.notes };
};
const occurrences = (text: string, part: string): number => text.split(part).length - 1;

test('budget within one word, whole words, line breaks, order', async () => {
  const text = prose(50);
  for (const rate of [0.9, 0.5, 0.33, 0.2, 0.1]) {
    const segment = await run(text, {}, rate);
    const allowed = Math.floor(rate * segment.tokensBefore);
    assert.ok(segment.tokensAfter <= allowed && segment.tokensAfter >= allowed - 4);
    assert.ok(isSubsequence(segment.text, text));
    const known = new Set(wordsOf(text));
    assert.ok(wordsOf(segment.text).every((word) => known.has(word)));
    assert.ok(segment.text.includes('\n'));
  }
});

test('Chinese is cut at words, and no blanks are put in', async () => {
  const text =
    '上海是中国最大的城市之一，位于长江入海口。它的港口每年处理大量的货物，连接世界各地。'.repeat(
      6,
    );
  const segment = await run(text, {}, 0.5, (piece) => hashOf(piece.codePointAt(0) ?? 0, 5));
  assert.ok(segment.tokensAfter <= 0.5 * segment.tokensBefore);
  assert.ok(segment.tokensAfter >= 0.45 * segment.tokensBefore);
  assert.ok(!/\s/u.test(segment.text));
  assert.ok(isSubsequence(segment.text, text));
});

test('force tokens stay wherever they occur, digits on request', async () => {
  const text = prose(40, 3);
  const low = (): number => 0.01;
  const forced = await run(text, { force_tokens: ['\n', ',', 'near the'] }, 0.5, low);
  for (const token of [',', 'near', '\n'])
    assert.equal(occurrences(forced.text, token), occurrences(text, token), JSON.stringify(token));
  const digits = await run(text, { force_reserve_digit: true }, 0.2, (piece) =>
    /\d/.test(piece) ? 0 : 0.9,
  );
  assert.equal(digits.text.replaceAll(/\D/g, ''), text.replaceAll(/\D/g, ''));
  const tooMany = await run(
    text,
    { force_tokens: ['the', 'The', 'its', 'and', ',', '.', 'a'] },
    0.1,
  );
  assert.ok(tooMany.notes.includes('budget-below-survivors'));
});

test('drop_consecutive drops a repeat that nothing separates', async () => {
  const text = `Start . . . . middle , , end. ${prose(6)}`;
  const all = await run(text, { force_tokens: ['.', ','] }, 0.6);
  const dropped = await run(text, { force_tokens: ['.', ','], drop_consecutive: true }, 0.6);
  assert.equal(occurrences(all.text, '.'), occurrences(text, '.'));
  assert.ok(occurrences(dropped.text, '.') <= occurrences(text, '.') - 3);
  assert.ok(!/\.\s*\.|,\s*,/u.test(dropped.text), dropped.text);
});

test('token_to_word: mean of the pieces, or the first one', async () => {
  const text = 'wonderful planning abcdefgh stuvwxyz';
  // Pieces of four letters; the second half of a word counts for nothing with `first`.
  const of = (piece: string): number =>
    ({ abcd: 0.9, efgh: 0, stuv: 0.5, wxyz: 0.6 })[piece.trim()] ?? 0.1;
  const first = await run(text, { token_to_word: 'first' }, 0.25, of);
  const mean = await run(text, { token_to_word: 'mean' }, 0.25, of);
  assert.equal(first.text.trim(), 'abcdefgh');
  assert.equal(mean.text.trim(), 'stuvwxyz');
});

test('the context filter leaves the least useful contexts out and spends the budget on the rest', async () => {
  const dull = prose(20, 4).replaceAll(/[a-z]+/gu, 'zz');
  const texts = [prose(20, 5), dull, prose(20, 6)];
  const of = (piece: string): number =>
    piece.trim() === 'zz' ? 0.01 : 0.5 + probability(piece) / 4;
  const budget = { type: 'tokens', tokens: 400 } as const;
  const filtered = async (options: MethodOptions) =>
    compressorOf(of).compress(
      jobOf(texts, { budget, options: { use_context_level_filter: true, ...options } }),
    );
  const byCount = await filtered({ target_context: 2 });
  assert.equal(byCount.segments[1]?.text.trim(), '');
  assert.ok(byCount.tokensAfter <= 400 && byCount.tokensAfter > 390, String(byCount.tokensAfter));
  const forced = await filtered({ target_context: 2, force_context_ids: [1] });
  assert.notEqual(forced.segments[1]?.text.trim(), '');
  const byTokens = await filtered({ context_level_target_token: 700 });
  assert.ok(byTokens.segments.some(({ text }) => text.trim() === ''));
  const off = await compressorOf(of).compress(jobOf(texts, { budget }));
  assert.ok(off.segments.every(({ text }) => text.trim() !== ''));
});

test('chunks end with the tokens asked for, at borders of words, within the classifier', async () => {
  const text = `${prose(30, 8)}3.14159 and 2.71828; ${'x'.repeat(700)} ${prose(10, 9)}`;
  const seen: string[] = [];
  const keep = fakeKeep({ tokenizer, contextLength: 64, onText: (part) => seen.push(part) });
  const groups = wordGroups(text);
  const ranges = chunkRanges(keep, { text, groups, ends: ['.'], signal: null });
  assert.equal(ranges.map(({ start, end }) => text.slice(start, end)).join(''), text);
  for (const { start, end } of ranges) {
    const part = text.slice(start, end);
    assert.ok(tokenizer.count(part) <= 63, part);
    if (/x{9}|\d/u.test(part)) continue;
    assert.match(part, /\.\s*$/u);
  }
  const compressor = createLlmlingua2({ tokenizer, scorers: { ...noScorers, keep } });
  const whole = await compressor.compress(jobOf([text], { options: { chunk_end_tokens: ['.'] } }));
  assert.equal(seen.join(''), text);
  assert.ok(isSubsequence(whole.segments[0]?.text ?? '', text));
});

test('literal special tokens are text; survivors stay; nothing is changed', async () => {
  const text = `${prose(8)} [MASK] Use [NEW3] or [CLS] and [SEP]. ${prose(8, 2)}`;
  const job = jobOf([text], {
    survivors: { ...noSurvivors, literals: ['[MASK]', '[NEW3]'] },
    options: { force_tokens: ['Use'] },
    budget: { type: 'rate', rate: 0.3 },
  });
  const before = structuredClone({ ...job, signal: null });
  const { segments } = await compressorOf().compress(job);
  assert.deepEqual({ ...job, signal: null }, before);
  for (const part of ['[MASK]', '[NEW3]', 'Use']) assert.ok(segments[0]?.text.includes(part), part);
});

test('one word alone comes back whole instead of vanishing', async () => {
  const segment = await run('abcdefghij0123456789'.repeat(40));
  assert.equal(segment.skipped, 'not-worth-it');
  assert.equal(segment.tokensAfter, segment.tokensBefore);
});

test('no classifier, or reference mode without its vocabulary: unavailable', async () => {
  const none = createLlmlingua2({ tokenizer, scorers: noScorers });
  const job = jobOf([prose(5)]);
  await assert.rejects(none.compress(job), { code: 'METHOD_UNAVAILABLE' });
  await assert.rejects(compressorOf().compress({ ...job, options: { reference: true } }), {
    code: 'METHOD_UNAVAILABLE',
  });
});
