import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SluiceError } from '../../src/core/errors.ts';
import { fileVariable, readEnvironment } from '../../src/config/environment.ts';
import { listKeys } from '../../src/config/keys.ts';
import { loadConfig } from '../../src/config/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** A folder without any configuration file. */
const empty = mkdtempSync(join(folder, 'empty-'));

function message(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(SluiceError.isInstance(error), String(error));
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.message;
  }
  return assert.fail('nothing was thrown');
}

test('flags beat environment beats file', () => {
  const file = write('order.yaml', 'port: 1\nhost: file\ncompress:\n  rate: 0.1\n');
  const config = loadConfig({
    file,
    env: { SLUICE_PORT: '2', SLUICE_COMPRESS_RATE: '0.2' },
    flags: { compress: { rate: 0.3 }, host: undefined },
  });
  assert.equal(config.host, 'file');
  assert.equal(config.port, 2);
  assert.equal(config.compress.rate, 0.3);
});

test('YAML and JSON files say the same', () => {
  const yaml = write('same.yaml', '# comment\ncompress: { rate: 0.25 }\nupstream: [http://a:1]\n');
  const json = write('same.json', '{\n\t"compress": {"rate": 0.25}, "upstream": ["http://a:1"]}');
  assert.deepEqual(loadConfig({ file: yaml, env: {} }), loadConfig({ file: json, env: {} }));
});

test('an empty file and an empty section are no error', () => {
  assert.equal(loadConfig({ file: write('empty.yaml', ''), env: {} }).port, 8790);
  assert.equal(loadConfig({ file: write('bare.yaml', 'compress:\n'), env: {} }).compress.rate, 0.5);
});

test('without a name, sluice.yaml is read where present, else sluice.json, else nothing', () => {
  const home = mkdtempSync(join(folder, 'home-'));
  assert.equal(loadConfig({ folder: home, env: {} }).port, 8790);
  writeFileSync(join(home, 'sluice.json'), '{"port": 11}');
  assert.equal(loadConfig({ folder: home, env: {} }).port, 11);
  writeFileSync(join(home, 'sluice.yaml'), 'port: 12');
  assert.equal(loadConfig({ folder: home, env: {} }).port, 12);
});

test('SLUICE_CONFIG names the file, and a named file wins over it', () => {
  const one = write('one.yaml', 'port: 21');
  const two = write('two.yaml', 'port: 22');
  assert.equal(loadConfig({ folder: empty, env: { [fileVariable]: one } }).port, 21);
  assert.equal(loadConfig({ file: two, env: { [fileVariable]: one } }).port, 22);
});

test('a file that is missing or broken is told with its name and place', () => {
  assert.match(
    message(() => loadConfig({ file: join(folder, 'no.yaml'), env: {} })),
    /Cannot read .*no\.yaml: ENOENT/,
  );
  const broken = write('broken.yaml', 'port: 1\nport: 2\n');
  assert.match(
    message(() => loadConfig({ file: broken, env: {} })),
    /broken\.yaml:2:1 is not YAML/,
  );
  const json = write('broken.json', '{');
  assert.match(
    message(() => loadConfig({ file: json, env: {} })),
    /broken\.json is not JSON/,
  );
});

test('an unknown key of a file names the file', () => {
  const file = write('typo.yaml', 'limits:\n  inspect_byte: 5\n');
  const text = message(() => loadConfig({ file, env: {} }));
  assert.match(text, /unknown key limits\.inspect_byte in .*typo\.yaml/);
  assert.match(text, /did you mean limits\.inspect_bytes\?/);
});

test('every key has one variable, and no two keys share one', () => {
  const keys = listKeys();
  const names = new Set(keys.map((key) => key.env));
  assert.equal(names.size, keys.length);
  assert.ok(!names.has(fileVariable));
  for (const name of ['SLUICE_PORT', 'SLUICE_COMPRESS_RATE', 'SLUICE_LIMITS_INSPECT_BYTES'])
    assert.ok(names.has(name), name);
  assert.ok(names.has('SLUICE_STATE_DIR'));
});

test('variables are read as the type of their key', () => {
  const config = loadConfig({
    folder: empty,
    env: {
      SLUICE_PORT: '0',
      SLUICE_COMPRESS_ENABLED: 'off',
      SLUICE_UPSTREAM: 'http://a:1, http://b:2',
      SLUICE_COMPRESS_SURVIVORS_PATTERNS: '["x{1,3}", "y"]',
      SLUICE_SCORE_MODEL: 'null',
      SLUICE_STATE_DIR: '/var/lib/sluice',
      SLUICE_LOG_LEVEL: '',
    },
  });
  assert.equal(config.port, 0);
  assert.equal(config.compress.enabled, false);
  assert.deepEqual(config.upstream, ['http://a:1', 'http://b:2']);
  assert.deepEqual(config.compress.survivors.patterns, ['x{1,3}', 'y']);
  assert.equal(config.score.model, null);
  assert.equal(config.state_dir, '/var/lib/sluice');
  assert.equal(config.log.level, 'info');
});

test('a variable that does not fit is an error that names the environment', () => {
  const cases = { SLUICE_PORT: 'high', SLUICE_COMPRESS_ENABLED: 'perhaps', SLUICE_BACKEND: 'x' };
  for (const [name, value] of Object.entries(cases)) {
    const text = message(() => loadConfig({ folder: empty, env: { [name]: value } }));
    assert.match(text, /in environment: expected/);
    assert.ok(text.includes(`found "${value}"`), text);
  }
});

test('an unknown variable is a finding with the nearest name, not an error', () => {
  const findings: string[] = [];
  const config = loadConfig({
    folder: empty,
    env: { SLUICE_PROT: '1', HOME: '/x' },
    onFinding: ({ level, message: text }) => findings.push(`${level}: ${text}`),
  });
  assert.equal(config.port, 8790);
  assert.deepEqual(findings, [
    'warn: Unknown variable SLUICE_PROT is ignored; did you mean SLUICE_PORT?',
  ]);
  assert.deepEqual(readEnvironment({ PATH: '/bin' }, listKeys()).findings, []);
});

test('the state directory follows XDG_STATE_HOME', () => {
  const config = loadConfig({ folder: empty, env: { XDG_STATE_HOME: '/home/u/.state' } });
  assert.equal(config.state_dir, '/home/u/.state/sluice');
});
