/** What the ledgers cost: memory and disk for what they remember, and time for each call. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { chainOf } from '../src/reuse/chain.ts';
import { createMemoryLedger } from '../src/reuse/memory-ledger.ts';
import { lineageKeys } from '../src/reuse/lineage.ts';
import type { StoredConversation } from '../src/reuse/mode.ts';
import { createReplicaIndex } from '../src/reuse/replica-index.ts';
import { createDiskLedger } from '../src/reuse/stores/disk.ts';
import { createRedisLedger } from '../src/reuse/stores/redis.ts';
import type { StoredLedger } from '../src/reuse/stores/types.ts';
import type { Ledger, UnitDecision } from '../src/reuse/types.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';

export const ledger: BenchModule = {
  name: 'ledger',
  title: 'Ledgers in memory, on disk and in Redis',
  run,
};

/** Units of 500 forwarded tokens of 4 characters. */
const unitTokens = 500;
const unitChars = unitTokens * 4;
const unitsPerMillion = 1_000_000 / unitTokens;
const conversationUnits = 8;
const conversations = 100_000;
/** Stores outside the process are filled with a share of them, and the result is scaled. */
const stored = 10_000;
const calls = 2000;
const mebibyte = 2 ** 20;

async function run(): Promise<BenchResult> {
  const rows: BenchRow[] = [];
  const notes: string[] = [
    `a unit is ${unitChars} characters with one edit and one span; a conversation has ${conversationUnits} units`,
    `disk and Redis hold ${stored} conversations, scaled to ${conversations}`,
    'a call is awaited before the next one is made, as in a request; a Map is not awaited',
  ];
  rows.push(...mapTimes());
  rows.push(...(await memoryLedger()));
  rows.push(...(await onDisk()));
  const redis = await startRedis();
  if (redis === null) notes.push('without Redis: redis-server is not on the PATH');
  else {
    try {
      rows.push(...(await inRedis(redis)));
    } finally {
      redis.stop();
    }
  }
  rows.push(...indexTimes());
  return { rows, notes };
}

function decisionAt(at: number): UnitDecision {
  // Written once and flat, as a text that was decoded from a request.
  const text = Buffer.from(
    `${at} `.concat('word '.repeat(unitChars)).slice(0, unitChars),
  ).toString();
  return {
    edits: [{ message: 0, byteStart: 20, byteEnd: 6020, text }],
    spans: [
      {
        pointer: '/messages/7/content',
        start: 0,
        end: 6000,
        kind: 'tool-result',
        content: 'log',
        policy: 'compressible',
        reason: 'tool-result',
        detail: 'log lines',
        method: 'auto',
        tokensBefore: 1500,
        tokensAfter: unitTokens,
        replayed: false,
        skipped: null,
        original: 'b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184',
      },
    ],
  };
}

function keyAt(at: number): string {
  return lineageKeys('bench', [[Buffer.from(String(at))]])[0] ?? '';
}

const noMessages: readonly (readonly Uint8Array[])[] = Array.from(
  { length: conversationUnits },
  () => [],
);

function conversationAt(at: number): StoredConversation {
  const keys = lineageKeys(`conversation ${at}`, noMessages);
  const forwardedTokens = keys.map((_, unit) => (unit + 1) * unitTokens);
  return { keys, forwardedTokens, epoch: 0, domain: 'd', replica: '0', at };
}

/** After a full collection, so that only what is kept counts. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function row(
  name: string,
  value: number,
  unit: string,
  more: { readonly baseline: string; readonly detail?: BenchRow['detail'] },
): BenchRow {
  return { name, value, unit, baseline: more.baseline, bar: null, detail: more.detail ?? {} };
}

/** Microseconds a call, median over slices, so that a pause of the machine does not count. */
async function perCall(times: number, call: (at: number) => unknown): Promise<number> {
  const slices: number[] = [];
  const slice = Math.ceil(times / 20);
  for (let from = 0; from < times; from += slice) {
    const started = performance.now();
    const to = Math.min(times, from + slice);
    for (let at = from; at < to; at += 1) await call(at);
    slices.push(((performance.now() - started) * 1000) / (to - from));
  }
  return slices.toSorted((a, b) => a - b)[Math.floor(slices.length / 2)] ?? NaN;
}

let mapGet = NaN;
let mapSet = NaN;

function mapTimes(): readonly BenchRow[] {
  const keys = Array.from({ length: 100_000 }, (_, at) => keyAt(at));
  const map = new Map<string, number>();
  let from = performance.now();
  for (const [at, key] of keys.entries()) map.set(key, at);
  mapSet = ((performance.now() - from) * 1000) / keys.length;
  from = performance.now();
  let found = 0;
  for (const key of keys) found += map.get(key) === undefined ? 0 : 1;
  mapGet = ((performance.now() - from) * 1000) / found;
  return [];
}

async function callTimes(name: string, store: Ledger, cold: Ledger): Promise<readonly BenchRow[]> {
  const keys = Array.from({ length: calls }, (_, at) => keyAt(1_000_000 + at));
  const decisions = keys.map((_, at) => decisionAt(at));
  const put = await perCall(calls, (at) => store.putIfAbsent(keys[at]!, decisions[at]!));
  const unread = await perCall(calls, (at) => cold.get(keys[at]!));
  const get = await perCall(calls, (at) => store.get(keys[at]!));
  const turns = Array.from({ length: 500 }, (_, at) => conversationAt(10_000_000 + at));
  const remember = await perCall(500, (at) => store.remember(null, turns[at]!));
  const find = await perCall(500, (at) => cold.find(null, turns[at]!.keys));
  const map = (microseconds: number): string => `Map ${microseconds.toFixed(3)} us`;
  const rate = (microseconds: number): BenchRow['detail'] => ({
    per_second: Math.round(1e6 / microseconds),
  });
  const fromStore = row(`${name}: get, from the store`, unread, 'us', {
    baseline: map(mapGet),
    detail: rate(unread),
  });
  return [
    row(`${name}: putIfAbsent`, put, 'us', { baseline: map(mapSet), detail: rate(put) }),
    row(`${name}: get, in this process's memory`, get, 'us', {
      baseline: map(mapGet),
      detail: rate(get),
    }),
    ...(cold === store ? [] : [fromStore]),
    row(`${name}: remember, a new conversation`, remember, 'us', {
      baseline: map(mapSet * conversationUnits),
      detail: rate(remember),
    }),
    row(`${name}: find`, find, 'us', { baseline: map(mapGet), detail: rate(find) }),
  ];
}

async function memoryLedger(): Promise<readonly BenchRow[]> {
  let before = usedBytes();
  const texts = new Map<string, string>();
  for (let at = 0; at < unitsPerMillion; at += 1) {
    texts.set(keyAt(at), decisionAt(at).edits[0]!.text);
  }
  const mapBytes = usedBytes() - before;
  before = usedBytes();
  const store = createMemoryLedger({ maxBytes: 1 << 30 });
  const empty = usedBytes() - before;
  before = usedBytes();
  for (let at = 0; at < unitsPerMillion; at += 1)
    await store.putIfAbsent(keyAt(at), decisionAt(at));
  const tokens = usedBytes() - before;
  before = usedBytes();
  const plain = new Map<string, StoredConversation>();
  for (let at = 0; at < conversations; at += 1) {
    const conversation = conversationAt(at);
    plain.set(conversation.keys.at(-1)!, conversation);
  }
  const plainBytes = usedBytes() - before;
  plain.clear();
  before = usedBytes();
  for (let at = 0; at < conversations; at += 1) await store.remember(null, conversationAt(at));
  const turns = usedBytes() - before;
  // What is measured must still be there.
  if (texts.size + plain.size < unitsPerMillion) throw new Error('collected too early');
  return [
    row('memory: MiB a million forwarded tokens', tokens / mebibyte, 'MiB', {
      baseline: `Map of texts ${(mapBytes / mebibyte).toFixed(2)} MiB`,
      detail: { ratio: tokens / mapBytes, empty_ledger_mib: empty / mebibyte },
    }),
    row('memory: MiB for 100,000 conversations', turns / mebibyte, 'MiB', {
      baseline: `Map by last unit ${(plainBytes / mebibyte).toFixed(1)} MiB`,
      detail: { ratio: turns / plainBytes },
    }),
    ...(await callTimes('memory', store, store)),
  ];
}

async function onDisk(): Promise<readonly BenchRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const open = (maxBytes: number, cacheBytes: number, name = 'a'): Promise<StoredLedger> =>
    createDiskLedger({
      folder: join(folder, name),
      maxBytes,
      maxConversations: conversations,
      cacheBytes,
      onWarning: (message) => console.warn(message),
    });
  try {
    const store = await open(1 << 30, 1 << 25);
    let before = usedBytes();
    for (let at = 0; at < unitsPerMillion; at += 1)
      await store.putIfAbsent(keyAt(at), decisionAt(at));
    const held = usedBytes() - before;
    const tokens = store.stats().bytes ?? NaN;
    before = usedBytes();
    for (let at = 0; at < stored; at += 1) await store.remember(null, conversationAt(at));
    const heldTurns = usedBytes() - before;
    const turns = (store.stats().bytes ?? NaN) - tokens;
    const cold = await open(1 << 30, 1);
    const times = await callTimes('disk', store, cold);
    await cold.close();
    await store.close();
    const started = performance.now();
    await (await open(1 << 30, 1)).close();
    const opening = performance.now() - started;
    return [
      row('disk: MiB a million forwarded tokens', tokens / mebibyte, 'MiB', {
        baseline: `texts ${((unitsPerMillion * unitChars) / mebibyte).toFixed(2)} MiB`,
        detail: { memory_mib: held / mebibyte },
      }),
      row(
        'disk: MiB for 100,000 conversations',
        ((turns / mebibyte) * conversations) / stored,
        'MiB',
        {
          baseline: `keys ${((conversations * conversationUnits * 32) / mebibyte).toFixed(1)} MiB`,
          detail: { memory_mib: heldTurns / mebibyte },
        },
      ),
      ...times,
      row('disk: opening with the check of the file', opening, 'ms', {
        baseline: 'a process of its own that reads every entry',
      }),
      ...(await eviction(open)),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writing into a full store against writing into one with room. */
async function eviction(
  open: (maxBytes: number, cacheBytes: number, name: string) => Promise<StoredLedger>,
): Promise<readonly BenchRow[]> {
  const times = async (
    maxBytes: number,
    name: string,
  ): Promise<readonly [number, number, number, number]> => {
    const store = await open(maxBytes, 1 << 20, name);
    for (let at = 0; at < 4000; at += 1) await store.putIfAbsent(`fill ${at}`, decisionAt(at));
    const loop = monitorEventLoopDelay({ resolution: 1 });
    loop.enable();
    const each: number[] = [];
    for (let at = 0; at < 3000; at += 1) {
      const from = performance.now();
      await store.putIfAbsent(`more ${at}`, decisionAt(at));
      each.push(performance.now() - from);
    }
    loop.disable();
    each.sort((a, b) => a - b);
    const { evictions } = store.stats();
    await store.close();
    return [each[1500]!, each[2970]!, loop.percentile(99) / 1e6, evictions];
  };
  const [median, p99, stall] = await times(1 << 30, 'roomy');
  const [fullMedian, fullP99, fullStall, evictions] = await times(8 << 20, 'full');
  return [
    row('disk: putIfAbsent when full, p99', fullP99, 'ms', {
      baseline: `with room ${p99.toFixed(2)} ms`,
      detail: {
        median_ms: fullMedian,
        median_with_room_ms: median,
        loop_delay_p99_ms: fullStall,
        loop_delay_p99_with_room_ms: stall,
        left_out: evictions,
      },
    }),
  ];
}

interface Redis {
  readonly url: string;
  memory(): Promise<number>;
  stop(): void;
}

async function startRedis(): Promise<Redis | null> {
  const port = 20_000 + (process.pid % 20_000);
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: 'ignore' },
  );
  const failed = await Promise.race([once(child, 'error').then(() => true), delay(500, false)]);
  if (failed || child.exitCode !== null) return null;
  const ask = async (command: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`${command}\r\n`);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return reply.toString();
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    memory: async () => Number(/used_memory:(\d+)/.exec(await ask('INFO memory'))?.[1]),
    stop: () => void child.kill(),
  };
}

async function inRedis(redis: Redis): Promise<readonly BenchRow[]> {
  const open = (): Promise<StoredLedger> =>
    createRedisLedger({
      url: redis.url,
      prefix: 'sluice:',
      ttlSeconds: 3600,
      timeoutMs: 5000,
      cacheBytes: 1 << 25,
      onWarning: (message) => console.warn(message),
    });
  const store = await open();
  const cold = await open();
  try {
    let before = await redis.memory();
    for (let at = 0; at < unitsPerMillion; at += 1)
      await store.putIfAbsent(keyAt(at), decisionAt(at));
    const tokens = (await redis.memory()) - before;
    before = await redis.memory();
    for (let at = 0; at < stored; at += 1) await store.remember(null, conversationAt(at));
    const turns = (await redis.memory()) - before;
    return [
      row('redis: MiB a million forwarded tokens', tokens / mebibyte, 'MiB', {
        baseline: `texts ${((unitsPerMillion * unitChars) / mebibyte).toFixed(2)} MiB`,
        detail: { where: 'memory of the server' },
      }),
      row(
        'redis: MiB for 100,000 conversations',
        ((turns / mebibyte) * conversations) / stored,
        'MiB',
        {
          baseline: `keys ${((conversations * conversationUnits * 32) / mebibyte).toFixed(1)} MiB`,
          detail: { where: 'memory of the server' },
        },
      ),
      ...(await callTimes('redis', store, cold)),
    ];
  } finally {
    await store.close();
    await cold.close();
  }
}

/** Blocks that are there and blocks that are not, against a Map with text keys. */
function indexTimes(): readonly BenchRow[] {
  const blocks = 40_000;
  const domain = new Uint8Array(16).fill(3);
  const tokens = (seed: number): Uint32Array =>
    Uint32Array.from(
      { length: blocks * 16 + 1 },
      (_, at) => (Math.imul(at + 1, 2654435761) + seed * 97) >>> 15,
    );
  const chain = chainOf(tokens(5), { domain, blockTokens: 16 });
  const index = createReplicaIndex({
    blockTokens: 16,
    groups: [{ kind: 'full' }],
    maxBlocks: 100_000,
    feed: 'estimated',
    names: 'chain',
    speculativeMs: 2000,
    expiryMs: null,
  });
  index.record(chain, 0);
  const map = new Map<string, number>();
  const names: string[] = [];
  for (let block = 0; block < blocks; block += 1) {
    names.push(Buffer.from(chain.words.slice(block * 4, block * 4 + 4).buffer).toString('hex'));
  }
  for (const [at, name] of names.entries()) map.set(name, at);
  const rounds = 30;
  const nanoseconds: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    let from = performance.now();
    const { tokens: held } = index.match(chain, 0);
    nanoseconds.push(((performance.now() - from) * 1e6) / (held / 16));
    from = performance.now();
    let found = 0;
    for (const name of names) found += map.has(name) ? 1 : 0;
    plain.push(((performance.now() - from) * 1e6) / found);
  }
  const median = (values: readonly number[]): number =>
    values.toSorted((a, b) => a - b)[rounds >> 1] ?? NaN;
  return [
    row('index: a block looked up', median(nanoseconds), 'ns', {
      baseline: `Map with text keys ${median(plain).toFixed(0)} ns`,
      detail: {
        per_second: Math.round(1e9 / median(nanoseconds)),
        bytes_a_block: index.counts().bytes / blocks,
      },
    }),
  ];
}
