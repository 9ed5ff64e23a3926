/** Fixed vectors of the reference arithmetic: numbers worked out by hand and by running the Python packages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clampedRate,
  dynamicRatios,
  dynamicRatiosPaper,
  targetFromRate,
  twoStage,
} from '../../src/compress/reference/contexts.ts';
import {
  referenceItpc,
  referenceThreshold,
  referenceWindows,
} from '../../src/compress/reference/itpc.ts';
import { chooseWords, joinPieces } from '../../src/compress/reference/llmlingua2.ts';
import {
  applyContextBudget,
  percentile,
  pythonBorder,
} from '../../src/compress/reference/numbers.ts';
import { referenceSelection } from '../../src/compress/reference/selective-context.ts';
import { contrastiveScores } from '../../src/compress/longllmlingua-question.ts';

const close = (got: ArrayLike<number>, want: readonly number[], tolerance = 1e-6): void => {
  assert.equal(got.length, want.length);
  want.forEach((value, i) =>
    assert.ok(
      Math.abs((got[i] ?? Number.NaN) - value) <= tolerance,
      `${i}: ${got[i]} for ${value}`,
    ),
  );
};

test('percentile interpolates linearly', () => {
  const values = [0.9, 0.1, 0.5, 0.3, 0.7, 0.2];
  for (const [q, want] of [
    [50, 0.4],
    [51, 0.41],
    [67, 0.57],
    [34, 0.27],
    [0, 0.1],
    [100, 0.9],
  ] as const)
    close([percentile(values, q)], [want]);
  assert.ok(Number.isNaN(percentile([], 50)));
  close([percentile([Number.NaN, 1, 3], 50)], [2]);
});

test('the percentile places of a keep rate are truncated as in Python', () => {
  const rates = [0.1, 0.25, 0.33, 0.5, 0.66, 0.7, 0.71, 0.75, 0.9];
  const places = rates.map((rate) => Math.trunc(100 * (1 - rate) + 1));
  assert.deepEqual(places, [91, 76, 68, 51, 35, 31, 30, 26, 10]);
});

test('the threshold of the iterative stage is strict and one short', () => {
  const loss = Float32Array.of(5, 1, 3, 2, 4);
  for (const { rate, threshold, kept } of [
    { rate: 0.5, threshold: 4, kept: [0] },
    { rate: 0.6, threshold: 3, kept: [0, 4] },
    { rate: 0.1, threshold: 5, kept: [] },
    { rate: 0.999, threshold: 2, kept: [0, 2, 4] },
  ]) {
    const found = referenceThreshold(loss, rate);
    assert.equal(found, threshold);
    assert.deepEqual(
      [...loss.keys()].filter((i) => (loss[i] ?? 0) > found),
      kept,
    );
  }
  assert.equal(referenceThreshold(loss, 1), Number.NEGATIVE_INFINITY);
  const many = Float32Array.from({ length: 200 }, (_, i) => i);
  const middle = referenceThreshold(many, 0.5);
  assert.equal(many.filter((value) => value > middle).length, 99);
});

test('windows are cut at context borders and the first is one token short', () => {
  const windows = referenceWindows(
    [
      { tokens: 450, rate: 0.5 },
      { tokens: 100, rate: 0.2 },
    ],
    200,
  );
  assert.deepEqual(
    windows.map((window) => window.map(({ tokens, rate }) => [tokens, rate])),
    [
      [[199, 0.5]],
      [[200, 0.5]],
      [
        [51, 0.5],
        [100, 0.2],
      ],
    ],
  );
});

test('rates by rank, as the code and as the paper has them', () => {
  const rates = (base: number, additions: readonly number[]): number[] =>
    additions.map((addition) => clampedRate(base, addition));
  close(rates(0.5, dynamicRatios(4, 0.4)), [0.9, 0.633333333, 0.366666667, 0.1]);
  close(rates(0.33, dynamicRatios(3, 0.3)), [0.63, 0.33, 0.03]);
  close(rates(0.6, dynamicRatios(5, 0.25)), [0.85, 0.725, 0.6, 0.475, 0.35]);
  close(rates(0.5, dynamicRatiosPaper(4, 0.4)), [0.9, 0.7, 0.5, 0.3]);
  assert.deepEqual(dynamicRatios(1, 0.4), [0]);
  assert.deepEqual(dynamicRatios(0, 0.4), []);
});

test('two_stage puts the best at both ends', () => {
  assert.deepEqual(twoStage([3, 0, 4, 1, 2]), [3, 4, 2, 1, 0]);
});

test('contrastive scores are the fall of surprisal through the question', () => {
  const scores = contrastiveScores([3.1, 5.0, 0.4, 2.2, 6.3], [1.0, 4.9, 0.4, 0.7, 6.5]);
  close(scores, [2.1, 0.1, 0, 1.5, -0.2]);
  const best = [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0)).slice(0, 2);
  assert.deepEqual(best.sort(), [0, 3]);
});

test('units below the percentile go, ties stay', () => {
  const info = [1.2, 0.4, 2.5, 0.9, 3.1, 0.2, 1.7, 0.6];
  for (const [reduce, threshold, kept] of [
    [0.2, 0.48, [0, 2, 3, 4, 6, 7]],
    [0.35, 0.735, [0, 2, 3, 4, 6]],
    [0.5, 1.05, [0, 2, 4, 6]],
    [0.65, 1.475, [2, 4, 6]],
    [0.8, 2.18, [2, 4]],
  ] as const) {
    const found = referenceSelection(info, reduce);
    close([found.threshold], [threshold]);
    assert.deepEqual(
      info.map((_, i) => i).filter((i) => found.kept[i] === 1),
      kept,
    );
  }
});

test('words of the classifier are weighted by the tokens they have elsewhere', () => {
  const probabilities = [0.08, 0.91, 0.22, 0.95, 0.87, 0.83, 0.4, 0.97, 0.62, 0.55];
  const counts = [1, 1, 1, 1, 1, 1, 1, 3, 1, 1];
  const words = probabilities.map((_, i) => String(i));
  for (const [rate, threshold, kept] of [
    [0.5, 0.8544, [1, 3, 4, 7]],
    [0.33, 0.9292, [3, 7]],
    [0.75, 0.529, [1, 3, 4, 5, 7, 8, 9]],
  ] as const) {
    const choice = chooseWords(
      { words, probabilities },
      {
        prompt: { forceTokens: [], dropConsecutive: false },
        reduce: 1 - rate,
        count: (word) => counts[Number(word)] ?? 0,
      },
    );
    close([choice.threshold], [threshold]);
    assert.deepEqual(
      words.map(Number).filter((i) => choice.labels[i] === 1),
      kept,
    );
  }
});

test('drop_consecutive drops a force token that nothing separates from the same one', () => {
  const choice = chooseWords(
    { words: ['.', 'a', '.', 'b', '.', 'c'], probabilities: [1, 0.1, 1, 0.9, 1, 0.5] },
    {
      prompt: { forceTokens: ['.'], dropConsecutive: true },
      reduce: 0.3,
      count: () => 1,
    },
  );
  assert.deepEqual([...choice.labels], [1, 0, 0, 1, 1, 1]);
});

test('a rate becomes tokens of the context, question and instruction charged', () => {
  const lengths = { instruction: 40, question: 20, contexts: [300, 200, 500], rate: 0.5 };
  assert.equal(targetFromRate(lengths), 470);
  assert.equal(targetFromRate({ ...lengths, concateQuestion: false }), 490);
});

test('context_budget is a sign and a number, never code', () => {
  assert.equal(applyContextBudget(300, '+100'), 400);
  assert.equal(applyContextBudget(300, '*1.5'), 450);
  assert.equal(applyContextBudget(300, '-50'), 250);
  assert.equal(applyContextBudget(300, ' / 2 '), 150);
  for (const rule of ['', '100', '+', '**2', '+1;process.exit()', '+1e9+1', '/0'])
    assert.equal(applyContextBudget(300, rule), null, rule);
});

test('slice borders are read as Python reads them', () => {
  assert.deepEqual(
    [-200, -1, 0, 3, 99].map((border) => pythonBorder(border, 5)),
    [0, 4, 0, 3, 5],
  );
});

test('WordPiece pieces are joined as the Hugging Face decoder joins them', () => {
  assert.equal(
    joinPieces(['It', 'does', "n't", 'mid', '##House', ',', 'ok', '?']),
    "It doesn't midHouse, ok?",
  );
});

test('the loss of a token decides about the one before it', async () => {
  // Rare tokens at places 5 mod 10: the reference keeps 4 mod 10.
  const ids = Uint32Array.from({ length: 100 }, (_, i) => i);
  const result = await referenceItpc({
    ids,
    start: 0,
    windows: referenceWindows([{ tokens: 102, rate: 0.13 }], 100),
    iterativeSize: 100,
    maxPositions: 2048,
    compare: false,
    splitId: null,
    losses: async (fed) =>
      Float32Array.from(fed.slice(1), (id) => (id % 10 === 5 ? 9 : 1 + id / 1000)),
  });
  const kept = [...result.keptIds].filter((id) => id < 90);
  assert.ok(kept.length > 5);
  assert.ok(kept.filter((id) => id % 10 === 4).length >= kept.length - 1, String(kept));
});
