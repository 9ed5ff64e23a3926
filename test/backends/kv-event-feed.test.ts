/** The event feed against a publisher in this process: order, replay, garbage, restarts, and both encodings. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import {
  createKvEventFeed,
  type KvEventBatch,
  type KvEventFeed,
} from '../../src/backends/kv-event-feed.ts';
import { readKvEvent } from '../../src/reuse/kv-events.ts';
import {
  sequenceFrame,
  startFakePublisher,
  type FakePublisher,
} from '../helpers/fake-publisher.ts';

interface Recorded {
  readonly payloads: readonly { readonly sequence: number; readonly payload: string }[];
}
const recorded = JSON.parse(
  readFileSync('test/fixtures/backends/kv-event-payloads.json', 'utf8'),
) as { readonly maps: Recorded; readonly arrays: Recorded };

interface Watched {
  readonly batches: KvEventBatch[];
  readonly states: string[];
  /** Resolves when the condition holds. */
  until(condition: () => boolean): Promise<void>;
  stop(): void;
}

function watch(t: TestContext, feed: KvEventFeed): Watched {
  const batches: KvEventBatch[] = [];
  const states: string[] = [];
  const checks = new Set<() => void>();
  const changed = (): void => {
    for (const check of checks) check();
  };
  const stop = feed.subscribe({
    onBatch(batch) {
      batches.push(batch);
      changed();
    },
    onState(state) {
      states.push(state);
      changed();
    },
  });
  t.after(stop);
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        checks.delete(check);
        resolve();
      };
      checks.add(check);
      check();
    });
  return { batches, states, until, stop };
}

async function connected(
  t: TestContext,
): Promise<{ publisher: FakePublisher; feed: KvEventFeed; watched: Watched }> {
  const publisher = await startFakePublisher(t);
  const { endpoint, replayEndpoint } = publisher;
  const feed = createKvEventFeed({ endpoint, replayEndpoint, replayMs: 1000 });
  const watched = watch(t, feed);
  await subscribed(publisher, watched);
  return { publisher, feed, watched };
}

/** A subscription takes effect some time after the connection stands; until then nothing arrives. */
async function subscribed(publisher: FakePublisher, watched: Watched): Promise<void> {
  await watched.until(() => watched.states.at(-1) === 'live');
  await publisher.subscribed();
}

const sequences = (batches: readonly KvEventBatch[] | null): number[] | undefined =>
  batches?.map(({ sequence }) => sequence);

test('batches arrive in order, decoded and not interpreted', async (t) => {
  const { publisher, watched } = await connected(t);
  await publisher.publish([{ type: 'AllBlocksCleared' }]);
  await publisher.publish([['BlockRemoved', [2n ** 63n], 'GPU'], { type: 'Later', x: [1] }]);
  await watched.until(() => watched.batches.length === 2);
  assert.deepEqual(watched.batches, [
    { sequence: 0, events: [{ type: 'AllBlocksCleared' }] },
    {
      sequence: 1,
      events: [['BlockRemoved', [2n ** 63n], 'GPU'], { type: 'Later', x: [1] }],
    },
  ]);
  assert.deepEqual(watched.states, ['live']);
});

test('who comes late asks for what was before', async (t) => {
  const publisher = await startFakePublisher(t);
  for (let at = 0; at < 5; at += 1) await publisher.publish([{ type: 'AllBlocksCleared' }]);
  const { endpoint, replayEndpoint } = publisher;
  const feed = createKvEventFeed({ endpoint, replayEndpoint });
  const watched = watch(t, feed);
  await subscribed(publisher, watched);
  assert.deepEqual(watched.batches, []);
  assert.deepEqual(sequences(await feed.replay(0)), [0, 1, 2, 3, 4]);
  assert.deepEqual(sequences(await feed.replay(3)), [3, 4]);
  assert.deepEqual(sequences(await feed.replay(9)), []);
});

test('a gap shows in the numbers and is filled by a replay', async (t) => {
  const { publisher, feed, watched } = await connected(t);
  await publisher.publish([]);
  await publisher.publish([], { lost: true });
  await publisher.publish([]);
  await watched.until(() => watched.batches.length === 2);
  assert.deepEqual(sequences(watched.batches), [0, 2]);
  assert.deepEqual(sequences(await feed.replay(1)), [1, 2]);
});

test('of a replay the publisher gives what it still has', async (t) => {
  const publisher = await startFakePublisher(t, { keep: 2 });
  for (let at = 0; at < 5; at += 1) await publisher.publish([]);
  const { endpoint, replayEndpoint } = publisher;
  const feed = createKvEventFeed({ endpoint, replayEndpoint });
  assert.deepEqual(sequences(await feed.replay(0)), [3, 4]);
});

test('what gets lost on the way of a replay is asked for again, while that helps', async (t) => {
  const loses = (sequence: number, replay: number): boolean =>
    sequence === 9 || (replay === 0 && sequence % 3 === 1) || (replay === 1 && sequence === 7);
  const publisher = await startFakePublisher(t, { loses });
  for (let at = 0; at < 12; at += 1) await publisher.publish([at]);
  const { endpoint, replayEndpoint } = publisher;
  const feed = createKvEventFeed({ endpoint, replayEndpoint });
  const batches = await feed.replay(0);
  assert.deepEqual(sequences(batches), [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
  assert.deepEqual(publisher.replays, [0, 1, 7, 9]);
});

test('a long replay arrives whole', async (t) => {
  const publisher = await startFakePublisher(t);
  const event = { type: 'BlockStored', token_ids: Array.from({ length: 64 }, (_, at) => at) };
  for (let at = 0; at < 10_000; at += 1) await publisher.publish([event], { lost: true });
  const { endpoint, replayEndpoint } = publisher;
  const feed = createKvEventFeed({ endpoint, replayEndpoint });
  const batches = await feed.replay(0);
  assert.deepEqual(
    [batches?.length, batches?.at(-1)],
    [10_000, { sequence: 9999, events: [event] }],
  );
});

test('garbage is passed over', async (t) => {
  const { publisher, watched } = await connected(t);
  const good = Buffer.from([0x93, 0x01, 0x90, 0x00]);
  await publisher.sendRaw([Buffer.from('kv')]);
  await publisher.sendRaw([Buffer.from('kv'), Buffer.from('short'), good]);
  await publisher.sendRaw([Buffer.from('kv'), sequenceFrame(7), Buffer.from([0xc1, 0xff])]);
  await publisher.sendRaw([Buffer.from('kv'), sequenceFrame(8), Buffer.from([0x81])]);
  await publisher.sendRaw([Buffer.from('kv'), sequenceFrame(-5), good]);
  await publisher.sendRaw([Buffer.from('kv'), Buffer.alloc(8, 0x7f), good]);
  await publisher.sendRaw([Buffer.from('kv'), sequenceFrame(9), Buffer.from([0x2a])]);
  await publisher.sendRaw([Buffer.from('kv'), sequenceFrame(10), good]);
  await watched.until(() => watched.batches.length > 0);
  assert.deepEqual(watched.batches, [{ sequence: 10, events: [] }]);
});

test('a publisher that restarts is found again, and begins at 0', async (t) => {
  const { publisher, feed, watched } = await connected(t);
  await publisher.publish([]);
  await publisher.publish([]);
  await watched.until(() => watched.batches.length === 2);
  await publisher.close();
  await watched.until(() => watched.states.at(-1) === 'lost');
  assert.equal(await feed.replay(0), null);
  const again = await startFakePublisher(t, { at: publisher });
  await subscribed(again, watched);
  assert.deepEqual(watched.states, ['live', 'lost', 'live']);
  await again.publish([{ type: 'AllBlocksCleared' }]);
  await watched.until(() => watched.batches.length === 3);
  assert.equal(watched.batches[2]?.sequence, 0);
  assert.deepEqual(sequences(await feed.replay(0)), [0]);
});

test('without a replay endpoint, or an answer from it, nothing is known of before', async (t) => {
  const publisher = await startFakePublisher(t, { mute: true });
  const { endpoint, replayEndpoint } = publisher;
  const without = createKvEventFeed({ endpoint, replayEndpoint: null });
  assert.equal(await without.replay(0), null);
  const mute = createKvEventFeed({ endpoint, replayEndpoint, replayMs: 100 });
  assert.equal(await mute.replay(0), null);
});

test('after its end nothing arrives', async (t) => {
  const { publisher, watched } = await connected(t);
  watched.stop();
  await publisher.publish([]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual([watched.batches, watched.states], [[], ['live']]);
});

for (const endpoint of ['', 'tcp://*:5557', 'http://host:5557', 'tcp://host', 'host:5557']) {
  test(`'${endpoint}' is refused as an endpoint`, () => {
    const create = (): unknown => createKvEventFeed({ endpoint, replayEndpoint: null });
    assert.throws(create, { code: 'CONFIG_INVALID' });
  });
}

for (const [name, { payloads }] of Object.entries(recorded)) {
  test(`recorded payloads with ${name} are read to the bit`, async (t) => {
    const { publisher, watched } = await connected(t);
    for (const { sequence, payload } of payloads) {
      const bytes = Buffer.from(payload, 'base64');
      await publisher.sendRaw([Buffer.from('kv'), sequenceFrame(sequence), bytes]);
    }
    await watched.until(() => watched.batches.length === payloads.length);
    const events = watched.batches.flatMap((batch) => batch.events.map(readKvEvent));
    assert.ok(events.length >= 4 && !events.includes(null));
    const stored = events.flatMap((event) => (event?.type === 'stored' ? [event] : []));
    const hash = (at: number, of: number): bigint => {
      const { high = 0, low = 0 } = stored[at]?.hashes[of] ?? {};
      return (BigInt(high) << 32n) | BigInt(low);
    };
    const types = events.map((event) => event?.type);
    if (name === 'maps') {
      assert.deepEqual(types, ['stored', 'stored', 'cleared', 'stored']);
      assert.equal(hash(1, 0), 6522045006455570523n);
      assert.equal(stored[1]?.tokens[0], 1000);
      assert.equal(hash(2, 0), 14766252776590866101n);
    } else {
      assert.deepEqual(types, ['stored', 'removed', 'stored', 'cleared']);
      assert.deepEqual(
        [0, 1, 2].map((of) => hash(0, of)),
        [14284249837664910939n, 7n, 2n ** 53n + 1n],
      );
      assert.deepEqual([...(stored[0]?.tokens ?? [])], [1, 70000, 4294967295]);
      assert.equal(hash(1, 0), 0x18191a1b1c1d1e1fn);
    }
  });
}
