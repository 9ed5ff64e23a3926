import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import '../helpers/seed.ts';
import { createBlockSet } from '../../src/reuse/block-set.ts';
import { chainOf, type Chain } from '../../src/reuse/chain.ts';
import { judgeSequence, readKvEvent, type KvEvent } from '../../src/reuse/kv-events.ts';
import { createNameTable } from '../../src/reuse/name-table.ts';
import {
  createReplicaIndex,
  reusableBlocks,
  type LayerGroup,
  type ReplicaIndex,
  type ReplicaIndexOptions,
} from '../../src/reuse/replica-index.ts';
import { createSimulatedBackend } from '../helpers/simulated-backend.ts';
import { seededRandom } from '../helpers/simulated-conversations.ts';
import { vllmBlockHashes, vllmChain } from '../../src/reuse/vllm-hash.ts';

const domain = new Uint8Array(16).fill(1);
const tokensOf = (length: number, seed = 1): Uint32Array =>
  Uint32Array.from({ length }, (_, at) => (at * 31 + seed * 977) % 60_000);
const chain = (length: number, seed = 1, blockTokens = 16): Chain =>
  chainOf(tokensOf(length, seed), { domain, blockTokens });
const index = (options: Partial<ReplicaIndexOptions> = {}): ReplicaIndex =>
  createReplicaIndex({
    blockTokens: 16,
    groups: [{ kind: 'full' }],
    maxBlocks: 1000,
    feed: 'estimated',
    names: 'chain',
    speculativeMs: 2000,
    expiryMs: null,
    ...options,
  });

test('the name table agrees with a map under random inserts and removals', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 40 }))), (steps) => {
      const table = createNameTable({ width: 2 });
      const map = new Map<number, number>();
      // Few different last words, so that probe runs are long and wrap around.
      const name = (value: number): Uint32Array => Uint32Array.of(value, 120 + (value % 9));
      for (const [add, value] of steps) {
        const held = map.get(value);
        if (add) map.set(value, table.insert(name(value), 0));
        else if (held !== undefined) {
          table.remove(held);
          map.delete(value);
        }
        for (let other = 0; other <= 40; other += 1) {
          assert.equal(table.find(name(other), 0), map.get(other) ?? -1);
        }
      }
      assert.equal(table.size, map.size);
    }),
    { numRuns: 60 },
  );
});

test('the block set is bounded and lets the oldest go first', () => {
  const gone: number[] = [];
  const set = createBlockSet({ maxBlocks: 300, width: 4, onRemove: (entry) => gone.push(entry) });
  const { words } = chain(16 * 1000);
  for (let at = 0; at < 1000; at += 1) {
    set.put(words, at * 4, { confidence: 'estimated', tier: 'device', at });
  }
  assert.equal(set.size, 300);
  assert.equal(gone.length, 700);
  assert.equal(set.find(words, 699 * 4), -1);
  assert.notEqual(set.find(words, 700 * 4), -1);
  set.evictBefore(990);
  assert.equal(set.size, 10);
});

test('an identical prompt hits all but the block of its last token, an extended one all full blocks', () => {
  // Prompt lengths and hits as measured on vLLM 0.32.0 with blocks of 32.
  const measured = [
    [32, 0],
    [128, 96],
    [129, 128],
    [1312, 1280],
  ] as const;
  for (const [length, hit] of measured) {
    const replica = index({ blockTokens: 32 });
    const prompt = chain(length, 1, 32);
    replica.record(prompt, 0);
    assert.equal(replica.match(prompt, 1).tokens, hit);
    assert.equal(reusableBlocks(length, 32) * 32, hit);
    const longer = chain(length + 39, 1, 32);
    assert.equal(replica.match(longer, 1).tokens, Math.floor(length / 32) * 32);
  }
  // llama.cpp: blocks of one token.
  const replica = index({ blockTokens: 1, maxBlocks: 5000 });
  replica.record(chain(1312, 1, 1), 0);
  assert.equal(replica.match(chain(1312, 1, 1), 0).tokens, 1311);
  assert.equal(replica.match(chain(1352, 1, 1), 0).tokens, 1312);
});

test('every kind of layer group has its own rule, and a hit needs all groups', () => {
  const sliding: LayerGroup = { kind: 'sliding', windowTokens: 33 };
  const cases: readonly (readonly [string, readonly LayerGroup[], number, number])[] = [
    ['full', [{ kind: 'full' }], 160, 80],
    ['sliding', [sliding], 160, 0],
    ['recurrent', [{ kind: 'recurrent' }], 160, 0],
    ['hybrid', [{ kind: 'full' }, sliding], 160, 0],
    ['hybrid recurrent', [{ kind: 'full' }, { kind: 'recurrent' }], 160, 0],
  ];
  for (const [name, groups, append, branch] of cases) {
    const replica = index({ groups });
    replica.record(chain(165), 0);
    assert.equal(replica.match(chain(200), 0).tokens, append, `${name}: appended to`);
    // The same first 85 tokens, then others.
    const other = tokensOf(200);
    other.fill(7, 85);
    const branched = chainOf(other, { domain, blockTokens: 16 });
    assert.equal(replica.match(branched, 0).tokens, branch, `${name}: branched at 85`);
  }
});

test('what the engine does not confirm in time is not expected; its word outlives any age', () => {
  const replica = index({ feed: 'events', names: 'engine', expiryMs: 60_000 });
  const tokens = tokensOf(100);
  const prompt = vllmChain(tokens, { blockTokens: 16, seed: '0' });
  replica.record(prompt, 0);
  assert.deepEqual(
    [0, 1999, 2000].map((now) => replica.match(prompt, now).tokens),
    [96, 96, 0],
  );
  replica.applyBatch({ sequence: 0, events: [stored(tokens)] }, 3000);
  const late = replica.match(prompt, 1e9);
  assert.deepEqual([late.tokens, late.confidence, late.credit], [96, 'event', 96]);
  replica.skipTo(9);
  assert.equal(replica.match(prompt, 1e9).tokens, 0, 'unconfirmed and too old');
  const weak = replica.match(prompt, 4000);
  assert.deepEqual([weak.tokens, weak.confidence, weak.credit], [96, 'estimated', 48]);
});

function hashesOf(tokens: Uint32Array): readonly bigint[] {
  const digests = Buffer.from(vllmBlockHashes(tokens, { blockTokens: 16, seed: '0' }));
  return Array.from({ length: digests.length / 32 }, (_, at) =>
    digests.readBigUInt64BE(at * 32 + 24),
  );
}

function stored(tokens: Uint32Array, from = 0, group = 0): KvEvent {
  const hashes = hashesOf(tokens);
  const event = readKvEvent({
    type: 'BlockStored',
    block_hashes: hashes.slice(from),
    parent_block_hash: from === 0 ? null : hashes[from - 1],
    token_ids: Array.from(tokens.subarray(from * 16, hashes.length * 16)),
    block_size: 16,
    medium: 'GPU',
    group_idx: group,
  });
  assert.ok(event);
  return event;
}

test('both encodings of an event mean the same; what is unknown or lost bits is refused', () => {
  const big = 14284249837664910939n;
  const map = {
    type: 'BlockStored',
    block_hashes: [big],
    parent_block_hash: null,
    token_ids: [1, 2],
    block_size: 2,
    lora_id: null,
    medium: 'CPU',
    lora_name: null,
    extra_keys: [['a']],
    group_idx: 1,
    kv_cache_spec_kind: 'sliding_window',
    kv_cache_spec_sliding_window: 512,
    something_new: true,
  };
  const array = [
    'BlockStored',
    [big],
    null,
    [1, 2],
    2,
    null,
    'CPU',
    null,
    [['a']],
    1,
    'sliding_window',
    512,
    'new',
  ];
  const event = readKvEvent(map);
  assert.deepEqual(readKvEvent(array), event);
  assert.ok(event?.type === 'stored');
  assert.equal(event.group, 1);
  assert.deepEqual(event.spec, { kind: 'sliding_window', windowTokens: 512 });
  const digest = Buffer.alloc(32);
  digest.writeBigUInt64BE(big, 24);
  assert.deepEqual(readKvEvent({ ...map, block_hashes: [digest] }), event);
  assert.deepEqual(readKvEvent(['BlockRemoved', [5], 'GPU']), {
    type: 'removed',
    hashes: [{ high: 0, low: 5 }],
    medium: 'GPU',
    group: 0,
  });
  assert.deepEqual(readKvEvent(['AllBlocksCleared']), { type: 'cleared' });
  for (const bad of [
    null,
    7,
    ['Other'],
    { type: 'BlockRemoved' },
    { ...map, block_hashes: [Number(big)] },
    { ...map, token_ids: ['x'] },
    { ...map, parent_block_hash: 'x' },
  ]) {
    assert.equal(readKvEvent(bad), null);
  }
});

test('sequence numbers: gaps, overlaps of a replay, restarts', () => {
  assert.deepEqual(judgeSequence(5, 5, 'live'), { type: 'apply' });
  assert.deepEqual(judgeSequence(5, 8, 'live'), { type: 'gap', from: 5 });
  assert.deepEqual(judgeSequence(5, 3, 'replay'), { type: 'duplicate' });
  assert.deepEqual(judgeSequence(5, 0, 'live'), { type: 'restart' });
});

test('events place blocks under our own names, follow parents, remove, clear, and survive a gap by replay', () => {
  const replica = index({
    feed: 'events',
    names: 'chain',
    groups: [{ kind: 'full' }, { kind: 'sliding', windowTokens: 32 }],
    eventDomain: (event) => (event.lora === null ? { domain } : null),
  });
  const tokens = tokensOf(100);
  const prompt = chain(100);
  const hashes = hashesOf(tokens);
  const at = (sequence: number, events: readonly KvEvent[]) =>
    replica.applyBatch({ sequence, events }, 0).type;
  assert.equal(at(0, [stored(tokens.slice(0, 40))]), 'apply');
  assert.equal(replica.match(prompt, 0).tokens, 0, 'the other group has nothing');
  const second = [0, 1].map((group) => stored(tokens, group === 0 ? 2 : 0, group));
  assert.equal(at(2, second), 'gap');
  assert.equal(at(1, []), 'apply');
  assert.equal(at(2, second), 'apply');
  assert.equal(replica.applyBatch({ sequence: 1, events: [] }, 0, 'replay').type, 'duplicate');
  assert.equal(replica.match(prompt, 0).tokens, 96);
  const removal = (sequence: number, group: number, block: number): string =>
    at(sequence, [
      readKvEvent({
        type: 'BlockRemoved',
        block_hashes: [hashes[block]],
        medium: 'GPU',
        group_idx: group,
      }) ?? assert.fail(),
    ]);
  removal(3, 1, 0);
  assert.equal(replica.match(prompt, 0).tokens, 96, 'outside the window');
  removal(4, 0, 5);
  assert.equal(replica.match(prompt, 0).tokens, 80);
  removal(5, 0, 1);
  assert.equal(replica.match(prompt, 0).tokens, 0, 'a hit of 16 would need block 0 of the window');
  at(6, [{ type: 'cleared' }]);
  assert.equal(replica.match(prompt, 0).tokens, 0);
  assert.equal(replica.counts().blocks, 0);
  at(7, [stored(tokens, 2)]);
  assert.equal(replica.counts().orphans, 1, 'its parent was cleared');
  const adapted = { ...stored(tokens), lora: 'x' } as KvEvent;
  at(8, [adapted]);
  assert.equal(replica.counts().foreign, 1);
  at(9, [stored(tokens), stored(tokens, 0, 1)]);
  assert.equal(replica.match(prompt, 0).tokens, 96);
  assert.equal(at(0, []), 'restart');
  assert.equal(replica.match(prompt, 0).tokens, 0);
});

test('a subscriber who came late places blocks when the engine hash is reproduced', () => {
  const replica = index({ feed: 'events', names: 'engine' });
  const tokens = tokensOf(100);
  const prompt = vllmChain(tokens, { blockTokens: 16, seed: '0' });
  assert.equal(replica.applyBatch({ sequence: 70, events: [] }, 0).type, 'gap');
  replica.skipTo(70);
  assert.equal(replica.applyBatch({ sequence: 70, events: [stored(tokens, 3)] }, 0).type, 'apply');
  assert.equal(replica.match(prompt, 0).tokens, 0, 'the head was stored before');
  replica.applyBatch({ sequence: 71, events: [stored(tokens)] }, 0);
  assert.equal(replica.match(prompt, 0).tokens, 96);
});

test('a hit that falls short takes all that was used before it; a failed forward leaves no trace', () => {
  const replica = index();
  replica.record(chain(160, 1), 0);
  replica.record(chain(160, 2), 10);
  replica.record(chain(160, 3), 20);
  const expected = replica.match(chain(170, 2), 30);
  replica.correct(expected, 160);
  assert.equal(replica.match(chain(170, 1), 30).tokens, 160, 'nothing fell short');
  replica.correct(expected, 32);
  assert.equal(replica.match(chain(170, 1), 30).tokens, 0);
  assert.equal(replica.match(chain(170, 3), 30).tokens, 160);
  const longer = chain(400, 3);
  const held = replica.match(longer, 30).tokens;
  replica.record(longer, 30);
  replica.retract(longer, held);
  assert.equal(replica.match(longer, 30).tokens, 160);
});

test('names and removals of real events: every block of a recorded session', () => {
  const file = new URL('../fixtures/reuse/vllm-kv-events.json', import.meta.url);
  const revive = (_: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && 'u64' in value
      ? BigInt(String(value.u64))
      : value;
  const recorded = JSON.parse(readFileSync(file, 'utf8'), revive) as {
    batches: readonly { sequence: number; events: readonly unknown[] }[];
  };
  const prompts = new Map<string, Uint32Array>();
  let blocks = 0;
  for (const event of recorded.batches.flatMap(({ events }) => events.map(readKvEvent))) {
    assert.ok(event !== null);
    if (event.type !== 'stored') continue;
    const text = (hash: { high: number; low: number }): string => `${hash.high}:${hash.low}`;
    const above = event.parent === null ? new Uint32Array() : prompts.get(text(event.parent));
    if (above === undefined) continue;
    const tokens = Uint32Array.of(...above, ...event.tokens);
    const salt = event.extraKeys?.[0]?.[0];
    const names = vllmChain(tokens, {
      blockTokens: event.blockTokens,
      seed: '0',
      extra: (block) => (block === 0 && salt !== undefined ? [['cache_salt', String(salt)]] : null),
    });
    for (const [at, hash] of event.hashes.entries()) {
      const block: number = above.length / event.blockTokens + at;
      assert.deepEqual(Array.from(names.words.subarray(block * 4 + 2, block * 4 + 4)), [
        hash.high,
        hash.low,
      ]);
      prompts.set(text(hash), tokens.slice(0, (block + 1) * event.blockTokens));
      blocks += 1;
    }
  }
  assert.ok(blocks > 60, `${blocks} blocks`);
});

test('a capacity believed too large is noticed by hits that fall short, and costs fewer wrong forecasts', () => {
  const wrongForecasts = (correct: boolean): number => {
    const random = seededRandom(7);
    const backend = createSimulatedBackend({
      blockTokens: 16,
      groups: [{ kind: 'full' }],
      capacityBlocks: 200,
      regimeOf: () => '',
      events: null,
    });
    const replica = index({ maxBlocks: 1000 });
    let wrong = 0;
    for (let now = 0; now < 600; now += 1) {
      const tokens = tokensOf(320, Math.floor(random() * 25));
      const prompt = chainOf(tokens, { domain, blockTokens: 16 });
      const expected = replica.match(prompt, now);
      replica.record(prompt, now);
      const { cachedTokens } = backend.serve({ tokens, salt: null, answer: new Uint32Array() });
      if (expected.tokens !== cachedTokens) wrong += 1;
      if (correct) replica.correct(expected, cachedTokens);
    }
    return wrong;
  };
  const [without, learning] = [wrongForecasts(false), wrongForecasts(true)];
  assert.ok(without > 300 && learning < without / 2, `${without} without, ${learning} with`);
});
