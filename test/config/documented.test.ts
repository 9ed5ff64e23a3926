import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { configurationFile, configurationText } from '../../scripts/generate-configuration.ts';
import { listKeys } from '../../src/config/keys.ts';
import { parseLayers } from '../../src/config/parse.ts';
import { presets } from '../../src/config/presets.ts';

const text = readFileSync(configurationFile, 'utf8');

test('the table of keys is in step with the schema', () => {
  assert.equal(text, configurationText(), 'run npm run generate and commit the result');
});

test('every key has a description', () => {
  for (const { path, description } of listKeys()) assert.match(description, /\w.*\.$/, path);
});

test('the example of the documentation is a valid configuration', () => {
  const example = /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const layers = [{ where: 'docs', values: parse(example) as unknown }];
  const config = parseLayers(layers, { cores: 4, stateHome: '/s' });
  assert.equal(config.backend, 'vllm');
  assert.deepEqual(config.compress.survivors.patterns, ['INV-\\d+']);
});

test('the documented presets are the presets', () => {
  for (const [name, { method, tier, rate, min_tokens }] of Object.entries(presets))
    assert.ok(
      text.includes(`| \`${name}\` | \`${method}\` | \`${tier}\` | ${rate} | ${min_tokens} |`),
      name,
    );
});
