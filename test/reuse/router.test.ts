import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../helpers/seed.ts';
import {
  defaultBreakerOptions,
  healthy,
  isDrained,
  mayRoute,
  nextHealth,
  sent,
} from '../../src/reuse/breaker.ts';
import {
  chooseReplica,
  decayed,
  defaultRouterOptions,
  routeCost,
  type ReplicaView,
} from '../../src/reuse/router.ts';

const view = (id: string, facts: Partial<ReplicaView> = {}): ReplicaView => ({
  id,
  eligible: true,
  hitTokens: 0,
  creditTokens: 0,
  prefillRate: 1000,
  queuedTokens: 0,
  running: 0,
  activeTokens: 0,
  capacityTokens: 100_000,
  recentTokens: 0,
  ...facts,
});
const held = (tokens: number): Partial<ReplicaView> => ({
  hitTokens: tokens,
  creditTokens: tokens,
});
const request = (promptTokens: number, previous: string | null = null) => ({
  promptTokens,
  previous,
});

test('cost is seconds: uncached (weighted) and queued tokens over speed, plus memory terms', () => {
  const cost = routeCost(4000, view('a', { ...held(1000), queuedTokens: 500 }));
  assert.equal(cost, 1.5 * 3 + 0.5);
  const full = view('a', { ...held(4000), activeTokens: 95_000 });
  assert.ok(Math.abs(routeCost(4000, full) - (0.2 * 0.95 + 20 * 0.05)) < 1e-9);
  assert.equal(routeCost(5000, view('a', { prefillRate: null })), 1.5);
});

test('each reason has its situation', () => {
  const cases = [
    ['only', request(100), [view('a', { eligible: false }), view('b')], 1],
    ['score', request(4000), [view('a'), view('b', held(3000))], 1],
    // 5 s of queue against 3 s, weighted, of prompt that b would compute anew.
    [
      'score',
      request(4000),
      [view('a', { ...held(3000), queuedTokens: 5000 }), view('b', held(1))],
      1,
    ],
    [
      'sticky',
      request(4000, 'a'),
      [view('a', { ...held(3800), queuedTokens: 2000 }), view('b')],
      0,
    ],
    ['cold', request(4000), [view('a', { recentTokens: 9 }), view('b', { recentTokens: 2 })], 1],
    // A new conversation whose beginning both hold alike, one with 12 tokens less, and one whose beginning one holds.
    [
      'score',
      request(100),
      [view('a', { ...held(20), recentTokens: 9 }), view('b', { ...held(8), recentTokens: 2 })],
      1,
    ],
    [
      'score',
      request(4000),
      [
        view('a', { ...held(3000), recentTokens: 9 }),
        view('b', { ...held(3000), recentTokens: 2 }),
      ],
      1,
    ],
    [
      'score',
      request(4000),
      [
        view('a', { ...held(3000), recentTokens: 9 }),
        view('b', { ...held(1000), recentTokens: 2 }),
      ],
      0,
    ],
    ['imbalance', request(4000), [view('a', { ...held(3000), running: 90 }), view('b')], 1],
  ] as const;
  for (const [reason, asked, replicas, chosen] of cases) {
    const route = chooseReplica(asked, replicas);
    assert.deepEqual([route?.reason, route?.replica], [reason, chosen]);
  }
  assert.equal(chooseReplica(request(1), [view('a', { eligible: false })]), null);
});

test('a conversation leaves when its replica is far behind, and only then', () => {
  const home = (queuedTokens: number): ReplicaView => view('a', { ...held(3800), queuedTokens });
  const goes = (queuedTokens: number): number | undefined =>
    chooseReplica(request(4000, 'a'), [home(queuedTokens), view('b')])?.replica;
  assert.equal(goes(0), 0);
  // Staying costs 0.2 s and the queue; leaving 4 s of computing, weighted, and for the 3.8 s thrown away 20 at most.
  assert.equal(goes(20_000), 0);
  assert.equal(goes(60_000), 1);
});

test('ties go to fewer running requests, then to the smaller index', () => {
  const same = [view('a', { running: 2, ...held(900) }), view('b', { running: 1, ...held(900) })];
  assert.equal(chooseReplica(request(1000), same)?.replica, 1);
  const equal = [view('a', held(900)), view('b', held(900))];
  assert.equal(chooseReplica(request(1000), equal)?.replica, 0);
});

test('more hit, less queue or less load never make a chosen replica lose (imbalance aside)', () => {
  const facts = fc.record({
    hit: fc.integer({ min: 0, max: 4000 }),
    queuedTokens: fc.integer({ min: 0, max: 20_000 }),
    activeTokens: fc.integer({ min: 0, max: 100_000 }),
    recentTokens: fc.integer({ min: 0, max: 10_000 }),
  });
  const options = { ...defaultRouterOptions, imbalanceRequests: Infinity, coldSeconds: 0 };
  fc.assert(
    fc.property(fc.array(facts, { minLength: 2, maxLength: 6 }), fc.boolean(), (list, known) => {
      const views = list.map(({ hit, ...rest }, at) => view(String(at), { ...held(hit), ...rest }));
      const asked = request(4000, known ? '0' : null);
      const before = chooseReplica(asked, views, options);
      assert.ok(before);
      assert.deepEqual(chooseReplica(asked, views, options), before);
      const better = views.map((replica, at) =>
        at === before.replica
          ? {
              ...replica,
              queuedTokens: replica.queuedTokens / 2,
              activeTokens: replica.activeTokens / 2,
            }
          : replica,
      );
      assert.equal(chooseReplica(asked, better, options)?.replica, before.replica);
    }),
    { numRuns: 300 },
  );
});

test('a decayed sum halves with its half-life', () => {
  assert.equal(decayed(8, 0, 2000, 1000), 2);
  assert.equal(decayed(8, 5, 5, 1000), 8);
});

test('the breaker opens after failures in a row, lets one probe through, and doubles its pause', () => {
  const options = {
    ...defaultBreakerOptions,
    failures: 2,
    pauseMs: 100,
    maxPauseMs: 150,
    probeMs: 1000,
  };
  const fail = (health: typeof healthy, now: number): typeof healthy =>
    nextHealth(health, { type: 'failure' }, now, options);
  let health = fail(healthy, 0);
  assert.equal(mayRoute(health, 0, options), true);
  assert.equal(nextHealth(health, { type: 'success' }, 0, options).failures, 0);
  health = fail(health, 0);
  assert.deepEqual([health.breaker, health.until], ['open', 100]);
  assert.equal(mayRoute(health, 99, options), false);
  assert.deepEqual(fail(health, 90).until, 100, 'late failures do not lengthen the pause');
  assert.equal(mayRoute(health, 100, options), true);
  health = sent(health, 100);
  assert.equal(mayRoute(health, 101, options), false, 'one probe only');
  assert.equal(mayRoute(health, 1100, options), true, 'a lost probe is not waited for forever');
  const cancelled = nextHealth(health, { type: 'cancelled' }, 105, options);
  assert.equal(mayRoute(cancelled, 105, options), true);
  health = fail(health, 110);
  assert.deepEqual(
    [health.breaker, health.until],
    ['open', 260],
    'twice the pause, up to its maximum',
  );
  health = nextHealth(sent(health, 260), { type: 'success' }, 270, options);
  assert.deepEqual(health, healthy);
});

test('a draining replica gets nothing new and is done when nothing runs', () => {
  const health = nextHealth(healthy, { type: 'drain', on: true }, 0);
  assert.equal(mayRoute(health, 0, defaultBreakerOptions), false);
  assert.equal(nextHealth(health, { type: 'success' }, 0).draining, true);
  assert.deepEqual([isDrained(health, 1), isDrained(health, 0)], [false, true]);
  assert.equal(
    mayRoute(nextHealth(health, { type: 'drain', on: false }, 0), 0, defaultBreakerOptions),
    true,
  );
});
