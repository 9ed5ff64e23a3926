import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLongLlmlingua } from '../../src/compress/longllmlingua.ts';
import { isSubsequence } from '../../src/compress/mask.ts';
import { jobOf, prose } from '../helpers/compress-jobs.ts';
import { fakeSurprisal, noScorers } from '../helpers/fake-scorer.ts';
import type { FakeOptions } from '../helpers/fake-scorer.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

const tokenizer = fakeTokenizer();
const setUp = (options: Partial<FakeOptions> = {}) => {
  const surprisal = fakeSurprisal({ tokenizer, contextLength: 2048, ...options });
  return {
    surprisal,
    compressor: createLongLlmlingua({ tokenizer, scorers: { ...noScorers, surprisal } }),
  };
};

/** A model that finds a token likely when it has read it already, as real ones do. */
const seenBefore: NonNullable<FakeOptions['value']> = (id, _previous, before) =>
  before.includes(id) ? 0.5 : 6;

const question = 'Who repaired the silver lantern of the captain?';
const fact = 'Old Marta repaired the silver lantern of the captain in Odessa.';
const filler = (seed: number): string =>
  prose(8, seed).replaceAll(/silver|lantern|captain|repaired/gu, 'meadow');
const documents = [filler(1), filler(2), `${filler(3)} ${fact} ${filler(4)}`, filler(5), filler(6)];

test('the document that explains the question is kept, the budget is met', async () => {
  const { compressor } = setUp({ value: seenBefore });
  const result = await compressor.compress(
    jobOf(documents, { question, budget: { type: 'tokens', tokens: 250 } }),
  );
  assert.ok(result.tokensAfter <= 250 && result.tokensAfter >= 240, String(result.tokensAfter));
  const texts = result.segments.map(({ text }) => text);
  assert.notEqual(texts[2]?.trim(), '');
  assert.ok(texts.filter((text) => text.trim() === '').length >= 2, 'others are left out');
  texts.forEach((text, i) => assert.ok(isSubsequence(text, documents[i] ?? '')));
  assert.deepEqual(result.order, [0, 1, 2, 3, 4]);
});

test('contrastive scores keep the words that the question makes likelier', async () => {
  const { compressor } = setUp({ value: seenBefore });
  const run = async (condition_compare: boolean): Promise<string> => {
    const { segments } = await compressor.compress(
      jobOf([documents[2] ?? ''], {
        question,
        budget: { type: 'rate', rate: 0.1 },
        options: { condition_compare },
      }),
    );
    return segments[0]?.text ?? '';
  };
  const compared = await run(true);
  for (const word of ['repaired', 'silver', 'lantern', 'captain'])
    assert.ok(compared.includes(word), `${word} in: ${compared}`);
});

test('better documents get higher rates, and the sum is still the budget', async () => {
  const { compressor } = setUp({ value: seenBefore });
  const run = async (dynamic_context_compression_ratio: number) => {
    const result = await compressor.compress(
      jobOf(documents, {
        question,
        budget: { type: 'tokens', tokens: 600 },
        options: { dynamic_context_compression_ratio, use_context_level_filter: false },
      }),
    );
    assert.ok(Math.abs(result.tokensAfter - 600) <= 6, String(result.tokensAfter));
    return result.segments.map(({ tokensAfter, tokensBefore }) => tokensAfter / tokensBefore);
  };
  const flat = await run(0);
  const spread = await run(0.3);
  assert.ok((spread[2] ?? 0) > (flat[2] ?? 0) + 0.15, `${spread[2]} against ${flat[2]}`);
  assert.ok(Math.max(...flat) - Math.min(...flat) < 0.05, String(flat));
});

test('one pass ranks a document and gives its own surprisals; the second is the question', async () => {
  const { compressor, surprisal } = setUp();
  const tokens = documents.reduce((sum, text) => sum + tokenizer.count(text), 0);
  const asked = tokenizer.count(question) + 40;
  await compressor.compress(jobOf(documents, { question, options: { condition_compare: false } }));
  assert.equal(surprisal.passes, documents.length);
  assert.ok(surprisal.tokensFed <= tokens + documents.length * asked);
});

test('reordering puts the best first or at both ends; original is the default', async () => {
  const { compressor } = setUp({ value: seenBefore });
  const order = async (reorder_context: 'sort' | 'two_stage') =>
    (
      await compressor.compress(
        jobOf(documents, {
          question,
          options: { reorder_context, use_context_level_filter: false },
        }),
      )
    ).order;
  assert.equal((await order('sort'))[0], 2);
  assert.equal((await order('two_stage'))[0], 2);
  assert.deepEqual((await order('sort')).toSorted(), [0, 1, 2, 3, 4]);
});

test('bm25 and the sentence filter are understood; "before" ranks by the document given the question', async () => {
  const { compressor } = setUp({ value: seenBefore });
  for (const options of [
    { rank_method: 'bm25' },
    { use_sentence_level_filter: true },
    { condition_in_question: 'before' },
    { add_instruction: true },
  ] as const) {
    const result = await compressor.compress(
      jobOf(documents, {
        question,
        instruction: 'Answer briefly.',
        budget: { type: 'tokens', tokens: 250 },
        options,
      }),
    );
    const name = JSON.stringify(options);
    assert.ok(result.tokensAfter <= 250, `${name}: ${result.tokensAfter}`);
    assert.notEqual(result.segments[2]?.text.trim(), '', name);
  }
});

test('the sentence that answers survives the sentence filter', async () => {
  const { compressor } = setUp({ value: seenBefore });
  const { segments } = await compressor.compress(
    jobOf([documents[2] ?? ''], {
      question,
      budget: { type: 'rate', rate: 0.2 },
      options: { use_sentence_level_filter: true, use_token_level_filter: false },
    }),
  );
  assert.ok(segments[0]?.text.includes(fact), segments[0]?.text);
});

test('long documents are read in pieces that fit the scorer', async () => {
  let longest = 0;
  const { compressor } = setUp({
    contextLength: 256,
    onPass: (ids) => (longest = Math.max(longest, ids.length)),
  });
  const result = await compressor.compress(
    jobOf([prose(120, 3), prose(40, 4)], { question: `${question} ${prose(30, 9)}` }),
  );
  assert.ok(longest <= 256, String(longest));
  assert.ok(result.tokensAfter <= (result.budgetTokens ?? 0));
});

test('no question or no scorer: unavailable', async () => {
  const { compressor } = setUp();
  await assert.rejects(compressor.compress(jobOf(documents)), { code: 'METHOD_UNAVAILABLE' });
  const none = createLongLlmlingua({ tokenizer, scorers: noScorers });
  await assert.rejects(none.compress(jobOf(documents, { question })), {
    code: 'METHOD_UNAVAILABLE',
  });
});
