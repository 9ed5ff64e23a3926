/** Manifests: read, derived from an imported model, checked against the files. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readManifest, scorerFile, verifyModel } from '../../src/score/manifest.ts';
import { tinyCausal, tinyClassifier, withScorers } from './helpers.ts';

function copyOf(t: TestContext, folder: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'sluice-model-'));
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  cpSync(folder, copy, { recursive: true });
  return copy;
}

test('a manifest is read with its kind, ids and scorer graph', () => {
  const manifest = readManifest(tinyCausal);
  assert.equal(manifest.name, 'tiny-causal');
  assert.equal(manifest.kind, 'causal-lm');
  assert.equal(manifest.context_length, 512);
  assert.equal(manifest.bos_token_id, 0);
  assert.equal(scorerFile(manifest), 'model.onnx');
});

test('a folder as Hugging Face exports it gets a derived manifest, and scores', async (t) => {
  const folder = copyOf(t, tinyCausal);
  rmSync(join(folder, 'manifest.json'));
  const manifest = readManifest(folder);
  assert.equal(manifest.kind, 'causal-lm');
  assert.equal(manifest.context_length, 512);
  assert.equal(manifest.bos_token_id, 0);
  assert.equal(
    manifest.files['model.onnx']?.sha256,
    readManifest(tinyCausal).files['model.onnx']?.sha256,
  );
  assert.deepEqual((await verifyModel(folder)).ok, true);
  await withScorers({ surprisal: folder }, async ({ surprisal }) => {
    assert.equal((await surprisal!.score('the report')).values.length > 0, true);
  });
});

test('verify names the file that is broken and the one that is missing', async (t) => {
  assert.equal((await verifyModel(tinyClassifier)).ok, true);
  const folder = copyOf(t, tinyClassifier);
  appendFileSync(join(folder, 'tokenizer.json'), ' ');
  rmSync(join(folder, 'config.json'));
  const { ok, files } = await verifyModel(folder);
  assert.equal(ok, false);
  const byName = Object.fromEntries(files.map((file) => [file.name, file]));
  assert.equal(byName['model.onnx']?.ok, true);
  assert.equal(byName['config.json']?.found, null);
  assert.notEqual(byName['tokenizer.json']?.found, byName['tokenizer.json']?.expected);
});

const changes: [string, Record<string, unknown>, RegExp][] = [
  ['unknown kind', { kind: 'oracle' }, /"kind" must be one of causal-lm/],
  ['no context length', { context_length: 0 }, /"context_length"/],
  ['no hash', { files: { 'model.onnx': { bytes: 3 } } }, /files\["model.onnx"\]/],
  [
    'a file outside',
    { files: { '../x': { sha256: 'a'.repeat(64), bytes: 1 } } },
    /inside the folder/,
  ],
  ['no licence', { licence: '' }, /"licence"/],
  ['a BOS that is no id', { bos_token_id: -1 }, /"bos_token_id"/],
];
for (const [name, change, message] of changes)
  test(`a manifest with ${name} is refused`, (t) => {
    const folder = copyOf(t, tinyCausal);
    const path = join(folder, 'manifest.json');
    const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...json, ...change }));
    assert.throws(() => readManifest(folder), { code: 'MODEL_INVALID', message });
  });

test('a folder that is no model is refused with what was looked for', (t) => {
  const folder = copyOf(t, tinyCausal);
  rmSync(join(folder, 'manifest.json'));
  rmSync(join(folder, 'model.onnx'));
  assert.throws(() => readManifest(folder), { code: 'MODEL_INVALID', message: /neither manifest/ });
});
