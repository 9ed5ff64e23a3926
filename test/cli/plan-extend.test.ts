/** `sluice plan extend` and `plan backends` beside `plan FILE`. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { AttentionProfile } from '../../src/core/attention-profile.ts';
import type { ExtensionPlan } from '../../src/extension.ts';
import { llama2, phi3 } from '../context/extension/configs.ts';
import { runAll } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-extend-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const config = join(folder, 'config.json');
writeFileSync(config, JSON.stringify(llama2));
const odd = join(folder, 'odd.json');
writeFileSync(odd, JSON.stringify({ ...llama2, rope_scaling: { type: 'polar' } }));
const long = join(folder, 'long.json');
writeFileSync(long, JSON.stringify(phi3));
const svg = join(folder, 'plan.svg');
const html = join(folder, 'plan.html');

test('plan extend: a table, JSON, a picture; plan backends: every profile', async () => {
  const wanted = ['plan', 'extend', '--length', '16384', '--model'];
  const [table, json, unknown, beyond, missing, noModel, profiles, rows] = await runAll([
    { args: [...wanted, folder, '--plot', svg] },
    { args: [...wanted, config, '--json', '--server', 'llamacpp', '--plot', html] },
    { args: [...wanted, odd] },
    { args: ['plan', 'extend', '--length', '1000000', '--model', long] },
    { args: [...wanted, join(folder, 'none.json')] },
    { args: ['plan', 'extend', '--length', '16384'] },
    { args: ['plan', 'backends'] },
    { args: ['plan', 'backends', '--json'] },
  ]);
  assert.ok(table && json && unknown && beyond && missing && noModel && profiles && rows);
  assert.equal(table.status, 0, table.stderr);
  assert.match(table.stdout, /trained for 4,096 tokens.*wanted 16,384 \(x 4\)/);
  assert.match(table.stdout, /YaRN +1\.1386 +43\/64 +- +[\d,]+ +runs +runs +runs +capped/);
  assert.match(table.stdout, /perplexity: 56,628 .*retrieval: at least 307,923/);
  assert.match(table.stdout, /512 KiB a token \(float16\), 8 GiB at the target/);
  assert.match(table.stdout, /llama-server -m MODEL\.gguf --rope-scaling yarn --rope-scale 4/);
  assert.match(table.stdout, /vllm serve MODEL --hf-overrides '\{.*\}' --max-model-len 16384/);
  assert.match(readFileSync(svg, 'utf8'), /^<svg /);

  assert.equal(json.status, 0, json.stderr);
  const plan = JSON.parse(json.stdout) as ExtensionPlan;
  assert.equal(plan.schemes.length, 6);
  assert.equal(plan.schemes[0]?.inverseFrequencies.length, 64);
  assert.deepEqual(
    plan.schemes.map(({ servers }) => servers.map(({ server }) => server).join()),
    Array.from({ length: 6 }, () => 'llamacpp'),
  );
  assert.match(readFileSync(html, 'utf8'), /^<!doctype html>[^]*<svg /);

  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /rope_type "polar", which is not known; known are default, mrope/);
  assert.equal(beyond.status, 1);
  assert.match(beyond.stderr, /1000000 tokens are out of reach/);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /Cannot read .*none\.json/);
  assert.equal(noModel.status, 2);
  assert.match(noModel.stderr, /--model/);
  assert.ok(!existsSync(join(folder, 'none.json')));

  assert.equal(profiles.status, 0, profiles.stderr);
  assert.match(profiles.stdout, /Attention-free\n +State space \(Mamba\) +S /);
  assert.match(profiles.stdout, /W = a prefix while its last window is resident/);
  const list = JSON.parse(rows.stdout) as readonly AttentionProfile[];
  assert.ok(list.some(({ id, reuse }) => id === 'rwkv' && reuse === 'S'));
});
