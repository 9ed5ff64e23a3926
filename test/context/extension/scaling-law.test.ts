/** Predicted lengths and bases of the scaling law, and the bound for retrieval. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { near } from './near.ts';
import { plainFrequencies } from '../../../src/context/extension/rope.ts';
import {
  baseForLength,
  continuousBase,
  continuousLength,
  criticalBase,
  criticalDimension,
  extrapolatedLength,
  predictedLength,
  retrievalBase,
  retrievalLength,
  smallBaseThresholds,
} from '../../../src/context/extension/scaling-law.ts';
import { SluiceError } from '../../../src/core/errors.ts';

const llama = { headDim: 128, base: 10_000, trainedLength: 4096 };

test('critical dimension', () => {
  const rows: readonly (readonly [number, number, number, number])[] = [
    [128, 4096, 1e4, 92],
    [128, 2048, 1e4, 82],
    [64, 2048, 1e4, 42],
    [64, 4096, 1e4, 46],
    [128, 8192, 1e4, 100],
    [80, 2048, 1e4, 52],
    [96, 4096, 1e4, 68],
    [256, 8192, 1e4, 200],
    [128, 8192, 5e5, 70],
    [128, 32768, 1e6, 80],
    [128, 131072, 5e5, 98],
    [128, 16384, 1e6, 74],
    [192, 4096, 1e4, 136],
    // Every pair turns: no more than there are.
    [128, 4096, 500, 128],
  ];
  for (const [headDim, trainedLength, base, expected] of rows) {
    assert.equal(criticalDimension({ headDim, base, trainedLength }), expected);
  }
  const wavelengths = plainFrequencies(llama).map((theta) => (2 * Math.PI) / theta);
  near(wavelengths[45] ?? NaN, 4080.19, 1e-5);
  near(wavelengths[46] ?? NaN, 4711.72, 1e-5);
});

/** Whole numbers were rounded when they were written down; the others have nine digits. */
const digits = (value: number, rounded: number): number =>
  Number.isInteger(value) ? rounded : 1e-6;

test('predicted length of LLaMA 2 under a larger base', () => {
  const rows: readonly (readonly [number, number])[] = [
    [20_000, 7754.34604],
    [40_000, 12761.7575],
    [60_000, 17080],
    [80_000, 21002.7323],
    [120_000, 28109],
    [160_000, 34565],
    [200_000, 40578],
    [300_000, 54308],
    [500_000, 78399.7285],
    [600_000, 89377],
    [608_000, 90232],
    [1e6, 129026.783],
    [2e6, 212346],
    [5e6, 410265],
    [1e7, 675196],
  ];
  for (const [base, length] of rows) {
    near(extrapolatedLength(base, 128, 92), length, digits(length, 1e-4));
  }
  near(continuousLength(40_000, llama), 10863, 1e-4);
  near(continuousLength(500_000, llama), 64219, 1e-4);
  near(continuousLength(1e6, llama), 104580, 1e-4);
});

test('critical base of a tuning length, and the smaller bases that help', () => {
  near(criticalBase(llama, 4096), 10_000);
  near(criticalBase(llama, 8192), 26784.0318);
  near(criticalBase(llama, 16384), 71738.4362);
  near(criticalBase(llama, 32768), 192144.456);
  near(criticalBase(llama, 65536), 514640, 1e-5);
  near(criticalBase(llama, 100_000), 938327.208);
  near(criticalBase(llama, 131072), 1378414, 1e-5);
  for (const [at, expected] of [2607.59459, 1303.79729, 651.898647].entries()) {
    near(smallBaseThresholds(4096)[at] ?? NaN, expected);
    near(smallBaseThresholds(16384)[at] ?? NaN, 4 * expected);
  }
});

test('base for a wanted length', () => {
  const rows: readonly (readonly [number, number, number, number])[] = [
    [8192, 21588, 26784, 99624],
    [16384, 56627.7967, 71738, 307923],
    [32768, 148543.621, 192144, 951740],
    [65536, 389653, 514640, 2.94e6],
    [100_000, 701472.448, 938327, 5.85e6],
    [131072, 1022122, 1378414, 9.09e6],
    [262144, 2681187, 3691949, 2.81e7],
    [1048576, 18449122.5, 26485466, 2.68e8],
  ];
  for (const [length, base, continuous, retrieval] of rows) {
    near(baseForLength(length, 128, 92), base, digits(base, 2e-5));
    near(continuousBase(length, llama), continuous, 2e-5);
    near(retrievalBase(length), retrieval, 5e-3);
    near(extrapolatedLength(baseForLength(length, 128, 92), 128, 92), length, 1e-12);
  }
});

test('after tuning: a border above the critical base, the tuning length below it', () => {
  const predicted = (base: number, tunedLength: number): readonly [number, boolean, number] => {
    const { length, hard, critical } = predictedLength(llama, { base, tunedLength });
    return [Math.round(length), hard, critical];
  };
  assert.deepEqual(predicted(1e6, 4096), [129027, true, 92]);
  assert.deepEqual(predicted(80_000, 16384), [21003, true, 92]);
  assert.deepEqual(predicted(60_000, 16384), [16384, true, 92]);
  assert.deepEqual(predicted(10_000, 16384), [16384, false, 110]);
  assert.deepEqual(predicted(10_000, 4096), [4096, true, 92]);
  assert.deepEqual(predicted(2600, 4096), [4096, false, 106]);
  assert.deepEqual(predicted(1304, 4096), [4096, false, 116]);
  assert.deepEqual(predicted(652, 4096), [4096, false, 128]);
  assert.deepEqual(predicted(500, 16384), [16384, false, 128]);
});

test('retrieval: the sum of cosines stays above zero up to a length', () => {
  const reached = (base: number, limit = 1_000_000): number =>
    retrievalLength(plainFrequencies({ headDim: 128, base }), limit);
  // Smallest admissible bases, and that those a little smaller are not.
  const rows: readonly (readonly [number, number])[] = [
    [1024, 4296],
    [2048, 11593],
    [4096, 26970],
    [8192, 83800],
  ];
  for (const [length, base] of rows) {
    assert.ok(reached(base) >= length, `${base} reaches ${reached(base)}`);
    assert.ok(reached(base * 0.97) < length, `${base * 0.97} reaches ${reached(base * 0.97)}`);
  }
  assert.equal(reached(1e6, 5000), 5000);
  // Against the sum itself, one distance after another.
  const frequencies = plainFrequencies({ headDim: 64, base: 10_000 });
  let distance = 1;
  while (frequencies.reduce((sum, theta) => sum + Math.cos(distance * theta), 0) >= 0)
    distance += 1;
  assert.equal(retrievalLength(frequencies, 1_000_000), distance - 1);
});

test('nothing is said of a model that saw no period', () => {
  const tiny = { headDim: 64, base: 10_000, trainedLength: 6 };
  assert.equal(criticalDimension(tiny), 0);
  for (const call of [
    () => baseForLength(4096, 64, 0),
    () => continuousBase(4096, tiny),
    () => criticalBase(tiny, 4096),
  ]) {
    assert.throws(call, (error) => SluiceError.isInstance(error) && /period/.test(error.message));
  }
});
