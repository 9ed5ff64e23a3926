/** Both Mooncake traces through routers and simulated replicas; and what a decision, a plan and an index cost. */
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createConversationBook } from '../src/reuse/conversations.ts';
import { chainOf, type Chain } from '../src/reuse/chain.ts';
import { timeCosts } from '../src/reuse/costs.ts';
import { lineageKeys } from '../src/reuse/lineage.ts';
import { modeOf } from '../src/reuse/mode.ts';
import { planRequest } from '../src/reuse/planner.ts';
import { createReplicaIndex, type ReplicaIndex } from '../src/reuse/replica-index.ts';
import { chooseReplica, defaultRouterOptions, type ReplicaView } from '../src/reuse/router.ts';
import { newSession } from '../src/reuse/session.ts';
import {
  consistentHash,
  dynamoLike,
  leastLoad,
  radix,
  roundRobin,
  sluice,
  type Policy,
} from './router/policies.ts';
import { createSimulatedReplica, type Hardware, type TraceRequest } from './router/simulation.ts';
import { infiniteHitRate, readTrace } from './router/trace.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';

export const router: BenchModule = {
  name: 'router',
  title: 'Router on the Mooncake traces with simulated replicas',
  run,
};

const traces = ['conversation', 'synthetic'] as const;
const replicaCounts = [4, 8, 16] as const;
const folder = join('..', 'shared', 'traces');
/** Sluice over the best other policy: best or equal. */
const bestOrEqual = 1;

const hardware: Hardware = {
  prefillRate: 10_000,
  decodeSeconds: 0.025,
  overheadSeconds: 0.02,
  cacheBlocks: 4000,
};

async function run(): Promise<BenchResult> {
  const rows: BenchRow[] = [];
  const notes: string[] = [];
  for (const name of traces) {
    const trace = readTrace(join(folder, `${name}_trace.jsonl.xz`));
    if (typeof trace === 'string') {
      notes.push(`skipped the ${name} trace: ${trace}`);
      continue;
    }
    for (const count of replicaCounts) rows.push(...compare(name, trace, count));
    rows.push(...ample(name, trace));
  }
  rows.push(...decisionTimes(), ...planTime(), ...memory());
  const { prefillRate, decodeSeconds, cacheBlocks } = hardware;
  notes.push(
    `a replica computes ${prefillRate} prompt tokens/s one request after the other, generates a token in ${decodeSeconds} s and caches ${cacheBlocks} blocks of 512 tokens; the model of TTFT is queue + uncached / speed + 0.02 s`,
    `the router's constants are its defaults: ${JSON.stringify(defaultRouterOptions)}`,
    'consistent-hash is given the session of each request by an oracle; sluice, like the radix router, has no events and knows only what it sent; dynamo-like sees the true caches',
  );
  return { rows, notes };
}

interface Result {
  readonly policy: string;
  /** Share of blocks. */
  readonly hit: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** Most over fewest requests of a replica. */
  readonly spread: number;
}

function replay(
  trace: readonly TraceRequest[],
  policy: Policy,
  count: number,
  machine: Hardware,
): Result {
  const replicas = Array.from({ length: count }, () => createSimulatedReplica(machine));
  const served = replicas.map(() => 0);
  const ttft: number[] = [];
  let hits = 0;
  let blocks = 0;
  for (const request of trace) {
    const chosen = policy.choose(request, replicas);
    const outcome = replicas[chosen]!.serve(request);
    served[chosen] = (served[chosen] ?? 0) + 1;
    hits += outcome.hitBlocks;
    blocks += request.blocks.length;
    ttft.push(outcome.prefillEnd - request.at);
  }
  return {
    policy: policy.name,
    hit: hits / blocks,
    p50: quantile(ttft, 0.5),
    p90: quantile(ttft, 0.9),
    p99: quantile(ttft, 0.99),
    spread: Math.max(...served) / Math.min(...served),
  };
}

function compare(name: string, trace: readonly TraceRequest[], count: number): readonly BenchRow[] {
  const others = [
    roundRobin(),
    leastLoad(),
    consistentHash(),
    radix(hardware, count, 'cli'),
    radix(hardware, count, 'library'),
    dynamoLike(),
  ];
  const results = others.map((policy) => replay(trace, policy, count, hardware));
  const ours = replay(trace, sluice(hardware, count), count, hardware);
  const all = Object.fromEntries(
    [...results, ours].map(({ policy, ...result }) => [
      policy,
      `hit ${result.hit.toFixed(4)}, TTFT ${[result.p50, result.p90, result.p99].map((s) => s.toFixed(3)).join(' / ')} s, spread ${result.spread.toFixed(2)}`,
    ]),
  );
  const bestHit = results.toSorted((a, b) => b.hit - a.hit)[0]!;
  const rows: BenchRow[] = [
    {
      name: `${name}, ${count} replicas: hit rate`,
      value: bestHit.hit / ours.hit,
      unit: `x (${ours.hit.toFixed(4)})`,
      baseline: `${bestHit.policy}: ${bestHit.hit.toFixed(4)}`,
      bar: bestOrEqual,
      detail: { sluice: ours.hit, ...all },
    },
  ];
  for (const percentile of ['p50', 'p90', 'p99'] as const) {
    const best = results.toSorted((a, b) => a[percentile] - b[percentile])[0]!;
    rows.push({
      name: `${name}, ${count} replicas: TTFT ${percentile}`,
      value: ours[percentile] / best[percentile],
      unit: `x (${ours[percentile].toFixed(3)} s)`,
      baseline: `${best.policy}: ${best[percentile].toFixed(3)} s`,
      bar: bestOrEqual,
      detail: { sluice: ours[percentile], best: best[percentile] },
    });
  }
  return rows;
}

/** With room for everything, what is lost against one cache without bound is lost by the router alone. */
function ample(name: string, trace: readonly TraceRequest[]): readonly BenchRow[] {
  const roomy = { ...hardware, cacheBlocks: 200_000 };
  const bound = infiniteHitRate(trace);
  return replicaCounts.map((count) => {
    const ours = replay(trace, sluice(roomy, count), count, roomy);
    return {
      name: `${name}, ${count} replicas with ample caches: hit rate`,
      value: bound / ours.hit,
      unit: `x (${ours.hit.toFixed(4)})`,
      baseline: `one infinite cache: ${bound.toFixed(4)}`,
      bar: 1.02,
      detail: { sluice: ours.hit, bound, ttft_p90_s: ours.p90 },
    };
  });
}

const domain = new Uint8Array(16).fill(3);

function tokensOf(length: number, seed: number): Uint32Array {
  return Uint32Array.from(
    { length },
    (_, at) => (Math.imul(at + 1, 2654435761) + seed * 97) >>> 15,
  );
}

function indexOf(blockTokens: number, maxBlocks: number): ReplicaIndex {
  return createReplicaIndex({
    blockTokens,
    groups: [{ kind: 'full' }],
    maxBlocks,
    feed: 'estimated',
    names: 'chain',
    speculativeMs: 2000,
    expiryMs: null,
  });
}

/** 16 replicas full of prompts; three of them hold most of the one that is routed. */
function decisionTimes(): readonly BenchRow[] {
  const length = 12_000;
  const indexes = Array.from({ length: 16 }, () => indexOf(16, 100_000));
  for (const [at, index] of indexes.entries()) {
    for (let other = 0; other < 100; other += 1) {
      index.record(
        chainOf(tokensOf(length, at * 1000 + other + 1), { domain, blockTokens: 16 }),
        0,
      );
    }
  }
  const whole: number[] = [];
  const grown: number[] = [];
  for (let round = 0; round < 300; round += 1) {
    const tokens = tokensOf(length, 100_000 + round);
    const previous = chainOf(tokens.slice(0, length - 600), { domain, blockTokens: 16 });
    for (const at of [1, 7, 12]) indexes[at]!.record(previous, round);
    let from = performance.now();
    decide(chainOf(tokens, { domain, blockTokens: 16 }), indexes, round);
    whole.push(performance.now() - from);
    from = performance.now();
    decide(chainOf(tokens, { domain, blockTokens: 16, previous }), indexes, round);
    grown.push(performance.now() - from);
  }
  const row = (name: string, times: readonly number[]): BenchRow => ({
    name,
    value: quantile(times, 0.5),
    unit: 'ms',
    baseline: '12,000 tokens, 16 replicas, p50',
    bar: 1,
    detail: { p99: quantile(times, 0.99), rounds: times.length },
  });
  const lookups = lookupRate();
  return [
    row('decision: hash, look up, choose', whole),
    row('decision: the same with the last turn hashed before', grown),
    {
      name: 'index: nanoseconds a block looked up',
      value: 1e9 / lookups,
      unit: 'ns',
      baseline: 'blocks that are there',
      bar: null,
      detail: { lookups_per_second: Math.round(lookups) },
    },
  ];
}

function decide(chain: Chain, indexes: readonly ReplicaIndex[], now: number): void {
  const views = indexes.map((index, at): ReplicaView => {
    const match = index.match(chain, now);
    return {
      id: String(at),
      eligible: true,
      hitTokens: match.tokens,
      creditTokens: match.credit,
      prefillRate: 10_000,
      queuedTokens: at * 10,
      running: at,
      activeTokens: 0,
      capacityTokens: null,
      recentTokens: 0,
    };
  });
  chooseReplica({ promptTokens: chain.tokens, previous: '7' }, views);
}

function lookupRate(): number {
  const index = indexOf(16, 100_000);
  const chain = chainOf(tokensOf(640_000, 5), { domain, blockTokens: 16 });
  index.record(chain, 0);
  for (let round = 0; round < 5; round += 1) index.match(chain, 0);
  const rounds = 20;
  const from = performance.now();
  for (let round = 0; round < rounds; round += 1) index.match(chain, 0);
  return (rounds * 40_000 * 1000) / (performance.now() - from);
}

/** Everything between the request's units and the forward, but the compressor: 64 units of 500 tokens. */
function planTime(): readonly BenchRow[] {
  const units = Array.from({ length: 64 }, (_, at) => [Buffer.alloc(2000, 97 + (at % 26))]);
  const tokens = tokensOf(32_000, 9);
  const index = indexOf(16, 100_000);
  const book = createConversationBook({ maxConversations: 1000, maxUnits: 100_000 });
  const before = lineageKeys('scope', units.slice(0, 62));
  const stored = {
    keys: before,
    forwardedTokens: before.map((_, at) => (at + 1) * 500),
    epoch: 0,
    domain: 'd',
    replica: '0',
    at: 0,
  };
  book.store(null, stored);
  const previous = chainOf(tokens.slice(0, 31_000), { domain, blockTokens: 16 });
  index.record(previous, 0);
  const times: number[] = [];
  for (let round = 0; round < 300; round += 1) {
    const from = performance.now();
    const keys = lineageKeys('scope', units);
    const mode = modeOf({ stored: book.find(null, keys), keys, domain: 'd', alive: true });
    const match = index.match(chainOf(tokens, { domain, blockTokens: 16 }), 0);
    planRequest(
      {
        mode,
        expectedHit: match.tokens,
        exactness: 'estimated',
        epoch: 0,
        replayedTokens: mode.sharedTokens ?? 0,
        compressibleTokens: 900,
        fixedTokens: 100,
        maxNewTokens: 500,
        shorter: null,
        expectedTurns: 5,
        limitTokens: 128_000,
        regimeBorder: null,
      },
      newSession,
      timeCosts(10_000, 50_000),
    );
    times.push(performance.now() - from);
  }
  return [
    {
      name: 'planner: lineage, mode, chain, expected hit, plan',
      value: quantile(times, 0.5),
      unit: 'ms',
      baseline: '32,000 tokens, p50',
      bar: 5,
      detail: { p99: quantile(times, 0.99), rounds: times.length },
    },
  ];
}

function memory(): readonly BenchRow[] {
  const index = indexOf(16, 1 << 20);
  for (let prompt = 0; prompt < 100; prompt += 1) {
    index.record(chainOf(tokensOf(10_000, prompt), { domain, blockTokens: 16 }), 0);
  }
  const book = createConversationBook({ maxConversations: 100_000, maxUnits: 1_000_000 });
  const before = heapUsed();
  for (let at = 0; at < 100_000; at += 1) {
    const keys = lineageKeys(`c${at}`, [[], [], [], [], [], []]);
    const forwardedTokens = [100, 200, 300, 400, 500, 600];
    book.store(null, { keys, forwardedTokens, epoch: 0, domain: 'd', replica: '0', at });
  }
  const conversations = heapUsed() - before;
  return [
    {
      name: 'index: megabytes a million tokens and replica',
      value: index.counts().bytes / 2 ** 20,
      unit: 'MiB',
      baseline: 'blocks of 16',
      bar: null,
      detail: { blocks: index.counts().blocks },
    },
    {
      name: 'conversations: megabytes for 100,000 of 6 units',
      value: conversations / 2 ** 20,
      unit: 'MiB',
      baseline: 'heap',
      bar: null,
      detail: { units: book.units },
    },
  ];
}

/** After a full collection, so that only what is kept counts. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
  return process.memoryUsage().heapUsed;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
