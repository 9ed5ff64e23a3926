import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLlmlingua } from '../../src/compress/llmlingua.ts';
import { leftContextTokens } from '../../src/compress/llmlingua-surprisal.ts';
import { isSubsequence } from '../../src/compress/mask.ts';
import { SluiceError } from '../../src/core/errors.ts';
import type { Compressor, Survivors } from '../../src/compress/types.ts';
import { documentOf, jobOf, prose, wordsOf } from '../helpers/compress-jobs.ts';
import { fakeSurprisal, noScorers } from '../helpers/fake-scorer.ts';
import type { FakeOptions } from '../helpers/fake-scorer.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

const tokenizer = fakeTokenizer();
const setUp = (options: Partial<FakeOptions> = {}) => {
  const surprisal = fakeSurprisal({ tokenizer, ...options });
  const compressor: Compressor = createLlmlingua({
    tokenizer,
    scorers: { ...noScorers, surprisal },
  });
  return { surprisal, compressor };
};
const text = prose(60);

test('the budget is met within one word, words stay whole, order stays', async () => {
  const { compressor } = setUp();
  for (const rate of [0.8, 0.5, 0.33, 0.2, 0.1, 0.05]) {
    const result = await compressor.compress(jobOf([text], { budget: { type: 'rate', rate } }));
    const [segment] = result.segments;
    assert.ok(segment);
    const allowed = Math.floor(segment.tokensBefore * rate);
    assert.equal(segment.tokensAfter, tokenizer.count(segment.text));
    assert.ok(segment.tokensAfter <= allowed, `${segment.tokensAfter} of ${allowed}`);
    assert.ok(segment.tokensAfter >= allowed - 4, `${segment.tokensAfter} of ${allowed}`);
    assert.ok(isSubsequence(segment.text, text));
    const known = new Set(wordsOf(text));
    assert.deepEqual(
      wordsOf(segment.text).filter((word) => !known.has(word)),
      [],
    );
    assert.ok(segment.text.includes('\n'), 'line breaks are kept');
    assert.equal(segment.method, 'llmlingua');
  }
});

test('a smaller rate keeps words of the larger rate only', async () => {
  const { compressor } = setUp();
  const kept = async (rate: number): Promise<Set<number>> => {
    const { segments } = await compressor.compress(
      jobOf([text], { budget: { type: 'rate', rate }, options: { iterative_size: 5000 } }),
    );
    const mask = segments[0]?.mask;
    return new Set([...(mask?.keep.keys() ?? [])].filter((i) => mask?.keep[i] === 1));
  };
  const many = await kept(0.6);
  for (const group of await kept(0.3)) assert.ok(many.has(group), `group ${group}`);
});

test('the surprising words stay', async () => {
  const marked = new Set(tokenizer.encode(' quaxolotl').ids);
  const { compressor } = setUp({ value: (id) => (marked.has(id) ? 9 : 1) });
  const source = prose(20).replaceAll(' garden', ' quaxolotl');
  const times = source.split('quaxolotl').length - 1;
  assert.ok(times > 2);
  const result = await compressor.compress(
    jobOf([source], { budget: { type: 'rate', rate: 0.3 } }),
  );
  assert.equal((result.segments[0]?.text.split('quaxolotl').length ?? 0) - 1, times);
});

test('every token is scored once, after the tail of what was kept before it', async () => {
  const fed: Uint32Array[] = [];
  const { compressor, surprisal } = setUp({ onPass: (ids) => fed.push(ids) });
  await compressor.compress(
    jobOf([text], { budget: { type: 'rate', rate: 0.3 }, options: { iterative_size: 100 } }),
  );
  const { ids } = tokenizer.encode(text);
  assert.ok(fed.length > 5);
  let scored = 0;
  fed.forEach((pass, i) => {
    assert.equal(pass[0], surprisal.bosId);
    const left = i === 0 ? 0 : pass.length - 1 - windowLength(pass, ids, scored);
    assert.ok(left <= leftContextTokens);
    const prefix = pass.subarray(1, 1 + left);
    const before = ids.subarray(0, scored);
    if (i > 1) assert.equal(left, leftContextTokens);
    assert.ok(isSubsequenceOf(prefix, before), `pass ${i} reads kept tokens of the text before it`);
    scored += pass.length - 1 - left;
  });
  assert.equal(scored, ids.length);
  assert.ok(surprisal.tokensFed / ids.length < 1.5, `${surprisal.tokensFed} of ${ids.length}`);
});

/** The longest end of the pass that is the text from `at` on. */
function windowLength(pass: Uint32Array, ids: Uint32Array, at: number): number {
  for (let length = Math.min(pass.length - 1, ids.length - at); length > 0; length--) {
    const tail = pass.subarray(pass.length - length);
    if (tail.every((id, i) => id === ids[at + i])) return length;
  }
  return 0;
}

function isSubsequenceOf(part: Uint32Array, whole: Uint32Array): boolean {
  let at = 0;
  for (const id of part) {
    while (at < whole.length && whole[at] !== id) at++;
    if (at++ >= whole.length) return false;
  }
  return true;
}

test('five tokens are compressed too', async () => {
  const { compressor } = setUp();
  const short = 'red blue green grey pink';
  const result = await compressor.compress(jobOf([short], { budget: { type: 'rate', rate: 0.6 } }));
  const after = result.segments[0]?.tokensAfter ?? 0;
  assert.ok(after > 0 && after <= 0.6 * tokenizer.count(short), String(after));
});

test('survivors stay, in the budget when it allows them', async () => {
  const { compressor } = setUp();
  const survivors: Survivors = {
    classes: ['number'],
    literals: ['harbour'],
    patterns: [/lantern/u],
  };
  for (const rate of [0.5, 0.1]) {
    const { segments } = await compressor.compress(
      jobOf([text], { budget: { type: 'rate', rate }, survivors }),
    );
    const output = segments[0]?.text ?? '';
    const count = (pattern: RegExp, of: string): number => of.match(pattern)?.length ?? 0;
    for (const pattern of [/\d{4}/g, /harbour/g, /lantern/g])
      assert.equal(count(pattern, output), count(pattern, text));
    assert.equal(segments[0]?.skipped, null);
  }
});

test('contexts with little information go first, and the rest share the whole budget', async () => {
  const dull = new Set(tokenizer.encode(' alpha beta gamma').ids);
  const { compressor } = setUp({ value: (id) => (dull.has(id) ? 0.1 : 5) });
  const boring = ' alpha beta gamma'.repeat(60).trim();
  const texts = [boring, prose(20, 2), boring, prose(20, 3)];
  const result = await compressor.compress(
    jobOf(texts, { budget: { type: 'tokens', tokens: 500 } }),
  );
  assert.equal(result.segments[0]?.text.trim(), '');
  assert.equal(result.segments[2]?.text.trim(), '');
  assert.ok(result.tokensAfter <= 500 && result.tokensAfter >= 495, String(result.tokensAfter));
  assert.deepEqual(result.order, [0, 1, 2, 3]);

  const forced = await compressor.compress(
    jobOf(texts, { budget: { type: 'tokens', tokens: 500 }, options: { force_context_ids: [2] } }),
  );
  assert.notEqual(forced.segments[2]?.text.trim(), '');
  const one = await compressor.compress(
    jobOf(texts, { budget: { type: 'tokens', tokens: 500 }, options: { force_context_number: 1 } }),
  );
  assert.equal(one.segments.filter((segment) => segment.text.trim() !== '').length, 1);
});

test('a segment with a rate of its own is cut to it and never dropped', async () => {
  const { compressor } = setUp();
  const own = documentOf(prose(20, 4), { rate: 0.2 });
  const result = await compressor.compress(
    jobOf([prose(20, 5), own, prose(20, 6)], { budget: { type: 'rate', rate: 0.5 } }),
  );
  const [, segment] = result.segments;
  const ratio = (segment?.tokensAfter ?? 0) / (segment?.tokensBefore ?? 1);
  assert.ok(ratio <= 0.2 && ratio > 0.18, String(ratio));
});

test('the sentence filter leaves whole sentences out and keeps the ones that are asked for', async () => {
  const { compressor } = setUp();
  const source = prose(40, 7);
  const options = { use_sentence_level_filter: true, token_budget_ratio: 1.2 };
  const run = async (more: object): Promise<string> => {
    const { segments } = await compressor.compress(
      jobOf([source], { budget: { type: 'rate', rate: 0.3 }, options: { ...options, ...more } }),
    );
    return segments[0]?.text ?? '';
  };
  const output = await run({});
  const stops = (of: string): number => of.split('.').length - 1;
  assert.ok(stops(output) < stops(source) / 2, output);
  const whole = await run({ use_token_level_filter: false, keep_first_sentence: 2 });
  assert.ok(whole.startsWith(source.slice(0, source.indexOf('. ', source.indexOf('. ') + 2))));
  for (const sentence of whole.split(/(?<=\.)\s+/u))
    assert.ok(source.includes(sentence.trim()), sentence);
});

test('reorder_context moves open segments among their places only', async () => {
  const rare = (name: string): Set<number> => new Set(tokenizer.encode(` ${name}`).ids);
  const [low, high] = [rare('alph'), rare('omeg')];
  const { compressor } = setUp({ value: (id) => (high.has(id) ? 9 : low.has(id) ? 0.5 : 4) });
  const texts = [
    ' alph'.repeat(100).trim(),
    documentOf('Instructions that stay.', { policy: 'pinned' }),
    prose(12, 8),
    ' omeg'.repeat(100).trim(),
  ];
  const order = async (reorder_context: 'sort' | 'two_stage' | 'original') =>
    (
      await compressor.compress(
        jobOf(texts, { options: { reorder_context, use_context_level_filter: true } }),
      )
    ).order;
  assert.deepEqual(await order('sort'), [3, 1, 2, 0]);
  assert.deepEqual(await order('original'), [0, 1, 2, 3]);
  assert.deepEqual((await order('two_stage')).toSorted(), [0, 1, 2, 3]);
});

test('nothing of the job is changed, and the same job gives the same result', async () => {
  const { compressor } = setUp();
  const job = jobOf([prose(20, 9), prose(20, 10), prose(20, 11)], {
    options: { force_context_ids: [0], reorder_context: 'sort' },
  });
  const before = structuredClone({ ...job, signal: null });
  const first = await compressor.compress(job);
  const second = await compressor.compress(job);
  assert.deepEqual({ ...job, signal: null }, before);
  assert.deepEqual(first, second);
});

test('text that looks like a special token is text', async () => {
  const { compressor } = setUp();
  const source = `<|endoftext|> ${prose(10)} <s> [MASK] </s> ${prose(10, 2)} <|im_end|>`;
  const result = await compressor.compress(jobOf([source]));
  assert.equal(result.segments[0]?.skipped, null);
  assert.ok(isSubsequence(result.segments[0]?.text ?? '', source));
});

test('without a scorer the method is unavailable; broken options are named', async () => {
  const none = createLlmlingua({ tokenizer, scorers: noScorers });
  await assert.rejects(async () => none.compress(jobOf([text])), { code: 'METHOD_UNAVAILABLE' });
  const { compressor } = setUp();
  for (const options of [{ context_budget: 'process.exit()' }, { iterative_size: 0 }])
    await assert.rejects(compressor.compress(jobOf([text, text], { options })), {
      code: 'REQUEST_INVALID',
    });
});

test('a fired signal stops between two passes', async () => {
  const controller = new AbortController();
  const { compressor, surprisal } = setUp({ onPass: () => controller.abort() });
  const job = jobOf([text], { options: { iterative_size: 20 }, signal: controller.signal });
  await assert.rejects(compressor.compress(job), (error) => SluiceError.isInstance(error));
  assert.equal(surprisal.passes, 1);
});

test('a window never exceeds the scorer, whatever the text', async () => {
  const { compressor } = setUp({ contextLength: 64 });
  const url = `https://example.org/${'a'.repeat(900)}`;
  const result = await compressor.compress(
    jobOf([`${prose(3)} ${url} ${prose(3, 2)} ${'漢字'.repeat(300)}`], {
      options: { iterative_size: 10_000 },
    }),
  );
  assert.equal(result.segments.length, 1);
});

test('reference mode repeats the reference: first window short, short texts untouched', async () => {
  const { compressor } = setUp();
  const options = { reference: true };
  const short = await compressor.compress(jobOf([prose(1)], { options }));
  assert.equal(short.segments[0]?.skipped, 'not-worth-it');
  const long = await compressor.compress(jobOf([text], { options }));
  assert.ok((long.segments[0]?.tokensAfter ?? 0) < tokenizer.count(text));
});
