/** Inverse frequencies and attention factors equal those of transformers' own functions, from the same config.json. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { near, nearAll } from './near.ts';
import { readModelConfig } from '../../../src/context/extension/read-config.ts';
import { scaledRope } from '../../../src/context/extension/rope.ts';

interface Case {
  readonly name: string;
  readonly config: unknown;
  readonly expected: readonly {
    readonly length: number;
    readonly type: string;
    readonly attention_factor: number;
    readonly inv_freq: readonly number[];
  }[];
}

const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/rope/transformers.json', import.meta.url), 'utf8'),
) as { readonly transformers: string; readonly cases: readonly Case[] };

for (const { name, config, expected } of fixture.cases) {
  test(`transformers ${fixture.transformers}: ${name}`, () => {
    const { base, ropeDim: headDim, trainedLength, scaling } = readModelConfig(config);
    for (const { length, type, attention_factor: factor, inv_freq: frequencies } of expected) {
      assert.equal(scaling.type, type);
      const found = scaledRope({ headDim, base, trainedLength }, scaling, length);
      near(found.attentionFactor, factor, 1e-7);
      // transformers computes these in single precision.
      nearAll([...found.inverseFrequencies], frequencies, 1e-6);
    }
  });
}

test('the fixture holds every type that transformers computes', () => {
  const types = new Set(fixture.cases.flatMap((one) => one.expected.map(({ type }) => type)));
  assert.deepEqual([...types].sort(), ['dynamic', 'linear', 'llama3', 'longrope', 'yarn']);
});
