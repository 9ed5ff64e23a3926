import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  fakeReplica,
  placementOver,
  prompt,
  requestOf,
  settled,
  sure,
  testClock,
  type FakeReplica,
  type TestClock,
} from '../helpers/placed-replicas.ts';
import { vllmBlockHashes } from '../../src/reuse/vllm-hash.ts';
import type { RawKvBatch } from '../../src/reuse/placement-options.ts';
import type { Forecast, Placement } from '../../src/reuse/types.ts';

interface Asked {
  readonly forecast: Forecast | null;
  readonly reported: number;
}

function asker(
  placement: Placement,
  fake: FakeReplica,
  clock: TestClock,
): (tokens: Uint32Array, answer?: Uint32Array) => Promise<Asked> {
  return async (tokens, answer) => {
    const placed = sure(await placement.place(requestOf(tokens)));
    const reported = fake.serve(tokens, null, answer);
    await settled();
    placed.firstToken();
    placed.finish(reported);
    // Longer than what was forwarded counts without the engine's word.
    clock.wait(5000);
    return { forecast: placed.forecast(), reported };
  };
}

for (const hashes of ['vllm', 'secret'] as const) {
  test(`batches that were lost are asked for again (${hashes} hashes)`, async () => {
    const clock = testClock();
    const fake = fakeReplica({ id: 'a', hashes });
    const placement = placementOver([fake], clock);
    const ask = asker(placement, fake, clock);
    await ask(prompt(1, 400));
    fake.feed.held = [];
    await ask(prompt(2, 400));
    await ask(prompt(3, 400));
    // Lost on the way; the next one shows the gap.
    fake.feed.held = null;
    await ask(prompt(4, 400));
    await settled();
    assert.deepEqual(fake.feed.replays.slice(-1), [1]);
    for (const seed of [1, 2, 3, 4]) {
      const { forecast, reported } = await ask(prompt(seed, 400));
      assert.deepEqual(forecast, { tokens: 384, exactness: 'exact', blockTokens: 16 });
      assert.equal(reported, 384);
    }
    await placement.close();
  });
}

test('what cannot be asked for again makes forecasts estimates until they have come true for a while', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  const placement = placementOver([fake], clock);
  const ask = asker(placement, fake, clock);
  assert.equal((await ask(prompt(1, 400))).forecast?.exactness, 'exact');
  fake.feed.held = [];
  fake.feed.canReplay = false;
  // Another client of the engine, which we do not hear of.
  fake.serve(prompt(2, 400));
  fake.feed.held = null;
  await ask(prompt(3, 400));
  await settled();
  const unsure = await ask(prompt(1, 400));
  assert.deepEqual(unsure.forecast, { tokens: 384, exactness: 'estimated', blockTokens: 16 });
  // Not known here, but the engine had it: from its report on it is known.
  const missed = await ask(prompt(2, 400));
  assert.deepEqual([missed.forecast?.tokens, missed.reported], [0, 384]);
  assert.equal((await ask(prompt(2, 400))).forecast?.tokens, 384);
  for (let trial = 0; trial < 20; trial += 1) await ask(prompt(1, 400));
  assert.equal((await ask(prompt(1, 400))).forecast?.exactness, 'exact');
  await placement.close();
});

test('an engine that starts anew has nothing, whatever was believed of it', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  const placement = placementOver([fake], clock);
  const ask = asker(placement, fake, clock);
  for (const seed of [1, 2, 3]) await ask(prompt(seed, 400));
  fake.backend.restart();
  // The feed sees the connection break and come back.
  fake.feed.listener?.onState('lost');
  assert.equal(placement.state()[0]?.feed, 'lost');
  fake.feed.listener?.onState('live');
  await settled();
  const first = await ask(prompt(1, 400));
  assert.deepEqual(first, {
    forecast: { tokens: 0, exactness: 'exact', blockTokens: 16 },
    reported: 0,
  });
  // Without a broken connection its numbers show it, one batch late.
  fake.backend.restart();
  await ask(prompt(5, 400));
  const { forecast, reported } = await ask(prompt(1, 400));
  assert.deepEqual([forecast?.tokens, forecast?.exactness, reported], [0, 'exact', 0]);
  await placement.close();
});

for (const hashes of ['vllm', 'secret'] as const) {
  test(`who comes late reads what the engine still has (${hashes} hashes)`, async () => {
    const clock = testClock();
    const fake = fakeReplica({ id: 'a', hashes, blockTokens: 32 });
    for (const seed of [1, 2, 3]) fake.serve(prompt(seed, 400));
    const placement = placementOver([fake], clock);
    await settled();
    const ask = asker(placement, fake, clock);
    for (const seed of [1, 2, 3]) {
      const { forecast, reported } = await ask(prompt(seed, 400));
      assert.deepEqual(forecast, { tokens: 384, exactness: 'exact', blockTokens: 32 });
      assert.equal(reported, 384);
    }
    await placement.close();
  });
}

test('who comes late without a replay learns from reports where hashes can be recomputed', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  fake.feed.canReplay = false;
  const base = prompt(1, 400);
  fake.serve(base);
  const placement = placementOver([fake], clock);
  await settled();
  const ask = asker(placement, fake, clock);
  const longer = Uint32Array.of(...base, ...prompt(9, 200));
  const first = await ask(longer);
  assert.deepEqual([first.forecast?.exactness, first.reported], ['estimated', 400]);
  // The event named a block whose parent was never seen; with names of our own it could not be placed.
  assert.equal((await ask(longer)).forecast?.tokens, 592);
  await placement.close();
});

test('seeds of the hash are found out', async () => {
  for (const seed of [null, '0', '42', 'other']) {
    const clock = testClock();
    const fake = fakeReplica({ id: 'a', seed });
    const placement = placementOver([fake], clock);
    const ask = asker(placement, fake, clock);
    await ask(prompt(1, 400));
    const { forecast, reported } = await ask(prompt(1, 400));
    assert.deepEqual([forecast?.tokens, forecast?.exactness, reported], [384, 'exact', 384]);
    await placement.close();
  }
});

test('events of a real engine: block size, hash and seed are found out', async () => {
  const file = new URL('../fixtures/reuse/vllm-kv-events.json', import.meta.url);
  const revive = (_: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && 'u64' in value
      ? BigInt(String(value.u64))
      : value;
  const { batches } = JSON.parse(readFileSync(file, 'utf8'), revive) as {
    batches: readonly RawKvBatch[];
  };
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  const placement = placementOver([fake], clock);
  await settled();
  // The first prompt's blocks came in one event.
  const [first] = batches.flatMap(({ events }) => events as readonly { token_ids: number[] }[]);
  const tokens = Uint32Array.of(...(first?.token_ids ?? []), 1);
  // Up to the first gap of the recording.
  for (const batch of batches.slice(0, 14)) fake.feed.listener?.onBatch(batch);
  await settled();
  const placed = sure(await placement.place(requestOf(tokens)));
  await settled();
  assert.deepEqual(placed.forecast(), {
    tokens: tokens.length - 1,
    exactness: 'exact',
    blockTokens: 32,
  });
  await placement.close();
});

test('adapters are known from events, and their prompts kept apart', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a', events: 'map', hashes: 'secret' });
  const placement = placementOver([fake], clock);
  const tokens = prompt(1, 64);
  fake.feed.listener?.onBatch({
    sequence: 0,
    events: [
      {
        type: 'BlockStored',
        block_hashes: [1n, 2n],
        parent_block_hash: null,
        token_ids: [...tokens.subarray(0, 32)],
        block_size: 16,
        lora_id: 1,
        medium: 'GPU',
        lora_name: 'tuned',
        extra_keys: [
          ['tuned', '/adapters/tuned'],
          ['tuned', '/adapters/tuned'],
        ],
        group_idx: 0,
      },
      {
        type: 'BlockStored',
        block_hashes: [3n],
        parent_block_hash: null,
        token_ids: [...tokens.subarray(0, 16)],
        block_size: 16,
        lora_id: null,
        medium: 'GPU',
        lora_name: null,
        extra_keys: null,
        group_idx: 0,
      },
    ],
  });
  await settled();
  const of = async (model: string): Promise<number | undefined> => {
    const placed = sure(await placement.place(requestOf(tokens, { model })));
    await settled();
    placed.cancel();
    return placed.forecast()?.tokens;
  };
  assert.equal(await of('m'), 16);
  assert.equal(await of('tuned'), 32);
  await placement.close();
});

test('layers with a window: groups are learned from events', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a', events: 'map' });
  fake.feed.canReplay = false;
  const placement = placementOver([fake], clock);
  const tokens = prompt(1, 160);
  const digests = Buffer.from(vllmBlockHashes(tokens, { blockTokens: 16, seed: null }));
  const hash = (at: number): bigint => digests.readBigUInt64BE(at * 32 + 24);
  const stored = (blocks: readonly number[], group: number, kind: string): unknown => ({
    type: 'BlockStored',
    block_hashes: blocks.map(hash),
    parent_block_hash: blocks[0] === 0 ? null : hash((blocks[0] ?? 0) - 1),
    token_ids: blocks.flatMap((at) => [...tokens.subarray(at * 16, at * 16 + 16)]),
    block_size: 16,
    lora_id: null,
    medium: 'GPU',
    lora_name: null,
    extra_keys: null,
    group_idx: group,
    kv_cache_spec_kind: kind,
    kv_cache_spec_sliding_window: kind === 'sliding_window' ? 33 : null,
  });
  fake.feed.listener?.onBatch({
    sequence: 0,
    events: [
      stored([0, 1, 2, 3, 4, 5, 6, 7, 8], 0, 'full_attention'),
      // A window of 33 tokens needs two blocks before the boundary: only 64 and 80 tokens have them.
      stored([2, 3, 4], 1, 'sliding_window'),
      stored([6], 1, 'sliding_window'),
    ],
  });
  await settled();
  const placed = sure(await placement.place(requestOf(tokens)));
  await settled();
  assert.deepEqual(placed.forecast(), { tokens: 80, exactness: 'exact', blockTokens: 16 });
  await placement.close();
});

test('token ids that come after the choice still make an exact forecast, of what was held before', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id }));
  const placement = placementOver(fakes, clock, { tokenizeMs: 1 });
  const tokens = prompt(1, 400);
  for (const fake of fakes) fake.serve(tokens);
  await settled();
  const gates: (() => void)[] = [];
  for (const fake of fakes) {
    const { tell } = fake;
    fake.tell = async (body, signal) => {
      await new Promise<void>((resolve) => gates.push(resolve));
      return tell(body, signal);
    };
  }
  const longer = Uint32Array.from([...tokens, ...prompt(2, 200)]);
  const placed = sure(await placement.place(requestOf(longer)));
  assert.notEqual(placed.forecast()?.exactness, 'exact');
  // The engine is faster than its tokenizer: what it says of this very request counts after the forecast.
  const reported = fakes[placed.replica]!.serve(longer);
  for (const open of gates) open();
  await settled();
  assert.deepEqual(placed.forecast(), { tokens: reported, exactness: 'exact', blockTokens: 16 });
  assert.equal(reported, 400);
  await placement.close();
});

test('events that nobody takes away do not pile up', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a', capacityBlocks: 100_000 });
  fake.tell = () => new Promise(() => undefined);
  const placement = placementOver([fake], clock, { lateMs: 60_000 });
  // Everything behind this waits for its ids.
  sure(await placement.place(requestOf(prompt(1, 64))));
  for (let at = 0; at < 5000; at += 1) fake.serve(prompt(at, 32));
  const { indexBlocks } = placement.state()[0]!;
  assert.equal(indexBlocks, 0);
  await placement.close();
});

test('a server that turns out to be another one is known anew', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a', events: null });
  const placement = placementOver([fake], clock);
  const ask = async (): Promise<number | undefined> => {
    const placed = sure(await placement.place(requestOf(prompt(1, 400))));
    await settled();
    placed.finish(null);
    return placed.forecast()?.tokens;
  };
  assert.equal(await ask(), 0);
  assert.equal(await ask(), 384);
  fake.facts = { ...fake.facts, fingerprint: 'two' };
  assert.equal(await ask(), 0);
  assert.equal(await ask(), 384);
  await placement.close();
});
