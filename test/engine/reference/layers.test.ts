/** The reference layers are what their names say: equal where two schemes must agree, and equal to direct formulas. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aftFull, aftSimple } from '../../../src/engine/reference/aft.ts';
import { attention, bareScheme } from '../../../src/engine/reference/attention.ts';
import type { AttentionScheme } from '../../../src/engine/reference/attention.ts';
import { alibi } from '../../../src/engine/reference/bias.ts';
import { plainRotary } from '../../../src/engine/reference/frequencies.ts';
import { cosFormer } from '../../../src/engine/reference/linear-attention.ts';
import { linformer } from '../../../src/engine/reference/linformer.ts';
import { mamba } from '../../../src/engine/reference/mamba.ts';
import {
  createRandom,
  dot,
  multiply,
  randomMatrix,
  randomVector,
  sigmoid,
  silu,
  softmax,
} from '../../../src/engine/reference/numbers.ts';
import { joinWindows, partsApart, rescaledSelf } from '../../../src/engine/reference/parallel.ts';
import {
  dualChunk,
  imageLayout,
  mRope,
  selfExtend,
} from '../../../src/engine/reference/regrouped.ts';
import {
  fixed,
  linear,
  llama3,
  longRope,
  ntkDynamic,
  ntkStatic,
  ntkStepped,
  plain,
  transformersLongest,
  yarn,
  yarnDynamic,
} from '../../../src/engine/reference/rope.ts';
import { rwkvTimeMixing } from '../../../src/engine/reference/rwkv.ts';
import { createStack, randomTokens, shape } from '../../../src/engine/reference/stack.ts';
import type { Stack, StackOptions } from '../../../src/engine/reference/stack.ts';
import type { Call, Mixer } from '../../../src/engine/reference/types.ts';
import {
  dilated,
  encoderWindow,
  globalAndWindow,
  lambda,
  slidingWindow,
  streaming,
} from '../../../src/engine/reference/windows.ts';
import { xposRaw, xposScaled } from '../../../src/engine/reference/xpos.ts';

const settings = { headDim: 6, base: 100, original: 16, factor: 4 };
const rotary = plainRotary(6, 100);
const tokens = randomTokens(createRandom(5), 16);

function stackOf(scheme: AttentionScheme, more: Partial<StackOptions> = {}): Stack {
  return createStack({ seed: 3, mixers: [attention(scheme), attention(scheme)], ...more });
}

function apart(left: Stack, right: Stack, text: readonly number[] = tokens): number {
  const [a, b] = [left.prefill(text).outputs, right.prefill(text).outputs];
  return Math.max(
    ...a.map((vector, i) => Math.max(...vector.map((value, j) => Math.abs(value - b[i]![j]!)))),
  );
}

const rope = stackOf(plain(settings));

test('schemes that must agree with plain rotary attention do', () => {
  const xpos = { headDim: 6, base: 100, scaleBase: 512 };
  const pairs: Record<string, [Stack, Stack]> = {
    'a window as long as the text': [stackOf(fixed(rotary, slidingWindow(16))), rope],
    'globals as long as the text': [stackOf(fixed(rotary, globalAndWindow(16, 1))), rope],
    'Lambda mask inside its limit': [stackOf(lambda({ rotary, globals: 2, limit: 16 })), rope],
    'streaming before the first slide': [
      stackOf(streaming({ rotary, sinks: 2, recent: 14 })),
      rope,
    ],
    'dual chunk inside one chunk': [stackOf(dualChunk({ rotary, chunk: 16, trained: 20 })), rope],
    'self-extend inside its neighbours': [
      stackOf(selfExtend({ rotary, neighbours: 16, group: 2 })),
      rope,
    ],
    'M-RoPE without an image': [stackOf(mRope(rotary, (i) => [i, i, i])), rope],
    'one dilation of one segment': [stackOf(dilated(rotary, [{ segment: 16, interval: 1 }])), rope],
    'dynamic NTK up to the original length': [
      stackOf(ntkDynamic(settings), { advance: transformersLongest(16) }),
      rope,
    ],
    'stepped NTK up to the original length': [stackOf(ntkStepped(settings)), rope],
    'dynamic YaRN up to the original length': [
      stackOf(yarnDynamic(settings), { advance: Math.max }),
      rope,
    ],
    'a single window': [stackOf(fixed(rotary, partsApart)), rope],
    'a single group': [stackOf(rescaledSelf(fixed(rotary), 1)), rope],
    'both ways to cache xPos': [stackOf(xposRaw(xpos, 'own')), stackOf(xposScaled(xpos, 'zero'))],
    'xPos with any centre': [
      stackOf(xposScaled(xpos, 'length')),
      stackOf(xposScaled(xpos, 'zero')),
    ],
    'torchscale in a cold run': [stackOf(xposRaw(xpos, 'last')), stackOf(xposRaw(xpos, 'own'))],
    'ALiBi without strength': [stackOf(alibi(2, 0)), stackOf(bareScheme)],
    'scales of one': [stackOf(linear({ ...settings, factor: 1 })), rope],
  };
  for (const [name, [left, right]] of Object.entries(pairs))
    assert.ok(apart(left, right) < 1e-9, name);
});

test('schemes that must differ from plain rotary attention do', () => {
  const long = randomTokens(createRandom(6), 24);
  const others: Record<string, Stack> = {
    linear: stackOf(linear(settings)),
    'ntk-static': stackOf(ntkStatic(settings)),
    yarn: stackOf(yarn(settings)),
    llama3: stackOf(llama3(settings)),
    'longrope, short table': stackOf(longRope({ ...settings, original: 100 }, 'by-length')),
    'longrope, long table': stackOf(longRope(settings, 'by-length')),
    'dynamic NTK above': stackOf(ntkDynamic(settings), { advance: transformersLongest(16) }),
    'stepped NTK above': stackOf(ntkStepped(settings)),
    'dynamic YaRN above': stackOf(yarnDynamic(settings), { advance: Math.max }),
    window: stackOf(fixed(rotary, slidingWindow(6))),
    lambda: stackOf(lambda({ rotary, globals: 2, limit: 6 })),
    'dual chunk': stackOf(dualChunk({ rotary, chunk: 4, trained: 10 })),
    'self-extend': stackOf(selfExtend({ rotary, neighbours: 8, group: 2 })),
    'M-RoPE': stackOf(mRope(rotary, imageLayout(2, 2, 3))),
    dilation: stackOf(dilated(rotary, [{ segment: 4, interval: 1 }])),
    xpos: stackOf(xposScaled({ headDim: 6, base: 100, scaleBase: 16 }, 'zero')),
    alibi: stackOf(alibi(2)),
  };
  for (const [name, stack] of Object.entries(others))
    assert.ok(apart(stack, rope, long) > 1e-4, name);
});

/** Tokens of a text of 16 whose change reaches the output of the token `of`. */
function reach(stack: Stack, of: number): number[] {
  const before = stack.prefill(tokens).outputs[of]!;
  return tokens.flatMap((token, i) => {
    const changed = tokens.with(i, (token + 1) % 32);
    const after = stack.prefill(changed).outputs[of]!;
    return after.some((value, j) => value !== before[j]) ? [i] : [];
  });
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('what a token sees, in one layer', () => {
  const one = (scheme: AttentionScheme): Stack =>
    createStack({ seed: 3, mixers: [attention(scheme)] });
  assert.deepEqual(reach(one(plain(settings)), 9), range(0, 9));
  assert.deepEqual(reach(one(fixed(rotary, slidingWindow(4))), 9), range(6, 9));
  assert.deepEqual(reach(one(fixed(rotary, globalAndWindow(2, 4))), 9), [0, 1, ...range(6, 9)]);
  assert.deepEqual(reach(one(lambda({ rotary, globals: 2, limit: 4 })), 9), [0, 1, ...range(6, 9)]);
  assert.equal(reach(one(lambda({ rotary, globals: 2, limit: 4, topK: 2 })), 12).length > 6, true);
  assert.deepEqual(reach(one({ ...bareScheme, visible: encoderWindow(1, 2) }), 9), [
    0,
    ...range(7, 11),
  ]);
  assert.deepEqual(reach(one({ ...bareScheme, visible: encoderWindow(1, 2) }), 0), range(0, 15));
  const dilations = [
    { segment: 4, interval: 1 },
    { segment: 16, interval: 4 },
  ];
  // Token 12 is on the grid of head 0 (0, 4, 8, 12) and alone in its short segment; 13 on that of head 1.
  assert.deepEqual(reach(one(dilated(rotary, dilations)), 12), [0, 4, 8, 12]);
  assert.deepEqual(reach(one(dilated(rotary, dilations)), 13), [1, 5, 9, 12, 13]);
  assert.deepEqual(reach(one(dilated(rotary, dilations)), 15), range(12, 15));
});

test('two layers widen a window', () => {
  assert.deepEqual(reach(stackOf(fixed(rotary, slidingWindow(4))), 9), range(3, 9));
});

test('StreamingLLM: places in the cache are the positions', () => {
  // Sinks 4, and three more: text 0-3 and 6-8 are cached when token 9 comes (positions 0..6, the query at 7).
  const scheme = streaming({ rotary, sinks: 4, recent: 4 });
  const stack = createStack({ seed: 3, mixers: [attention(scheme)] });
  let state = stack.prefill(tokens.slice(0, 8));
  for (const token of tokens.slice(8, 10)) state = stack.append(state, [token]);
  const layer = state.layers[0]!;
  assert.deepEqual(
    layer.kind === 'tokens' && layer.entries.map(({ position }) => position),
    [0, 1, 2, 3, 6, 7, 8, 9],
  );
  const visible = [...tokens.slice(0, 4), ...tokens.slice(6, 10)];
  const wanted = createStack({ seed: 3, mixers: [attention(plain(settings))] }).prefill(visible);
  assert.ok(
    state.outputs[0]!.every((value, i) => Math.abs(value - wanted.outputs.at(-1)![i]!) < 1e-9),
  );
});

test('structured prompting: weights of the published form', () => {
  // Two groups of three keys and two keys of the text's own, as values of the logits.
  const scheme = rescaledSelf(bareScheme, 2);
  const call: Call = { total: 0, process: 0, companion: 0, start: 0, tag: 0 };
  const of = (logit: number, keyTag: number): number =>
    scheme.logit(Float64Array.of(1), Float64Array.of(logit), {
      head: 0,
      query: 9,
      key: 0,
      queryTag: 0,
      keyTag,
      queryIndex: 9,
      keyIndex: 0,
      call,
    });
  const logits = [
    ...[0.2, 1, -0.3].map((logit) => of(logit, 1)),
    ...[0.5, 0.1, 0.9].map((logit) => of(logit, 2)),
    ...[0.4, 0.8].map((logit) => of(logit, 0)),
  ];
  const expected = [0.070484, 0.156866, 0.042751, 0.095144, 0.063777, 0.141938, 0.172179, 0.256861];
  for (const [i, weight] of softmax(logits).entries())
    assert.ok(Math.abs(weight - expected[i]!) < 1e-6, `weight ${i}`);
});

test('parallel windows: every window from 0, the text behind the longest', () => {
  const stack = stackOf(fixed(rotary, partsApart));
  const windows = [6, 4, 6].map((length, i) =>
    stack.prefill(tokens.slice(0, length), { tag: i + 1 }),
  );
  const state = stack.append(joinWindows(windows), tokens.slice(0, 2));
  const layer = state.layers[0]!;
  const positions = layer.kind === 'tokens' ? layer.entries.map(({ position }) => position) : [];
  assert.deepEqual(positions, [...range(0, 5), ...range(0, 3), ...range(0, 5), 6, 7]);
});

// Direct formulas. A mixer draws its weights in a fixed order; drawing again gives the same ones.

const inputs = (() => {
  const random = createRandom(11);
  return Array.from({ length: 9 }, () => randomVector(random, shape.width));
})();
const call: Call = { total: 9, process: 0, companion: 0, start: 0, tag: 0 };

function outputsOf(
  create: (random: ReturnType<typeof createRandom>, s: typeof shape) => Mixer,
): readonly Float64Array[] {
  const mixer = create(createRandom(21), shape);
  return mixer.run(inputs, mixer.empty, call).outputs;
}

function assertNear(actual: Float64Array, expected: Float64Array, name: string): void {
  for (const [i, value] of actual.entries())
    assert.ok(Math.abs(value - expected[i]!) < 1e-9, `${name}, entry ${i}`);
}

test('cosFormer equals its sum over pairs', () => {
  const random = createRandom(21);
  const [q, k, v, o] = Array.from({ length: 4 }, () =>
    randomMatrix(random, shape.width, shape.width),
  );
  const relu = (vector: Float64Array): Float64Array => vector.map((value) => Math.max(0, value));
  for (const [t, output] of outputsOf(cosFormer(16)).entries()) {
    const weights = range(0, t).map((j) => {
      const similarity = dot(relu(multiply(q!, inputs[t]!)), relu(multiply(k!, inputs[j]!)));
      return similarity * Math.cos((Math.PI / 2) * ((t - j) / 16));
    });
    const norm = Math.max(Math.abs(weights.reduce((a, b) => a + b, 0)), 0.1);
    const sum = new Float64Array(shape.width);
    for (const [j, weight] of weights.entries())
      for (const [i, value] of multiply(v!, inputs[j]!).entries())
        sum[i]! += (weight * value) / norm;
    assertNear(output, multiply(o!, sum), `token ${t}`);
  }
});

test('RWKV time mixing equals its sum over the past', () => {
  const random = createRandom(21);
  const { width } = shape;
  const [r, k, v, o] = Array.from({ length: 4 }, () => randomMatrix(random, width, width));
  const drawn = (from: number, to: number): number[] =>
    Array.from({ length: width }, () => from + (to - from) * random());
  const [shareR, shareK, shareV, decay, bonus] = [
    drawn(0, 1),
    drawn(0, 1),
    drawn(0, 1),
    drawn(0.02, 0.5),
    drawn(-0.5, 0.5),
  ];
  const blend = (t: number, share: number[]): Float64Array =>
    inputs[t]!.map((value, i) => share[i]! * value + (1 - share[i]!) * (inputs[t - 1]?.[i] ?? 0));
  const keys = inputs.map((_, t) => multiply(k!, blend(t, shareK)));
  const values = inputs.map((_, t) => multiply(v!, blend(t, shareV)));
  for (const [t, output] of outputsOf(rwkvTimeMixing).entries()) {
    const gates = multiply(r!, blend(t, shareR));
    const mixed = gates.map((gate, i) => {
      let [top, bottom] = [0, 0];
      for (const j of range(0, t)) {
        const exponent = j === t ? bonus[i]! : -(t - 1 - j) * decay[i]!;
        top += Math.exp(exponent + keys[j]![i]!) * values[j]![i]!;
        bottom += Math.exp(exponent + keys[j]![i]!);
      }
      return (sigmoid(gate) * top) / bottom;
    });
    assertNear(output, multiply(o!, mixed), `token ${t}`);
  }
});

test('Mamba equals its sum over the past', () => {
  const random = createRandom(21);
  const { width } = shape;
  const [input, gate, step, o] = Array.from({ length: 4 }, () =>
    randomMatrix(random, width, width),
  );
  const [enter, leave] = [randomMatrix(random, 4, width), randomMatrix(random, 4, width)];
  const taps = randomVector(random, 4 * width, 0.5);
  const [bias, skip] = [randomVector(random, width), randomVector(random, width)];
  const projected = inputs.map((vector) => multiply(input!, vector));
  const signals = inputs.map((_, t) =>
    Float64Array.from({ length: width }, (_unused, i) =>
      silu(
        [0, 1, 2, 3].reduce(
          (sum, tap) => sum + taps[tap * width + i]! * (projected[t - 3 + tap]?.[i] ?? 0),
          0,
        ),
      ),
    ),
  );
  const steps = signals.map((signal) =>
    multiply(step!, signal).map((raw, i) => Math.log1p(Math.exp(raw + bias[i]!))),
  );
  const into = signals.map((signal) => multiply(enter, signal));
  for (const [t, output] of outputsOf(mamba).entries()) {
    const out = multiply(leave, signals[t]!);
    const gates = multiply(gate!, inputs[t]!);
    const result = signals[t]!.map((value, i) => {
      let sum = skip[i]! * value;
      for (const j of range(0, t))
        for (const n of [0, 1, 2, 3]) {
          const passed = range(j + 1, t).reduce((total, s) => total + steps[s]![i]!, 0);
          sum +=
            out[n]! * Math.exp(-(n + 1) * passed) * steps[j]![i]! * into[j]![n]! * signals[j]![i]!;
        }
      return sum * silu(gates[i]!);
    });
    assertNear(output, multiply(o!, result), `token ${t}`);
  }
});

test('AFT without its table equals AFT-simple', () => {
  const simple = outputsOf(aftSimple);
  for (const [t, output] of outputsOf(aftFull(16, 0)).entries())
    assertNear(output, simple[t]!, `token ${t}`);
  assert.ok(Math.abs(outputsOf(aftFull(16))[8]![0]! - simple[8]![0]!) > 1e-4);
});

test('AFT-full equals its sum with one bias per pair', () => {
  const random = createRandom(21);
  const { width } = shape;
  const [q, k, v] = Array.from({ length: 3 }, () => randomMatrix(random, width, width));
  const table = randomVector(random, 16 * 16);
  for (const [t, output] of outputsOf(aftFull(16)).entries()) {
    const gates = multiply(q!, inputs[t]!);
    const expected = gates.map((gate, i) => {
      const weights = range(0, t).map((j) =>
        Math.exp(multiply(k!, inputs[j]!)[i]! + table[t * 16 + j]!),
      );
      const sum = weights.reduce(
        (total, weight, j) => total + weight * multiply(v!, inputs[j]!)[i]!,
        0,
      );
      return (sigmoid(gate) * sum) / weights.reduce((total, weight) => total + weight, 0);
    });
    assertNear(output, expected, `token ${t}`);
  }
});

test('Linformer: in one layer the projection can be added to', () => {
  const mixer = linformer({ rows: 4, limit: 12 })(createRandom(21), shape);
  const whole = mixer.run(inputs, mixer.empty, call).state;
  const head = mixer.run(inputs.slice(0, 5), mixer.empty, call).state;
  const grown = mixer.run(inputs.slice(5), head, { ...call, start: 5 }).state;
  assert.ok(whole.kind === 'mixed' && grown.kind === 'mixed');
  assertNear(grown.values, whole.values, 'projected rows');
});

test('Linformer equals attention over the projected sequence', () => {
  const random = createRandom(21);
  const { width } = shape;
  const [q, k, v] = Array.from({ length: 3 }, () => randomMatrix(random, width, width));
  const [e, f] = [randomMatrix(random, 4, 12), randomMatrix(random, 4, 12)];
  const project = (weights: typeof k, projection: typeof e): Float64Array[] =>
    range(0, 3).map((row) => {
      const sum = new Float64Array(width);
      for (const [j, vector] of inputs.entries())
        for (const [i, value] of multiply(weights!, vector).entries())
          sum[i]! += projection!.data[row * 12 + j]! * value;
      return sum;
    });
  const [keys, values] = [project(k, e), project(v, f)];
  for (const [t, output] of outputsOf(linformer({ rows: 4, limit: 12 })).entries()) {
    const shares = softmax(
      keys.map((key) => dot(multiply(q!, inputs[t]!), key) / Math.sqrt(width)),
    );
    const expected = Float64Array.from({ length: width }, (_, i) =>
      shares.reduce((sum, share, r) => sum + share * values[r]![i]!, 0),
    );
    assertNear(output, expected, `token ${t}`);
  }
});

test('a dropped entry that is still seen is noticed', () => {
  const stack = stackOf(fixed(rotary, slidingWindow(4)));
  const state = stack.prefill(tokens);
  const without = (position: number) => ({
    ...state,
    layers: state.layers.map((layer) =>
      layer.kind === 'mixed'
        ? layer
        : { kind: layer.kind, entries: layer.entries.filter((e) => e.position !== position) },
    ),
  });
  assert.equal(stack.append(without(14), [1]).missing, true);
  assert.equal(stack.append(without(9), [1]).missing, false);
});
