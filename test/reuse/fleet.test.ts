import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainOf, type Chain } from '../../src/reuse/chain.ts';
import { createFleet, type Fleet, type FleetReplica, type Ticket } from '../../src/reuse/fleet.ts';
import { seededRandom } from '../helpers/simulated-conversations.ts';

const domain = new Uint8Array(16).fill(5);
const chain = (length: number, seed: number): Chain =>
  chainOf(
    Uint32Array.from({ length }, (_, at) => (at * 17 + seed * 1009) % 50_000),
    { domain, blockTokens: 16 },
  );
const replica = (id: string): FleetReplica => ({
  id,
  capacityTokens: 100_000,
  index: {
    blockTokens: 16,
    groups: [{ kind: 'full' }],
    maxBlocks: 5000,
    feed: 'estimated',
    names: 'chain',
    speculativeMs: 2000,
    expiryMs: null,
  },
});
const fleet = (): Fleet => createFleet(['a', 'b', 'c'].map(replica));
const route = (
  over: Fleet,
  prompt: Chain,
  facts: { previous?: string | null; only?: readonly number[]; now?: number } = {},
): Ticket | null =>
  over.route(
    {
      chainFor: (at) => (facts.only === undefined || facts.only.includes(at) ? prompt : null),
      promptTokens: prompt.tokens,
      previous: facts.previous ?? null,
    },
    facts.now ?? 0,
  );
const sure = (ticket: Ticket | null): Ticket => ticket ?? assert.fail('no replica');

test('a burst of one prompt follows its first request, other prompts spread', () => {
  const over = fleet();
  const burst = [0, 1, 2].map(() => sure(route(over, chain(3000, 1))));
  assert.deepEqual(
    burst.map(({ id, expected }) => [id, expected.tokens]),
    [
      ['a', 0],
      ['a', 2992],
      ['a', 2992],
    ],
  );
  const others = [2, 3].map((seed) => sure(route(over, chain(3000, seed))).id);
  assert.deepEqual(others, ['b', 'c']);
});

test('load is taken off exactly once, however a request ends', () => {
  const over = fleet();
  const random = seededRandom(3);
  const tickets: Ticket[] = [];
  for (let step = 0; step < 400; step += 1) {
    const ticket = route(over, chain(500 + Math.floor(random() * 3000), step % 30), { now: step });
    if (ticket !== null) tickets.push(ticket);
    const ended = tickets[Math.floor(random() * tickets.length)];
    if (ended === undefined) continue;
    if (random() < 0.7) over.firstToken(ended, random() < 0.5 ? ended.expected.tokens : null, step);
    const kind = Math.floor(random() * 4);
    if (kind === 0) over.finish(ended, { reported: 0, whole: ended.chain }, step);
    if (kind === 1) over.cancel(ended, step);
    if (kind === 2) over.finish(ended, { reported: null, whole: null }, step);
  }
  for (const ticket of tickets) {
    over.finish(ticket, { reported: null, whole: null }, 400);
    over.fail(ticket, 400);
  }
  for (const state of over.state()) {
    assert.deepEqual([state.running, state.queuedTokens], [0, 0]);
    assert.equal(state.health.failures, 0, 'an ended request cannot fail any more');
  }
});

test('the answer belongs to what the replica holds; a failed or broken-off request does not', () => {
  const over = fleet();
  const first = sure(route(over, chain(1000, 1)));
  over.finish(first, { reported: 0, whole: chain(1200, 1) }, 1);
  const next = sure(route(over, chain(1400, 1), { previous: first.id }));
  assert.deepEqual([next.id, next.reason, next.expected.tokens], [first.id, 'sticky', 1200]);
  over.fail(next, 2);
  assert.equal(over.indexes[next.replica]?.match(chain(1400, 1), 3).tokens, 1200);
  const gone = sure(route(over, chain(900, 9)));
  over.cancel(gone, 4);
  assert.equal(over.indexes[gone.replica]?.match(chain(900, 9), 5).tokens, 0);
});

test('failing and draining replicas get nothing; without any there is no route', () => {
  const over = fleet();
  for (let failures = 0; failures < 3; failures += 1) {
    over.fail(sure(route(over, chain(1000, 1), { only: [0] })), 10);
  }
  assert.equal(route(over, chain(1000, 1), { only: [0], now: 11 }), null);
  over.drain('b', true, 11);
  assert.equal(sure(route(over, chain(1000, 1), { now: 12 })).id, 'c');
  assert.equal(route(over, chain(1000, 1), { only: [0, 1], now: 13 }), null);
  assert.equal(over.state()[1]?.drained, true);
  // After its pause the first one gets a single probe, and is back when that answers.
  const probe = sure(route(over, chain(1000, 1), { only: [0], now: 2000 }));
  assert.equal(route(over, chain(1000, 1), { only: [0], now: 2001 }), null);
  over.firstToken(probe, 0, 2100);
  assert.equal(sure(route(over, chain(1000, 1), { only: [0], now: 2101 })).id, 'a');
  assert.throws(() => over.drain('x', true, 0), /No replica is named x/);
});

test('speed is measured from first tokens that did not wait', () => {
  const over = fleet();
  const alone = sure(route(over, chain(2000, 1), { only: [0], now: 0 }));
  const waiting = sure(route(over, chain(2000, 2), { only: [0], now: 0 }));
  over.firstToken(alone, 0, 500);
  over.firstToken(waiting, 0, 5000);
  assert.equal(over.state()[0]?.prefillRate, 4000);
});
