/** Pulling a model: sources, checksums, hostile archives, and that nothing is left behind. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { create, Header } from 'tar';
import { verifyModel } from '../../src/score/manifest.ts';
import { type PulledModel, type PullOptions, pullModel } from '../../src/score/pull.ts';
import { fixtures, tinyClassifier, withScorers } from './helpers.ts';

function workFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-pull-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function pull(into: string, source: string, more: Partial<PullOptions> = {}): Promise<PulledModel> {
  const limits = { maxBytes: 10_000_000, replace: false, signal: null };
  return pullModel({ source, into, name: null, sha256: null, ...limits, ...more });
}

const shaOf = (file: string): string =>
  createHash('sha256').update(readFileSync(file)).digest('hex');

async function archiveOf(work: string, name: string, file = `${name}.tar.gz`): Promise<string> {
  const path = join(work, file);
  await create({ file: path, cwd: fixtures, gzip: true }, [name]);
  return path;
}

/** Refused with the message, and the folder of models is as it was. */
async function assertRefused(
  into: string,
  pulling: Promise<unknown>,
  message: RegExp,
): Promise<void> {
  const before = existsSync(into) ? readdirSync(into) : [];
  await assert.rejects(pulling, { code: 'MODEL_INVALID', message });
  assert.deepEqual(existsSync(into) ? readdirSync(into) : [], before);
}

for (const name of ['tiny-causal', 'tiny-encoder', 'tiny-cross', 'tiny-table', 'tiny-xlmr'])
  test(`${name} is pulled from its folder`, async (t) => {
    const into = join(workFolder(t), 'models');
    const { folder, manifest } = await pull(into, join(fixtures, name));
    assert.equal(folder, join(into, name));
    assert.equal(manifest.name, name);
    assert.equal((await verifyModel(folder)).ok, true);
    assert.ok(existsSync(join(folder, 'manifest.json')));
    assert.ok(
      !existsSync(join(folder, 'expected.json')),
      'files that no manifest names stay behind',
    );
    assert.deepEqual(readdirSync(into), [name]);
  });

test('an archive is pulled, with its checksum and under another name, and works', async (t) => {
  const work = workFolder(t);
  const into = join(work, 'models');
  const file = await archiveOf(work, 'tiny-encoder', 'my-encoder.tar.gz');
  const pulled = await pull(into, file, { sha256: shaOf(file).toUpperCase() });
  assert.equal(pulled.folder, join(into, 'my-encoder'));
  assert.equal(pulled.manifest.name, 'my-encoder');
  await pull(into, file, { name: 'second' });
  assert.deepEqual(readdirSync(into).sort(), ['my-encoder', 'second']);
  await withScorers({ surprisal: null, vectors: pulled.folder }, async ({ vectors }) => {
    assert.equal((await vectors!.vectors(['the report']))[0]?.length, 16);
  });
});

test('an archive is pulled from an address, which needs a checksum', async (t) => {
  const work = workFolder(t);
  const into = join(work, 'models');
  const file = await archiveOf(work, 'tiny-classifier');
  const server = createServer((request, response) => {
    if (request.url !== '/files/tiny.tar.gz') response.writeHead(404).end();
    else response.end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/files/tiny.tar.gz`;
  await assert.rejects(pull(into, url), { message: /--sha256 is required/ });
  const sha256 = shaOf(file);
  await assertRefused(into, pull(into, `${url}x`, { sha256 }), /answers 404/);
  await assertRefused(
    into,
    pull(into, url, { sha256: 'a'.repeat(64) }),
    /has SHA-256 [0-9a-f]{64}, not/,
  );
  await assertRefused(into, pull(into, url, { sha256, maxBytes: 1000 }), /more than 1000 bytes/);
  // the manifest's own name counts
  assert.equal((await pull(into, url, { sha256 })).folder, join(into, 'tiny-classifier'));
});

test('a name that is taken is kept unless it is to be replaced', async (t) => {
  const into = join(workFolder(t), 'models');
  const first = await pull(into, tinyClassifier);
  writeFileSync(join(first.folder, 'mark'), '');
  await assertRefused(into, pull(into, tinyClassifier), /exists already/);
  assert.ok(existsSync(join(first.folder, 'mark')));
  await pull(into, tinyClassifier, { replace: true });
  assert.ok(!existsSync(join(first.folder, 'mark')));
  assert.deepEqual(readdirSync(into), ['tiny-classifier']);
});

test('broken models are refused: wrong checksums, missing files, graphs that do not open', async (t) => {
  const work = workFolder(t);
  const into = join(work, 'models');
  mkdirSync(into);
  const copy = (name: string): string => {
    const folder = join(work, `copy-${name}-${Math.random()}`);
    cpSync(join(fixtures, name), folder, { recursive: true });
    return folder;
  };
  const changed = copy('tiny-causal');
  appendFileSync(join(changed, 'model.onnx'), 'x');
  await assertRefused(into, pull(into, changed), /SHA-256 of model\.onnx is not the manifest's/);
  const missing = copy('tiny-causal');
  rmSync(join(missing, 'tokenizer.json'));
  await assertRefused(
    into,
    pull(into, missing),
    /tokenizer\.json, which the manifest names, is missing/,
  );
  const broken = copy('tiny-encoder');
  writeFileSync(join(broken, 'model.onnx'), 'not a graph');
  await assertRefused(into, pull(into, broken), /model\.onnx|11 bytes|ONNX/);
  await assertRefused(into, pull(into, join(work, 'nothing')), /does not exist/);
  await assertRefused(into, pull(into, tinyClassifier, { name: '../out' }), /cannot be the name/);
});

interface Entry {
  readonly path: string;
  readonly type?: 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice';
  readonly linkpath?: string;
  readonly text?: string;
}

/** An archive with entries as no honest tool writes them. */
function hostile(work: string, entries: readonly Entry[]): string {
  const blocks = entries.flatMap(({ path, type = 'File', linkpath = '', text = '' }) => {
    const head = Buffer.alloc(512);
    const size = type === 'File' ? text.length : 0;
    new Header({ path, type, linkpath, size, mode: 0o644, mtime: new Date(0) }).encode(head);
    const body = Buffer.alloc(Math.ceil(size / 512) * 512);
    body.write(text);
    return [head, body];
  });
  const file = join(work, 'hostile.tar.gz');
  writeFileSync(file, gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)])));
  return file;
}

const good: Entry = { path: 'm/config.json', text: '{}' };
const hostiles: readonly (readonly [string, readonly Entry[], RegExp])[] = [
  [
    'a path that climbs out',
    [good, { path: 'm/../../escaped', text: 'x' }],
    /leads out of its folder/,
  ],
  [
    'an absolute path',
    [good, { path: '/tmp/sluice-escaped', text: 'x' }],
    /leads out of its folder/,
  ],
  ['a drive letter', [good, { path: 'C:/escaped', text: 'x' }], /leads out of its folder/],
  ['backslashes', [good, { path: 'm\\..\\escaped', text: 'x' }], /leads out of its folder/],
  [
    'a symbolic link',
    [good, { path: 'm/l', type: 'SymbolicLink', linkpath: '/etc' }],
    /SymbolicLink/,
  ],
  ['a hard link', [good, { path: 'm/l', type: 'Link', linkpath: '/etc/passwd' }], /is a Link/],
  ['a device', [good, { path: 'm/d', type: 'CharacterDevice' }], /CharacterDevice/],
  ['no model', [{ path: 'm/readme', text: 'x' }], /must hold one model/],
  ['two models', [good, { path: 'n/config.json', text: '{}' }], /must hold one model/],
];
for (const [what, entries, message] of hostiles)
  test(`an archive with ${what} is refused`, async (t) => {
    const work = workFolder(t);
    const into = join(work, 'models');
    mkdirSync(into);
    await assertRefused(into, pull(into, hostile(work, entries)), message);
    assert.ok(!existsSync(join(work, 'escaped')) && !existsSync('/tmp/sluice-escaped'));
  });

test('archives that hold too much, and files that are no archives, are refused', async (t) => {
  const work = workFolder(t);
  const into = join(work, 'models');
  mkdirSync(into);
  // 3 MB of zeros are 3 kB in the archive: the bound holds for what comes out
  const bomb = hostile(work, [good, { path: 'm/zeros', text: '\0'.repeat(3_000_000) }]);
  await assertRefused(into, pull(into, bomb, { maxBytes: 1_000_000 }), /more than 1000000 bytes/);
  const many = hostile(
    work,
    Array.from({ length: 10_001 }, (_, i) => ({ path: `m/${i}` })),
  );
  await assertRefused(into, pull(into, many), /more than 10000 entries/);
  for (const [text, message] of [
    ['PK\u0003\u0004', /zip archive; a \.tar\.gz is needed/],
    ['plain text, and not little of it '.repeat(40), /is no tar archive/],
    ['', /is no tar archive/],
  ] as const) {
    const file = join(work, 'other');
    writeFileSync(file, text);
    await assertRefused(into, pull(into, file), message);
  }
});

test('a link in a folder, as caches of downloads have them, is copied as the file behind it', async (t) => {
  const work = workFolder(t);
  const linked = join(work, 'linked');
  mkdirSync(linked);
  for (const name of ['config.json', 'tokenizer.json', 'model.onnx'])
    symlinkSync(join(fixtures, 'tiny-cross', name), join(linked, name));
  const { folder } = await pull(join(work, 'models'), linked);
  rmSync(linked, { recursive: true });
  assert.equal((await verifyModel(folder)).ok, true);
});
