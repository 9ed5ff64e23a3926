/** Every scheme of the engine against the reference in double precision, on the shipped weights and on shuffled ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scaledDot } from '../../src/engine/reference/attention.ts';
import type { AttentionScheme } from '../../src/engine/reference/attention.ts';
import { alibi } from '../../src/engine/reference/bias.ts';
import {
  dynamicNtkBase,
  linearRotary,
  llama3Rotary,
  longRopeRotary,
  ntkBase,
  ntkStep,
  plainRotary,
  steppedNtkBase,
  yarnRotary,
} from '../../src/engine/reference/frequencies.ts';
import type { Rotary } from '../../src/engine/reference/frequencies.ts';
import { fixed } from '../../src/engine/reference/rope.ts';
import { lambda, slidingWindow, streaming } from '../../src/engine/reference/windows.ts';
import { EngineRuntime } from '../../src/engine/runtime.ts';
import type { SchemeConfig } from '../../src/engine/schemes/create.ts';
import { createScheme } from '../../src/engine/schemes/create.ts';
import { openSession } from '../../src/score/session.ts';
import {
  modelPath,
  oracle,
  randomIds,
  readModel,
  relativeError,
  shape,
  shuffledModel,
} from './oracle.ts';
import type { Llama, OracleState } from './oracle.ts';

/** Short, so that a few dozen tokens go far beyond it. */
const trained = 16;
const small = { ...shape, trainedLength: trained };
const { headDim, ropeBase: base, heads } = shape;
/** A whole number of quarters of the trained length: the steps in which the engine moves the dynamic base. */
const tokens = 36;
const chunk = 5;
const wanted = 4;
const tolerance = 1e-4;

const shortFactors = Array.from({ length: headDim / 2 }, (_, i) => 1 + 0.02 * i);
const longFactors = Array.from({ length: headDim / 2 }, (_, i) => 1 + i * 0.3);
const plain = plainRotary(headDim, base);

/** Section 3.2 of the YaRN paper, written out: a ramp over turns. */
function paperYarn(scale: number, [slow, fast]: readonly [number, number]): Rotary {
  const angles = plain.angles.map((angle) => {
    const turns = (trained * angle) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - slow) / (fast - slow)));
    return (1 - kept) * (angle / scale) + kept * angle;
  });
  return { angles, factor: 0.1 * Math.log(scale) + 1 };
}

/** The engine's linear bias over rotated keys: the sum of both references. */
function rotatedBias(): AttentionScheme {
  const { logit } = alibi(heads);
  const rotary = fixed(plain);
  return {
    ...rotary,
    logit: (query, stored, pair) => {
      const zero = new Float64Array(headDim);
      return scaledDot(query, stored) + logit(zero, zero, pair);
    },
  };
}

const cases: readonly {
  readonly config: SchemeConfig;
  readonly reference: AttentionScheme;
  /** Tokens that the model was trained for; left out = fewer than are read. */
  readonly trainedLength?: number;
  /** The oracle must be called with the same chunks. */
  readonly chunked?: boolean;
}[] = [
  { config: { type: 'default' }, reference: fixed(plain) },
  { config: { type: 'linear', factor: 3 }, reference: fixed(linearRotary(headDim, base, 3)) },
  {
    config: { type: 'ntk-static', factor: 3 },
    reference: fixed(plainRotary(headDim, ntkBase(headDim, base, 3))),
  },
  {
    config: { type: 'dynamic', factor: 2 },
    reference: fixed(
      plainRotary(headDim, dynamicNtkBase({ headDim, base, factor: 2, original: trained }, tokens)),
    ),
  },
  {
    config: { type: 'ntk-stepped' },
    reference: fixed(plainRotary(headDim, steppedNtkBase(headDim, base, ntkStep(trained, tokens)))),
  },
  {
    config: { type: 'yarn', factor: 4, betaFast: 2, betaSlow: 0.2 },
    reference: fixed(
      yarnRotary({ headDim, base, scale: 4, original: trained, betaFast: 2, betaSlow: 0.2 }),
    ),
  },
  {
    config: { type: 'yarn-paper', factor: 4, betaFast: 2, betaSlow: 0.2 },
    reference: fixed(paperYarn(4, [0.2, 2])),
  },
  {
    config: { type: 'llama3', factor: 4, lowFrequencyFactor: 0.5, highFrequencyFactor: 2 },
    reference: fixed(
      llama3Rotary({ headDim, base, factor: 4, original: trained, lowFactor: 0.5, highFactor: 2 }),
    ),
  },
  {
    config: { type: 'longrope', shortFactors, longFactors, factor: 4 },
    reference: fixed(
      longRopeRotary({ base, divisors: longFactors, original: trained, longest: 4 * trained }),
    ),
  },
  {
    // The other regime: what is read stays below the length of training.
    config: { type: 'longrope', shortFactors, longFactors, factor: 4 },
    trainedLength: 64,
    reference: fixed(
      longRopeRotary({ base, divisors: shortFactors, original: 64, longest: 4 * 64 }),
    ),
  },
  {
    config: { type: 'adjusted-base', base: 500 },
    reference: fixed(plainRotary(headDim, 500)),
  },
  { config: { type: 'linear-bias' }, reference: alibi(heads) },
  { config: { type: 'linear-bias', rotary: true }, reference: rotatedBias() },
  {
    config: { type: 'sliding-window' },
    reference: fixed(plain, slidingWindow(trained)),
  },
  {
    config: { type: 'lm-infinite', sinks: 3, window: trained, cap: trained },
    reference: lambda({ rotary: plain, globals: 3, limit: trained }),
  },
  {
    config: { type: 'streaming', sinks: 3, recent: 12 },
    reference: streaming({ rotary: plain, sinks: 3, recent: 12 }),
    chunked: true,
  },
];

function reference(
  llama: Llama,
  scheme: AttentionScheme,
  ids: readonly number[],
  chunked: boolean,
): Float64Array[] {
  if (!chunked) return [...oracle(llama, scheme, ids, { wanted }).logits];
  let state: OracleState | undefined;
  const logits: Float64Array[] = [];
  for (let from = 0; from < ids.length; from += chunk) {
    const part = ids.slice(from, from + chunk);
    const run = oracle(llama, scheme, part, { ...(state && { state }), wanted: part.length });
    state = run.state;
    logits.push(...run.logits);
  }
  return logits.slice(-wanted);
}

for (const [name, bytes] of [
  ['shipped', null],
  ['shuffled', shuffledModel(5)],
] as const) {
  test(`every scheme equals the reference within 1e-4 of the largest logit, ${name} weights`, async () => {
    const llama = bytes === null ? readModel() : readModel(bytes);
    const session = await openSession(bytes ?? modelPath, { threads: 1 });
    const ids = randomIds(11, tokens);
    const lasts: Float64Array[] = [];
    for (const { config, reference: scheme, chunked = false, trainedLength } of cases) {
      const runtime = new EngineRuntime(session, {
        shape: trainedLength === undefined ? small : { ...small, trainedLength },
        scheme: config,
        kvTokens: 256,
        fingerprint: name,
        chunk,
      });
      const sequence = runtime.open(ids);
      const found: Float32Array[] = [];
      await runtime.read(sequence, {
        onLogits: (logits, count) => {
          for (let i = 0; i < count; i += 1)
            found.push(logits.slice(i * shape.vocabularySize, (i + 1) * shape.vocabularySize));
        },
      });
      assert.equal(found.length, tokens);
      const expectations = reference(llama, scheme, ids, chunked);
      for (const [i, expected] of expectations.entries()) {
        const error = relativeError(found[tokens - wanted + i] ?? [], expected);
        assert.ok(error < tolerance, `${JSON.stringify(config)} token ${i}: ${error}`);
      }
      const last = expectations.at(-1) ?? new Float64Array(0);
      for (const other of lasts) {
        const apart = relativeError(last, other);
        assert.ok(apart > 10 * tolerance, `${config.type} is like another: this could not fail`);
      }
      lasts.push(last);
    }
    await session.release();
  });
}

test('far positions stay within the same bound: angles are single precision', async () => {
  const llama = readModel();
  const session = await openSession(modelPath, { threads: 1 });
  const ids = randomIds(3, 30);
  for (const origin of [1000, 30_000, 60_000]) {
    const runtime = new EngineRuntime(session, {
      shape,
      scheme: { type: 'default' },
      kvTokens: 256,
      fingerprint: 'far',
    });
    const logits = await runtime.read(runtime.open(ids, { origin }));
    const [expected] = oracle(llama, fixed(plain), ids, { start: origin }).logits;
    const error = relativeError(logits, expected ?? new Float64Array(0));
    assert.ok(error < tolerance, `at ${origin}: ${error}`);
  }
  await session.release();
});

test('impossible parameters are refused by name', () => {
  const wrong: readonly [SchemeConfig, RegExp][] = [
    [{ type: 'linear', factor: 0.5 }, /factor of linear must be at least 1; found 0.5/],
    [{ type: 'lm-infinite', window: 0 }, /window must be an integer of at least 1; found 0/],
    [{ type: 'streaming', recent: 1.5 }, /recent must be .* found 1.5/],
    [{ type: 'structured', groups: 0 }, /groups must be .* found 0/],
  ];
  for (const [config, message] of wrong) {
    assert.throws(() => createScheme(config, small), { code: 'REQUEST_INVALID', message });
  }
});

test('StreamingLLM: positions are places in the cache (vector of the technical reference)', () => {
  const { inputs } = createScheme({ type: 'streaming', sinks: 4, recent: 4 }, small);
  const past = Int32Array.of(0, 1, 2, 3, 6, 7, 8);
  const { keyPositions, queryPositions } = inputs({
    past,
    pastParts: null,
    start: 9,
    fresh: 1,
    dropped: 2,
  });
  assert.deepEqual([...keyPositions.subarray(0, 7)], [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...queryPositions], [7]);
});

test('LM-Infinite: plain inside the window; beyond it no pair is farther apart than the cap', () => {
  const scheme = createScheme({ type: 'lm-infinite', sinks: 2, window: 8, cap: 7 }, small);
  const inside = scheme.inputs({
    past: Int32Array.of(0, 1, 2),
    pastParts: null,
    start: 3,
    fresh: 2,
    dropped: 0,
  });
  assert.deepEqual(
    Array.from(inside.mask, (value) => value === 0),
    [true, true, true, true, false, true, true, true, true, true],
  );
  assert.equal(inside.second, null);
  const past = Int32Array.of(13, 0, 1, -1, 12, 11, 10, 9, 8, 7);
  const one = scheme.inputs({ past, pastParts: null, start: 14, fresh: 1, dropped: 5 });
  assert.deepEqual(
    Array.from(one.keyPositions, (key) => (one.queryPositions[0] ?? 0) - key).filter(
      (_, i) => past[i] !== -1,
    ),
    [1, 7, 7, 2, 3, 4, 5, 6, 7, 0],
  );
  // query 14 sees the sinks 0 and 1 and the keys from 7 on
  assert.deepEqual(
    Array.from(one.mask, (value) => value === 0),
    [true, true, true, false, true, true, true, true, true, true, true],
  );
  const two = scheme.inputs({ past, pastParts: null, start: 14, fresh: 2, dropped: 5 });
  assert.equal(two.second?.select.length, 24);
  assert.deepEqual([...(two.second?.queryPositions ?? [])], [7, 7]);
});
