/** Published and independently computed values of every scheme's frequencies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { near, nearAll } from './near.ts';
import {
  dynamicFactor,
  longRopeMagnitude,
  ntkBase,
  plainFrequencies,
  scaledRope,
  steppedFactor,
} from '../../../src/context/extension/rope.ts';
import type { RopeScaling, RopeShape } from '../../../src/context/extension/rope.ts';
import { SluiceError } from '../../../src/core/errors.ts';

const llama: RopeShape = { headDim: 128, base: 10_000, trainedLength: 4096 };
const small: RopeShape = { headDim: 64, base: 10_000, trainedLength: 2048 };

function frequencies(shape: RopeShape, scaling: RopeScaling, length = 1): Float64Array {
  return scaledRope(shape, scaling, length).inverseFrequencies;
}

function pick(values: Float64Array, indices: readonly number[]): readonly (number | undefined)[] {
  return indices.map((i) => values[i]);
}

test('plain frequencies', () => {
  nearAll(
    pick(plainFrequencies(small), [0, 1, 8, 16, 24, 31]),
    [1, 0.749894209, 0.1, 0.01, 0.001, 0.000133352143],
  );
  assert.deepEqual(
    frequencies(small, { type: 'default' }),
    plainFrequencies({ headDim: 64, base: 10_000 }),
  );
});

test('linear interpolation divides every frequency', () => {
  const found = frequencies(small, { type: 'linear', factor: 4 });
  nearAll(
    pick(found, [0, 1, 8, 16, 24, 31]),
    [0.25, 0.187473552, 0.025, 0.0025, 0.00025, 3.33380358e-5],
  );
});

test('NTK moves the base: the first pair stays, the last is divided by the factor', () => {
  near(ntkBase(llama, 2), 20221.2617);
  near(ntkBase(llama, 4), 40889.9424);
  near(ntkBase(llama, 8), 82684.6226);
  near(ntkBase(small, 4), 41829.3659);
  const found = frequencies(small, { type: 'ntk-static', factor: 4 });
  nearAll(
    pick(found, [0, 1, 8, 16, 24, 31]),
    [1, 0.717098328, 0.0699245499, 0.00488944268, 0.000341892079, 3.33380358e-5],
  );
});

test('dynamic NTK follows the length past the trained one', () => {
  const base = (length: number, factor: number): number =>
    ntkBase(llama, dynamicFactor(factor, 2048, length));
  assert.equal(base(2048, 2), 10_000);
  const expected: readonly (readonly [number, number, number])[] = [
    [4096, 1, 20221.2617],
    [4096, 2, 30527.7367],
    [4096, 4, 51293.7873],
    [8192, 1, 40889.9424],
    [8192, 2, 72195.8601],
    [8192, 4, 135401.973],
    [16384, 1, 82684.6226],
    [16384, 2, 156588.3235],
    [16384, 4, 305921.968],
  ];
  for (const [length, factor, value] of expected) near(base(length, factor), value);
  const shape = { ...llama, trainedLength: 2048 };
  const scaling: RopeScaling = { type: 'dynamic', factor: 2 };
  assert.deepEqual(frequencies(shape, scaling, 2048), plainFrequencies(llama));
  near(frequencies(shape, scaling, 4096)[1] ?? NaN, 30527.7367 ** (-2 / 128));
});

test('stepped NTK keeps its factor within a step', () => {
  const lengths = [1, 2048, 2049, 4096, 4097, 8192, 8193];
  assert.deepEqual(
    lengths.map((length) => steppedFactor(2048, length)),
    [1, 1, 3, 3, 7, 7, 15],
  );
  const shape = { ...llama, trainedLength: 2048 };
  const scaling: RopeScaling = { type: 'ntk-stepped' };
  assert.deepEqual(frequencies(shape, scaling, 2049), frequencies(shape, scaling, 4096));
  near(frequencies(shape, scaling, 4097)[63] ?? NaN, ntkBase(llama, 7) ** (-126 / 128));
});

test('YaRN, ramp linear in the index: every pair of the smallest setting', () => {
  const { inverseFrequencies, attentionFactor } = scaledRope(small, { type: 'yarn', factor: 4 }, 1);
  near(attentionFactor, 1.138629436);
  nearAll(
    [...inverseFrequencies],
    [
      1, 0.749894209, 0.562341325, 0.421696503, 0.316227766, 0.237137371, 0.177827941, 0.133352143,
      0.1, 0.0706631082, 0.0497455788, 0.034871057, 0.0243252128, 0.016873236, 0.0116272115,
      0.00794983931, 0.00538461538, 0.00360526062, 0.00237913638, 0.00154081415, 0.000973008511,
      0.000592843426, 0.000444569853, 0.000333380358, 0.00025, 0.000187473552, 0.000140585331,
      0.000105424126, 7.90569415e-5, 5.92843426e-5, 4.44569853e-5, 3.33380358e-5,
    ],
  );
});

test('YaRN of published models', () => {
  const rows: readonly (readonly [
    RopeShape,
    Omit<Extract<RopeScaling, { type: 'yarn' }>, 'type'>,
    number,
    Readonly<Record<number, number>>,
  ])[] = [
    [
      llama,
      { factor: 16 },
      1.27725887,
      {
        20: 0.0562341325,
        21: 0.04694086,
        25: 0.0224471417,
        30: 0.00852684377,
        40: 0.000881788963,
        45: 0.000151771605,
        46: 8.33450895e-5,
        50: 4.68683881e-5,
        63: 7.2173874e-6,
      },
    ],
    [
      llama,
      { factor: 32 },
      1.346574,
      {
        25: 0.0222825732,
        30: 0.00836656475,
        40: 0.000805772673,
        50: 2.3434194e-5,
        63: 3.6086937e-6,
      },
    ],
    // Qwen2.5
    [
      { headDim: 128, base: 1e6, trainedLength: 32768 },
      { factor: 4 },
      1.138629,
      {
        25: 0.00413173802,
        30: 0.00106436098,
        35: 0.000246258407,
        40: 4.44569853e-5,
        63: 3.1023444e-7,
      },
    ],
    // DeepSeek
    [
      { headDim: 64, base: 1e4, trainedLength: 4096 },
      { factor: 40 },
      1.368888,
      { 10: 0.0562341325, 20: 0.000790569415, 25: 1.87473552e-5, 31: 3.33380358e-6 },
    ],
    // gpt-oss
    [
      { headDim: 64, base: 150_000, trainedLength: 4096 },
      { factor: 32, truncate: false },
      1.346574,
      {
        8: 0.0508132748,
        12: 0.00679495949,
        16: 0.000456483919,
        20: 1.81883367e-5,
        31: 3.02351143e-7,
      },
    ],
  ];
  for (const [shape, scaling, factor, expected] of rows) {
    const found = scaledRope(shape, { type: 'yarn', ...scaling }, 1);
    near(found.attentionFactor, factor, 1e-6);
    const indices = Object.keys(expected).map(Number);
    nearAll(pick(found.inverseFrequencies, indices), Object.values(expected));
  }
});

test('YaRN, ramp of the paper', () => {
  const found = frequencies(small, { type: 'yarn-paper', factor: 4 });
  nearAll(
    Array.from(found.slice(9, 21)),
    [
      0.061278605, 0.0376353428, 0.0235454607, 0.0150264977, 0.00978926582, 0.00650920092,
      0.00441350558, 0.00304665159, 0.0021367646, 0.00151917612, 0.00109245073, 0.000792921405,
    ],
  );
});

test("YaRN's attention factor: given, or a ratio when both weights are there", () => {
  const factor = (scaling: Partial<Extract<RopeScaling, { type: 'yarn' }>>): number =>
    scaledRope(small, { type: 'yarn', factor: 40, ...scaling }, 1).attentionFactor;
  assert.equal(factor({ attentionFactor: 1.25, mscale: 1, mscaleAllDim: 2 }), 1.25);
  assert.equal(factor({ mscale: 1, mscaleAllDim: 1 }), 1);
  near(
    factor({ mscale: 0.707, mscaleAllDim: 1 }),
    (0.0707 * Math.log(40) + 1) / (0.1 * Math.log(40) + 1),
  );
  near(factor({ mscale: 0.707 }), 0.1 * Math.log(40) + 1);
  assert.equal(factor({ factor: 1 }), 1);
});

test('Llama 3 bands', () => {
  const llama31: RopeShape = { headDim: 128, base: 500_000, trainedLength: 8192 };
  const bands = { type: 'llama3', lowFrequencyFactor: 1, highFrequencyFactor: 4 } as const;
  const found = frequencies(llama31, { ...bands, factor: 8 });
  const plain = plainFrequencies(llama31);
  assert.deepEqual(found.slice(0, 29), plain.slice(0, 29));
  nearAll(
    [...found.slice(28, 36), found[40], found[63]],
    [
      0.00321144599, 0.00216657076, 0.00137189357, 0.000856751413, 0.000524846161, 0.00031269375,
      0.000178507813, 9.55621235e-5, 3.4281022e-5, 3.06892599e-7,
    ],
  );
  nearAll(
    Array.from(found.slice(35)),
    Array.from(plain.slice(35), (theta) => theta / 8),
  );
  const llama32 = frequencies({ ...llama31, headDim: 64 }, { ...bands, factor: 32 });
  nearAll(
    [...llama32.slice(13, 19), llama32[31]],
    [
      0.00483942135, 0.00321144599, 0.00129054793, 0.000429556797, 9.7082878e-5, 1.94616382e-5,
      9.41830673e-8,
    ],
  );
});

test('LongRoPE changes its table one past the trained length', () => {
  near(longRopeMagnitude(131_072 / 4096, 4096), 1.190238071);
  near(longRopeMagnitude(32_768 / 4096, 4096), 1.118033989);
  near(longRopeMagnitude(262_144 / 4096, 4096), 1.224744871);
  near(longRopeMagnitude(2_097_152 / 4096, 4096), 1.322875656);
  near(longRopeMagnitude(131_072 / 8192, 8192), 1.14354375);
  const shape: RopeShape = { headDim: 4, base: 10_000, trainedLength: 4096 };
  const scaling: RopeScaling = {
    type: 'longrope',
    shortFactors: [1, 2],
    longFactors: [4, 8],
    factor: 32,
  };
  nearAll([...frequencies(shape, scaling, 4096)], [1, 0.005]);
  nearAll([...frequencies(shape, scaling, 4097)], [0.25, 0.00125]);
  assert.equal(scaledRope(shape, { ...scaling, attentionFactor: 1.5 }, 1).attentionFactor, 1.5);
});

test('an adjusted base is that base', () => {
  const found = frequencies(llama, { type: 'adjusted-base', base: 500_000 });
  assert.deepEqual(found, plainFrequencies({ headDim: 128, base: 500_000 }));
});

test('nonsense is refused by name', () => {
  const shape: RopeShape = { headDim: 8, base: 10_000, trainedLength: 64 };
  const refused: readonly (readonly [RopeShape, RopeScaling, number, RegExp])[] = [
    [{ ...shape, headDim: 7 }, { type: 'default' }, 1, /headDim.*even.*found 7/],
    [{ ...shape, base: 1 }, { type: 'default' }, 1, /base.*above 1.*found 1/],
    [{ ...shape, trainedLength: 0 }, { type: 'default' }, 1, /trainedLength.*found 0/],
    [{ ...shape, headDim: 2 }, { type: 'ntk-static', factor: 2 }, 1, /headDim for ntk-static/],
    [shape, { type: 'default' }, 0, /length.*found 0/],
    [shape, { type: 'linear', factor: 0.5 }, 1, /factor of linear.*found 0.5/],
    [shape, { type: 'yarn', factor: NaN }, 1, /factor of yarn.*NaN/],
    [shape, { type: 'yarn', factor: 2, betaFast: 1, betaSlow: 1 }, 1, /beta_slow < beta_fast/],
    [shape, { type: 'yarn', factor: 2, attentionFactor: 0 }, 1, /attention_factor/],
    [
      shape,
      { type: 'llama3', factor: 8, lowFrequencyFactor: 4, highFrequencyFactor: 4 },
      1,
      /low_freq_factor < high_freq_factor; found 4, 4/,
    ],
    [
      shape,
      { type: 'longrope', factor: 2, shortFactors: [1, 1, 1, 1], longFactors: [1] },
      1,
      /longFactors must be 4 factors; found 1/,
    ],
    [
      shape,
      { type: 'longrope', factor: 2, shortFactors: [1, 0, 1, 1], longFactors: [1, 1, 1, 1] },
      1,
      /shortFactors must be factors above 0; found 0/,
    ],
    [shape, { type: 'adjusted-base', base: 1 }, 1, /base of adjusted-base/],
  ];
  for (const [from, scaling, length, message] of refused) {
    assert.throws(
      () => scaledRope(from, scaling, length),
      (error) =>
        SluiceError.isInstance(error) &&
        error.code === 'REQUEST_INVALID' &&
        message.test(error.message),
      `${scaling.type} ${String(message)}`,
    );
  }
});
