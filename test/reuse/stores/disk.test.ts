import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { open } from 'lmdb';
import { createMemoryLedger } from '../../../src/reuse/memory-ledger.ts';
import type { StoredConversation } from '../../../src/reuse/mode.ts';
import '../../helpers/seed.ts';
import {
  chainKeys,
  conversationOf,
  decisionOf,
  diskLedger,
  exitOf,
  span,
  startProgram,
  temporaryFolder,
} from './helpers.ts';
import { converseWithTwo } from './two-processes.ts';

const file = 'ledger.lmdb';

test('what was decided and remembered is there after closing and opening', async (t) => {
  const folder = temporaryFolder(t);
  const keys = chainKeys(['a', 'b', 'c']);
  const conversation = conversationOf(keys, { epoch: 2, replica: null, domain: 'd: "ü"' });
  const first = await diskLedger(t, folder);
  assert.deepEqual(
    await first.putIfAbsent('k', decisionOf('first "ü"\n')),
    decisionOf('first "ü"\n'),
  );
  assert.deepEqual(await first.putIfAbsent('k', decisionOf('second')), decisionOf('first "ü"\n'));
  await first.remember('name', conversation);
  assert.equal(await first.get('other'), null);
  await first.close();
  const second = await diskLedger(t, folder);
  assert.deepEqual(await second.get('k'), decisionOf('first "ü"\n'));
  assert.deepEqual(await second.putIfAbsent('k', decisionOf('third')), decisionOf('first "ü"\n'));
  for (let units = 1; units <= keys.length; units += 1) {
    assert.deepEqual(await second.find(null, keys.slice(0, units)), conversation);
  }
  assert.deepEqual(await second.find('name', ['unknown']), conversation);
  assert.equal(await second.find('other name', ['unknown']), null);
  assert.deepEqual([...first.warnings, ...second.warnings], []);
  assert.match((await second.check()).detail, /on disk, 1 units/);
});

type Step =
  | { readonly type: 'decide'; readonly unit: number; readonly text: string }
  | {
      readonly type: 'turn';
      readonly name: string | null;
      readonly path: readonly number[];
      readonly epoch: number;
    }
  | { readonly type: 'restart' };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('decide' as const),
        unit: fc.nat(6),
        text: fc.string(),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        type: fc.constant('turn' as const),
        name: fc.constantFrom(null, null, 'one', 'two'),
        path: fc.array(fc.nat(1), { minLength: 1, maxLength: 6 }),
        epoch: fc.constantFrom(0, 0, 0, 1, 2),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) },
  ),
  { maxLength: 25 },
);

test('answers like the ledger in memory, whatever is edited, rewound or branched', async (t) => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const folder = temporaryFolder(t);
      const memory = createMemoryLedger({ maxBytes: 1 << 24 });
      let disk = await diskLedger(t, folder);
      const paths: (readonly number[])[] = [];
      for (const [at, step] of all.entries()) {
        if (step.type === 'restart') {
          await disk.close();
          disk = await diskLedger(t, folder);
        } else if (step.type === 'decide') {
          const decision = decisionOf(step.text, at % 2 === 0 ? [] : [span]);
          const key = `unit ${step.unit}`;
          assert.deepEqual(
            await disk.putIfAbsent(key, decision),
            await memory.putIfAbsent(key, decision),
          );
          assert.deepEqual(await disk.get(key), await memory.get(key));
        } else {
          const keys = chainKeys(step.path.map(String));
          const conversation = conversationOf(keys, { epoch: step.epoch, at });
          await disk.remember(step.name, conversation);
          await memory.remember(step.name, conversation);
          paths.push(step.path);
        }
        for (const path of paths) {
          const keys = chainKeys(path.map(String));
          for (const asked of [keys, keys.slice(0, 1), [...keys, 'new'], ['new']]) {
            for (const name of [null, 'one', 'two']) {
              assert.deepEqual(await disk.find(name, asked), await memory.find(name, asked));
            }
          }
        }
      }
      assert.deepEqual(disk.warnings, []);
      await disk.close();
    }),
    { numRuns: 12 },
  );
});

test('kill -9 in the middle of writing loses nothing that was acknowledged', async (t) => {
  const folder = temporaryFolder(t);
  for (const writer of ['first', 'second']) {
    const child = startProgram(t, 'writer', [folder, writer]);
    while (child.messages.length < 150) await once(child, 'message');
    child.kill('SIGKILL');
    await exitOf(child);
    const ledger = await diskLedger(t, folder);
    const turns = child.messages as readonly (readonly [number, string, string])[];
    const newest = new Map<string, number>();
    for (const [turn, key, name] of turns) {
      const text = `${writer} ${turn} ${'text '.repeat(turn % 300)}`;
      assert.deepEqual(await ledger.get(key), decisionOf(text));
      newest.set(name, turn);
    }
    for (const [name, turn] of newest) {
      const found = await ledger.find(`session ${name}`, []);
      assert.ok(found !== null && found.at >= turn, `${name}: ${found?.at} < ${turn}`);
    }
    assert.deepEqual(ledger.warnings, []);
    await ledger.close();
  }
});

test('of two processes that decide the same unit, the first one is right for both', async (t) => {
  const folder = temporaryFolder(t);
  const count = 600;
  // They meet in the middle: each is the first one for some of the units.
  const racers = [
    startProgram(t, 'racer', [folder, 'a', String(count), '0']),
    startProgram(t, 'racer', [folder, 'b', String(count), String(count / 2)]),
  ];
  await Promise.all(racers.map((racer) => once(racer, 'message')));
  for (const racer of racers) racer.send('go');
  await Promise.all(racers.map(exitOf));
  const [a, b] = racers.map((racer) => racer.messages[1] as readonly string[]);
  assert.equal(a?.length, count);
  assert.deepEqual(a, b);
  const winners = new Set(a?.map((text) => text.slice(0, 1)));
  assert.deepEqual([...winners].toSorted(), ['a', 'b']);
  const ledger = await diskLedger(t, folder);
  for (let unit = 0; unit < count; unit += 1) {
    assert.equal((await ledger.get(`unit ${unit}`))?.edits[0]?.text, a?.[unit]);
  }
});

test('two processes on one folder, conversations in turns and at once: nothing is forwarded twice differently', (t) =>
  converseWithTwo(t, temporaryFolder(t), 40));

test('stays within its bound, and the ones in use stay', async (t) => {
  const folder = temporaryFolder(t);
  let now = Date.now();
  const maxBytes = 2 << 20;
  const ledger = await diskLedger(t, folder, {
    maxBytes,
    maxConversations: 200,
    cacheBytes: 1,
    clock: { now: () => now, monotonic: () => now },
  });
  const text = 'x'.repeat(4000);
  for (let unit = 0; unit < 2000; unit += 1) {
    await ledger.putIfAbsent(`unit ${unit}`, decisionOf(text));
    await ledger.remember(null, conversationOf(chainKeys([String(unit), 'b'])));
    now += 60_000;
    // In use: looked at every ten minutes.
    if (unit % 10 === 0) assert.notEqual(await ledger.get('unit 0'), null);
  }
  await ledger.close();
  const size = statSync(join(folder, file)).size;
  const again = await diskLedger(t, folder, { maxBytes, maxConversations: 200 });
  const { decisions, conversations, bytes } = again.stats();
  t.diagnostic(
    `file ${size}, in use ${bytes}, ${decisions} decisions, ${conversations} conversations`,
  );
  assert.ok(size < 2 * maxBytes, `file of ${size} bytes`);
  assert.ok((bytes ?? Infinity) <= maxBytes * 1.1);
  assert.ok((decisions ?? 0) > 100);
  assert.ok((conversations ?? 0) > 100 && (conversations ?? Infinity) <= 220);
  assert.notEqual(await again.get('unit 0'), null, 'in use');
  assert.equal(await again.get('unit 1'), null, 'the oldest');
  assert.notEqual(await again.get('unit 1999'), null, 'the youngest');
  assert.equal(await again.find(null, chainKeys(['1', 'b'])), null);
  assert.notEqual(await again.find(null, chainKeys(['1999', 'b', 'c'])), null);
});

test('a turn that is still in an older epoch does not bring it back', async (t) => {
  const ledger = await diskLedger(t, temporaryFolder(t));
  const keys = chainKeys(['a', 'b', 'c']);
  const later = conversationOf(keys.slice(0, 2), { epoch: 1 });
  await ledger.remember('name', later);
  await ledger.remember('name', conversationOf(keys, { epoch: 0 }));
  assert.deepEqual(await ledger.find('name', keys), later);
  const branch = conversationOf(chainKeys(['a', 'x']), { epoch: 0 });
  await ledger.remember(null, branch);
  assert.deepEqual(await ledger.find(null, branch.keys), branch);
});

async function filled(t: Parameters<typeof diskLedger>[0], folder: string): Promise<void> {
  const ledger = await diskLedger(t, folder);
  for (let unit = 0; unit < 400; unit += 1) {
    await ledger.putIfAbsent(`unit ${unit}`, decisionOf('y'.repeat(2000)));
  }
  await ledger.close();
}

const damages: Readonly<Record<string, (path: string) => void>> = {
  'a text': (path) => writeFileSync(path, 'not a database\n'.repeat(5000)),
  'a short text': (path) => writeFileSync(path, 'hello'),
  'a file that was cut off': (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  'zeros in the middle': (path) => {
    const bytes = readFileSync(path);
    bytes.fill(0, Math.floor(bytes.length / 4), Math.floor((bytes.length * 3) / 4));
    writeFileSync(path, bytes);
  },
};
for (const [name, damage] of Object.entries(damages)) {
  test(`${name} is set aside, and a fresh store is used`, async (t) => {
    const folder = temporaryFolder(t);
    await filled(t, folder);
    damage(join(folder, file));
    const broken = readFileSync(join(folder, file));
    const ledger = await diskLedger(t, folder);
    assert.equal(ledger.warnings.length, 1);
    assert.match(ledger.warnings[0] ?? '', /renamed to .*aside/);
    assert.equal(await ledger.get('unit 1'), null);
    assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('new')), decisionOf('new'));
    await ledger.close();
    const aside = readdirSync(folder).filter((entry) => /aside-[-\dTZ]+$/.test(entry));
    assert.equal(aside.length, 1);
    assert.deepEqual(readFileSync(join(folder, aside[0] ?? '')), broken);
    const again = await diskLedger(t, folder);
    assert.deepEqual(await again.get('k'), decisionOf('new'));
    assert.deepEqual(again.warnings, []);
  });
}

for (const [kind, table, expected] of [
  ['another program', 'users', /no database of Sluice/],
  ['a newer version', 'about', /newer version/],
] as const) {
  test(`a database of ${kind} is set aside`, async (t) => {
    const folder = temporaryFolder(t);
    const other = open<Buffer, Buffer>({
      path: join(folder, file),
      noSubdir: true,
      encoding: 'binary',
      keyEncoding: 'binary',
    });
    const values = other.openDB<Buffer, Buffer>({
      name: table,
      encoding: 'binary',
      keyEncoding: 'binary',
    });
    await values.put(Buffer.from('format'), Buffer.from('99'));
    await other.close();
    const ledger = await diskLedger(t, folder);
    assert.match(ledger.warnings.join(), expected);
    assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('new')), decisionOf('new'));
    assert.equal(readdirSync(folder).filter((entry) => entry.includes('aside')).length, 2);
  });
}

test('a record that does not have the shape is absent, and is written anew', async (t) => {
  const folder = temporaryFolder(t);
  await filled(t, folder);
  const broken = [
    '',
    'x',
    '[]',
    '[2,[],[]]',
    '[1]',
    '[1,[[0,1,"2","t"]],[]]',
    '[1,[[0,5,1,"t"]],[]]',
    '[1,{},[]]',
  ];
  const root = open<Buffer, Buffer>({
    path: join(folder, file),
    noSubdir: true,
    maxDbs: 8,
    encoding: 'binary',
    keyEncoding: 'binary',
    noSync: true,
  });
  const table = (name: string, useVersions: boolean) =>
    root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary', useVersions });
  for (const [at, record] of broken.entries()) {
    await table('decisions', true).put(Buffer.from(`unit ${at}`), Buffer.from(record), 7);
  }
  await table('units', false).put(Buffer.from('u'), Buffer.from('no such conversation'));
  await table('units', false).put(Buffer.from('v'), Buffer.from('strange'));
  await table('conversations', true).put(
    Buffer.from('strange'),
    Buffer.from('[1,null,["v"],[1],"0"]'),
    7,
  );
  await root.close();
  const ledger = await diskLedger(t, folder);
  for (const at of broken.keys()) {
    assert.equal(await ledger.get(`unit ${at}`), null, broken[at]);
    assert.deepEqual(await ledger.putIfAbsent(`unit ${at}`, decisionOf('new')), decisionOf('new'));
  }
  assert.equal(await ledger.find(null, ['u']), null);
  assert.equal(await ledger.find(null, ['v']), null);
  await ledger.remember(null, conversationOf(['u', 'v']));
  assert.deepEqual(await ledger.find(null, ['u', 'v']), conversationOf(['u', 'v']));
  await ledger.close();
  const again = await diskLedger(t, folder);
  for (const at of broken.keys()) {
    assert.deepEqual(await again.get(`unit ${at}`), decisionOf('new'));
  }
  assert.deepEqual(again.warnings, []);
});

test('only its user can read the files', async (t) => {
  const folder = join(temporaryFolder(t), 'made', 'here');
  const mask = process.umask(0);
  t.after(() => process.umask(mask));
  const ledger = await diskLedger(t, folder);
  await ledger.putIfAbsent('k', decisionOf('secret'));
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const entry of readdirSync(folder)) {
    assert.equal(statSync(join(folder, entry)).mode & 0o777, 0o600, entry);
  }
});

test('a folder that cannot be used leaves the ledger in memory, with a warning', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'nowhere', 'at', 'all'), join(folder, 'link'));
  const unwritable = join(folder, 'unwritable');
  mkdirSync(unwritable, { mode: 0o500 });
  chmodSync(unwritable, 0o500);
  const places = [join(folder, 'file'), join(folder, 'link'), '/dev/null/sluice'];
  // Nothing is forbidden to root.
  if (process.getuid?.() !== 0) places.push(unwritable);
  for (const place of places) {
    const ledger = await diskLedger(t, place);
    assert.equal(ledger.warnings.length, 1, place);
    assert.match(ledger.warnings[0] ?? '', /in memory only/);
    assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('a')), decisionOf('a'));
    assert.deepEqual(await ledger.get('k'), decisionOf('a'));
    assert.match((await ledger.check()).detail, /in memory only/);
    assert.equal(ledger.stats().available, false);
  }
});

test('a disk that is nearly full costs nothing but the memory of a restart', async (t) => {
  const folder = temporaryFolder(t);
  let free = 1e12;
  const ledger = await diskLedger(t, folder, { freeBytes: () => free });
  await ledger.putIfAbsent('before', decisionOf('a'));
  free = 1e6;
  await ledger.putIfAbsent('while full', decisionOf('b'));
  await ledger.remember('name', conversationOf(['while full']));
  assert.deepEqual(await ledger.get('while full'), decisionOf('b'));
  assert.deepEqual(await ledger.putIfAbsent('while full', decisionOf('c')), decisionOf('b'));
  assert.deepEqual(await ledger.find('name', []), conversationOf(['while full']));
  assert.deepEqual(await ledger.find(null, ['while full', 'more']), conversationOf(['while full']));
  assert.equal(ledger.warnings.length, 1);
  assert.match(ledger.warnings[0] ?? '', /nearly full.*in memory only/);
  assert.match((await ledger.check()).detail, /in memory only: the disk is nearly full/);
  assert.equal(ledger.stats().available, false);
  free = 1e12;
  await ledger.putIfAbsent('after', decisionOf('d'));
  assert.match((await ledger.check()).detail, /on disk/);
  // What was decided meanwhile is written when it is used again.
  assert.deepEqual(await ledger.get('while full'), decisionOf('b'));
  await ledger.close();
  const again = await diskLedger(t, folder);
  for (const [key, text] of [
    ['before', 'a'],
    ['while full', 'b'],
    ['after', 'd'],
  ] as const) {
    assert.deepEqual(await again.get(key), decisionOf(text));
  }
});

test('a disk that is nearly full at the start is left alone', async (t) => {
  const folder = temporaryFolder(t);
  const ledger = await diskLedger(t, folder, { freeBytes: () => 1e6 });
  assert.match(ledger.warnings.join(), /nearly full.*in memory only/);
  assert.deepEqual(await ledger.putIfAbsent('k', decisionOf('a')), decisionOf('a'));
  assert.deepEqual(readdirSync(folder), []);
});

test('after closing it answers from memory and breaks nothing', async (t) => {
  const ledger = await diskLedger(t, temporaryFolder(t));
  const conversation: StoredConversation = conversationOf(['a']);
  const writing = [ledger.putIfAbsent('k', decisionOf('a')), ledger.remember(null, conversation)];
  await Promise.all([...writing, ledger.close()]);
  assert.deepEqual(await ledger.get('k'), decisionOf('a'));
  assert.deepEqual(await ledger.putIfAbsent('later', decisionOf('b')), decisionOf('b'));
  await ledger.remember(null, conversationOf(['b']));
  assert.deepEqual(await ledger.find(null, ['b']), conversationOf(['b']));
  await ledger.close();
});
