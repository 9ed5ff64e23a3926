/** The distance (or bias, or decay) that every scheme puts between a query and a key, pair by pair. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attention } from '../../../src/engine/reference/attention.ts';
import type { AttentionScheme, Pair } from '../../../src/engine/reference/attention.ts';
import { alibi, alibiSlopes } from '../../../src/engine/reference/bias.ts';
import { plainRotary } from '../../../src/engine/reference/frequencies.ts';
import type { Rotary } from '../../../src/engine/reference/frequencies.ts';
import { createRandom } from '../../../src/engine/reference/numbers.ts';
import { dualChunk, imageLayout, selfExtend } from '../../../src/engine/reference/regrouped.ts';
import { fixed } from '../../../src/engine/reference/rope.ts';
import { createStack, randomTokens } from '../../../src/engine/reference/stack.ts';
import type { Call } from '../../../src/engine/reference/types.ts';
import { lambda, streaming } from '../../../src/engine/reference/windows.ts';
import { xposScaled, xposZeta } from '../../../src/engine/reference/xpos.ts';

/** One pair that turns slowly: the angle between query and key names their distance. */
const slow: Rotary = { angles: Float64Array.of(0.01), factor: 1 };
const unit = Float64Array.of(1, 0);

interface Where {
  readonly query: number;
  readonly key: number;
  readonly total?: number;
  readonly queryIndex?: number;
  readonly keyIndex?: number;
}

function logitOf(scheme: AttentionScheme, vector: Float64Array, where: Where): number {
  const { query, key, total = query + 1, queryIndex = query, keyIndex = key } = where;
  const call: Call = { total, process: 0, companion: 0, start: 0, tag: 0 };
  const pair: Pair = { head: 0, query, key, queryTag: 0, keyTag: 0, queryIndex, keyIndex, call };
  const stored = scheme.store(vector, { head: 0, position: key, call });
  const prepared = scheme.prepare(vector, { head: 0, position: query, call });
  return scheme.logit(prepared, stored, pair);
}

function distance(scheme: AttentionScheme, where: Where): number {
  return Math.round(Math.acos(logitOf(scheme, unit, where) * Math.SQRT2) / 0.01);
}

test('rotary: the distance itself', () => {
  assert.equal(distance(fixed(slow), { query: 30, key: 7 }), 23);
});

test('LM-Infinite: never further than the limit', () => {
  const scheme = lambda({ rotary: slow, globals: 4, limit: 10 });
  assert.equal(distance(scheme, { query: 30, key: 25 }), 5);
  assert.equal(distance(scheme, { query: 30, key: 2 }), 10);
});

test('LM-Infinite: text between the first tokens and the window leaves no trace in one layer', () => {
  const scheme = lambda({ rotary: plainRotary(6, 100), globals: 2, limit: 6 });
  const stack = createStack({ seed: 3, mixers: [attention(scheme)] });
  const [first, middle, last] = [4, 7, 8].map((count, i) => randomTokens(createRandom(i), count));
  const short = stack.prefill([...first!, ...last!]).outputs.at(-1)!;
  const long = stack.prefill([...first!, ...middle!, ...last!]).outputs.at(-1)!;
  assert.ok(short.every((value, i) => Math.abs(value - long[i]!) < 1e-9));
});

test('StreamingLLM: distance of places in the cache', () => {
  const scheme = streaming({ rotary: slow, sinks: 4, recent: 4 });
  assert.equal(distance(scheme, { query: 9, key: 3, queryIndex: 7, keyIndex: 3 }), 4);
});

test('dual chunk attention: own chunk, chunk before, further back', () => {
  const scheme = dualChunk({ rotary: slow, chunk: 4, trained: 10 });
  const from = (query: number) =>
    [...Array(query + 1).keys()].map((key) => distance(scheme, { query, key }));
  // Query 9 is 1 in its chunk: 1, 0; 5 towards the chunk before; 9 towards all others.
  assert.deepEqual(from(9), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  // Query 11 is 3 in its chunk: 7 towards the chunk before.
  assert.deepEqual(from(11), [9, 8, 7, 6, 7, 6, 5, 4, 3, 2, 1, 0]);
  assert.deepEqual(
    from(15).slice(0, 4),
    [9, 8, 7, 6],
    'keys of the first chunk never leave the trained range',
  );
});

test('self-extend: full windows before are folded by the group', () => {
  const scheme = selfExtend({ rotary: slow, neighbours: 8, group: 2 });
  const from = (query: number) =>
    [...Array(query + 1).keys()].map((key) => distance(scheme, { query, key }));
  assert.deepEqual(from(7), [7, 6, 5, 4, 3, 2, 1, 0]);
  // Positions of 0..7 are 0,0,1,1,2,2,3,3; token 9 stands at 5.
  assert.deepEqual(from(9), [5, 5, 4, 4, 3, 3, 2, 2, 1, 0]);
});

test('M-RoPE: patches share a time, text goes on behind the largest number', () => {
  const layout = imageLayout(2, 2, 3);
  const positions = [1, 2, 4, 7, 8].map(layout);
  assert.deepEqual(positions, [
    [1, 1, 1],
    [2, 2, 2],
    [2, 2, 4],
    [2, 3, 4],
    [5, 5, 5],
  ]);
});

test('ALiBi: slope times distance off the scaled logit, not scaled itself', () => {
  const scheme = alibi(2);
  const here = logitOf(scheme, unit, { query: 5, key: 5 });
  const there = logitOf(scheme, unit, { query: 12, key: 5 });
  assert.ok(Math.abs(here - there - alibiSlopes(2)[0]! * 7) < 1e-12);
});

test('xPos: every pair decays by its zeta over the scale base', () => {
  const scheme = xposScaled({ headDim: 4, base: 100, scaleBase: 512 }, 'zero');
  const { angles } = plainRotary(4, 100);
  for (const pair of [0, 1]) {
    const vector = Float64Array.from({ length: 4 }, (_, i) => (i === pair ? 1 : 0));
    const logit = logitOf(scheme, vector, { query: 300, key: 44 }) * 2;
    const expected = xposZeta(4)[pair]! ** (256 / 512) * Math.cos(256 * angles[pair]!);
    assert.ok(Math.abs(logit - expected) < 1e-9, `pair ${pair}: ${logit} instead of ${expected}`);
  }
});
