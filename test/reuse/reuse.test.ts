/** Conversations without a gateway: plans, lessons, and stores that fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coarseRate } from '../../src/reuse/coarse.ts';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';
import { positionOf } from '../../src/reuse/position.ts';
import type { Ledger, Turn, TurnOutcomeFacts, TurnRequest } from '../../src/reuse/types.ts';
import { testReuse } from '../helpers/reuse.ts';

const memory = (): Ledger => createMemoryLedger({ maxBytes: 1 << 20 });
const bytes = (text: string): Uint8Array => Buffer.from(`{"content":"${text}"}`);

/** One unit for each text; sizes in tokens, all of it compressible where the text begins with a capital. */
function request(
  texts: readonly string[],
  tokens = 1000,
  more: Partial<TurnRequest> = {},
): TurnRequest {
  return {
    scope: 's',
    model: null,
    session: null,
    units: texts.map((text) => [bytes(text)]),
    sizes: texts.map((text) =>
      /^[A-Z]/.test(text) ? { compressible: tokens, fixed: 0 } : { compressible: 0, fixed: 10 },
    ),
    leadingUnits: 0,
    maxNewTokens: null,
    ...more,
  };
}

const outcome = (facts: Partial<TurnOutcomeFacts>): TurnOutcomeFacts => ({
  planned: 0,
  reported: 0,
  promptTokens: 1000,
  savedTokens: 0,
  compressedBefore: 0,
  compressedAfter: 0,
  compressMs: null,
  blockTokens: 16,
  exactIndex: false,
  replica: null,
  ...facts,
});

const nothing = { edits: [], spans: [] };

async function forward(turn: Turn, tokens: readonly (number | null)[]): Promise<void> {
  await turn.forwarded({ tokens, replica: 'r1' });
}

test('the cacheable minimum: a long conversation is not made too short to be cached', async () => {
  const hosted = testReuse(memory(), 0.5, { backend: () => 'openai' });
  const texts = ['A', 'b', 'C', 'd', 'E', 'f', 'G'];
  const plans = await Promise.all(
    [1, 3, 5, 7].map(async (units) => {
      const { plan } = await hosted.turn(request(texts.slice(0, units), 600));
      return plan.admission;
    }),
  );
  assert.deepEqual(plans, ['pays', 'pays', 'cacheable-minimum', 'pays']);
  const always = testReuse(memory(), 0.5, { backend: () => 'openai', always: true });
  assert.equal((await always.turn(request(texts.slice(0, 5), 600))).plan.admission, 'pays');
});

test('what a unit is planned as does not depend on what follows it, nor on what is remembered', async () => {
  const remembering = testReuse(memory(), 0.5, { backend: () => 'openai' });
  const texts = ['A', 'b', 'C', 'd', 'E', 'f', 'G'];
  for (let units = 1; units <= texts.length; units += 2) {
    const now = request(texts.slice(0, units), 600);
    const turn = await remembering.turn(now);
    const fresh = await testReuse(memory(), 0.5, { backend: () => 'openai' }).turn(now);
    const whole = await testReuse(memory(), 0.5, { backend: () => 'openai' }).turn(
      request(texts, 600),
    );
    const at = units - 1;
    assert.equal(turn.planOf(at).compress, fresh.planOf(at).compress);
    assert.equal(turn.planOf(at).compress, whole.planOf(at).compress);
    await turn.decided(at, nothing);
    await forward(turn, [null]);
    turn.settled(outcome({ reported: 10 * units, planned: 100 * units, savedTokens: 100 }));
  }
});

test('measured speeds decide in wide steps: a slow compressor before a fast server is left out', async () => {
  let prefill: number | null = null;
  const reuse = testReuse(memory(), 0.5, { prefillRate: () => prefill });
  const admission = async (): Promise<string> =>
    (await reuse.turn(request([`A${Math.random()}`]))).plan.admission;
  const compressed = async (tokensPerSecond: number): Promise<void> => {
    for (let count = 0; count < 50; count += 1) {
      const turn = await reuse.turn(request(['A']));
      const facts = { compressedBefore: 1000, compressMs: 1e6 / tokensPerSecond };
      turn.settled(outcome({ ...facts, promptTokens: null }));
    }
  };
  await compressed(1000);
  assert.equal(await admission(), 'pays', 'one speed alone says nothing');
  prefill = 500;
  assert.equal(await admission(), 'pays', 'no clear loss');
  prefill = 30_000;
  assert.equal(await admission(), 'costs-more');
  prefill = 12_000;
  assert.equal(await admission(), 'costs-more', 'inside the step');
  await compressed(100_000);
  assert.equal(await admission(), 'pays');
});

test('steps of speeds have a hysteresis', () => {
  assert.equal(coarseRate(null, null), null);
  assert.equal(coarseRate(1000, null), 1024);
  for (const near of [300, 700, 1500, 4000]) assert.equal(coarseRate(near, 1024), 1024);
  assert.equal(coarseRate(200, 1024), 256);
  assert.equal(coarseRate(8000, 1024), 8192);
  assert.equal(coarseRate(0, 1024), 1024);
});

test('a conversation whose compression loses goes on without, and only that one', async () => {
  const reuse = testReuse(memory(), 0.5, { prefillRate: () => 1024 });
  const loop = async (name: string, ms: number): Promise<string> => {
    let admission = '';
    for (let count = 1; count <= 6; count += 1) {
      const texts = Array.from({ length: count }, (_, at) => `${name} ${at}`);
      const turn = await reuse.turn(request(texts));
      admission = turn.plan.admission;
      await turn.decided(count - 1, nothing);
      await forward(
        turn,
        texts.map((_, at) => 500 * (at + 1)),
      );
      turn.settled(
        outcome({
          planned: 500 * (count - 1),
          reported: 500 * (count - 1),
          promptTokens: 500 * count,
          // Nothing shrinks, and it takes its time.
          compressedBefore: 1000,
          compressedAfter: 990,
          savedTokens: 10,
          compressMs: ms,
        }),
      );
    }
    return admission;
  };
  assert.equal(await loop('Lost', 500), 'session-loss');
  assert.equal(reuse.totals().stoppedSessions, 1);
  assert.equal((await reuse.turn(request(['Other']))).plan.admission, 'pays');
});

test('a new conversation over known instructions is no edit of another one, and goes to no particular replica', async () => {
  const reuse = testReuse(memory(), 0.5);
  const first = await reuse.turn(request(['system', 'Hello'], 100, { leadingUnits: 1 }));
  await forward(first, [10, 110]);
  const other = await reuse.turn(request(['system', 'Bye'], 100, { leadingUnits: 1 }));
  assert.equal(other.plan.mode, 'branch');
  assert.equal(other.plan.miss, null);
  assert.equal(other.previous, null);
  assert.equal(other.reusableTokens, 10);
  const next = await reuse.turn(
    request(['system', 'Hello', 'hi', 'More'], 100, { leadingUnits: 1 }),
  );
  assert.equal(next.plan.mode, 'extend');
  assert.equal(next.previous, 'r1');
  const edited = await reuse.turn(
    request(['system', 'Hello', 'ho', 'More'], 100, { leadingUnits: 1 }),
  );
  assert.equal(edited.plan.mode, 'extend', 'nothing that was forwarded has changed');
});

test("counts follow the server's own", async () => {
  const reuse = testReuse(memory(), 0.5);
  const turn = await reuse.turn(request(['A', 'b', 'C']));
  await forward(turn, [100, 110, 200]);
  turn.settled(outcome({ promptTokens: 260 }));
  await new Promise(setImmediate);
  const next = await reuse.turn(request(['A', 'b', 'C', 'd', 'E']));
  assert.equal(next.reusableTokens, 260);
  const branch = await reuse.turn(request(['A', 'b', 'X']));
  assert.equal(branch.reusableTokens, 143, 'in proportion');
});

test('a model with a window or a state expects nothing of a branch, all of an append', async () => {
  const gemma = { model_type: 'gemma3_text', sliding_window: 512, sliding_window_pattern: 6 };
  const position = positionOf(gemma, { kind: 'llamacpp', version: null, maxLength: 8192 });
  assert.deepEqual(position.layers, ['full', 'window']);
  const reuse = testReuse(memory(), 0.5, { position: () => position });
  await forward(await reuse.turn(request(['A', 'b', 'C'])), [100, 110, 200]);
  const next = await reuse.turn(request(['A', 'b', 'C', 'd', 'E']));
  assert.equal(next.reusableTokens, 200);
  const branch = await reuse.turn(request(['A', 'b', 'X']));
  assert.equal(branch.plan.mode, 'branch');
  assert.equal(branch.plan.miss, 'prefix-changed-by-client');
  assert.equal(branch.reusableTokens, 0);
});

test('a cache that is past its time is cold, and its texts are replayed all the same', async () => {
  let now = 0;
  const reuse = testReuse(memory(), 0.5, {
    ttlMs: 60_000,
    clock: { now: () => now, monotonic: () => now },
  });
  const first = await reuse.turn(request(['A']));
  await first.decided(0, {
    edits: [{ message: 0, byteStart: 12, byteEnd: 13, text: 'a' }],
    spans: [],
  });
  await forward(first, [500]);
  now = 61_000;
  const late = await reuse.turn(request(['A', 'b', 'C']));
  assert.equal(late.plan.mode, 'cold');
  assert.equal(late.plan.miss, 'ttl');
  assert.equal(late.reusableTokens, 0);
  assert.equal(late.known(0)?.edits.length, 1);
});

test('a store that fails or is slow knows nothing, and is no error', async () => {
  const never = (): Promise<never> => new Promise(() => undefined);
  const failing = (): Promise<never> => Promise.reject(new Error('away'));
  for (const call of [never, failing]) {
    const ledger: Ledger = {
      ...memory(),
      get: call,
      putIfAbsent: call,
      find: call,
      remember: call,
    };
    const errors: unknown[] = [];
    const reuse = testReuse(ledger, 0.5, {
      storeMs: 10,
      onFailure: (error) => errors.push(error),
    });
    const turn = await reuse.turn(request(['A', 'b']));
    assert.equal(turn.known(0), null);
    assert.equal(await turn.decided(0, nothing), nothing);
    await forward(turn, [1, 2]);
    assert.equal(errors.length, 5);
    assert.equal(reuse.totals().storeErrors, 5);
  }
});

test('decisions that do not fit the bytes are decided anew', async () => {
  const ledger = memory();
  const reuse = testReuse(ledger, 0.5);
  const [key] = ledger.lineage('s', [[bytes('A')]]);
  const edit = { message: 0, byteStart: 5, byteEnd: 500, text: 'x' };
  await ledger.putIfAbsent(key ?? '', { edits: [edit], spans: [] });
  assert.equal((await reuse.turn(request(['A']))).known(0), null);
});

test('near the length where positions change, new text is made to fit below it', async () => {
  const position = positionOf(
    {
      max_position_embeddings: 131_072,
      original_max_position_embeddings: 4096,
      rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [2] },
    },
    { kind: 'transformers', version: null, maxLength: null },
  );
  const reuse = testReuse(memory(), 0.5, { position: () => position });
  const short = await reuse.turn(request(['A'], 1000));
  assert.equal(short.regime, 'short');
  assert.equal(short.plan.targetTokens, null);
  const near = await reuse.turn(request(['A'], 5000, { maxNewTokens: 500 }));
  assert.equal(near.plan.target, 'stay-below');
  assert.equal(near.plan.targetTokens, Math.floor(4096 * 0.9) - 500);
  const long = await reuse.turn(request(['A'], 20_000));
  assert.equal(long.regime, 'long');
  await forward(short, [500]);
  const crossed = await reuse.turn(request(['A', 'b', 'C'], 6000));
  assert.equal(crossed.plan.mode, 'cold');
  assert.equal(crossed.plan.miss, 'regime');
});

test('a prompt below the minimum leaves nothing in a hosted cache, and reports say so', async () => {
  const reuse = testReuse(memory(), 0.5, { backend: () => 'openai' });
  await forward(await reuse.turn(request(['A'])), [600]);
  const second = await reuse.turn(request(['A', 'b', 'C']));
  assert.equal(second.uncacheable, true);
  assert.equal(second.reusableTokens, 0);
  assert.equal(second.settled(outcome({ promptTokens: 1300 })), 'below-minimum');
  await forward(second, [600, 610, 1300]);
  const third = await reuse.turn(request(['A', 'b', 'C', 'd', 'E']));
  assert.equal(third.reusableTokens, 1300);
  const floored = outcome({ planned: 1280, reported: 1280, promptTokens: 2000 });
  assert.equal(third.settled(floored), 'block-floor', 'multiples of 128');
});
