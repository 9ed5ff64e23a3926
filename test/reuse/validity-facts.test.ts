/** What the notes of the validity table say beyond its cells, executed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attention } from '../../src/engine/reference/attention.ts';
import { plainRotary } from '../../src/engine/reference/frequencies.ts';
import { createRandom } from '../../src/engine/reference/numbers.ts';
import {
  fixed,
  lastColdStep,
  longRope,
  ntkDynamic,
  ntkSteppedLate,
  transformersLongest,
  yarnDynamic,
} from '../../src/engine/reference/rope.ts';
import type { AttentionScheme } from '../../src/engine/reference/attention.ts';
import { createStack, randomTokens } from '../../src/engine/reference/stack.ts';
import type { StackOptions } from '../../src/engine/reference/stack.ts';
import { slidingWindow } from '../../src/engine/reference/windows.ts';
import { usable } from '../../src/reuse/validity.ts';
import { validityTable } from '../../src/reuse/validity-table.ts';
import { groups } from '../engine/reference/collection.ts';
import { compareWithOutput, moveTrial, verdictOf } from '../engine/reference/laboratory.ts';
import type { Make } from '../engine/reference/laboratory.ts';
import { movedGroup } from '../engine/reference/parallel-specimens.ts';

const seeds = [1, 2, 3];
const settings = { headDim: 6, base: 100, original: 16, factor: 4 };
const rotary = plainRotary(6, 100);

function two(scheme: AttentionScheme, more: Partial<StackOptions> = {}): Make {
  return (seed) => createStack({ seed, mixers: [attention(scheme), attention(scheme)], ...more });
}

/** Is a cached head of 10 tokens still good for 13, when another request of `between` tokens ran meanwhile? */
function afterOthers(
  make: Make,
  seed: number,
  { between, total }: { between: number; total: number },
): string {
  const tokens = randomTokens(createRandom(seed), total);
  const process = make(seed);
  const cached = process.prefill(tokens.slice(0, 10));
  process.prefill(randomTokens(createRandom(seed + 1), between));
  const grown = process.append(cached, tokens.slice(10));
  return verdictOf(compareWithOutput(grown, make(seed).prefill(tokens)));
}

test('dynamic NTK in transformers: a longer request of others is forgotten below the original length only', () => {
  const make = two(ntkDynamic(settings), { advance: transformersLongest(16) });
  for (const seed of seeds) {
    assert.equal(afterOthers(make, seed, { between: 30, total: 15 }), 'exact');
    assert.equal(afterOthers(make, seed, { between: 30, total: 16 }), 'invalid');
  }
});

test('a scale that never shrinks: one long request spoils all later ones', () => {
  const make = two(yarnDynamic(settings), { advance: Math.max });
  for (const seed of seeds) {
    assert.equal(afterOthers(make, seed, { between: 12, total: 15 }), 'exact');
    assert.equal(afterOthers(make, seed, { between: 30, total: 15 }), 'invalid');
  }
});

test('stepped NTK as Qwen 1 runs it: a cold run of others changes the step of a continuation', () => {
  const make = two(ntkSteppedLate(settings), { advance: lastColdStep(16) });
  for (const seed of seeds) {
    assert.equal(afterOthers(make, seed, { between: 12, total: 15 }), 'exact');
    assert.equal(afterOthers(make, seed, { between: 30, total: 15 }), 'invalid');
    assert.equal(afterOthers(make, seed, { between: 12, total: 18 }), 'invalid', 'past the step');
  }
});

test('LongRoPE by length: entries belong to the regime of the request that wrote them', () => {
  const make = two(longRope(settings, 'by-length'));
  for (const seed of seeds) {
    const tokens = randomTokens(createRandom(seed), 30);
    const other = randomTokens(createRandom(seed + 1), 4);
    const branch = (written: readonly number[], then: readonly number[]): string => {
      const stack = make(seed);
      let state = stack.prefill(written);
      if (then.length > 0) state = stack.append(state, then);
      const layers = state.layers.map((layer) =>
        layer.kind === 'mixed'
          ? layer
          : { kind: layer.kind, entries: layer.entries.filter(({ position }) => position < 10) },
      );
      const grown = stack.append({ ...state, layers, length: 10 }, other);
      const cold = make(seed).prefill([...tokens.slice(0, 10), ...other]);
      return verdictOf(compareWithOutput(grown, cold));
    };
    assert.equal(branch(tokens.slice(0, 10), tokens.slice(10)), 'exact', 'short first, then long');
    assert.equal(branch(tokens, []), 'invalid', 'long at once');
  }
});

test('sliding window: behind the reach of the old text a moved chunk is exact after repair', () => {
  const window = 4;
  const make = two(fixed(rotary, slidingWindow(window)));
  for (const seed of seeds) {
    const reach = { seed, before: 5, after: 9, chunk: 12 };
    // Layer 2 of token i was computed from layer 1 of tokens i-3 .. i.
    assert.equal(moveTrial(make, { ...reach, skip: [0, window - 1] }).repaired, 'exact');
    assert.equal(moveTrial(make, { ...reach, skip: [0, window - 2] }).repaired, 'approximate');
  }
});

test('structured prompting: a group whose common end moved is exact after re-rotation', () => {
  for (const seed of seeds)
    assert.deepEqual(movedGroup(groups, seed), { stored: 'invalid', repaired: 'exact' });
});

test('by default only exact states are used, and a broken condition needs an exact alternative', () => {
  for (const { id, cells } of validityTable)
    for (const cell of Object.values(cells)) {
      assert.equal(usable(cell, true), cell.stored === 'exact', id);
      assert.equal(cell.when === 'always', cell.otherwise === null, id);
      if (cell.when !== 'always') assert.equal(usable(cell, false), false, id);
    }
});
