/** What makes a unit worth keeping for a question, model by model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PoolUnit } from '../../src/compress/pool-unit.ts';
import { relevanceToQuestion } from '../../src/compress/relevance.ts';
import { gatherSignals, modelsOf, noSignals } from '../../src/compress/signals.ts';
import { tierLimits } from '../../src/compress/tiers.ts';
import { createTurns } from '../../src/core/turns.ts';
import type { ScorerSet } from '../../src/score/types.ts';
import { noScorers } from '../helpers/fake-scorer.ts';
import { jobOf } from '../helpers/compress-jobs.ts';

const sentence = (text: string, document: number, position = 0): PoolUnit => {
  return { text, document, paragraph: 0, position, turn: null };
};
const said = (text: string, turn: number): PoolUnit => {
  return { text, document: 0, paragraph: 0, position: 0, turn };
};
const best = (scores: Float64Array): number => scores.indexOf(Math.max(...scores));

test('names in the best sentence are looked for in other documents', () => {
  const units = [
    sentence('The novel Grey Water was written by the author Mira Osten in one winter.', 1),
    sentence('The harbour of Verrin closes early on most days of the week.', 2),
    sentence('Osten was born in the mining town of Kalvik.', 3),
    sentence('The museum in the old mill shows tools of the trade.', 4),
  ];
  const scores = relevanceToQuestion(units, 'Where was the author of the novel Grey Water born?');
  const plain = relevanceToQuestion(
    units.map((unit) => ({ ...unit, text: unit.text.replace('Mira Osten', 'somebody') })),
    'Where was the author of the novel Grey Water from?',
  );
  assert.equal(best(scores), 0);
  assert.ok((scores[2] ?? 0) > (scores[1] ?? 0) && (scores[2] ?? 0) > (scores[3] ?? 0));
  assert.ok((scores[2] ?? 0) - (scores[1] ?? 0) > (plain[2] ?? 0) - (plain[1] ?? 0));
});

test('a turn inherits from the turns around it, across messages', () => {
  const units = [
    said('Good morning.', 0),
    said('What is the address of the restaurant?', 1),
    said('It is 46 Harbour Lane.', 2),
    said('Thanks, that is all.', 3),
    said('Bye.', 4),
    said('Have a nice day.', 5),
    said('You too.', 6),
  ];
  const scores = relevanceToQuestion(units, 'What is the address of the restaurant?');
  assert.equal(best(scores), 1);
  assert.ok((scores[2] ?? 0) > (scores[5] ?? 0));
  assert.ok((scores[2] ?? 0) > (scores[6] ?? 0));
});

test('what models say moves the order', () => {
  const units = [1, 2, 3].map((document) => sentence('All of these read the same.', document));
  const vectors = Float32Array.of(0.1, 0.9, 0.2);
  assert.equal(best(relevanceToQuestion(units, 'Which one?', { ...noSignals, vectors })), 1);
  const tableVectors = Float32Array.of(0.1, 0.2, 0.9);
  assert.equal(best(relevanceToQuestion(units, 'Which one?', { ...noSignals, tableVectors })), 2);
  const pairs = Float32Array.of(5, -2, -3);
  assert.equal(best(relevanceToQuestion(units, 'Which one?', { ...noSignals, pairs })), 0);
});

/** A set of models that records how many texts it was asked about. */
function recorded(): { readonly scorers: ScorerSet; readonly asked: Record<string, number> } {
  const asked: Record<string, number> = {};
  const zeros = (name: string, texts: readonly string[]): Float32Array => {
    asked[name] = (asked[name] ?? 0) + texts.length;
    return new Float32Array(texts.length);
  };
  const units = (name: string, texts: readonly string[]): Float32Array[] =>
    Array.from(zeros(name, texts), () => Float32Array.of(1, 0));
  return {
    asked,
    scorers: {
      ...noScorers,
      table: {
        kind: 'table',
        id: 't',
        dimension: 2,
        encode: () => Uint32Array.of(1),
        scores: (_question, texts) => zeros('late', texts),
        vectors: (texts) => units('mean', texts),
      },
      vectors: {
        kind: 'vectors',
        id: 'v',
        dimension: 2,
        contextLength: 16,
        tokensFed: 0,
        vectors: async (texts) => units('vectors', texts),
      },
      pairs: {
        kind: 'pairs',
        id: 'p',
        contextLength: 16,
        tokensFed: 0,
        scores: async (_question, texts) => zeros('pairs', texts),
      },
    },
  };
}

async function askedBy(
  tier: 'express' | 'balanced' | 'thorough',
  units: readonly PoolUnit[],
  question = 'Which one?',
): Promise<{ readonly asked: Record<string, number>; readonly notes: readonly string[] }> {
  const { scorers, asked } = recorded();
  const job = jobOf([], { question });
  const turns = createTurns(null);
  const { notes } = await gatherSignals(units, modelsOf(tier, scorers), { job, turns });
  return { asked, notes };
}

test('each tier asks its own models', async () => {
  const documents = [sentence('One.', 1), sentence('Two.', 2)];
  const express = await askedBy('express', documents);
  assert.deepEqual(express, { asked: { mean: 3 }, notes: [] });
  const balanced = await askedBy('balanced', documents);
  assert.deepEqual(balanced, { asked: { vectors: 3 }, notes: [] });
  const thorough = await askedBy('thorough', documents);
  assert.deepEqual(thorough, { asked: { vectors: 3, pairs: 2 }, notes: [] });
  const spoken = await askedBy('express', [said('One.', 0)]);
  assert.deepEqual(spoken, { asked: { late: 1 }, notes: [] });
});

test('the token table ranks scripts without spaces, and says so', async () => {
  const documents = [sentence('车站在1931年开业。', 1), sentence('不设快车。', 2)];
  const found = await askedBy('balanced', documents, '车站何时开业？');
  assert.deepEqual(found, { asked: { mean: 3 }, notes: ['tier-lowered'] });
});

test('a code that one turn alone has lifts that turn', () => {
  const scores = (last: string): Float64Array =>
    relevanceToQuestion(
      [
        said('Good morning to you.', 0),
        said('I would like some help.', 1),
        said('What is it about?', 2),
        said('The weather is fine today.', 3),
        said('Please wait for a moment.', 4),
        said('Thanks, that is kind.', 5),
        said(last, 9),
      ],
      'Which reservation is meant?',
    );
  assert.equal(best(scores('Here it is: H8Q05L, thanks.')), 6);
  // an ordinal, a unit and a decade are no codes
  const plain = scores('Here it is: 1990s, thanks.');
  assert.ok((plain[6] ?? 0) < (scores('Here it is: H8Q05L, thanks.')[6] ?? 0));
});

test('a text too long for the tier falls back to the table, and says so', async () => {
  const long = [sentence('x'.repeat(tierLimits.vectorChars + 1), 1)];
  const { asked, notes } = await askedBy('balanced', long);
  assert.deepEqual(asked, { mean: 2 });
  assert.deepEqual(notes, ['tier-lowered']);
});

test('a missing model of the tier is told', async () => {
  const units = [sentence('One.', 1)];
  const turns = createTurns(null);
  const job = jobOf([], { question: 'Which one?' });
  const without = modelsOf('thorough', { ...recorded().scorers, pairs: null });
  const { notes, signals } = await gatherSignals(units, without, { job, turns });
  assert.deepEqual(notes, ['tier-lowered']);
  assert.equal(signals.pairs, null);
});
