/** The picture of a plan stands alone and shows every scheme. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { llama2, phi3 } from './configs.ts';
import { planExtension } from '../../../src/context/extension/plan.ts';
import { plotExtension } from '../../../src/context/extension/plot.ts';

test('frequency bands of every scheme and both bounds, without links or scripts', () => {
  for (const [config, length] of [
    [llama2, 32_768],
    [llama2, 100],
    [phi3, 131_072],
  ] as const) {
    const plan = planExtension({ config, length });
    const svg = plotExtension(plan);
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.doesNotMatch(svg, /<script|href=|url\(|NaN|Infinity|undefined/);
    for (const { title } of plan.schemes) assert.ok(svg.includes(`>${title}<`), title);
    const lines = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) => points);
    // Unscaled and the schemes; perplexity, retrieval and its published fit.
    assert.equal(lines.length, plan.schemes.length + 1 + 3);
    const pairs = plan.schemes[0]?.inverseFrequencies.length;
    assert.equal(lines[0]?.split(' ').length, pairs);
    assert.ok(svg.includes(`trained ${plan.model.trainedLength}`));
    assert.ok(svg.includes(`target ${length}`));
  }
});

test('the picture of docs/extension.md is that of its example', () => {
  const config: unknown = JSON.parse(readFileSync('test/fixtures/rope/llama-2-7b.json', 'utf8'));
  const drawn = plotExtension(planExtension({ config, length: 32_768 }));
  assert.equal(
    readFileSync('docs/extension-plan.svg', 'utf8'),
    drawn,
    'npx sluice plan extend --model test/fixtures/rope/llama-2-7b.json --length 32768 --plot docs/extension-plan.svg',
  );
});
