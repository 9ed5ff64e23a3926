import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SluiceError } from '../../src/core/errors.ts';
import { listKeys } from '../../src/config/keys.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Layer } from '../../src/config/parse.ts';
import { parseLayers } from '../../src/config/parse.ts';
import { presets } from '../../src/config/presets.ts';

const surroundings = { cores: 8, stateHome: '/state' };

function parse(values: unknown, where = 'sluice.yaml'): ReturnType<typeof parseLayers> {
  return parseLayers([{ where, values }], surroundings);
}

function problem(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(SluiceError.isInstance(error), String(error));
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.message;
  }
  return assert.fail('nothing was thrown');
}

test('an empty configuration gives the documented defaults', () => {
  const config = parse({});
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.port, 8790);
  assert.deepEqual(config.upstream, []);
  assert.equal(config.compress.method, 'auto');
  assert.equal(config.compress.rate, 0.5);
  assert.equal(config.compress.min_tokens, 150);
  assert.equal(config.compress.on_failure, 'open');
  assert.equal(config.limits.inspect_bytes, 32 * 1024 * 1024);
  assert.equal(config.limits.max_body_bytes, 64 * 1024 * 1024);
  assert.equal(config.limits.compress_ms, 2000);
  assert.equal(config.limits.connect_ms, 5000);
  assert.equal(config.limits.upstream_head_ms, 600_000);
  assert.equal(config.limits.upstream_idle_ms, 300_000);
  assert.equal(config.score.queue, 256);
  assert.equal(config.state_dir, '/state/sluice');
});

test('every default that the schema names is the value that comes out', () => {
  const config: unknown = parse({});
  for (const key of listKeys()) {
    if (key.default === null) continue; // decided by the machine
    const value = key.path
      .split('.')
      .reduce<unknown>((node, part) => Reflect.get(Object(node), part), config);
    assert.deepEqual(value, key.default, key.path);
  }
});

test('workers leave one core free and count the threads of each', () => {
  assert.equal(parse({}).score.workers, 7);
  assert.equal(parse({ score: { threads: 3 } }).score.workers, 2);
  assert.equal(parseLayers([], { cores: 1, stateHome: '/s' }).score.workers, 1);
  assert.match(
    problem(() => parse({ score: { workers: 5, threads: 2 } })),
    /score\.workers x score\.threads is 5 x 2 = 10, more than the 8 cores/,
  );
});

const unknownKeys: { given: unknown; want: string }[] = [
  { given: { prot: 1 }, want: 'unknown key prot in sluice.yaml; did you mean port?' },
  {
    given: { compress: { rte: 1 } },
    want: 'unknown key compress.rte in sluice.yaml; did you mean compress.rate?',
  },
  { given: { rate: 1 }, want: 'unknown key rate in sluice.yaml; did you mean compress.rate?' },
  {
    given: { compres: { rate: 1 } },
    want: 'unknown key compres in sluice.yaml; did you mean compress?',
  },
  {
    given: { compress: { survivors: { clases: [] } } },
    want: 'unknown key compress.survivors.clases in sluice.yaml; did you mean compress.survivors.classes?',
  },
  {
    given: { limits: { compressMs: 1 } },
    want: 'unknown key limits.compressMs in sluice.yaml; did you mean limits.compress_ms?',
  },
  { given: { zzzzzzzz: 1 }, want: 'unknown key zzzzzzzz in sluice.yaml' },
];

test('an unknown key is an error that names the nearest known one', () => {
  for (const { given, want } of unknownKeys) {
    assert.equal(
      problem(() => parse(given)),
      `Configuration: ${want}`,
    );
  }
});

const wrongValues: { given: unknown; want: RegExp }[] = [
  {
    given: { port: 'high' },
    want: /port in sluice\.yaml: expected a whole number from 0 to 65535, found "high"/,
  },
  { given: { port: 65_536 }, want: /found 65536/ },
  { given: { port: 1.5 }, want: /expected a whole number/ },
  {
    given: { compress: { rate: 0 } },
    want: /compress\.rate .*above 0 and at most 1, found 0/,
  },
  { given: { compress: { method: 'gzip' } }, want: /expected one of auto, .*found "gzip"/ },
  { given: { compress: { enabled: 'maybe' } }, want: /expected true or false, found "maybe"/ },
  {
    given: { compress: { survivors: { patterns: ['ok', '('] } } },
    want: /compress\.survivors\.patterns .*regular expressions.*found \["ok","\("\]/,
  },
  { given: { compress: { survivors: { classes: ['nmber'] } } }, want: /a list out of number/ },
  { given: { upstream: ['ftp://x'] }, want: /upstream .*http\(s\) URLs/ },
  { given: { compress: 5 }, want: /compress in sluice\.yaml: expected keys and values, found 5/ },
  { given: [], want: /The configuration in sluice\.yaml: expected keys and values, found \[\]/ },
  {
    given: { sinks: { enabled: true }, compress: { enabled: false } },
    want: /sinks\.enabled is true, but compress\.enabled is false/,
  },
  {
    given: { windows: { max_cost: 0.1, input_price: 3 } },
    want: /windows\.max_cost is set, but windows\.output_price is not: it needs both/,
  },
  {
    given: { windows: { max_cost: 0.1 } },
    want: /but windows\.input_price and windows\.output_price are not/,
  },
  {
    given: { windows: { output_price: 15 } },
    want: /one price of windows is set, but windows\.input_price is not/,
  },
  { given: { backend: 'vllm' }, want: /backend is vllm, but upstream is empty/ },
  {
    given: { backend: 'embedded', upstream: ['http://a'] },
    want: /backend is embedded, which has no upstream/,
  },
];

test('a wrong value is told with its key, its place, what was expected and what was found', () => {
  for (const { given, want } of wrongValues)
    assert.match(
      problem(() => parse(given)),
      want,
    );
});

test('all problems are told at once', () => {
  const message = problem(() => parse({ port: -1, compress: { rate: 7 } }));
  assert.match(message, /port in/);
  assert.match(message, /compress\.rate in/);
});

test('a password in an upstream URL is refused and not repeated', () => {
  const message = problem(() => parse({ upstream: ['http://user:secret@host/'] }));
  assert.match(message, /without user/);
  assert.doesNotMatch(message, /secret/);
});

test('later layers win key by key, and errors name the layer of the value', () => {
  const layers: Layer[] = [
    { where: 'sluice.yaml', values: { port: 1, compress: { rate: 0.1, min_tokens: 3 } } },
    { where: 'environment', values: { compress: { rate: 0.2 } } },
    { where: 'command line', values: { port: undefined, host: '::1' } },
  ];
  const config = parseLayers(layers, surroundings);
  assert.equal(config.port, 1);
  assert.equal(config.compress.rate, 0.2);
  assert.equal(config.compress.min_tokens, 3);
  assert.equal(config.host, '::1');
  const broken = [...layers, { where: 'command line', values: { compress: { rate: 9 } } }];
  assert.match(
    problem(() => parseLayers(broken, surroundings)),
    /compress\.rate in command line: .* found 9/,
  );
});

test('a preset gives values, explicit ones win', () => {
  for (const [preset, values] of Object.entries(presets)) {
    const { method, tier, rate, min_tokens } = parse({ preset }).compress;
    assert.deepEqual({ method, tier, rate, min_tokens }, values, preset);
  }
  const config = parse({ preset: 'faithful', compress: { rate: 0.9 } });
  assert.equal(config.compress.rate, 0.9);
  assert.equal(config.compress.min_tokens, presets.faithful.min_tokens);
});

test('presets differ from each other', () => {
  const rows = Object.values(presets).map((values) => JSON.stringify(values));
  assert.equal(new Set(rows).size, rows.length);
});

test('a key called __proto__ is an unknown key, not a prototype', () => {
  const given: unknown = JSON.parse('{"compress":{"__proto__":{"rate":1}}}');
  assert.match(
    problem(() => parse(given)),
    /unknown key compress\.__proto__/,
  );
});

test('a complete configuration comes back equal', () => {
  const config = parseConfig({ upstream: ['http://127.0.0.1:1'], preset: 'fast' });
  assert.deepEqual(parseConfig(config), config);
});
