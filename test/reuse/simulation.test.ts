/** 1,000 random conversations through the pure core against simulated backends: what must never happen, does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';
import type { PositionScheme } from '../../src/reuse/position.ts';
import {
  vllmBlockHashes,
  vllmChain,
  type ExtraKey,
  type VllmChainOptions,
} from '../../src/reuse/vllm-hash.ts';
import {
  createSimulatedBackend,
  type SimulatedBackendOptions,
  type SimulatedGroup,
} from '../helpers/simulated-backend.ts';
import { seededRandom, simulatedConversation } from '../helpers/simulated-conversations.ts';
import {
  createSimulatedProxy,
  type SimulatedOutcome,
  type SimulatedProxy,
} from '../helpers/simulated-proxy.ts';

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? 20261121) || Date.now();

const plainRope: PositionScheme = {
  scheme: 'rope',
  switch: 'static',
  theta: 10_000,
  factor: null,
  attentionFactor: null,
  originalLength: null,
  maxLength: null,
  parameters: null,
  window: null,
  layers: ['full'],
};
const longRope: PositionScheme = {
  ...plainRope,
  scheme: 'longrope',
  switch: 'per-request-length',
  originalLength: 400,
};

interface Arm {
  readonly name: string;
  readonly blockTokens: number;
  readonly groups: readonly SimulatedGroup[];
  readonly capacityBlocks: number;
  readonly events: SimulatedBackendOptions['events'];
  readonly position: PositionScheme;
  /** Words in the longest messages. */
  readonly scale: number;
  readonly restarts: boolean;
  /** Events name blocks by hashes that are recomputed here: needed where parents are not in the cache. */
  readonly engineNames: boolean;
}

const full: SimulatedGroup = { kind: 'full' };
const base: Arm = {
  name: '',
  blockTokens: 16,
  groups: [full],
  capacityBlocks: 300,
  events: 'map',
  position: plainRope,
  scale: 300,
  restarts: true,
  engineNames: false,
};
const arms: readonly Arm[] = [
  {
    ...base,
    name: 'blocks of 1, estimated',
    blockTokens: 1,
    capacityBlocks: 4000,
    events: null,
    scale: 150,
    restarts: false,
  },
  { ...base, name: 'blocks of 16, events as maps' },
  {
    ...base,
    name: 'blocks of 32, events as arrays',
    blockTokens: 32,
    capacityBlocks: 150,
    events: 'array',
  },
  {
    ...base,
    name: 'blocks of 32, estimated',
    blockTokens: 32,
    capacityBlocks: 150,
    events: null,
    restarts: false,
  },
  { ...base, name: 'blocks of 256', blockTokens: 256, capacityBlocks: 20, scale: 1500 },
  {
    ...base,
    name: 'blocks of 528 with recurrent state',
    blockTokens: 528,
    groups: [full, { kind: 'recurrent', checkpoints: 8 }],
    capacityBlocks: 60,
    scale: 3000,
  },
  {
    ...base,
    name: 'recurrent checkpoints',
    groups: [{ kind: 'recurrent', checkpoints: 32 }],
    engineNames: true,
  },
  {
    ...base,
    name: 'sliding window',
    groups: [{ kind: 'sliding', windowTokens: 100 }],
    engineNames: true,
    events: 'array',
  },
  { ...base, name: 'full and sliding', groups: [full, { kind: 'sliding', windowTokens: 64 }] },
  { ...base, name: 'LongRoPE by length', position: longRope, capacityBlocks: 2000 },
];

function vllmOptions(arm: Arm, salt: string | null): VllmChainOptions {
  const extra = (block: number): readonly ExtraKey[] | null =>
    block === 0 && salt !== null ? [['cache_salt', salt]] : null;
  return { blockTokens: arm.blockTokens, seed: '0', extra };
}

function engineHashes(arm: Arm, tokens: Uint32Array, salt: string | null): readonly bigint[] {
  const digests = Buffer.from(vllmBlockHashes(tokens, vllmOptions(arm, salt)));
  return Array.from({ length: digests.length / 32 }, (_, at) =>
    digests.readBigUInt64BE(at * 32 + 24),
  );
}

interface Tally {
  requests: number;
  unstable: number;
  broken: number;
  misread: number;
  poisoned: number;
  mispredicted: number;
  reused: number;
  compressed: number;
  rewritten: number;
  modes: Map<string, number>;
  switches: number;
}

interface RunOptions {
  readonly conversations: number;
  readonly workers: number;
  readonly isolateRegimes?: boolean;
  readonly remember?: boolean;
}

async function run(arm: Arm, options: RunOptions): Promise<Tally> {
  const random = seededRandom(seed + arms.indexOf(arm) * 1000 + options.workers);
  const replicas = [0, 1, 2].map(() => ({
    backend: createSimulatedBackend({
      ...arm,
      ...(arm.engineNames ? { hashesOf: (tokens, salt) => engineHashes(arm, tokens, salt) } : {}),
      regimeOf: (total) => (total <= (arm.position.originalLength ?? Infinity) ? 'short' : 'long'),
    }),
    blockTokens: arm.blockTokens,
    ...(arm.engineNames
      ? {
          engineChain: (tokens: Uint32Array, salt: string) =>
            vllmChain(tokens, vllmOptions(arm, salt)),
        }
      : {}),
    groups: arm.groups,
    feed: arm.events === null ? ('estimated' as const) : ('events' as const),
    // With events the engine says what goes; without, our bound must be its own.
    maxBlocks: arm.events === null ? arm.capacityBlocks : arm.capacityBlocks * 4,
  }));
  const proxy = createSimulatedProxy({
    replicas,
    position: arm.position,
    ledger: createMemoryLedger({ maxBytes: 1 << 28 }),
    random,
    timeouts: 0.1,
    isolateRegimes: options.isolateRegimes ?? true,
    remember: options.remember ?? true,
  });
  const tally: Tally = {
    requests: 0,
    unstable: 0,
    broken: 0,
    misread: 0,
    poisoned: 0,
    mispredicted: 0,
    reused: 0,
    compressed: 0,
    rewritten: 0,
    modes: new Map(),
    switches: 0,
  };
  const fixed = new Map<string, string>();
  let left = options.conversations;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await converse({ arm, proxy, random, tally, fixed });
    }
  };
  await Promise.all(Array.from({ length: options.workers }, worker));
  return tally;
}

interface Run {
  readonly arm: Arm;
  readonly proxy: SimulatedProxy;
  readonly random: () => number;
  readonly tally: Tally;
  /** What was forwarded under each unit key of each epoch. */
  readonly fixed: Map<string, string>;
}

async function converse({ arm, proxy, random, tally, fixed }: Run): Promise<void> {
  const conversation = simulatedConversation(random, arm.scale);
  const tenant = random() < 0.5 ? 'a' : 'b';
  const turns = 4 + Math.floor(random() * 5);
  let answer: string | null = null;
  let before: SimulatedOutcome | null = null;
  for (let turn = 0; turn < turns; turn += 1) {
    if (arm.restarts && random() < 0.03) proxy.restart();
    if (random() < 0.1) proxy.drain(Math.floor(random() * 2), random() < 0.5);
    proxy.wait(random() < 0.05 ? 700_000 : 5000);
    const next = conversation.next(answer);
    // Sometimes a client is impatient and sends the same twice at once.
    const outcomes: readonly SimulatedOutcome[] = await Promise.all(
      random() < 0.1
        ? [proxy.handle(next, tenant), proxy.handle(next, tenant)]
        : [proxy.handle(next, tenant)],
    );
    for (const outcome of outcomes) count(tally, fixed, outcome);
    const [outcome] = outcomes;
    if (outcome === undefined) continue;
    if (before !== null) {
      if (next.step === 'append' || next.step === 'tool') {
        tally.broken += extendsIt(before, outcome) ? 0 : 1;
        tally.misread += outcome.mode === 'branch' ? 1 : 0;
      }
      if (before.replica !== outcome.replica) tally.switches += 1;
    }
    before = outcome;
    answer = outcome.answer;
  }
}

function count(tally: Tally, fixed: Map<string, string>, outcome: SimulatedOutcome): void {
  tally.requests += 1;
  tally.reused += outcome.reported;
  if (outcome.planned !== outcome.reported) tally.mispredicted += 1;
  if (outcome.poisoned) tally.poisoned += 1;
  if (outcome.compressed) tally.compressed += 1;
  if (outcome.mode === 'rewrite') tally.rewritten += 1;
  tally.modes.set(outcome.mode, (tally.modes.get(outcome.mode) ?? 0) + 1);
  for (const { key, text } of outcome.forwarded) {
    const known = fixed.get(key);
    if (known === undefined) fixed.set(key, text);
    else if (known !== text) tally.unstable += 1;
  }
}

/** Inside an epoch, what was forwarded is the beginning of what is forwarded next. */
function extendsIt(before: SimulatedOutcome, after: SimulatedOutcome): boolean {
  if (before.epoch !== after.epoch) return true;
  return before.forwarded.every(({ text }, at) => after.forwarded[at]?.text === text);
}

const totals = { conversations: 0, requests: 0, modes: new Map<string, number>() };

for (const arm of arms) {
  for (const workers of [1, 4]) {
    test(`${arm.name}, ${workers} at once`, async () => {
      const conversations = 50;
      const tally = await run(arm, { conversations, workers });
      assert.equal(tally.unstable, 0, 'forwarded bytes changed');
      assert.equal(tally.broken, 0, 'an appended turn did not extend the last forwarded prompt');
      assert.equal(tally.misread, 0, 'an appended turn or a moved marker was taken for an edit');
      assert.equal(tally.poisoned, 0, 'KV of another regime was used');
      assert.equal(tally.mispredicted, 0, 'planned is not what was reported');
      // The run must have had something to get wrong.
      assert.ok(
        tally.reused > 0 && tally.compressed > 0 && tally.switches > 0,
        JSON.stringify(tally),
      );
      totals.conversations += conversations;
      totals.requests += tally.requests;
      for (const [mode, times] of tally.modes)
        totals.modes.set(mode, (totals.modes.get(mode) ?? 0) + times);
    });
  }
}

test('the conversations went through every mode', (t) => {
  assert.equal(totals.conversations, 1000);
  for (const mode of ['extend', 'branch', 'cold', 'rewrite'])
    assert.ok((totals.modes.get(mode) ?? 0) > 20, mode);
  t.diagnostic(`${totals.requests} requests: ${JSON.stringify([...totals.modes])}`);
});

test('the detectors can fire: a proxy that ignores regimes poisons, one that remembers nothing changes bytes', async () => {
  const long = arms.find(({ position }) => position === longRope);
  assert.ok(long);
  const mixed = await run(long, { conversations: 30, workers: 1, isolateRegimes: false });
  assert.ok(mixed.poisoned > 0);
  const forgetful = await run(base, { conversations: 30, workers: 1, remember: false });
  assert.ok(forgetful.unstable > 0 && forgetful.broken > 0);
});
