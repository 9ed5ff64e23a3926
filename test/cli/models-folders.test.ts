/** Which folder a setting means. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { modelFolder, modelFolders } from '../../src/models.ts';

const shipped = mkdtempSync(join(tmpdir(), 'sluice-shipped-'));
after(() => rmSync(shipped, { recursive: true, force: true }));

function ship(name: string): string {
  const folder = join(shipped, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'manifest.json'), '{}');
  return folder;
}

test('a setting left out means the shipped model, where there is one', () => {
  assert.equal(modelFolder(null, 'table', shipped), null);
  // a folder without a manifest is not a model yet
  mkdirSync(join(shipped, 'table'));
  assert.equal(modelFolder(null, 'table', shipped), null);
  const table = ship('table');
  assert.equal(modelFolder(null, 'table', shipped), table);
  const cross = ship('cross');
  assert.equal(modelFolder(null, 'pairs', shipped), cross);
});

test('none switches a model off, and a folder is taken as it is', () => {
  ship('table');
  assert.equal(modelFolder('none', 'table', shipped), null);
  assert.equal(modelFolder('my/table', 'table', shipped), 'my/table');
});

test('listed are the shipped models, the pulled ones and those of the configuration, each once', () => {
  const table = ship('table');
  const home = join(shipped, 'home');
  mkdirSync(join(home, '.pull-left'), { recursive: true });
  writeFileSync(join(home, '.pull-left', 'manifest.json'), '{}');
  const mine = ship('home/mine');
  const config = parseConfig({ score: { vectors: mine, table: 'none', pairs: 'some/where' } });
  const folders = modelFolders(config, { shipped, home });
  assert.ok(folders.includes(table) && folders.includes(resolve('some/where')));
  assert.equal(folders.filter((folder) => folder === mine).length, 1);
  assert.ok(!folders.some((folder) => folder.includes('.pull-') || folder.endsWith('none')));
});
