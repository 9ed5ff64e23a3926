/** All four methods on the small committed models, over random text in several scripts. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { createCompressor } from '../../src/compress/create.ts';
import { survivorRanges } from '../../src/compress/guards.ts';
import { isSubsequence } from '../../src/compress/mask.ts';
import type { CompressJob, CompressResult, Survivors } from '../../src/compress/types.ts';
import { createScorers } from '../../src/score/create.ts';
import type { ScorerPool } from '../../src/score/create.ts';
import { wordGroups } from '../../src/tokenize/groups.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import { jobOf, prose } from '../helpers/compress-jobs.ts';
import { closePool } from '../helpers/close-pool.ts';

const models = 'test/fixtures/models';
const tokenizer = loadTokenizer(`${models}/tiny-causal`);
const methods = ['llmlingua', 'longllmlingua', 'llmlingua2', 'selective-context'] as const;
const survivors: Survivors = {
  classes: ['number', 'negation', 'url'],
  literals: ['harbour'],
  patterns: [/ISO-\d+/u],
};

const words =
  'the harbour was not far 1,250 kg ISO-9001 naïve Straße слово не 2024年 上海是中国的城市 東京 ภาษาไทย 🙂 👩‍👩‍👧 e.g. ' +
  'https://example.org/a?b=c <|endoftext|> [MASK] </s> foo_bar don’t "quoted text" مرحبا بالعالم';
const piece = fc.oneof(
  fc.constantFrom(...words.split(' ')),
  fc.constantFrom('. ', ', ', '\n', '\n\n', '  ', '\t', ' - ', '? ', '。'),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
);
const passage = fc
  .array(piece, { minLength: 1, maxLength: 80 })
  .map((parts) => parts.map((part, i) => (i % 3 === 2 ? `${part} ` : part)).join(' '));

describe('model-based methods on real models', () => {
  let pool: ScorerPool;
  before(async () => {
    pool = await createScorers({
      surprisal: `${models}/tiny-causal`,
      keep: `${models}/tiny-classifier`,
      workers: 1,
      threads: 1,
      queue: 256,
      cacheEntries: 200,
    });
  });
  after(() => closePool(pool));

  for (const method of methods)
    test(`${method}: subsequence, budget, survivors on any text`, async () => {
      const compressor = createCompressor(method, { tokenizer, scorers: pool });
      const cases = fc.record({
        texts: fc.array(passage, { minLength: 1, maxLength: 3 }),
        rate: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        inTokens: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(cases, async ({ texts, rate, inTokens }) => {
          const total = texts.reduce((sum, text) => sum + tokenizer.count(text), 0);
          const tokens = Math.max(1, Math.floor(rate * total));
          const job = jobOf(texts, {
            question: 'How far is the harbour?',
            budget: inTokens ? { type: 'tokens', tokens } : { type: 'rate', rate },
            survivors,
          });
          check(job, await compressor.compress(job));
        }),
        { numRuns: 25 },
      );
    });

  for (const method of methods)
    test(`${method}: the same bytes again, alone or beside others`, async () => {
      const compressor = createCompressor(method, { tokenizer, scorers: pool });
      const job = jobOf([prose(12), prose(12, 2)], { question: 'What was painted?' });
      const [first, , second] = await Promise.all([
        compressor.compress(job),
        compressor.compress(jobOf([prose(9, 3)], { question: 'What was sold?' })),
        compressor.compress(job),
      ]);
      assert.deepEqual(first, second);
    });

  test('a signal that fires while scoring ends the call', async () => {
    const compressor = createCompressor('llmlingua', { tokenizer, scorers: pool });
    const controller = new AbortController();
    const running = compressor.compress(
      jobOf([prose(300, 11)], {
        options: { iterative_size: 20 },
        signal: controller.signal,
      }),
    );
    setTimeout(() => controller.abort(), 20);
    await assert.rejects(running, { code: 'ABORTED' });
  });
});

function check(job: CompressJob, result: CompressResult): void {
  let exempt = false;
  result.segments.forEach((segment, i) => {
    const source = job.segments[i]?.text ?? '';
    assert.ok(isSubsequence(segment.text, source));
    assert.ok(segment.tokensAfter <= segment.tokensBefore);
    assert.equal(segment.tokensAfter, tokenizer.count(segment.text));
    assert.notEqual(segment.skipped, 'survivor-lost');
    assert.ok(!/\ud800-\udbff(?![\udc00-\udfff])/u.test(segment.text));
    // Whole segments that are left out keep declared survivors only; what stays keeps all of them.
    const kept = segment.text.trim() !== '';
    const wanted = kept ? survivors : { ...survivors, classes: [] };
    for (const { start, end } of survivorRanges(source, wanted))
      assert.ok(segment.text.includes(source.slice(start, end)), source.slice(start, end));
    const free = wordGroups(source).starts.length > 1;
    exempt ||= segment.skipped !== null || !free;
  });
  const allowed = result.budgetTokens ?? 0;
  const needed = job.segments.reduce((sum, { text }) => sum + survivorTokens(text), 0);
  if (!exempt && needed < allowed / 2)
    assert.ok(
      result.tokensAfter <= allowed + slackOf(result),
      `${result.tokensAfter} of ${allowed}, ${result.notes.join()}`,
    );
}

/** Where the survivors of one segment alone are above its share the sum may be above the budget; the notes say so. */
function slackOf(result: CompressResult): number {
  return result.notes.includes('budget-below-survivors') ? Number.POSITIVE_INFINITY : 0;
}

function survivorTokens(text: string): number {
  return survivorRanges(text, survivors).reduce(
    (sum, { start, end }) => sum + tokenizer.count(text.slice(start, end)),
    0,
  );
}
