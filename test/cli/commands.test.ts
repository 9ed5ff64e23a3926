import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CommandLine, Outcome } from './helpers.ts';
import { outcome, run, runAll } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-commands-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const text = [
  'The harbour of Saltmarsh was widened in 1931 under the engineer Ada Whitlock.',
  'The lighthouse, which dates from 1874, was not affected by these works.',
  'Its keeper complained about the noise in several letters to the council.',
  'The harbour was widened once more in 1987, when the old pier was removed.',
  'The council paid 4.2 million pounds for the second widening of the harbour.',
].join(' ');
const input = join(folder, 'input.txt');
writeFileSync(input, text);
const binary = join(folder, 'binary');
writeFileSync(binary, Buffer.from([0x61, 0xff, 0xfe]));
const page = join(folder, 'page.html');

/** A model folder with one file; `content` is what the file holds, whatever the manifest says. */
function modelFolder(name: string, content: string | null): string {
  const path = join(folder, name);
  mkdirSync(path);
  const sha256 = createHash('sha256').update('weights').digest('hex');
  const manifest = {
    name,
    version: '1',
    kind: 'causal-lm',
    licence: 'Apache-2.0',
    files: { 'scorer.onnx': { sha256, bytes: 7 } },
    context_length: 64,
    bos_token_id: null,
    eos_token_id: null,
  };
  writeFileSync(join(path, 'manifest.json'), JSON.stringify(manifest));
  if (content !== null) writeFileSync(join(path, 'scorer.onnx'), content);
  return path;
}

const whole = modelFolder('whole', 'weights');
const changed = modelFolder('changed', 'wEights');
const missing = modelFolder('missing', null);
const stateDir = join(folder, 'state', 'deep');
/** A file where a folder is needed. */
const noFolder = join(input, 'state');

const lines = {
  compress: ['compress', input, '--method', 'extractive', '--rate', '0.5'],
  json: ['compress', input, '--method', 'extractive', '--target-tokens', '40', '--json'],
  binary: ['compress', binary],
  unchanged: ['compress', input, '--rate', '1'],
  explain: ['explain', input, '--method', 'extractive', '--question', 'Who was the engineer?'],
  html: ['explain', input, '--method', 'llmlingua', '--html', page],
  list: ['models', 'list'],
  verifyWhole: ['models', 'verify', 'whole'],
  verifyChanged: ['models', 'verify', 'changed', '--json'],
  verifyMissing: ['models', 'verify', 'missing'],
  doctor: ['doctor'],
  sick: ['doctor', '--upstream', 'http://127.0.0.1:9'],
} as const;
const environments: Partial<Record<keyof typeof lines, Record<string, string>>> = {
  list: { SLUICE_SCORE_MODEL: whole },
  verifyWhole: { SLUICE_SCORE_MODEL: whole },
  verifyChanged: { SLUICE_SCORE_MODEL: changed },
  verifyMissing: { SLUICE_SCORE_MODEL: missing },
  doctor: { SLUICE_STATE_DIR: stateDir },
  sick: { SLUICE_STATE_DIR: noFolder, SLUICE_SCORE_MODEL: missing },
};

let outcomes: Outcome[];
before(async () => {
  const names = Object.keys(lines) as (keyof typeof lines)[];
  outcomes = await runAll(
    names.map((name): CommandLine => ({ args: lines[name], env: environments[name] ?? {} })),
  );
});

function of(name: keyof typeof lines): Outcome {
  return outcome(outcomes, Object.keys(lines).indexOf(name));
}

/** True when `part` comes from `whole` by leaving characters out. */
function isSubsequence(part: string, from: string): boolean {
  let at = 0;
  for (const char of part) {
    at = from.indexOf(char, at) + 1;
    if (at === 0) return false;
  }
  return true;
}

test('compress: shorter text on stdout, what was done on stderr', () => {
  const { status, stdout, stderr } = of('compress');
  assert.equal(status, 0, stderr);
  assert.ok(stdout.length > 0 && stdout.length < text.length, stdout);
  assert.ok(isSubsequence(stdout, text), stdout);
  assert.match(stderr, /^sluice: \d+ -> \d+ tokens \(\d+ %\), extractive, \d+ ms, tokenizer /);
});

test('compress --json: text, context and report, within the target', () => {
  const { status, stdout, stderr } = of('json');
  assert.equal(status, 0, stderr);
  const result: unknown = JSON.parse(stdout);
  const {
    report,
    context,
    text: shorter,
  } = result as {
    text: string;
    context: string[];
    report: { tokensBefore: number; tokensAfter: number; segments: { method: string }[] };
  };
  assert.deepEqual(context, [shorter]);
  assert.ok(report.tokensAfter <= 40 && report.tokensAfter < report.tokensBefore);
  assert.equal(report.segments[0]?.method, 'extractive');
});

test('compress: status 0 also when nothing was worth it, with the reason', () => {
  const { status, stdout, stderr } = of('unchanged');
  assert.equal(status, 0, stderr);
  assert.equal(stdout, text);
  assert.match(stderr, /nothing was worth compressing: [a-z-]+ \(\d+ tokens\)/);
});

test('explain: a plain diff that holds the whole text', () => {
  const { status, stdout, stderr } = of('explain');
  assert.equal(status, 0, stderr);
  assert.ok(!stdout.includes('\u001b'), 'no colours away from a terminal');
  const body = stdout.slice(stdout.indexOf('segment 1:'));
  const bare = body.slice(body.indexOf('\n\n') + 2).replaceAll(/\[-|-\]|\{[+!=]|[+!=]\}/g, '');
  assert.equal(bare.trim(), text);
  assert.match(stdout, /\[-dropped-\] \d+/);
});

test('explain --html: a page that holds the whole text', () => {
  const { status, stderr } = of('html');
  assert.equal(status, 0, stderr);
  const html = readFileSync(page, 'utf8');
  const body = /<pre>([\s\S]*)<\/pre>/.exec(html)?.[1] ?? '';
  assert.equal(body.replaceAll(/<[^>]*>/g, ''), text);
  assert.match(html, /class="dropped"/);
});

test('models list: shipped models and configured ones', () => {
  const { status, stdout } = of('list');
  assert.equal(status, 0);
  const [head = '', ...rows] = stdout.trim().split('\n');
  assert.match(head, /^name +version +kind +context +size +licence +folder$/);
  assert.ok(
    rows.some((row) => row.startsWith('scout ')),
    stdout,
  );
  assert.ok(
    rows.some((row) => row.startsWith('whole ') && row.endsWith(whole)),
    stdout,
  );
});

test('models verify: names the broken file and fails', () => {
  assert.equal(of('verifyWhole').status, 0);
  assert.match(of('verifyWhole').stdout, /^ok +whole /);
  const broken = of('verifyChanged');
  assert.equal(broken.status, 1);
  const [model] = JSON.parse(broken.stdout) as { problem: string }[];
  assert.match(model?.problem ?? '', /^scorer\.onnx has SHA-256 [0-9a-f]{12}, not [0-9a-f]{12}$/);
  assert.equal(of('verifyMissing').status, 1);
  assert.match(of('verifyMissing').stdout, /^BROKEN +missing +scorer\.onnx is missing/);
});

test('doctor: all is well here, and the state directory was made', () => {
  const { status, stdout } = of('doctor');
  assert.equal(status, 0, stdout);
  for (const name of ['node', 'native runtime', 'model scout', 'state directory'])
    assert.match(stdout, new RegExp(`^ok +${name}: `, 'm'));
});

test('doctor: every failure says what to do', () => {
  const { status, stdout } = of('sick');
  assert.equal(status, 1);
  assert.match(stdout, /^FAILED +model missing: scorer\.onnx is missing\n +Restore /m);
  assert.match(stdout, /^FAILED +upstream http:\/\/127\.0\.0\.1:9: .*\n +Start the server/m);
  assert.match(stdout, /^FAILED +state directory: .*\n +Make .* writable .*SLUICE_STATE_DIR/m);
});

test('compress: what is not UTF-8 is refused', () => {
  const { status, stdout, stderr } = of('binary');
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /REQUEST_INVALID: .*binary is not UTF-8 text/);
});

test('compress reads stdin', async () => {
  const piped = await run(['compress', '-', '--method', 'extractive', '--rate', '0.5'], text);
  assert.equal(piped.status, 0, piped.stderr);
  assert.equal(piped.stdout, of('compress').stdout);
});
