/** What a decision depends on: texts are decided anew when it changes, and only then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../src/config/load.ts';
import { policyOf } from '../src/decisions.ts';

const label = (config: object, tokenizer = 'scout:1'): string =>
  policyOf(parseConfig(config), tokenizer);

test('whatever decides how a text is shortened has another label', () => {
  const labels = [
    label({}),
    label({}, 'tiny:1'),
    label({ compress: { rate: 0.3 } }),
    label({ compress: { method: 'extractive' } }),
    label({ compress: { min_tokens: 50 } }),
    label({ compress: { plain_text: true } }),
    label({ windows: { fit_rate: 0.3 } }),
    label({ windows: { fit_rate: null } }),
    label({ windows: { limit_tokens: 4096 } }),
  ];
  assert.equal(new Set(labels).size, labels.length);
});

test('the label stays where nothing of that changes', () => {
  for (const config of [
    { log: { level: 'silent' } },
    { windows: { mode: 'off', max_windows: 3 } },
    { sinks: { enabled: true } },
    { limits: { compress_ms: 77 } },
  ]) {
    assert.equal(label(config), label({}), JSON.stringify(config));
  }
});
