/** What every method without a model promises, over random text in many scripts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCompressor } from '../../src/compress/create.ts';
import { isSubsequence, renderMask } from '../../src/compress/mask.ts';
import { splitUnits } from '../../src/compress/units.ts';
import type { BaselineName, MethodName } from '../../src/core/method.ts';
import { contentKinds } from '../../src/core/span.ts';
import type { ContentKind, Policy, SpanKind } from '../../src/core/span.ts';
import type { CompressJob, CompressResult, Segment } from '../../src/compress/types.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import { noScorers } from '../helpers/fake-scorer.ts';

const tokenizer = fakeTokenizer();
const deps = { tokenizer, scorers: noScorers };
const methods: readonly (MethodName | BaselineName)[] = [
  ...(['auto', 'extractive', 'structural'] as const),
  ...(['head', 'tail', 'middle', 'random-word', 'random-sentence'] as const),
  ...(['bm25-sentence', 'bm25-document', 'identity'] as const),
];

const sentence = fc.constantFrom(
  'The station opened in 1931 near the river.',
  "It isn't served by express trains, except on Sundays.",
  'Der Kraftwerksbau begann nicht vor 1998!',
  'Станция открыта в 1903 году и не закрывалась.',
  'افتتحت المحطة عام 1950 ولم تغلق.',
  '车站在1931年开业，不设快车。',
  '駅は1931年に開業し、急行は止まらない。',
  'สถานีเปิดในปี 2474 และไม่มีรถด่วน',
  'Great 👩‍👩‍👧 trip 🚆 to the café!',
  'Call `getUserName(id)` with user_id=42, see https://a.example/x?y=1.',
  'const total = items.map((x) => x.price * 1.2); // sum',
  '- item one, 12.5% of $3,000',
  '{"id": 17, "name": "x"}',
  '# Heading',
  '| a | b |',
  '2024-05-01 ERROR disk /dev/sda1 failed',
);
const text = fc
  .array(fc.tuple(sentence, fc.constantFrom(' ', '\n', '\n\n', '  ')), {
    minLength: 1,
    maxLength: 30,
  })
  .map((pairs) => pairs.map(([body, gap]) => body + gap).join(''));
const wild = fc.string({ unit: 'grapheme', maxLength: 120 });

const segment: fc.Arbitrary<Segment> = fc.record({
  text: fc.oneof({ weight: 5, arbitrary: text }, { weight: 1, arbitrary: wild }),
  kind: fc.constantFrom<SpanKind>('document', 'demonstration', 'tool-result', 'history'),
  content: fc.oneof(
    { weight: 3, arbitrary: fc.constant<ContentKind>('prose') },
    { weight: 2, arbitrary: fc.constantFrom(...contentKinds) },
  ),
  policy: fc.constantFrom<Policy>(
    'compressible',
    'compressible',
    'compressible',
    'pinned',
    'droppable',
  ),
});

const job: fc.Arbitrary<CompressJob> = fc.record({
  segments: fc.array(segment, { minLength: 1, maxLength: 5 }),
  question: fc.constantFrom('', 'When did the station open?', '车站什么时候开业？'),
  instruction: fc.constant(''),
  budget: fc.oneof(
    fc.double({ min: 0.05, max: 1, noNaN: true }).map((rate) => ({ type: 'rate' as const, rate })),
    fc.integer({ min: 1, max: 400 }).map((tokens) => ({ type: 'tokens' as const, tokens })),
  ),
  survivors: fc.constantFrom(
    { classes: ['number', 'negation'] as const, literals: [], patterns: [] },
    { classes: [], literals: ['1931'], patterns: [/Kraft\w+/gu] },
  ),
  options: fc.constant({}),
  minTokens: fc.constantFrom(0, 20),
  signal: fc.constant(null),
});

/** Checks that hold for every result. */
function check(input: CompressJob, result: CompressResult): void {
  assert.equal(result.segments.length, input.segments.length);
  result.segments.forEach((out, i) => {
    const source = input.segments[i];
    assert.ok(source !== undefined);
    assert.equal(out.tokensBefore, tokenizer.count(source.text));
    assert.equal(out.tokensAfter, tokenizer.count(out.text));
    assert.ok(out.tokensAfter <= out.tokensBefore, 'never longer');
    assert.ok(isSubsequence(out.text, source.text), 'a subsequence');
    assert.equal(renderMask(source.text, out.mask), out.text, 'the mask says what the text is');
    assert.equal(out.method === null, out.skipped !== null, 'whole with a reason, or decided');
    if (source.policy === 'pinned') assert.equal(out.text, source.text);
    if (source.policy === 'droppable') assert.ok(out.text === '' || out.text === source.text);
    for (const literal of input.survivors.literals)
      assert.equal(out.text.split(literal).length, source.text.split(literal).length);
    for (const pattern of input.survivors.patterns)
      assert.deepEqual(out.text.match(pattern), source.text.match(pattern));
  });
  const after = result.segments.reduce((sum, out) => sum + out.tokensAfter, 0);
  assert.equal(result.tokensAfter, after);
  assertBudget(input, result);
}

/**
 * Within the budget: what was decided, unless the notes say that what must stay is above it. Whole droppable
 * segments are bounded apart: at least one of them stays.
 */
function assertBudget(input: CompressJob, result: CompressResult): void {
  if (result.budgetTokens === null || result.notes.some((note) => note.startsWith('budget-below')))
    return;
  const decided = result.segments.filter(
    (out, i) => out.skipped === null && input.segments[i]?.policy === 'compressible',
  );
  const after = decided.reduce((sum, out) => sum + out.tokensAfter, 0);
  assert.ok(after <= result.budgetTokens, `${after} of ${result.budgetTokens}`);
}

for (const method of methods) {
  const compressor = createCompressor(method, deps);
  test(`${method}: never longer, a subsequence, within the budget, survivors present, repeatable`, async () => {
    await fc.assert(
      fc.asyncProperty(job, async (input) => {
        const before = JSON.stringify(input);
        const first = await compressor.compress(input);
        check(input, first);
        const second = await compressor.compress(input);
        assert.deepEqual(second, first, 'the same job gives the same bytes');
        assert.equal(JSON.stringify(input), before, 'the job is untouched');
      }),
      { numRuns: method === 'auto' || method === 'extractive' ? 200 : 100 },
    );
  });
}

test('extractive: the unused budget is smaller than any unit that is left out', async () => {
  const compressor = createCompressor('extractive', deps);
  await fc.assert(
    fc.asyncProperty(text, fc.double({ min: 0.1, max: 0.9, noNaN: true }), async (body, rate) => {
      const result = await compressor.compress({
        segments: [{ text: body, kind: 'document', content: 'prose', policy: 'compressible' }],
        question: 'station',
        instruction: '',
        budget: { type: 'rate', rate },
        survivors: { classes: [], literals: [], patterns: [] },
        options: {},
        minTokens: 0,
        signal: null,
      });
      const [out] = result.segments;
      if (out === undefined || out.skipped !== null || result.notes.length > 0) return;
      const left = (result.budgetTokens ?? 0) - out.tokensAfter;
      assert.ok(left >= 0);
      const { starts, kinds } = splitUnits(body);
      const headings = new Set([...starts].filter((_, i) => kinds[i] === 'heading'));
      out.mask.starts.forEach((start, i) => {
        if (out.mask.keep[i] === 1) return;
        const unit = body.slice(start, out.mask.ends[i]);
        if (headings.has(start)) return; // a heading is not taken alone
        if (start === out.mask.ends[i - 1]) return; // the rest of a unit that was cut
        // one token for the separator, one for a border that tokenises differently
        assert.ok(tokenizer.count(unit) + 2 > left, `${unit} would fit into ${left}`);
      });
    }),
    {
      numRuns: 100,
      examples: [
        // a line without a full stop is the heading of what follows
        [
          'The station opened in 1931 near the river.\n\nสถานีเปิดในปี 2474 และไม่มีรถด่วน\n\nconst total = items.map((x) => x.price * 1.2); // sum ',
          0.44827586205172415,
        ],
      ],
    },
  );
});

test('extractive: a lower rate keeps fewer tokens', async () => {
  const compressor = createCompressor('extractive', deps);
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), async (bodies) => {
      const at = async (rate: number): Promise<number> => {
        const result = await compressor.compress({
          segments: bodies.map((body) => ({
            text: body,
            kind: 'document',
            content: 'prose',
            policy: 'compressible',
          })),
          question: '',
          instruction: '',
          budget: { type: 'rate', rate },
          survivors: { classes: [], literals: [], patterns: [] },
          options: {},
          minTokens: 0,
          signal: null,
        });
        // A budget below the smallest sentence leaves everything; as little as possible is meant.
        return result.notes.includes('budget-below-one-unit') ? 0 : result.tokensAfter;
      };
      const kept = [await at(0.2), await at(0.5), await at(0.9)];
      assert.ok((kept[0] ?? 0) <= (kept[1] ?? 0) && (kept[1] ?? 0) <= (kept[2] ?? 0), kept.join());
    }),
    { numRuns: 40 },
  );
});
