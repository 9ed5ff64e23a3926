import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { version } from '../../src/version.ts';
import type { CommandLine, Outcome } from './helpers.ts';
import { outcome, runAll } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const typo = join(folder, 'typo.yaml');
writeFileSync(typo, 'compress:\n  rte: 0.5\n');

/** Command lines that cannot be understood, and what the reader is told; none of them starts anything. */
const misuses: { line: CommandLine; told: RegExp }[] = [
  { line: { args: [] }, told: /Usage: sluice/ },
  { line: { args: ['srve'] }, told: /unknown command 'srve'[\s\S]*Did you mean serve\?/ },
  { line: { args: ['serve', '--prot', '1'] }, told: /unknown option '--prot'[\s\S]*--port/ },
  { line: { args: ['serve', '--port', '65536'] }, told: /Expected a whole number from 0 to 65535/ },
  { line: { args: ['serve', '--backend', 'x'] }, told: /Allowed choices are auto, openai, vllm/ },
  { line: { args: ['serve', '--rate', '1.5'] }, told: /above 0 and at most 1/ },
  { line: { args: ['compress', '--rate', '0'] }, told: /above 0 and at most 1/ },
  { line: { args: ['compress', '--target-tokens', '1.5'] }, told: /whole number of at least 1/ },
  {
    line: { args: ['compress', '--rate', '0.5', '--target-tokens', '5'] },
    told: /cannot be used with option '--target-tokens/,
  },
  { line: { args: ['compress', '--method', 'zip'] }, told: /Allowed choices are auto, extractive/ },
  { line: { args: ['explain', '--kind', 'poem'] }, told: /Allowed choices are prose, code/ },
  { line: { args: ['compress', 'a', 'b'] }, told: /too many arguments/ },
  {
    line: { args: ['serve', '--upstream', 'ftp://x'] },
    told: /CONFIG_INVALID: .*upstream in command line: expected a list of http\(s\) URLs/,
  },
  {
    line: { args: ['serve', '--config', typo] },
    told: /unknown key compress\.rte in .*typo\.yaml; did you mean compress\.rate\?\n {2}what to do: /,
  },
  {
    line: { args: ['doctor'], env: { SLUICE_PORT: 'high' } },
    told: /port in environment: expected a whole number from 0 to 65535, found "high"/,
  },
  { line: { args: ['models', 'verify', 'nothing'] }, told: /no model nothing; there are: / },
];

let outcomes: Outcome[];
before(async () => {
  outcomes = await runAll([
    ...misuses.map(({ line }) => line),
    { args: ['--version'] },
    { args: ['--help'] },
    { args: ['compress', join(folder, 'missing.txt')] },
    { args: ['serve', '--help'] },
  ]);
});

test('a command line that is not understood ends with status 2 and says why', () => {
  for (const [index, { line, told }] of misuses.entries()) {
    const { status, stdout, stderr } = outcome(outcomes, index);
    const name = line.args.join(' ');
    assert.equal(status, 2, `${name}: ${stderr}`);
    assert.equal(stdout, '', name);
    assert.match(stderr, told, name);
    assert.doesNotMatch(stderr, /^\s+at /m, `${name}: a stack is no help`);
  }
});

test('version and help go to stdout with status 0', () => {
  const [versionOutcome, help] = [0, 1].map((offset) => outcome(outcomes, misuses.length + offset));
  assert.equal(versionOutcome?.status, 0);
  assert.equal(versionOutcome.stdout, `${version}\n`);
  assert.equal(help?.status, 0);
  for (const command of ['serve', 'compress', 'explain', 'models', 'doctor', 'eval'])
    assert.match(help.stdout, new RegExp(`^ {2}${command} `, 'm'));
});

test('an input that cannot be read is a failure with status 1', () => {
  const { status, stderr } = outcome(outcomes, misuses.length + 2);
  assert.equal(status, 1);
  assert.match(stderr, /REQUEST_INVALID: Cannot read .*missing\.txt: ENOENT/);
});

test('serve knows the flags of the contract', () => {
  const { stdout } = outcome(outcomes, misuses.length + 3);
  for (const flag of [
    '--host',
    '--port',
    '--upstream',
    '--backend',
    '--config',
    '--tokenizer',
    '--method',
    '--rate',
    '--log-level',
    '--no-compress',
  ])
    assert.ok(stdout.includes(flag), flag);
});
