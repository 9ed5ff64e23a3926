import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSubsequence } from '../../src/compress/mask.ts';
import { createSelectiveContext } from '../../src/compress/selective-context.ts';
import { phraseStarts } from '../../src/compress/selective-context-phrases.ts';
import { wordGroups } from '../../src/tokenize/groups.ts';
import { sentenceRanges } from '../../src/tokenize/sentences.ts';
import type { MethodOptions, Survivors } from '../../src/compress/types.ts';
import { jobOf, prose, wordsOf } from '../helpers/compress-jobs.ts';
import { fakeSurprisal, noScorers } from '../helpers/fake-scorer.ts';
import type { FakeOptions } from '../helpers/fake-scorer.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

const tokenizer = fakeTokenizer();
const setUp = (options: Partial<FakeOptions> = {}) => {
  const surprisal = fakeSurprisal({ tokenizer, ...options });
  const scorers = { ...noScorers, surprisal };
  return { surprisal, compressor: createSelectiveContext({ tokenizer, scorers }) };
};
const text = prose(60);
const run = async (
  source: string,
  more: { options?: MethodOptions; rate?: number; survivors?: Survivors } = {},
) => {
  const { options = {}, rate = 0.5, survivors } = more;
  const { compressor } = setUp();
  const { segments } = await compressor.compress(
    jobOf([source], {
      budget: { type: 'rate', rate },
      options,
      ...(survivors === undefined ? {} : { survivors }),
    }),
  );
  const [segment] = segments;
  assert.ok(segment);
  return segment;
};

test('phrases and words: budget in tokens within one word, white space stays', async () => {
  for (const reduce_level of ['phrase', 'token'] as const)
    for (const rate of [0.8, 0.5, 0.33, 0.2]) {
      const segment = await run(text, { options: { reduce_level }, rate });
      const allowed = Math.floor(rate * segment.tokensBefore);
      assert.ok(segment.tokensAfter <= allowed && segment.tokensAfter >= allowed - 4);
      assert.ok(isSubsequence(segment.text, text));
      assert.ok(segment.text.includes('\n'));
      const known = new Set(wordsOf(text));
      assert.ok(
        wordsOf(segment.text).every((word) => known.has(word)),
        'no fused words',
      );
    }
});

test('sentences go as a whole', async () => {
  const segment = await run(text, { options: { reduce_level: 'sent' } });
  const sentences = new Set(
    sentenceRanges(text).map(({ start, end }) => text.slice(start, end).trim()),
  );
  const kept = sentenceRanges(segment.text).map(({ start, end }) =>
    segment.text.slice(start, end).trim(),
  );
  assert.ok(kept.length > 10 && kept.length < sentences.size);
  for (const sentence of kept) assert.ok(sentences.has(sentence), sentence);
  assert.ok(segment.tokensAfter <= 0.5 * segment.tokensBefore);
  assert.ok(segment.tokensAfter >= 0.45 * segment.tokensBefore);
});

test('a phrase stays or goes as one, but for the last one that fits in part', async () => {
  const segment = await run(text, { rate: 0.4 });
  const groups = wordGroups(text);
  const firsts = phraseStarts(text, groups);
  const torn = firsts.filter((first, i) => {
    const keep = segment.mask.keep.subarray(first, firsts[i + 1] ?? groups.starts.length);
    return keep.includes(1) && keep.includes(0);
  });
  assert.ok(torn.length <= 1, `${torn.length} torn phrases`);
});

test('sentences are read after the one before them, each token about once', async () => {
  const fed: Uint32Array[] = [];
  const { compressor, surprisal } = setUp({ onPass: (ids) => fed.push(ids) });
  await compressor.compress(jobOf([text]));
  const count = tokenizer.count(text);
  assert.ok(fed.length > 3);
  assert.ok(surprisal.tokensFed >= count && surprisal.tokensFed < 1.35 * count);
  for (const pass of fed.slice(1)) assert.equal(pass[0], surprisal.bosId);
});

test('what follows a text does not change the scores of what stands before', async () => {
  const { compressor } = setUp();
  const scoresOf = async (source: string): Promise<number[]> => {
    const { segments } = await compressor.compress(
      jobOf([source], { options: { reduce_level: 'token' } }),
    );
    return Array.from(segments[0]?.mask.scores ?? []);
  };
  const short = await scoresOf(text);
  const long = await scoresOf(text + prose(20, 5));
  assert.ok(short.length > 100);
  assert.deepEqual(long.slice(0, short.length), short);
});

test('survivors stay at phrase level; at sentence level the sentences with declared ones do', async () => {
  const survivors: Survivors = { classes: ['number'], literals: ['harbour'], patterns: [] };
  const phrases = await run(text, { survivors, rate: 0.2 });
  assert.deepEqual(phrases.text.match(/\d{4}/g), text.match(/\d{4}/g));
  const sentences = await run(text, { survivors, rate: 0.4, options: { reduce_level: 'sent' } });
  assert.equal(sentences.text.split('harbour').length, text.split('harbour').length);
  assert.equal(sentences.skipped, null);
});

test('phrases: determiner and content words together, the rest alone', () => {
  const phrasesOf = (source: string): string[] => {
    const groups = wordGroups(source);
    const firsts = phraseStarts(source, groups);
    return firsts.map((first, i) =>
      source.slice(groups.starts[first], groups.ends[(firsts[i + 1] ?? groups.ends.length) - 1]),
    );
  };
  for (const [source, want] of [
    ['The old captain of the ship slept.', ['The old captain', 'of', 'the ship slept', '.']],
    [
      'He gave his brother a red apple, and left',
      ['He', 'gave', 'his brother', 'a red apple', ',', 'and', 'left'],
    ],
    ['Items:\n\n- two pears', ['Items', ':', '\n\n', '-', 'two pears']],
    ['', []],
    ['one two three four five six seven', ['one', 'two', 'three', 'four', 'five', 'six', 'seven']],
    ['red blue green grey pink black', ['red blue green grey', 'pink black']],
  ] as const)
    assert.deepEqual(phrasesOf(source), want);
});

test('short, empty and odd texts; scorer without BOS; no scorer', async () => {
  assert.equal((await run('')).text, '');
  assert.ok((await run('red blue green grey pink', { rate: 0.6 })).tokensAfter <= 3);
  const { compressor } = setUp({ bosId: null });
  const { segments } = await compressor.compress(jobOf([text]));
  assert.ok(
    Array.from(segments[0]?.mask.scores ?? []).every((score) => score >= 0 || Number.isNaN(score)),
  );
  const none = createSelectiveContext({ tokenizer, scorers: noScorers });
  await assert.rejects(none.compress(jobOf([text])), { code: 'METHOD_UNAVAILABLE' });
});

test('reference mode: white space collapses, sentences alone, units counted', async () => {
  const { compressor } = setUp();
  const asked = { reference: true, reduce_level: 'sent' } as const;
  const { segments } = await compressor.compress(jobOf([text], { options: asked }));
  assert.ok((segments[0]?.tokensAfter ?? 0) < tokenizer.count(text));
  await assert.rejects(
    compressor.compress(jobOf([text], { options: { ...asked, reduce_level: 'phrase' } })),
    { code: 'METHOD_UNAVAILABLE' },
  );
});
