/** Live events of a real vLLM: decoded, in order, repeated on request, and each block under the hash that we compute. */
import assert from 'node:assert/strict';
import { createKvEventFeed, type KvEventBatch } from '../../src/backends/kv-event-feed.ts';
import { readKvEvent, type BlockStored } from '../../src/reuse/kv-events.ts';
import { eventHash, vllmBlockHashes } from '../../src/reuse/vllm-hash.ts';
import type { RealEngine } from './engine-suite.ts';

/** Blocks of stored events that begin a prompt, and how many of them have the hash that we compute. */
function verified(batches: readonly KvEventBatch[]): { blocks: number; same: number } {
  const found = { blocks: 0, same: 0 };
  const isRoot = (event: ReturnType<typeof readKvEvent>): event is BlockStored =>
    event?.type === 'stored' && event.parent === null;
  for (const event of batches.flatMap((batch) => batch.events.map(readKvEvent))) {
    if (!isRoot(event)) continue;
    const digests = vllmBlockHashes(event.tokens, { blockTokens: event.blockTokens, seed: null });
    for (const [at, { high, low }] of event.hashes.entries()) {
      found.blocks += 1;
      const ours = eventHash(digests.subarray(at * 32, at * 32 + 32));
      if (ours === ((BigInt(high) << 32n) | BigInt(low))) found.same += 1;
    }
  }
  return found;
}

export async function eventsArrive(engine: RealEngine): Promise<void> {
  assert.ok(engine.events !== undefined);
  const feed = createKvEventFeed(engine.events);
  const live: KvEventBatch[] = [];
  const states: string[] = [];
  const stop = feed.subscribe({
    onBatch: (batch) => live.push(batch),
    onState: (state) => states.push(state),
  });
  const until = async (condition: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 100 && !condition(); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(condition());
  };
  try {
    await until(() => states.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const prompt = Array.from({ length: 130 }, (_, at) => 3000 + at);
    await fetch(`${engine.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: engine.model, max_tokens: 1, prompt }),
    });
    await until(() => verified(live).blocks >= 4);
    const { blocks, same } = verified(live);
    assert.equal(same, blocks);
    const all = await feed.replay(0);
    assert.ok(all !== null);
    assert.deepEqual(
      all.map(({ sequence }) => sequence),
      all.map((_, at) => at),
    );
    const whole = verified(all);
    assert.ok(whole.blocks >= blocks);
    assert.equal(whole.same, whole.blocks);
    assert.deepEqual(await feed.replay(all.length - 1), all.slice(-1));
    assert.deepEqual(states, ['live']);
  } finally {
    stop();
  }
}
