import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { secretIn } from '../../src/reuse/salt.ts';
import { positionOf } from '../../src/reuse/position.ts';
import {
  fakeReplica,
  placementOver,
  prompt,
  requestOf,
  settled,
  sure,
  testClock,
} from '../helpers/placed-replicas.ts';

test('a replica that fails before anything was sent: the others are tried, each once', async () => {
  const clock = testClock();
  const fakes = ['a', 'b', 'c'].map((id) => fakeReplica({ id }));
  const placement = placementOver(fakes, clock);
  const first = sure(await placement.place(requestOf(prompt(1, 800))));
  const second = sure(first.fail(false));
  const third = sure(second.fail(false));
  assert.deepEqual([first.id, second.id, third.id].toSorted(), ['a', 'b', 'c']);
  assert.equal(third.fail(false), null);
  assert.equal(third.fail(false), null);
  assert.ok(placement.state().every(({ running, queuedTokens }) => running + queuedTokens === 0));
  await placement.close();
});

test('a replica that fails after bytes have left: no other one is tried', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id }));
  const placement = placementOver(fakes, clock);
  const placed = sure(await placement.place(requestOf(prompt(1, 800))));
  assert.equal(placed.fail(true), null);
  // Nothing of it is believed to be there.
  const again = sure(await placement.place(requestOf(prompt(1, 800))));
  assert.equal(again.forecast()?.tokens, 0);
  await placement.close();
});

test('a dead replica is avoided after three failures, and used again after a look that finds it', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id, events: null }));
  fakes[0]!.up = false;
  const placement = placementOver(fakes, clock, { checkMs: 5, random: () => 0 });
  const long = prompt(1, 3000);
  let failures = 0;
  for (let at = 0; at < 6; at += 1) {
    let placed = sure(await placement.place(requestOf(prompt(at, 800), { previous: 'a' })));
    if (placed.id === 'a') {
      failures += 1;
      placed = sure(placed.fail(false));
    }
    assert.equal(placed.id, 'b');
    placed.finish(null);
  }
  assert.ok(failures <= 3);
  while (placement.state()[0]?.healthy === true) await wait(5);
  assert.equal(placement.state()[1]?.healthy, true);
  while (fakes[0]!.looks.count === 0) await wait(5);
  assert.equal(fakes[1]!.looks.count, 0);
  fakes[0]!.up = true;
  while (placement.state()[0]?.healthy !== true) await wait(5);
  const { count } = fakes[0]!.looks;
  sure(await placement.place(requestOf(long, { previous: 'a' })));
  await wait(30);
  assert.equal(fakes[0]!.looks.count, count);
  // Idle for long: it is looked at again.
  clock.wait(60_000);
  while (fakes[0]!.looks.count === count) await wait(5);
  await placement.close();
});

test('the only replica is tried also after it failed', async () => {
  const clock = testClock();
  const placement = placementOver([fakeReplica({ id: 'a' })], clock);
  for (let at = 0; at < 5; at += 1) {
    assert.equal(sure(await placement.place(requestOf(prompt(at, 100)))).fail(false), null);
  }
  assert.equal(placement.state()[0]?.healthy, false);
  assert.notEqual(await placement.place(requestOf(prompt(1, 100))), null);
  await placement.close();
});

test('after an outage nothing is believed to be cached where no events tell', async () => {
  const clock = testClock();
  const placement = placementOver([fakeReplica({ id: 'a', events: null })], clock);
  const forecast = async (): Promise<number | undefined> => {
    const placed = sure(await placement.place(requestOf(prompt(1, 400))));
    await settled();
    placed.finish(null);
    return placed.forecast()?.tokens;
  };
  await forecast();
  assert.equal(await forecast(), 384);
  for (let at = 0; at < 3; at += 1) {
    sure(await placement.place(requestOf(prompt(9, 40)))).fail(true);
  }
  sure(await placement.place(requestOf(prompt(8, 40)))).finish(0);
  assert.equal(await forecast(), 0);
  await placement.close();
});

test('a draining replica finishes what it has and gets nothing new', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id }));
  const placement = placementOver(fakes, clock);
  const held = sure(await placement.place(requestOf(prompt(1, 800))));
  placement.drain(held.id, true);
  for (let at = 0; at < 4; at += 1) {
    const placed = sure(
      await placement.place(requestOf(prompt(1, 801 + at), { previous: held.id })),
    );
    assert.notEqual(placed.id, held.id);
    placed.finish(0);
  }
  const draining = placement.state().find(({ id }) => id === held.id);
  assert.deepEqual([draining?.draining, draining?.running], [true, 1]);
  held.finish(0);
  placement.drain(held.id, false);
  const back = sure(await placement.place(requestOf(prompt(1, 801), { previous: held.id })));
  assert.ok(['a', 'b'].includes(back.id));
  assert.throws(() => placement.drain('nobody', true), /No replica is named nobody/);
  for (const id of ['a', 'b']) placement.drain(id, true);
  assert.equal(await placement.place(requestOf(prompt(2, 100))), null);
  await placement.close();
});

test('a client that goes away says nothing about the replica', async () => {
  const clock = testClock();
  const placement = placementOver([fakeReplica({ id: 'a' })], clock);
  for (let at = 0; at < 10; at += 1) {
    const placed = sure(await placement.place(requestOf(prompt(at, 400))));
    placed.cancel();
    placed.finish(0);
    assert.equal(placed.fail(false), null);
  }
  await settled();
  const [state] = placement.state();
  assert.deepEqual([state?.healthy, state?.running, state?.queuedTokens], [true, 0, 0]);
  await placement.close();
});

test('ids that fail or throw are ids that are not known', async () => {
  const clock = testClock();
  const fakes = ['a', 'b'].map((id) => fakeReplica({ id }));
  fakes[0]!.tell = () => Promise.reject(new Error('no'));
  fakes[1]!.tell = () => {
    throw new Error('no');
  };
  const placement = placementOver(fakes, clock);
  assert.notEqual(await placement.place(requestOf(prompt(1, 400))), null);
  await placement.close();
});

test('salted tenants never see one another, in fields or in forecasts', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  const placement = placementOver([fake], clock, { salt: 'tenant', secret: 's' });
  const ask = async (tenant: string, body?: Uint8Array): Promise<[unknown, number | undefined]> => {
    const tokens = prompt(1, 400);
    const placed = sure(
      await placement.place(requestOf(tokens, { tenant, ...(body === undefined ? {} : { body }) })),
    );
    const salt = placed.fields['cache_salt'];
    const own = body === undefined ? null : 'mine';
    const reported = fake.serve(tokens, typeof salt === 'string' ? salt : own);
    await settled();
    const forecast = placed.forecast();
    placed.finish(reported);
    assert.deepEqual([forecast?.tokens, forecast?.exactness], [reported, 'exact']);
    return [salt, reported];
  };
  const [one] = await ask('one');
  assert.match(String(one), /^[0-9a-f]{32}$/);
  assert.deepEqual(await ask('one'), [one, 384]);
  const [two, hit] = await ask('two');
  assert.notEqual(two, one);
  assert.equal(hit, 0);
  // Who names a salt keeps it.
  const body = Buffer.from(JSON.stringify({ prompt: [...prompt(1, 400)], cache_salt: 'mine' }));
  assert.deepEqual(await ask('one', body), [undefined, 0]);
  assert.deepEqual(await ask('one', body), [undefined, 384]);
  await placement.close();
});

test('without salts tenants share what the engine shares', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a' });
  const placement = placementOver([fake], clock);
  for (const [tenant, expected] of [
    ['one', 0],
    ['two', 384],
  ] as const) {
    const placed = sure(await placement.place(requestOf(prompt(1, 400), { tenant })));
    fake.serve(prompt(1, 400));
    await settled();
    assert.deepEqual(placed.fields, {});
    assert.equal(placed.forecast()?.tokens, expected);
  }
  await placement.close();
});

test('a salt needs a secret; the secret is made once and readable by its owner alone', () => {
  const clock = testClock();
  assert.throws(
    () => placementOver([fakeReplica({ id: 'a' })], clock, { salt: 'tenant' }),
    /secret/,
  );
  const folder = join(mkdtempSync(join(tmpdir(), 'sluice-salt-')), 'state');
  const secret = secretIn(folder);
  assert.match(secret, /^[0-9a-f]{64}$/);
  assert.equal(secretIn(folder), secret);
  assert.equal(statSync(join(folder, 'salt-secret')).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(folder), ['salt-secret']);
});

test('slots: a conversation keeps its own, a new one takes the one unused for longest', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a', events: null, facts: { kind: 'llamacpp', slots: 3 } });
  const slotOf = async (
    placement: ReturnType<typeof placementOver>,
    tokens: Uint32Array,
    facts: { session?: string; body?: Uint8Array } = {},
  ): Promise<unknown> => sure(await placement.place(requestOf(tokens, facts))).fields['id_slot'];
  const placement = placementOver([fake], clock, { pinSlots: true });
  const base = prompt(1, 2000);
  const first = await slotOf(placement, base);
  assert.equal(first, 0);
  assert.equal(await slotOf(placement, prompt(2, 2000)), 1);
  assert.equal(await slotOf(placement, Uint32Array.of(...base, ...prompt(3, 400))), 0);
  assert.equal(await slotOf(placement, prompt(4, 2000)), 2);
  assert.equal(await slotOf(placement, prompt(5, 2000)), 1);
  // By name, whatever the text.
  const named = await slotOf(placement, prompt(6, 400), { session: 'x' });
  assert.equal(await slotOf(placement, prompt(7, 400), { session: 'y' }), 2);
  assert.equal(await slotOf(placement, prompt(8, 400), { session: 'x' }), named);
  const body = Buffer.from(JSON.stringify({ prompt: [1, 2], id_slot: 7 }));
  assert.equal(await slotOf(placement, prompt(9, 400), { body }), undefined);
  await placement.close();
  const off = placementOver([fake], clock);
  assert.equal(await slotOf(off, base), undefined);
  await off.close();
});

test('what one slot holds is not expected in another', async () => {
  const clock = testClock();
  const fake = fakeReplica({ id: 'a', events: null, facts: { kind: 'llamacpp', slots: 4 } });
  const placement = placementOver([fake], clock, { pinSlots: true });
  const system = prompt(1, 300);
  const forecasts: unknown[] = [];
  for (const [tokens, session] of [
    [Uint32Array.of(...system, 1), 'x'],
    [Uint32Array.of(...system, 2), 'y'],
    [Uint32Array.of(...system, 1, 2), 'x'],
  ] as const) {
    const placed = sure(await placement.place(requestOf(tokens, { session })));
    await settled();
    forecasts.push(placed.forecast()?.tokens);
  }
  assert.deepEqual(forecasts, [0, 0, 301]);
  await placement.close();
});

test('where positions change with the length, nothing is expected across the border', async () => {
  const clock = testClock();
  const position = positionOf(
    {
      rope_parameters: { rope_type: 'longrope', rope_theta: 10_000 },
      original_max_position_embeddings: 512,
      max_position_embeddings: 4096,
    },
    { kind: 'transformers', version: null, maxLength: 4096 },
  );
  assert.equal(position.switch, 'per-request-length');
  const fake = fakeReplica({
    id: 'a',
    events: null,
    facts: { kind: 'openai', blockTokens: 16, position },
  });
  const placement = placementOver([fake], clock);
  const forecast = async (length: number): Promise<number | undefined> => {
    const placed = sure(await placement.place(requestOf(prompt(1, length))));
    await settled();
    return placed.forecast()?.tokens;
  };
  assert.deepEqual(
    [await forecast(400), await forecast(500), await forecast(600), await forecast(700)],
    [0, 400, 0, 592],
  );
  assert.equal(await forecast(480), 464);
  await placement.close();
});
