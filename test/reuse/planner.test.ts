import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../helpers/seed.ts';
import {
  breakEvenTurns,
  moneyCosts,
  projectedCost,
  timeCosts,
  type CostModel,
} from '../../src/reuse/costs.ts';
import type { ModeDecision } from '../../src/reuse/mode.ts';
import { planRequest, type PlanInput } from '../../src/reuse/planner.ts';
import { priceOf, priceTable, pricesAsOf, type PriceRow } from '../../src/reuse/prices.ts';
import { regimeTarget } from '../../src/reuse/regime-target.ts';
import { isAlive, lifetimeMs } from '../../src/reuse/lifetime.ts';
import { nextRate, pooledRate, unmeasured } from '../../src/reuse/rates.ts';
import {
  expectedTurns,
  learnFrom,
  newSession,
  type SessionState,
  type TurnOutcome,
} from '../../src/reuse/session.ts';

const extend: ModeDecision = { mode: 'extend', sharedUnits: 3, sharedTokens: 8000, miss: null };
const cold: ModeDecision = { mode: 'cold', sharedUnits: 3, sharedTokens: 0, miss: 'ttl' };
const row = (provider: string, model: string): PriceRow =>
  priceOf(provider, model) ?? assert.fail();
const sonnet = moneyCosts(row('anthropic', 'claude-sonnet-4-6'));
const own = timeCosts(5000, 50_000);

const input = (facts: Partial<PlanInput> = {}): PlanInput => ({
  mode: extend,
  expectedHit: 7984,
  exactness: 'exact',
  epoch: 0,
  replayedTokens: 8000,
  compressibleTokens: 4000,
  fixedTokens: 100,
  maxNewTokens: 500,
  shorter: null,
  expectedTurns: 5,
  limitTokens: 128_000,
  regimeBorder: null,
  ...facts,
});
const plan = (
  facts: Partial<PlanInput> = {},
  costs: CostModel = sonnet,
  session: SessionState = newSession,
) => planRequest(input(facts), session, costs);

test('break-even turns of published price models', () => {
  // Whole turns after which rewriting S tokens to the given share pays, compressor for nothing.
  const table = [
    [1.25, 0.1, [3, 5, 12, 27, 66]],
    [2, 0.1, [5, 9, 19, 45, 108]],
    [1, 0.1, [3, 4, 10, 21, 51]],
    [1, 0.25, [1, 2, 4, 7, 17]],
    [1, 0.5, [1, 1, 2, 3, 6]],
  ] as const;
  for (const [write, read, want] of table) {
    const costs: CostModel = { ...sonnet, write, read };
    const found = [0.2, 0.3, 0.5, 0.7, 0.85].map((share) =>
      breakEvenTurns(costs, { before: 1000, after: 1000 * share, compressing: 0 }),
    );
    for (const [at, turns] of found.entries()) {
      // Where both cost the same after whole turns, the published table counts either way.
      const whole = [Math.ceil(turns - 1e-9), Math.floor(turns + 1e-9) + 1];
      assert.ok(whole.includes(want[at] ?? NaN), `${write} ${read}: ${turns}`);
    }
  }
  assert.equal(breakEvenTurns(own, { before: 1000, after: 100, compressing: 0 }), Infinity);
});

test('the break-even formula is what the projected costs say', () => {
  const sizes = { before: 20_000, after: 6000, compressing: 500 };
  const at = breakEvenTurns(sonnet, sizes);
  for (const turns of [Math.floor(at), Math.ceil(at)]) {
    const keep = projectedCost(sonnet, { tokens: 20_000, cached: 20_000, turns, hitShare: 1 });
    const rewrite = projectedCost(sonnet, { tokens: 6000, cached: 0, turns, hitShare: 1 }) + 500;
    assert.equal(rewrite < keep, turns > at);
  }
});

test('the price table is dated, and the longest prefix wins', () => {
  assert.match(pricesAsOf, /^\d{4}-\d\d-\d\d$/);
  assert.equal(row('anthropic', 'claude-opus-4-7-latest').minimumTokens, 2048);
  assert.equal(row('anthropic', 'claude-opus-4-20250514').minimumTokens, 1024);
  assert.equal(row('anthropic', 'claude-haiku-4-5').minimumTokens, 4096);
  assert.equal(row('openai', 'gpt-5.6-mini').write, 1.25);
  assert.equal(row('openai', 'gpt-5-mini').read, 0.1);
  assert.equal(row('openai', 'gpt-4o').read, 0.5);
  assert.equal(priceOf('nobody', 'x'), null);
  for (const { write, read } of priceTable) assert.ok(write >= 1 && read > 0 && read < 1);
});

test('new text is compressed when that is cheaper, and each no has its reason', () => {
  const yes = plan();
  assert.deepEqual([yes.compress, yes.admission, yes.mode], [true, 'pays', 'extend']);
  assert.ok(yes.projected.plan < yes.projected.passThrough);
  assert.equal(plan({ compressibleTokens: 0 }).admission, 'nothing-new');
  assert.equal(plan({}, sonnet, { ...newSession, stopped: true }).admission, 'session-loss');
  // A compressor that reads slower than the engine computes.
  assert.equal(plan({}, timeCosts(50_000, 5000)).admission, 'costs-more');
  assert.equal(plan({}, own).admission, 'pays');
  // On own hardware a token is computed once: a compressor of half the saving is the border at rate 0.5.
  assert.equal(plan({}, timeCosts(5000, 10_100)).admission, 'pays');
  assert.equal(plan({}, timeCosts(5000, 9900)).admission, 'costs-more');
  assert.equal(plan({}, sonnet, { ...newSession, rate: 1 }).admission, 'costs-more');
});

test('never below what the provider caches when that costs more', () => {
  const haiku = moneyCosts(row('anthropic', 'claude-haiku-4-5'));
  const small = {
    mode: cold,
    expectedHit: 0,
    replayedTokens: 0,
    fixedTokens: 0,
    compressibleTokens: 5000,
  };
  const many = plan({ ...small, expectedTurns: 10 }, haiku, { ...newSession, rate: 0.78 });
  assert.deepEqual([many.compress, many.admission], [false, 'cacheable-minimum']);
  assert.equal(plan({ ...small, expectedTurns: 1 }, haiku).admission, 'pays');
  assert.equal(plan({ ...small, expectedTurns: 10 }, sonnet).admission, 'pays');
});

test('history is given up only when cold, past break-even between the water marks, or too long', () => {
  const shorter = { tokens: 20_000, compressed: 100_000 };
  const long = { replayedTokens: 110_000, expectedHit: 110_000, shorter, compressibleTokens: 0 };
  const cases: readonly (readonly [Partial<PlanInput>, CostModel, string])[] = [
    [{ ...long, expectedTurns: 20 }, sonnet, 'break-even'],
    [{ ...long, expectedTurns: 2 }, sonnet, 'too-few-turns'],
    [{ ...long, expectedTurns: 1000 }, own, 'too-few-turns'],
    [{ ...long, replayedTokens: 90_000, expectedTurns: 50 }, sonnet, 'below-high-water'],
    [
      { ...long, shorter: { tokens: 60_000, compressed: 1 }, expectedTurns: 50 },
      sonnet,
      'above-low-water',
    ],
    [{ ...long, limitTokens: 100_000 }, own, 'limit'],
    [{ ...long, limitTokens: null, expectedTurns: 50 }, sonnet, 'below-high-water'],
    [{ ...long, shorter: null }, sonnet, 'nothing-to-gain'],
    [{ ...long, shorter: { tokens: 109_500, compressed: 1 } }, sonnet, 'nothing-to-gain'],
    [{ mode: cold, expectedHit: 0, shorter: { tokens: 3000, compressed: 8000 } }, own, 'cold'],
    [
      { mode: cold, expectedHit: 0, shorter: { tokens: 3000, compressed: 8000 } },
      timeCosts(50_000, 5000),
      'costs-more',
    ],
  ];
  for (const [facts, costs, want] of cases) {
    const found = plan(facts, costs);
    assert.equal(found.rewriteReason, want);
    const rewritten = ['cold', 'break-even', 'limit'].includes(want);
    assert.deepEqual(
      [found.rewrite, found.mode === 'rewrite', found.epoch, found.miss === 'rewritten'],
      [rewritten, rewritten, rewritten ? 1 : 0, rewritten],
    );
    if (rewritten) assert.equal(found.reuseTokensExpected, 0);
  }
  assert.equal(plan(long, sonnet, { ...newSession, stopped: true }).rewriteReason, 'session-loss');
});

test('one rewrite an epoch: what was just rewritten lies below the high-water mark', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1000, max: 200_000 }),
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 200 }),
      (replayedTokens, left, expectedTurns) => {
        const first = plan({
          replayedTokens,
          expectedHit: replayedTokens,
          expectedTurns,
          compressibleTokens: 0,
          shorter: { tokens: left, compressed: replayedTokens },
        });
        if (first.rewriteReason !== 'break-even') return;
        const second = plan({
          replayedTokens: left + 100,
          expectedHit: left,
          expectedTurns,
          compressibleTokens: 0,
          shorter: { tokens: 1, compressed: left },
        });
        assert.equal(second.rewrite, false);
      },
    ),
    { numRuns: 300 },
  );
});

test('whatever is compressed or rewritten by choice is cheaper by plan than pass-through', () => {
  const costs = fc.constantFrom(
    own,
    timeCosts(3000, 9000),
    ...priceTable.map((price) => moneyCosts(price)),
    moneyCosts(row('openai', 'gpt-4o'), 0.3),
  );
  fc.assert(
    fc.property(
      costs,
      fc.constantFrom(extend, cold),
      fc.record({
        replayedTokens: fc.integer({ min: 0, max: 130_000 }),
        compressibleTokens: fc.integer({ min: 0, max: 40_000 }),
        fixedTokens: fc.integer({ min: 0, max: 4000 }),
        expectedTurns: fc.integer({ min: 1, max: 60 }),
        left: fc.option(fc.integer({ min: 1, max: 60_000 })),
        hit: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      fc.record({
        rate: fc.double({ min: 0.1, max: 1, noNaN: true }),
        hitShare: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      (model, mode, { left, hit, ...facts }, learnt) => {
        const found = planRequest(
          input({
            ...facts,
            mode,
            expectedHit: mode === cold ? 0 : Math.floor(hit * facts.replayedTokens),
            shorter: left === null ? null : { tokens: left, compressed: facts.replayedTokens },
          }),
          { ...newSession, ...learnt },
          model,
        );
        if (found.rewriteReason === 'limit' || (!found.compress && !found.rewrite)) return;
        assert.ok(found.projected.plan < found.projected.passThrough + 1e-6);
      },
    ),
    { numRuns: 2000 },
  );
});

test('a prompt near the regime border stays below it, or crosses once', () => {
  const target = (facts: Partial<Parameters<typeof regimeTarget>[0]>) =>
    regimeTarget({
      border: 4096,
      kept: 2000,
      compressible: 1800,
      maxNew: 400,
      minRate: 0.3,
      reserve: 0.1,
      mayCompress: true,
      ...facts,
    });
  const cases: readonly (readonly [Partial<Parameters<typeof regimeTarget>[0]>, unknown])[] = [
    [{ border: null }, { tokens: null, reason: 'no-border', crosses: false }],
    [{ compressible: 100 }, { tokens: null, reason: 'no-border', crosses: false }],
    [{}, { tokens: 1286, reason: 'stay-below', crosses: false }],
    // Only without the reserve does it fit.
    [{ kept: 2900 }, { tokens: 796, reason: 'stay-below', crosses: false }],
    [{ kept: 3600 }, { tokens: null, reason: 'cross-once', crosses: false }],
    [{ kept: 4096 }, { tokens: null, reason: 'cross-once', crosses: false }],
    [{ kept: 4097 }, { tokens: null, reason: 'already-above', crosses: false }],
    // The prompt fits exactly, the answer passes the border.
    [
      { compressible: 2096, mayCompress: false },
      { tokens: null, reason: 'cross-once', crosses: true },
    ],
    [
      { compressible: 1696, mayCompress: false },
      { tokens: null, reason: 'no-border', crosses: false },
    ],
  ];
  for (const [facts, want] of cases) assert.deepEqual(target(facts), want);
  const found = plan({ regimeBorder: 12_000, replayedTokens: 8000 });
  assert.deepEqual([found.target, found.targetTokens], ['stay-below', 2200]);
});

const turn = (facts: Partial<TurnOutcome> = {}): TurnOutcome => ({
  promptTokens: 10_000,
  rawTokens: 14_000,
  planned: 8000,
  reported: 8000,
  passThroughReusable: 11_000,
  compressedBefore: 3000,
  compressedAfter: 1500,
  miss: null,
  ...facts,
});
const after = (turns: readonly TurnOutcome[], costs = sonnet): SessionState =>
  turns.reduce((state, outcome) => learnFrom(state, outcome, costs), newSession);

test('a conversation whose hits are lost to compression stops being compressed; others go on', () => {
  const good = after(Array.from({ length: 20 }, () => turn()));
  assert.equal(good.stopped, false);
  assert.ok(good.cost < good.passThroughCost && good.hitShare === 1);
  const lost = turn({ reported: 0, miss: 'unknown' });
  assert.equal(after([lost, lost]).stopped, false, 'too early to say');
  const bad = after([lost, lost, lost]);
  assert.equal(bad.stopped, true);
  assert.equal(plan({}, sonnet, bad).admission, 'session-loss');
  assert.equal(learnFrom(bad, turn(), sonnet).stopped, true);
  // A lapsed cache would have cost pass-through as much.
  const lapsed = turn({ reported: 0, miss: 'ttl' });
  assert.equal(after([lapsed, lapsed, lapsed, lapsed]).stopped, false);
});

test('an unknown hit is no miss, and what compressing really leaves is learnt', () => {
  const silent = after(Array.from({ length: 5 }, () => turn({ reported: null })));
  assert.deepEqual([silent.hitShare, silent.stopped], [1, false]);
  const poor = after(Array.from({ length: 30 }, () => turn({ compressedAfter: 2700 })));
  assert.ok(Math.abs(poor.rate - 0.9) < 1e-3);
  assert.ok(after([turn({ reported: 4000 })]).hitShare < 1);
});

test('speeds are measured on runs long enough and without a queue', () => {
  const sample = (tokens: number, ms: number, queuedTokens = 0) => ({ tokens, ms, queuedTokens });
  let rate = unmeasured;
  for (const ignored of [sample(100, 1), sample(1000, 0), sample(1000, 100, 500)]) {
    rate = nextRate(rate, ignored);
  }
  assert.deepEqual(rate, unmeasured);
  rate = nextRate(nextRate(rate, sample(1000, 1000)), sample(1000, 500));
  assert.deepEqual(rate, { tokensPerSecond: 1500, samples: 2 });
  for (let round = 0; round < 60; round += 1) rate = nextRate(rate, sample(4000, 1000));
  assert.ok(Math.abs((rate.tokensPerSecond ?? 0) - 4000) < 10);
});

test('speeds of replicas count as alike until many samples say that one is quite another', () => {
  const rate = (tokensPerSecond: number | null, samples: number) => ({ tokensPerSecond, samples });
  assert.equal(pooledRate(unmeasured, [unmeasured, unmeasured]), null);
  assert.equal(pooledRate(unmeasured, [unmeasured, rate(300, 1)]), 300);
  const near = [rate(1000, 500), rate(3000, 500)];
  assert.deepEqual(
    near.map((own) => pooledRate(own, near)),
    [2000, 2000],
  );
  const far = [rate(1000, 500), rate(9000, 500), rate(500, 2)];
  assert.deepEqual(
    far.map((own) => pooledRate(own, far)),
    [1000, 9000, 3500],
  );
});

test('a prefix lives as long as its backend keeps it; the longer a conversation was, the longer it goes on', () => {
  assert.deepEqual(
    [isAlive(null, 5, 1), isAlive(0, 5, null), isAlive(0, 5, 6), isAlive(0, 6, 6)],
    [null, true, true, false],
  );
  const limits = Object.values(lifetimeMs).filter((ms) => ms !== null);
  assert.ok(limits.every((ms) => ms >= 60_000));
  assert.deepEqual(
    [0, 4, 1000].map((turns) => expectedTurns({ ...newSession, turns })),
    [1, 5, 50],
  );
});
