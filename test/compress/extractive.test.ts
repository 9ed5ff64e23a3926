import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bm25, indexTerms, queryTerms, stem, terms } from '../../src/compress/bm25.ts';
import { createCompressor } from '../../src/compress/create.ts';
import { splitUnits } from '../../src/compress/units.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import { documentOf, jobOf, prose } from '../helpers/compress-jobs.ts';
import type { SegmentResult } from '../../src/compress/types.ts';
import { noScorers } from '../helpers/fake-scorer.ts';

const deps = { tokenizer: fakeTokenizer(), scorers: noScorers };
const extractive = createCompressor('extractive', deps);

test('terms: endings off, numbers and identifiers whole, bigrams where words have no blanks', () => {
  assert.deepEqual(terms("The cities' trains stopped"), ['the', 'city', 'train', 'stop']);
  assert.deepEqual(terms('1,250 user_id'), ['1,250', 'user_id', 'user', 'id']);
  assert.deepEqual(terms('车站开业'), ['车站', '站开', '开业']);
  assert.equal(stem('running'), stem('runs'));
  assert.equal(stem('bus'), 'bus');
});

test('query terms leave function words out unless there is nothing else', () => {
  assert.deepEqual(queryTerms('When was the station opened?'), ['station', 'open']);
  assert.deepEqual(queryTerms('who is it'), ['who', 'is', 'it']);
});

test('BM25 by hand', () => {
  const index = indexTerms([
    ['a', 'b'],
    ['a', 'a', 'c', 'd'],
    ['e', 'e', 'e'],
  ]);
  // idf(a) = ln(1 + 1.5/2.5); average length 3; k1 1.2, b .75
  const idf = Math.log(1 + 1.5 / 2.5);
  const first = (idf * 1 * 2.2) / (1 + 1.2 * (0.25 + 0.75 * (2 / 3)));
  const second = (idf * 2 * 2.2) / (2 + 1.2 * (0.25 + 0.75 * (4 / 3)));
  const scores = bm25(index, ['a']);
  assert.ok(Math.abs((scores[0] ?? 0) - first) < 1e-12);
  assert.ok(Math.abs((scores[1] ?? 0) - second) < 1e-12);
  assert.equal(scores[2], 0);
});

test('units: headings, turns, fences and long lines', () => {
  const kinds = (text: string): string[] => {
    const units = splitUnits(text);
    return [...units.starts].map(
      (start, i) => `${units.kinds[i]}:${text.slice(start, units.ends[i])}`,
    );
  };
  assert.deepEqual(kinds('Old Station\nIt opened in 1931. It closed.'), [
    'heading:Old Station',
    'sentence:It opened in 1931.',
    'sentence:It closed.',
  ]);
  assert.deepEqual(kinds('Anna: Hello. You there?\nBob: Yes.\nAnna: Good.'), [
    'turn:Anna: Hello. You there?',
    'turn:Bob: Yes.',
    'turn:Anna: Good.',
  ]);
  assert.ok(
    kinds('Look:\n```js\na. B.\n\nc\n```\nDone.').includes('sentence:```js\na. B.\n\nc\n```'),
  );
  const long = 'word '.repeat(400);
  assert.ok(splitUnits(long).starts.length > 2);
});

const filler = (topic: string): string =>
  Array.from(
    { length: 12 },
    (_, i) => `The ${topic} has part ${i} which is described at length here.`,
  ).join(' ');

test('documents compete for one budget, and the title comes along', async () => {
  const gold = `Mill Road Station\n${filler('line')} The station was opened by Ada Byron in 1931. ${filler('yard')}`;
  const job = jobOf([filler('garden'), gold, filler('museum')], {
    question: 'Who opened the Mill Road station?',
    budget: { type: 'rate', rate: 0.15 },
  });
  const { segments, tokensAfter, budgetTokens } = await extractive.compress(job);
  assert.ok(segments[1]?.text.startsWith('Mill Road Station\n'));
  assert.ok(segments[1]?.text.includes('opened by Ada Byron in 1931.'));
  assert.ok(tokensAfter <= (budgetTokens ?? 0));
});

test('a repeated passage is taken once', async () => {
  const passage = 'The vault code is kept by the harbour master.';
  const job = jobOf([`${passage} ${filler('ship')}`, `${passage} ${filler('crane')}`], {
    question: 'Who keeps the vault code?',
    budget: { type: 'rate', rate: 0.09 },
  });
  const { segments } = await extractive.compress(job);
  const times = segments.reduce((n, { text }) => n + text.split(passage).length - 1, 0);
  assert.equal(times, 1);
});

test('a segment with a rate of its own has a budget of its own', async () => {
  const job = jobOf([documentOf(filler('a'), { rate: 0.9 }), filler('b')], {
    budget: { type: 'rate', rate: 0.2 },
  });
  const [own, other] = (await extractive.compress(job)).segments;
  assert.ok((own?.tokensAfter ?? 0) > 0.7 * (own?.tokensBefore ?? 1));
  assert.ok((other?.tokensAfter ?? 1) <= 0.2 * (other?.tokensBefore ?? 0));
});

test('short documents count together, other short segments alone', async () => {
  const short = 'A short note about a train. It runs daily.';
  const documents = await extractive.compress(
    jobOf(
      Array.from({ length: 30 }, () => short),
      { minTokens: 150 },
    ),
  );
  assert.ok(documents.tokensAfter < documents.tokensBefore);
  const results = await extractive.compress(
    jobOf(
      Array.from({ length: 30 }, () => documentOf(short, { kind: 'tool-result' })),
      { minTokens: 150 },
    ),
  );
  assert.ok(results.segments.every(({ skipped }) => skipped === 'too-short'));
});

test('declared literals keep their sentence, and too small a budget is told', async () => {
  const text = `${filler('hall')} The keyword is Zanzibar. ${filler('roof')}`;
  const { segments, notes } = await extractive.compress(
    jobOf([text], {
      budget: { type: 'tokens', tokens: 2 },
      survivors: { classes: ['number'], literals: ['Zanzibar'], patterns: [] },
    }),
  );
  assert.equal(segments[0]?.text, 'The keyword is Zanzibar.');
  assert.deepEqual(notes, ['budget-below-survivors']);
});

test('a budget below one token is impossible', async () => {
  for (const budget of [
    { type: 'tokens', tokens: 0 },
    { type: 'rate', rate: 0 },
    { type: 'rate', rate: 1.5 },
  ] as const)
    await assert.rejects(extractive.compress(jobOf(['text'], { budget })), {
      code: 'BUDGET_IMPOSSIBLE',
    });
});

test('a gone client stops the job', async () => {
  await assert.rejects(extractive.compress(jobOf(['text'], { signal: AbortSignal.abort() })), {
    code: 'ABORTED',
  });
});

test('demonstrations go whole: the nearest to the question stays, then the most different', async () => {
  const shots = ['apples and pears', 'apples and plums', 'trains and stations'].map((topic) =>
    documentOf(`Q: How many ${topic} are there?\nA: There are 3 ${topic}, so the answer is 3.`, {
      kind: 'demonstration',
      policy: 'droppable',
    }),
  );
  const { segments } = await createCompressor('auto', deps).compress(
    jobOf(shots, { question: 'How many stations are there?', budget: { type: 'rate', rate: 0.7 } }),
  );
  assert.deepEqual(
    segments.map(({ text }) => text !== ''),
    [true, false, true],
  );
});

test('auto gives each content its method and leaves code to comments', async () => {
  const log = Array.from({ length: 60 }, (_, i) => `10:00:0${i % 10} INFO tick ${i}`).join('\n');
  const json = JSON.stringify(Array.from({ length: 40 }, (_, i) => ({ id: i, name: `n${i}` })));
  const { segments } = await createCompressor('auto', deps).compress(
    jobOf([
      filler('house'),
      documentOf(log, { content: 'log' }),
      documentOf(json, { content: 'json' }),
      documentOf('const a = 1;\nconst b = 2;\n', { content: 'code' }),
    ]),
  );
  assert.deepEqual(
    segments.map(({ method }) => method),
    ['extractive', 'structural', 'structural', null],
  );
  assert.equal(segments[3]?.skipped, 'no-method');
});

test('in a conversation the results of tools get more of the budget, and the sum stays', async () => {
  const json = JSON.stringify(
    Array.from({ length: 60 }, (_, i) => ({ id: `item_${i}`, name: `n${i}` })),
  );
  const result = documentOf(json, { kind: 'tool-result', content: 'json' });
  const spoken = [1, 2, 3].map((seed) => documentOf(prose(12, seed), { kind: 'history' }));
  const auto = createCompressor('auto', deps);
  const rateOf = ({ tokensAfter, tokensBefore }: SegmentResult): number =>
    tokensAfter / tokensBefore;
  for (const rate of [0.2, 0.5, 0.8]) {
    const job = jobOf([...spoken, result], {
      question: 'Which item?',
      budget: { type: 'rate', rate },
    });
    const whole = await auto.compress(job);
    assert.ok(whole.tokensAfter <= (whole.budgetTokens ?? 0) + 1, `rate ${rate}`);
    assert.ok(whole.tokensAfter >= 0.7 * (whole.budgetTokens ?? 0), `rate ${rate}`);
    const [alone] = (await auto.compress({ ...job, segments: [result] })).segments;
    const together = whole.segments.at(-1);
    assert.ok(alone !== undefined && together !== undefined);
    if (rate < 0.5) assert.ok(rateOf(together) > 1.3 * rateOf(alone), `rate ${rate}`);
  }
});

test('no sentence is cut inside: what is kept in part would lose its numbers and negations', async () => {
  const text =
    'Invoice 12345 of 2024-01-02 for EUR 99.50 to ACME-77 was not paid. The weather was fine on that day and everyone enjoyed it. We went to the market. It rained later.';
  for (const rate of [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]) {
    const result = await extractive.compress(
      jobOf([documentOf(text)], { budget: { type: 'rate', rate } }),
    );
    for (const sentence of result.segments[0]?.text.split(/(?<=\.)\s/) ?? [])
      assert.ok(text.includes(sentence) && sentence.endsWith('.'), `${rate}: ${sentence}`);
  }
});

test('a budget below the smallest sentence leaves the text as it came, with a note', async () => {
  const text = 'The harbour of the town was dredged in the spring of that year.';
  const result = await extractive.compress(
    jobOf([documentOf(text)], { budget: { type: 'tokens', tokens: 3 } }),
  );
  assert.equal(result.segments[0]?.text, text);
  assert.equal(result.segments[0]?.skipped, 'not-worth-it');
  assert.ok(result.notes.includes('budget-below-one-unit'));
});
