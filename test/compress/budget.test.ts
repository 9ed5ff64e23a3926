import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fitToBudget,
  groupCosts,
  rankGroups,
  searchCut,
  selectWithinBudget,
} from '../../src/compress/budget.ts';
import { maskFromKeep, whyCode } from '../../src/compress/mask.ts';
import { wordGroups } from '../../src/tokenize/groups.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

const tokenizer = fakeTokenizer();

test('costs share a token by overlap and sum to the number of tokens', () => {
  const encoding = {
    ids: Uint32Array.of(1, 2, 3, 4),
    starts: Uint32Array.of(0, 3, 8, 9),
    ends: Uint32Array.of(3, 8, 9, 12),
  };
  // groups [0,5) and [5,8) share token 1 by 2:3; token 2 is a blank and goes to the group after it
  const groups = { starts: Uint32Array.of(0, 5, 9), ends: Uint32Array.of(5, 8, 12) };
  const costs = Array.from(groupCosts(encoding, groups), (cost) => Number(cost.toFixed(6)));
  assert.deepEqual(costs, [1.4, 0.6, 2]);
});

test('costs of any text sum to its tokens', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }), (text) => {
      const groups = wordGroups(text);
      if (groups.starts.length === 0) return;
      const sum = groupCosts(tokenizer.encode(text), groups).reduce((n, cost) => n + cost, 0);
      assert.ok(Math.abs(sum - tokenizer.count(text)) < 1e-6, `${sum} ${tokenizer.count(text)}`);
    }),
  );
});

test('ranking: best first, ties by position, NaN last, per token when asked', () => {
  assert.deepEqual([...rankGroups([1, 3, 3, Number.NaN], [1, 1, 1, 1], 'score')], [1, 2, 0, 3]);
  assert.deepEqual([...rankGroups([4, 3], [4, 1], 'score-per-token')], [1, 0]);
});

test('selection takes a prefix of the ranking, forced groups first', () => {
  const scores = [5, 4, 3, 2, 1];
  const costs = [2, 2, 2, 1, 1];
  const choice = { scores, costs, by: 'score' as const };
  assert.deepEqual([...selectWithinBudget({ ...choice, budgetTokens: 5 })], [1, 1, 0, 0, 0]);
  const forced = [0, 0, 0, 0, 1];
  assert.deepEqual(
    [...selectWithinBudget({ ...choice, forced, budgetTokens: 5 })],
    [1, 1, 0, 0, 1],
  );
  assert.deepEqual(
    [...selectWithinBudget({ ...choice, forced, budgetTokens: 0 })],
    [0, 0, 0, 0, 1],
  );
});

test('a smaller budget keeps a subset', () => {
  const items = fc.array(fc.tuple(fc.double({ noNaN: true }), fc.integer({ min: 1, max: 9 })));
  fc.assert(
    fc.property(items, fc.nat(60), fc.nat(60), (pairs, a, b) => {
      const scores = pairs.map(([score]) => score);
      const costs = pairs.map(([, cost]) => cost);
      const at = (budgetTokens: number): Uint8Array =>
        selectWithinBudget({ scores, costs, budgetTokens, by: 'score' });
      const small = at(Math.min(a, b));
      const large = at(Math.max(a, b));
      small.forEach((kept, i) => assert.ok(kept <= (large[i] ?? 0)));
    }),
  );
});

const words = fc
  .array(
    fc.constantFrom(
      'the',
      'river',
      'Kraftwerk',
      '12.5',
      '东京',
      'данные',
      'مرحبا',
      '👍',
      'x',
      ',',
      '\n',
    ),
    {
      minLength: 1,
      maxLength: 80,
    },
  )
  .map((list) => list.join(' '));

test('fitting: within the budget, and one group more would not fit', () => {
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 99 }), fc.integer(), (text, percent, seed) => {
      const groups = wordGroups(text);
      const scores = Float64Array.from(groups.starts, (_, i) => ((i + 1) * (seed | 1)) % 101);
      const budgetTokens = Math.floor((tokenizer.count(text) * percent) / 100);
      const empty = maskFromKeep({ groups, keep: new Uint8Array(groups.starts.length) });
      const fit = fitToBudget({ text, mask: empty, tokenizer, budgetTokens, scores });
      if (fit.belowSurvivors) return;
      assert.ok(fit.tokens <= budgetTokens);
      assert.equal(fit.tokens, tokenizer.count(fit.text));
      const next = [...rankGroups(scores, [], 'score')].find((group) => fit.mask.keep[group] === 0);
      if (next === undefined) return;
      const keep = Uint8Array.from(fit.mask.keep);
      keep[next] = 1;
      const more = fitToBudget({
        text,
        mask: maskFromKeep({ groups, keep, why: keep.map(() => whyCode('forced')) }),
        tokenizer,
        budgetTokens,
        scores,
      });
      assert.ok(more.belowSurvivors || more.tokens > budgetTokens);
    }),
    { numRuns: 150 },
  );
});

test('fitting never drops what is forced and says when that alone is too much', () => {
  const text = 'alpha beta gamma delta';
  const groups = wordGroups(text);
  const keep = Uint8Array.of(1, 1, 0, 0);
  const why = keep.map((kept) => (kept ? whyCode('survivor') : 0));
  const mask = maskFromKeep({ groups, keep, why });
  const fit = fitToBudget({ text, mask, tokenizer, budgetTokens: 1, scores: [0, 0, 1, 1] });
  assert.equal(fit.text, 'alpha beta');
  assert.equal(fit.belowSurvivors, true);
});

test('the cut search ends on a border for any counts', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(50), { minLength: 1, maxLength: 40 }),
      fc.nat(50),
      fc.nat(60),
      (counts, budget, from) => {
        const at = (kept: number): { kept: number; tokens: number } => ({
          kept,
          tokens: counts[kept] ?? 0,
        });
        const most = counts.length - 1;
        const found = searchCut(at, { guess: Math.min(from, most), most, budget });
        if (found === null) assert.ok((counts[0] ?? 0) > budget);
        else {
          assert.ok(found.tokens <= budget);
          assert.ok(found.kept === most || (counts[found.kept + 1] ?? 0) > budget);
        }
      },
    ),
  );
});
