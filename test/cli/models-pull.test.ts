/** `sluice models pull`, and what the other commands then know. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { type Outcome, outcome, runAll } from './helpers.ts';

const fixtures = resolve(import.meta.dirname, '../fixtures/models');
const encoder = join(fixtures, 'tiny-encoder');
const folder = mkdtempSync(join(tmpdir(), 'sluice-models-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const dir = join(folder, 'models');
const home = join(folder, 'home');
const text = join(folder, 'text.txt');
writeFileSync(text, 'The committee met on Monday. It agreed on the budget. '.repeat(20));
const address = 'https://models.example/tiny.tar.gz';

const bench = ['models', 'bench', '--seconds', '0.05', '--text', text];
const lines = {
  pull: ['models', 'pull', encoder, '--dir', dir],
  again: ['models', 'pull', encoder, '--dir', dir],
  replaced: ['models', 'pull', encoder, '--dir', dir, '--replace', '--json'],
  home: ['models', 'pull', join(fixtures, 'tiny-table'), '--name', 'words'],
  list: ['models', 'list', '--dir', dir],
  verify: ['models', 'verify', 'tiny-encoder', '--dir', dir],
  verifyHome: ['models', 'verify', 'tiny-table'],
  unnamed: ['models', 'pull', address],
  short: ['models', 'pull', address, '--sha256', 'abc'],
  bench: [...bench, 'tiny-encoder', '--dir', dir, '--reference', join(encoder, 'model.onnx')],
  benchTable: [...bench, join(fixtures, 'tiny-table')],
  benchCausal: [...bench, join(fixtures, 'tiny-causal'), '--json'],
  benchNothing: [...bench, 'nothing', '--dir', dir],
} as const;

const names = Object.keys(lines) as (keyof typeof lines)[];
let outcomes: Outcome[];
before(async () => {
  const env = { XDG_DATA_HOME: home };
  outcomes = await runAll(names.map((name) => ({ args: lines[name], env })));
});
const of = (name: keyof typeof lines): Outcome => outcome(outcomes, names.indexOf(name));

test('pull tells where the model is and how it is used', () => {
  const { status, stdout, stderr } = of('pull');
  assert.equal(status, 0, stderr);
  const place = join(dir, 'tiny-encoder');
  assert.equal(
    stdout,
    `tiny-encoder 0, sentence-encoder, is in ${place}\nto use it: score.vectors: ${place}\n`,
  );
  assert.equal(of('again').status, 1);
  assert.match(of('again').stderr, /MODEL_INVALID: .*tiny-encoder exists already/);
  const replaced = JSON.parse(of('replaced').stdout) as Record<string, unknown>;
  assert.equal(replaced['folder'], place);
  assert.equal(replaced['setting'], 'score.vectors');
});

test('pulled models are listed and verified, from the data directory too', () => {
  assert.match(of('list').stdout, /^tiny-encoder +0 +sentence-encoder +192 /m);
  assert.match(of('list').stdout, /^scout /m);
  assert.match(of('verify').stdout, /^ok +tiny-encoder /);
  assert.equal(of('home').status, 0, of('home').stderr);
  assert.ok(of('verifyHome').stdout.includes(join(home, 'sluice/models/words')));
});

test('an address without a checksum, or with half of one, is a mistake on the command line', () => {
  assert.equal(of('unnamed').status, 2);
  assert.match(of('unnamed').stderr, /--sha256 is required for an address/);
  assert.equal(of('short').status, 2);
  assert.match(of('short').stderr, /Expected 64 hex digits/);
});

test('bench prints speed, memory and rank agreement', () => {
  const { status, stdout, stderr } = of('bench');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^model +tiny-encoder@0:[0-9a-f]{12}, sentence-encoder$/m);
  assert.match(stdout, /^tokens per CPU second +\d+, one thread$/m);
  assert.match(stdout, /^memory +-?\d+\.\d MB$/m);
  // against itself
  assert.match(stdout, /^rank agreement +1\.00000 over \d+ values of .*model\.onnx$/m);
  assert.match(of('benchTable').stdout, /^rank agreement +no fp32 file to compare with/m);
  const causal = JSON.parse(of('benchCausal').stdout) as Record<string, unknown>;
  assert.equal(causal['kind'], 'causal-lm');
  assert.ok(Number(causal['tokensPerCpuSecond']) > 0);
  assert.equal(of('benchNothing').status, 2);
  assert.match(of('benchNothing').stderr, /no model nothing; there are: /);
});
