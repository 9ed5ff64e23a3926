/** Rotary frequencies against vectors computed elsewhere, and the properties that the schemes promise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alibiSlopes } from '../../../src/engine/reference/bias.ts';
import {
  dynamicNtkBase,
  linearRotary,
  llama3Rotary,
  longRopeRotary,
  ntkBase,
  ntkStep,
  plainRotary,
  rotate,
  rotateBack,
  steppedNtkBase,
  yarnRotary,
} from '../../../src/engine/reference/frequencies.ts';
import { dot } from '../../../src/engine/reference/numbers.ts';
import { xposZeta } from '../../../src/engine/reference/xpos.ts';

function near(actual: number, expected: number, name: string): void {
  const off = Math.abs(actual - expected) / Math.max(1e-300, Math.abs(expected));
  assert.ok(off < 2e-6, `${name}: ${actual} instead of ${expected}`);
}

function nearAt(
  angles: Float64Array,
  expected: Readonly<Record<number, number>>,
  name: string,
): void {
  for (const [i, value] of Object.entries(expected))
    near(angles[Number(i)]!, value, `${name}, pair ${i}`);
}

test('plain and interpolated angles', () => {
  nearAt(
    plainRotary(64, 10000).angles,
    { 0: 1, 1: 0.749894209, 8: 0.1, 16: 0.01, 24: 0.001, 31: 0.000133352143 },
    'plain',
  );
  nearAt(
    linearRotary(64, 10000, 4).angles,
    { 0: 0.25, 1: 0.187473552, 8: 0.025, 16: 0.0025, 24: 0.00025, 31: 3.33380358e-5 },
    'linear',
  );
});

test('NTK-aware bases: static, dynamic, stepped', () => {
  near(ntkBase(128, 10000, 2), 20221.2617, 'scale 2');
  near(ntkBase(128, 10000, 4), 40889.9424, 'scale 4');
  near(ntkBase(64, 10000, 4), 41829.3659, 'scale 4, 64 dimensions');
  const settings = { headDim: 128, base: 10000, original: 2048 };
  near(dynamicNtkBase({ ...settings, factor: 2 }, 2048), 10000, 'at the original length');
  near(dynamicNtkBase({ ...settings, factor: 1 }, 4096), 20221.2617, 'factor 1');
  near(dynamicNtkBase({ ...settings, factor: 2 }, 4096), 30527.7367, 'factor 2');
  near(dynamicNtkBase({ ...settings, factor: 4 }, 16384), 305921.968, 'factor 4');
  assert.deepEqual(
    [2047, 2048, 2049, 4096, 4097, 8192].map((length) => ntkStep(2048, length)),
    [0, 0, 1, 1, 2, 2],
  );
  assert.equal(steppedNtkBase(128, 10000, 0), 10000);
  near(steppedNtkBase(128, 10000, 1), ntkBase(128, 10000, 3), 'step 1');
});

test('YaRN', () => {
  const small = yarnRotary({ headDim: 64, base: 10000, scale: 4, original: 2048 });
  near(small.factor, 1.138629436, 'factor');
  nearAt(
    small.angles,
    {
      0: 1,
      8: 0.1,
      9: 0.0706631082,
      12: 0.0243252128,
      16: 0.00538461538,
      20: 0.000973008511,
      21: 0.000592843426,
      31: 3.33380358e-5,
    },
    'yarn 64',
  );
  const large = yarnRotary({ headDim: 128, base: 10000, scale: 16, original: 4096 });
  near(large.factor, 1.27725887, 'factor');
  nearAt(
    large.angles,
    {
      20: 0.0562341325,
      21: 0.04694086,
      30: 0.00852684377,
      40: 0.000881788963,
      45: 0.000151771605,
      63: 7.2173874e-6,
    },
    'yarn 128',
  );
  const unrounded = yarnRotary({
    headDim: 64,
    base: 150000,
    scale: 32,
    original: 4096,
    truncate: false,
  });
  nearAt(
    unrounded.angles,
    { 8: 0.0508132748, 12: 0.00679495949, 16: 0.000456483919, 31: 3.02351143e-7 },
    'unrounded',
  );
});

test('Llama 3 bands', () => {
  const { angles } = llama3Rotary({
    headDim: 128,
    base: 500000,
    factor: 8,
    lowFactor: 1,
    highFactor: 4,
    original: 8192,
  });
  nearAt(
    angles,
    {
      0: 1,
      28: 0.00321144599,
      29: 0.00216657076,
      31: 0.000856751413,
      34: 0.000178507813,
      35: 9.55621235e-5,
      63: 3.06892599e-7,
    },
    'llama3',
  );
});

test('LongRoPE divides every angle and scales by the length ratio', () => {
  const of = (longest: number, original: number) =>
    longRopeRotary({ base: 10000, divisors: [1, 2, 4, 8], original, longest });
  near(of(131072, 4096).factor, 1.19023807, '128k of 4k');
  near(of(32768, 4096).factor, 1.11803399, '32k of 4k');
  near(of(2097152, 4096).factor, 1.32287566, '2M of 4k');
  assert.equal(of(4096, 4096).factor, 1);
  nearAt(of(32768, 4096).angles, { 0: 1, 1: 0.1 / 2, 2: 0.01 / 4, 3: 0.001 / 8 }, 'angles');
});

test('ALiBi slopes and the decay of xPos', () => {
  assert.deepEqual(
    alibiSlopes(8),
    [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625],
  );
  const twelve = [0.707106781, 0.353553391, 0.176776695, 0.0883883476];
  for (const [i, slope] of alibiSlopes(12).slice(8).entries())
    near(slope, twelve[i]!, `slope ${i}`);
  nearAt(xposZeta(8), { 0: 0.285714286, 1: 0.464285714, 2: 0.642857143, 3: 0.821428571 }, 'zeta');
});

test('rotation: published vector, distance only, and its inverse', () => {
  const turn = plainRotary(4, 10000);
  const vector = Float64Array.from([1, 2, 3, 4]);
  nearAt(
    rotate(vector, 1, turn),
    { 0: -1.98411065, 1: 1.95990067, 2: 2.4623779, 3: 4.01979967 },
    'position 1',
  );
  const query = Float64Array.from([0.5, -1, 0.25, 2]);
  const logit = (to: number, from: number): number =>
    dot(rotate(query, to, turn), rotate(vector, from, turn));
  near(logit(7, 3), 3.912228321, 'distance 4');
  near(logit(104, 100), 3.912228321, 'distance 4, further on');
  const scaled = { ...turn, factor: 1.3 };
  nearAt(rotateBack(rotate(vector, 9, scaled), 9, scaled), { 0: 1, 1: 2, 2: 3, 3: 4 }, 'inverse');
});
