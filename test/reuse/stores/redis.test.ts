import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createRedisLedger, type RedisLedgerOptions } from '../../../src/reuse/stores/redis.ts';
import type { StoredLedger } from '../../../src/reuse/stores/types.ts';
import { chainKeys, conversationOf, decisionOf } from './helpers.ts';
import { redisServer, withoutRedis } from './redis-server.ts';
import { converseWithTwo } from './two-processes.ts';

if (withoutRedis !== false) console.log(`tests with Redis are left out: ${withoutRedis}`);
const skip = withoutRedis;

async function redisLedger(
  t: TestContext,
  url: string,
  more: Partial<RedisLedgerOptions> = {},
): Promise<StoredLedger & { readonly warnings: readonly string[] }> {
  const warnings: string[] = [];
  const ledger = await createRedisLedger({
    url,
    prefix: 'test:',
    ttlSeconds: 600,
    timeoutMs: 250,
    cacheBytes: 8 << 20,
    onWarning: (message) => warnings.push(message),
    ...more,
  });
  t.after(() => ledger.close());
  return Object.assign(ledger, { warnings });
}

/** Waits for something that happens in the background; the test fails when it does not. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await holds()) return;
    await delay(25);
  }
  assert.fail(`never: ${what}`);
}

test('two ledgers on one Redis know the same', { skip }, async (t) => {
  const server = await redisServer(t);
  const [a, b] = [await redisLedger(t, server.url), await redisLedger(t, server.url)];
  assert.deepEqual(await a.putIfAbsent('k', decisionOf('a "ü"\u0000')), decisionOf('a "ü"\u0000'));
  assert.deepEqual(await b.putIfAbsent('k', decisionOf('b')), decisionOf('a "ü"\u0000'));
  assert.deepEqual(await b.get('k'), decisionOf('a "ü"\u0000'));
  assert.equal(await b.get('other'), null);
  const keys = chainKeys(['a', 'b', 'c']);
  const conversation = conversationOf(keys, { epoch: 1, replica: null });
  await a.remember('name', conversation);
  for (let units = 1; units <= keys.length; units += 1) {
    assert.deepEqual(await b.find(null, keys.slice(0, units)), conversation);
  }
  assert.deepEqual(await b.find('name', ['unknown']), conversation);
  assert.equal(await b.find('other', ['unknown']), null);
  const longer = conversationOf([...keys, ...chainKeys(['d'])], { epoch: 1, at: 2000 });
  await b.remember('name', longer);
  assert.deepEqual(await a.find(null, longer.keys), longer);
  assert.deepEqual(await a.find(null, keys), longer, 'also by the units it had before');
  const branch = conversationOf([...keys.slice(0, 1), ...chainKeys(['x'])], { at: 3000 });
  await a.remember(null, branch);
  assert.deepEqual(await b.find(null, branch.keys), branch);
  assert.deepEqual(await b.find(null, longer.keys), longer);
  assert.equal((await a.check()).ok, true);
  assert.ok((await server.command('TTL', 'test:d:k')).startsWith(':'));
  const kept = await server.command('KEYS', '*');
  assert.ok(!kept.includes('name'), 'names are stored as hashes');
  assert.deepEqual([...a.warnings, ...b.warnings], []);
});

test('an epoch never goes back, whoever is late', { skip }, async (t) => {
  const server = await redisServer(t);
  const [a, b] = [await redisLedger(t, server.url), await redisLedger(t, server.url)];
  const keys = chainKeys(['a', 'b', 'c', 'd']);
  await a.remember(null, conversationOf(keys.slice(0, 2)));
  const later = conversationOf(keys.slice(0, 3), { epoch: 1 });
  await b.remember(null, later);
  await a.remember(null, conversationOf(keys, { epoch: 0 }));
  assert.deepEqual(await a.find(null, keys), later);
  assert.deepEqual(await b.find(null, keys), later);
});

test(
  'two processes, 200 conversations in turns and at once: nothing is forwarded twice differently',
  { skip },
  async (t) => converseWithTwo(t, (await redisServer(t)).url, 200),
);

test('Redis down from the start, and coming later', { skip }, async (t) => {
  const server = await redisServer(t);
  await server.stop();
  const ledger = await redisLedger(t, server.url, { connectMs: 50 });
  assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('a')), decisionOf('a'));
  assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('b')), decisionOf('a'));
  await ledger.remember('name', conversationOf(['x', 'y']));
  assert.deepEqual(await ledger.find(null, ['x']), conversationOf(['x', 'y']));
  const { ok, detail } = await ledger.check();
  assert.equal(ok, false);
  assert.match(detail, /cannot be used: .*2 entries wait/);
  assert.equal(ledger.stats().available, false);
  assert.equal(ledger.warnings.length, 1);
  await server.start();
  await until('written', () => ledger.stats().pending === 0);
  const other = await redisLedger(t, server.url);
  assert.deepEqual(await other.get('k'), decisionOf('a'));
  assert.deepEqual(await other.find('name', []), conversationOf(['x', 'y']));
  assert.equal((await ledger.check()).ok, true);
});

test(
  'Redis restarted without its data: what this process knows stands, and is written back',
  { skip },
  async (t) => {
    const server = await redisServer(t);
    const ledger = await redisLedger(t, server.url);
    const fresh = await redisLedger(t, server.url);
    const keys = chainKeys(['a', 'b']);
    await ledger.putIfAbsent('k', decisionOf('before'));
    await ledger.remember(null, conversationOf(keys, { epoch: 3 }));
    await server.stop();
    assert.deepEqual(
      await ledger.putIfAbsent('while away', decisionOf('alone')),
      decisionOf('alone'),
    );
    assert.deepEqual(await ledger.get('k'), decisionOf('before'));
    assert.equal((await ledger.check()).ok, false);
    await server.start();
    await until('noticed', () => ledger.warnings.some((message) => /lost its data/.test(message)));
    await until('written', () => ledger.stats().pending === 0);
    assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('other')), decisionOf('before'));
    await until('the other one is connected', async () => (await fresh.check()).ok);
    assert.deepEqual(await fresh.get('k'), decisionOf('before'));
    assert.deepEqual(await fresh.get('while away'), decisionOf('alone'));
    assert.deepEqual(await fresh.find(null, keys), conversationOf(keys, { epoch: 3 }));
  },
);

test(
  'two processes that decided differently while Redis was away keep to their own',
  { skip },
  async (t) => {
    const server = await redisServer(t);
    const [a, b] = [await redisLedger(t, server.url), await redisLedger(t, server.url)];
    await server.stop();
    assert.deepEqual(await a.putIfAbsent('k', decisionOf('a')), decisionOf('a'));
    assert.deepEqual(await b.putIfAbsent('k', decisionOf('b')), decisionOf('b'));
    await server.start();
    await until('written', () => a.stats().pending + b.stats().pending === 0);
    assert.deepEqual(await a.get('k'), decisionOf('a'));
    assert.deepEqual(await b.get('k'), decisionOf('b'));
    assert.equal(a.stats().conflicts + b.stats().conflicts, 1);
  },
);

test('a Redis that hangs costs the timeout twice, then nothing', { skip }, async (t) => {
  const server = await redisServer(t);
  const ledger = await redisLedger(t, server.url, { timeoutMs: 400 });
  await ledger.putIfAbsent('before', decisionOf('a'));
  server.signal('SIGSTOP');
  const started = performance.now();
  for (let unit = 0; unit < 100; unit += 1) {
    assert.deepEqual(await ledger.putIfAbsent(`unit ${unit}`, decisionOf('b')), decisionOf('b'));
    await ledger.find(null, [`unit ${unit}`]);
  }
  const took = performance.now() - started;
  assert.ok(took >= 800 && took < 20_000, `${took} ms for 200 calls`);
  assert.deepEqual(await ledger.get('before'), decisionOf('a'));
  assert.equal((await ledger.check()).ok, false);
  assert.match((await ledger.check()).detail, /no answer within/);
  server.signal('SIGCONT');
  await until('back', async () => (await ledger.check()).ok);
  await until('written', () => ledger.stats().pending === 0);
  const other = await redisLedger(t, server.url);
  for (let unit = 0; unit < 100; unit += 1) {
    assert.deepEqual(await other.get(`unit ${unit}`), decisionOf('b'));
  }
});

test(
  'a Redis that is full refuses, requests go on, and it is told when there is room',
  { skip },
  async (t) => {
    const server = await redisServer(t, ['--maxmemory-policy', 'noeviction']);
    const ledger = await redisLedger(t, server.url);
    await ledger.putIfAbsent('before', decisionOf('a'));
    await server.command('CONFIG', 'SET', 'maxmemory', '1000');
    assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('b')), decisionOf('b'));
    assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('c')), decisionOf('b'));
    await ledger.remember(null, conversationOf(['x']));
    assert.deepEqual(await ledger.find(null, ['x']), conversationOf(['x']));
    const { ok, detail } = await ledger.check();
    assert.equal(ok, false);
    assert.match(detail, /refuses to store: .*OOM/);
    assert.equal(ledger.warnings.length, 1);
    const other = await redisLedger(t, server.url);
    assert.deepEqual(await other.get('before'), decisionOf('a'), 'reading goes on');
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await until('written', () => ledger.stats().pending === 0);
    assert.equal((await ledger.check()).ok, true);
    assert.deepEqual(await other.get('k'), decisionOf('b'));
    assert.deepEqual(await other.find(null, ['x']), conversationOf(['x']));
  },
);

test('what others wrote under our keys is read with distrust', { skip }, async (t) => {
  const server = await redisServer(t);
  const ledger = await redisLedger(t, server.url);
  await server.command('SET', 'test:d:text', 'no record');
  await server.command('SET', 'test:d:newer', '[2,{"edits":1}]');
  await server.command('LPUSH', 'test:d:list', 'x');
  await server.command('SET', 'test:u:unit', 'nobody');
  for (const key of ['text', 'newer', 'list']) {
    assert.equal(await ledger.get(key), null);
    assert.deepEqual(await ledger.putIfAbsent(key, decisionOf(key)), decisionOf(key));
    assert.deepEqual(await ledger.get(key), decisionOf(key));
  }
  assert.equal(await ledger.find(null, ['unit']), null);
  await ledger.remember(null, conversationOf(['unit']));
  assert.deepEqual(await ledger.find(null, ['unit']), conversationOf(['unit']));
});

test('a URL that is none is an error of the configuration and is not repeated', async () => {
  await assert.rejects(
    createRedisLedger({
      url: 'nonsense://user:secret@host',
      prefix: '',
      ttlSeconds: 1,
      timeoutMs: 1,
      cacheBytes: 1,
      onWarning: () => {},
    }),
    (error: Error) =>
      /URL of Redis/.test(error.message) && !JSON.stringify(error).includes('secret'),
  );
});
