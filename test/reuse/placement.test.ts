import assert from 'node:assert/strict';
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
import { seededRandom } from '../helpers/simulated-conversations.ts';
import type { Placement } from '../../src/reuse/types.ts';

interface Turn {
  readonly replica: string;
  readonly planned: number | null;
  readonly exactness: string | undefined;
  readonly reported: number;
}

/** One request from its placing to its end; the engine's events come before the ids do, as on a fast engine. */
async function turn(
  placement: Placement,
  fakes: readonly FakeReplica[],
  tokens: Uint32Array,
  facts: { clock: TestClock; previous?: string | null; answer?: Uint32Array; tenant?: string },
): Promise<Turn> {
  const { clock, previous = null, tenant = 'default' } = facts;
  const placed = sure(await placement.place(requestOf(tokens, { previous, tenant })));
  const salt = placed.fields['cache_salt'];
  const reported = fakes[placed.replica]!.serve(
    tokens,
    typeof salt === 'string' ? salt : null,
    facts.answer ?? new Uint32Array(0),
  );
  placed.firstToken();
  await settled();
  clock.wait(500);
  const forecast = placed.forecast();
  placed.finish(reported);
  await settled();
  return {
    replica: placed.id,
    planned: forecast?.tokens ?? null,
    exactness: forecast?.exactness,
    reported,
  };
}

/** Random conversations that grow, branch and go back. */
async function conversations(
  fakes: readonly FakeReplica[],
  placement: Placement,
  { clock, seed, turns }: { clock: TestClock; seed: number; turns: number },
): Promise<readonly Turn[]> {
  const random = seededRandom(seed);
  const held = Array.from({ length: 6 }, (_, at) => ({
    tokens: [...prompt(at % 2, 100 + at)],
    previous: null as string | null,
  }));
  const done: Turn[] = [];
  for (let at = 0; at < turns; at += 1) {
    const conversation = held[Math.floor(random() * held.length)]!;
    if (random() < 0.2) {
      conversation.tokens.length = 50 + Math.floor(random() * (conversation.tokens.length - 50));
    }
    if (conversation.tokens.length > 1200) conversation.tokens.length = 120;
    for (let more = random() * 120; more > 0; more -= 1) {
      conversation.tokens.push(Math.floor(random() * 50_000));
    }
    const answer = Uint32Array.from({ length: Math.floor(random() * 40) }, () =>
      Math.floor(random() * 50_000),
    );
    const result = await turn(placement, fakes, Uint32Array.from(conversation.tokens), {
      clock,
      previous: conversation.previous,
      answer,
      tenant: `t${conversation.tokens.length % 2}`,
    });
    conversation.previous = result.replica;
    conversation.tokens.push(...answer);
    done.push(result);
  }
  return done;
}

for (const setup of [
  { replicas: 1, hashes: 'vllm', events: 'map', salt: 'none', blockTokens: 16 },
  { replicas: 1, hashes: 'secret', events: 'array', salt: 'none', blockTokens: 32 },
  { replicas: 1, hashes: 'vllm', events: 'map', salt: 'tenant', blockTokens: 32 },
  { replicas: 3, hashes: 'vllm', events: 'array', salt: 'none', blockTokens: 32 },
  { replicas: 3, hashes: 'secret', events: 'map', salt: 'tenant', blockTokens: 16 },
] as const) {
  test(`forecasts are what engines report: ${JSON.stringify(setup)}`, async () => {
    const clock = testClock();
    // Small enough that blocks are evicted, large enough for one prompt.
    const fakes = Array.from({ length: setup.replicas }, (_, at) =>
      fakeReplica({ id: `r${at}`, capacityBlocks: Math.ceil(2600 / setup.blockTokens), ...setup }),
    );
    const placement = placementOver(fakes, clock, { salt: setup.salt, secret: 'secret' });
    const turns = await conversations(fakes, placement, { clock, seed: 7, turns: 150 });
    // Until its first event a replica's block size and hashes are a guess.
    const seen = new Set<string>();
    const judged = turns.filter(({ replica }) => seen.size === seen.add(replica).size);
    const wrong = judged.filter(({ planned, reported }) => planned !== reported);
    assert.deepEqual(wrong, []);
    assert.ok(judged.every(({ exactness }) => exactness === 'exact'));
    assert.ok(turns.some(({ reported }) => reported > 500));
    assert.ok(turns.some(({ reported }) => reported === 0));
    assert.ok(setup.replicas === 1 || seen.size > 1);
    await placement.close();
  });
}

test('one replica: nothing waits for token ids, and without them there is an estimate', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  let asked = false;
  fake.tell = async () => {
    asked = true;
    return new Promise(() => undefined);
  };
  const placement = placementOver([fake], clock);
  const placing = placement.place(requestOf(prompt(1, 300), { reusableTokens: 100 }));
  let placed = null;
  void placing.then((place) => {
    placed = place;
  });
  await Promise.resolve();
  await Promise.resolve();
  assert.notEqual(placed, null);
  assert.equal(asked, false);
  assert.deepEqual(sure(await placing).forecast(), {
    tokens: 96,
    exactness: 'estimated',
    blockTokens: 16,
  });
  const unknown = sure(await placement.place(requestOf(prompt(1, 300))));
  assert.equal(unknown.forecast(), null);
  await placement.close();
});

test('one replica without events: by ids what it was sent before, eviction learned from reports', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a', events: null, facts: { kind: 'llamacpp' } });
  const placement = placementOver([fake], clock);
  const long = prompt(1, 640);
  for (const [tokens, planned] of [
    [long.subarray(0, 320), 0],
    [long, 320],
    [long, 639],
  ] as const) {
    const placed = sure(await placement.place(requestOf(tokens)));
    await settled();
    assert.deepEqual(placed.forecast(), {
      tokens: planned,
      exactness: 'estimated',
      blockTokens: 1,
    });
    placed.finish(planned);
    clock.wait(10_000);
  }
  const askedFor = async (tokens: Uint32Array, reported: number): Promise<number | undefined> => {
    const placed = sure(await placement.place(requestOf(tokens)));
    await settled();
    placed.finish(reported);
    clock.wait(10_000);
    return placed.forecast()?.tokens;
  };
  const other = prompt(2, 64);
  await askedFor(other, 0);
  await askedFor(long, 639);
  assert.equal(await askedFor(long, 0), 639);
  // What was used longer ago than the prompt that is gone must be gone as well.
  assert.equal(await askedFor(other, 0), 0);
  await placement.close();
});

test('without events the length of an answer tells what the engine holds of it', async () => {
  for (const blockTokens of [1, 16]) {
    const clock = testClock();
    const fakes = ['a', 'b'].map((id) =>
      fakeReplica({ id, events: null, blockTokens, facts: { blockTokens } }),
    );
    const placement = placementOver(fakes, clock);
    const answer = prompt(9, 60);
    const first = prompt(1, 401);
    const next = Uint32Array.from([...first, ...answer, ...prompt(2, 100)]);
    const ask = async (tokens: Uint32Array, said: Uint32Array): Promise<unknown> => {
      const placed = sure(await placement.place(requestOf(tokens, { previous: 'a' })));
      // The last generated token is never fed back.
      const cached = fakes[placed.replica]!.serve(tokens, null, said.subarray(0, -1));
      placed.finish(cached, { completionTokens: said.length });
      clock.wait(5000);
      return [placed.forecast()?.tokens, cached];
    };
    assert.deepEqual(await ask(first, answer), [0, 0]);
    const held = Math.floor((401 + 59) / blockTokens) * blockTokens;
    assert.deepEqual(await ask(next, prompt(3, 5)), [held, held]);
    await placement.close();
  }
});

test('what an earlier process sent is expected for a while, then only what this one knows of', async () => {
  for (const count of [1, 2]) {
    const clock = testClock();
    const fakes = ['a', 'b'].slice(0, count).map((id) => fakeReplica({ id, events: null }));
    const placement = placementOver(fakes, clock);
    const forecast = async (seed: number): Promise<unknown> => {
      const request = requestOf(prompt(seed, 400), { previous: 'a', reusableTokens: 300 });
      const placed = sure(await placement.place(request));
      await settled();
      placed.finish(null);
      return [placed.id, placed.forecast()?.tokens];
    };
    assert.deepEqual(await forecast(1), ['a', 288]);
    clock.wait(30 * 60_000);
    const [, tokens] = (await forecast(2)) as [string, number];
    assert.equal(tokens, 0);
    await placement.close();
  }
});

test('several replicas: a burst of one conversation follows its first request', async () => {
  const clock = testClock();
  const fakes = ['a', 'b', 'c'].map((id) => fakeReplica({ id }));
  const placement = placementOver(fakes, clock);
  const burst = await Promise.all(
    [0, 1, 2, 3].map(() => placement.place(requestOf(prompt(1, 2000)))),
  );
  assert.equal(new Set(burst.map((placed) => placed?.id)).size, 1);
  const others = await Promise.all(
    [2, 3].map((seed) => placement.place(requestOf(prompt(seed, 2000)))),
  );
  assert.equal(new Set([burst[0], ...others].map((placed) => placed?.id)).size, 3);
  await placement.close();
});

test('several replicas: a slow tokeniser is not waited for; text and the last replica decide', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id }));
  for (const fake of fakes) fake.tell = () => new Promise(() => undefined);
  const placement = placementOver(fakes, clock, { tokenizeMs: 5 });
  const long = prompt(1, 3000);
  const first = sure(await placement.place(requestOf(long.subarray(0, 2500))));
  assert.equal(first.forecast(), null);
  const other = sure(await placement.place(requestOf(prompt(2, 2500))));
  assert.notEqual(other.id, first.id);
  // By its text alone: nobody said where it was.
  const text = sure(await placement.place(requestOf(long)));
  assert.equal(text.id, first.id);
  assert.equal(text.forecast()?.exactness, 'estimated');
  assert.ok((text.forecast()?.tokens ?? 0) > 1000);
  // By where it was: its text begins otherwise (a time stamp, another order of fields).
  const body = Buffer.concat([
    Buffer.from('{"at":1,'),
    Buffer.from(requestOf(long).body).subarray(1),
  ]);
  const stays = sure(
    await placement.place(requestOf(long, { body, previous: other.id, reusableTokens: 2400 })),
  );
  assert.equal(stays.id, other.id);
  assert.deepEqual(stays.forecast(), { tokens: 2400, exactness: 'estimated', blockTokens: 16 });
  await placement.close();
});

test('what was placed by its ids is found by its text when ids are not told any more', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id, events: null }));
  const placement = placementOver(fakes, clock, { tokenizeMs: 5 });
  const long = prompt(1, 3000);
  const first = sure(await placement.place(requestOf(long.subarray(0, 2500))));
  sure(await placement.place(requestOf(prompt(2, 2500))));
  for (const fake of fakes) fake.tell = async () => null;
  const again = sure(await placement.place(requestOf(long)));
  assert.equal(again.id, first.id);
  assert.ok((again.forecast()?.tokens ?? 0) > 1000);
  await placement.close();
});

test('ids that come after the choice still say what the replica holds', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id, events: null }));
  const answers: (() => void)[] = [];
  for (const fake of fakes) {
    const { tell } = fake;
    fake.tell = async (body, signal) => {
      await new Promise<void>((resolve) => answers.push(resolve));
      return tell(body, signal);
    };
  }
  const placement = placementOver(fakes, clock, { tokenizeMs: 5 });
  const tokens = prompt(1, 800);
  const first = sure(await placement.place(requestOf(tokens)));
  for (const answer of answers.splice(0)) answer();
  await settled();
  for (const fake of fakes) fake.tell = async () => ({ tokens, exact: true });
  const second = sure(await placement.place(requestOf(tokens, { body: Buffer.from('{}') })));
  assert.equal(second.id, first.id);
  assert.equal(second.forecast()?.tokens, 784);
  await placement.close();
});

test('who told ids hears how many the server counted, exact or not', async () => {
  const clock = testClock();
  for (const count of [1, 2]) {
    const fakes = ['a', 'b'].slice(0, count).map((id) => fakeReplica({ id }));
    const results: object[] = [];
    const heard: unknown[] = [];
    for (const fake of fakes) {
      fake.tell = async () => {
        const told = { tokens: prompt(1, 100), exact: false };
        results.push(told);
        return told;
      };
      Object.assign(fake.replica, {
        confirm: (told: object, counted: number) => heard.push([results.indexOf(told), counted]),
      });
    }
    const placement = placementOver(fakes, clock);
    const placed = sure(await placement.place(requestOf(prompt(1, 100))));
    await settled();
    placed.finish(0, { promptTokens: 99 });
    assert.deepEqual(heard, [[0, 99]]);
    await placement.close();
  }
});

test('a prompt goes where it fits, and to anybody when it fits nowhere', async () => {
  const clock = testClock();
  const small = fakeReplica({ id: 'small', facts: { contextWindow: 500 } });
  const large = fakeReplica({ id: 'large', facts: { contextWindow: 4000 } });
  const placement = placementOver([small, large], clock);
  const ids: string[] = [];
  for (const length of [1000, 1001, 9000]) {
    ids.push(sure(await placement.place(requestOf(prompt(length, length)))).id);
  }
  assert.deepEqual(ids.slice(0, 2), ['large', 'large']);
  assert.equal(ids.length, 3);
  await placement.close();
});

test('replicas of different models keep apart what they hold', async () => {
  const clock = testClock();
  const fakes = [
    fakeReplica({ id: 'a', facts: { fingerprint: 'one' } }),
    fakeReplica({ id: 'b', facts: { fingerprint: 'two' } }),
  ];
  // The same text has other ids there.
  const tokens = prompt(1, 900);
  fakes[1]!.tell = async () => ({ tokens: tokens.map((id) => id + 1), exact: true });
  const placement = placementOver(fakes, clock);
  const first = sure(await placement.place(requestOf(tokens)));
  first.finish(null);
  placement.drain(first.id, true);
  const second = sure(await placement.place(requestOf(tokens)));
  assert.notEqual(second.id, first.id);
  assert.equal(second.forecast()?.tokens, 0);
  await placement.close();
});

test('memory stays bounded', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id, events: null }));
  const placement = placementOver(fakes, clock, { maxIndexBlocks: 500 });
  for (let at = 0; at < 100; at += 1) {
    sure(await placement.place(requestOf(prompt(at, 800)))).finish(0);
  }
  for (const { indexBlocks, running, queuedTokens } of placement.state()) {
    // Text chains are bounded by a constant of their own, far above what these leave.
    assert.ok(indexBlocks < 500 + 2000, `${indexBlocks} blocks`);
    assert.equal(running, 0);
    assert.equal(queuedTokens, 0);
  }
  await placement.close();
});

test('nothing keeps the process alive, and after the end nothing is asked', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  const other = fakeReplica({ id: 'b' });
  let signal: AbortSignal | null = null;
  fake.tell = (_body, given) => {
    signal = given;
    return new Promise(() => undefined);
  };
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const placement = placementOver([fake, other], clock, { checkMs: 1000, tokenizeMs: 1 });
  sure(await placement.place(requestOf(prompt(1, 64), { previous: 'a' })));
  await settled();
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  assert.ok(timers <= before);
  await placement.close();
  assert.equal((signal as AbortSignal | null)?.aborted, true);
  assert.equal(fake.feed.listener, null);
});
