/** Regimes of served models: read from real shapes of config.json, checked against the reference layers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attention } from '../../src/engine/reference/attention.ts';
import {
  longRope,
  ntkDynamic,
  ntkStepped,
  transformersLongest,
} from '../../src/engine/reference/rope.ts';
import { createStack } from '../../src/engine/reference/stack.ts';
import type { Stack, StackOptions } from '../../src/engine/reference/stack.ts';
import { positionLabel, positionOf } from '../../src/reuse/position.ts';
import type { PositionScheme, PositionServer } from '../../src/reuse/position.ts';
import {
  keepsBranches,
  layerGroups,
  regime,
  regimeEnd,
  sharesRegime,
  unshared,
  validityRows,
  willCross,
} from '../../src/reuse/regime.ts';

const transformers: PositionServer = { kind: 'transformers', version: null, maxLength: null };
const vllm: PositionServer = { kind: 'vllm', version: '0.27.1', maxLength: null };
const other: PositionServer = { kind: 'other', version: null, maxLength: null };
const sglang: PositionServer = { kind: 'sglang', version: null, maxLength: null };
const llamacpp: PositionServer = { kind: 'llamacpp', version: null, maxLength: 8192 };

const factors = Array.from({ length: 48 }, (_, i) => 1 + i / 10);
const phi3 = {
  model_type: 'phi3',
  rope_theta: 10000,
  max_position_embeddings: 131072,
  original_max_position_embeddings: 4096,
  sliding_window: 262144,
  rope_scaling: { type: 'longrope', short_factor: factors, long_factor: factors },
};
const llama3 = {
  model_type: 'llama',
  rope_theta: 500000,
  max_position_embeddings: 131072,
  rope_scaling: {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  },
};
const dynamic = {
  model_type: 'llama',
  rope_theta: 10000,
  max_position_embeddings: 2048,
  rope_scaling: { type: 'dynamic', factor: 2 },
};
const qwen1 = {
  model_type: 'qwen',
  use_dynamic_ntk: true,
  seq_length: 8192,
  max_position_embeddings: 32768,
};
const gemma3 = {
  model_type: 'gemma3',
  text_config: {
    max_position_embeddings: 131072,
    sliding_window: 1024,
    layer_types: ['sliding_attention', 'sliding_attention', 'full_attention'],
    rope_parameters: {
      sliding_attention: { rope_type: 'default', rope_theta: 10000 },
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1000000 },
    },
  },
};
const qwen3Next = {
  model_type: 'qwen3_next',
  rope_theta: 10000000,
  max_position_embeddings: 262144,
  layer_types: ['linear_attention', 'linear_attention', 'linear_attention', 'full_attention'],
};

const rows = (config: unknown, server: PositionServer): string[] =>
  validityRows(positionOf(config, server)).map(({ id }) => id);

test('scheme and switch follow the model and the server', () => {
  const cases: readonly [string, unknown, PositionServer, string, string][] = [
    ['Phi-3 in transformers', phi3, transformers, 'longrope', 'per-request-length'],
    ['Phi-3 in a vLLM that fixed it', phi3, vllm, 'longrope', 'static'],
    ['Phi-3 in an old vLLM', phi3, { ...vllm, version: '0.11.0' }, 'longrope', 'per-batch'],
    [
      'Phi-3 in a vLLM of unknown version',
      phi3,
      { ...vllm, version: null },
      'longrope',
      'per-batch',
    ],
    ['Phi-3 in SGLang', phi3, sglang, 'longrope', 'per-batch'],
    [
      'Phi-3 in SGLang that stays short',
      phi3,
      { ...sglang, maxLength: 4096 },
      'longrope',
      'static',
    ],
    ['Phi-3 in llama.cpp', phi3, llamacpp, 'longrope', 'static'],
    ['Llama 3.1', llama3, vllm, 'llama3', 'static'],
    ['dynamic NTK in transformers', dynamic, transformers, 'ntk-dynamic', 'process-history'],
    ['dynamic NTK in vLLM', dynamic, vllm, 'ntk-static', 'static'],
    ['Qwen 1 in its own code', qwen1, transformers, 'ntk-stepped', 'process-history'],
    ['Qwen 1 elsewhere', qwen1, other, 'ntk-stepped', 'per-request-length'],
    ['Gemma 3', gemma3, vllm, 'linear', 'static'],
    ['plain RoPE', { model_type: 'llama', rope_theta: 10000 }, vllm, 'rope', 'static'],
    ['BLOOM', { model_type: 'bloom' }, vllm, 'alibi', 'static'],
    ['MPT', { model_type: 'mpt', attn_config: { alibi: true } }, vllm, 'alibi', 'static'],
    ['GPT-2', { model_type: 'gpt2', n_positions: 1024 }, vllm, 'learned', 'static'],
    ['Mamba', { model_type: 'mamba' }, vllm, 'none', 'static'],
    ['a scheme of tomorrow', { rope_scaling: { rope_type: 'spiral' } }, vllm, 'unknown', 'static'],
    ['nothing', {}, vllm, 'unknown', 'static'],
    ['no object', 'config', vllm, 'unknown', 'static'],
  ];
  for (const [name, config, server, scheme, change] of cases) {
    const position = positionOf(config, server);
    assert.deepEqual([position.scheme, position.switch], [scheme, change], name);
  }
});

test('what a branch may count on, and the groups of a cache, follow the kinds of layers', () => {
  const plain = positionOf({ model_type: 'llama', rope_theta: 10000 }, vllm);
  assert.equal(keepsBranches(plain), true);
  assert.deepEqual(layerGroups(plain), [{ kind: 'full' }]);
  const hybrid = positionOf(gemma3, llamacpp);
  assert.equal(keepsBranches(hybrid), false);
  assert.deepEqual(layerGroups(hybrid), [
    { kind: 'full' },
    { kind: 'sliding', windowTokens: 1024 },
  ]);
  const state = positionOf(qwen3Next, vllm);
  assert.equal(keepsBranches(state), false);
  assert.deepEqual(layerGroups(state), [{ kind: 'full' }, { kind: 'recurrent' }]);
  // Its window is longer than anything it is served with.
  const wide = positionOf(phi3, vllm);
  assert.equal(keepsBranches(wide), true);
  assert.deepEqual(layerGroups(wide), [{ kind: 'full' }]);
  assert.deepEqual(layerGroups(null), [{ kind: 'full' }]);
});

test('windows and states add rows of their own', () => {
  assert.deepEqual(rows(gemma3, vllm), ['linear', 'hybrid-swa']);
  assert.equal(positionOf(gemma3, vllm).window, 1024);
  assert.deepEqual(rows(qwen3Next, vllm), ['rope', 'hybrid-recurrent']);
  assert.deepEqual(rows({ model_type: 'mamba' }, vllm), ['mamba']);
  // Its window is twice as long as anything that it reads.
  assert.deepEqual(rows(phi3, transformers), ['longrope-length']);
  assert.deepEqual(rows({}, vllm), ['opaque']);
  const qwen2 = { model_type: 'qwen2', rope_theta: 1e6, sliding_window: 32768 };
  assert.deepEqual(rows({ ...qwen2, use_sliding_window: false }, vllm), ['rope']);
  assert.deepEqual(rows({ ...qwen2, use_sliding_window: true }, vllm), ['rope', 'swa']);
});

test('the label tells different tables apart and nothing else', () => {
  const label = (config: unknown): string => positionLabel(positionOf(config, vllm));
  const reordered = {
    ...phi3,
    rope_scaling: { long_factor: factors, short_factor: factors, type: 'longrope' },
  };
  const other = {
    ...phi3,
    rope_scaling: { ...phi3.rope_scaling, long_factor: factors.toReversed() },
  };
  assert.equal(label(phi3), label(reordered));
  assert.notEqual(label(phi3), label(other));
  const limited = (config: unknown, maxLength: number): string =>
    positionLabel(positionOf(config, { ...vllm, maxLength }));
  assert.notEqual(limited(phi3, 131072), limited(phi3, 4096), 'the limit chooses the table');
  assert.equal(limited(phi3, 131072), limited(phi3, 65536));
  assert.equal(limited(llama3, 131072), limited(llama3, 4096));
  const local = structuredClone(gemma3);
  local.text_config.rope_parameters.sliding_attention.rope_theta = 20000;
  assert.notEqual(label(gemma3), label(local), 'windowed layers have frequencies of their own');
});

test('LongRoPE by length: exactly the original length is still short', () => {
  const position = positionOf(phi3, transformers);
  assert.equal(regime(position, 4096), 'short');
  assert.equal(regime(position, 4097), 'long');
  assert.equal(willCross(position, 4000, 4096), false);
  assert.equal(willCross(position, 4000, 4097), true);
  assert.equal(willCross(position, 5000, 131072), false);
  assert.equal(sharesRegime('long', 'short'), false);
  assert.equal(sharesRegime('short', 'long'), false);
});

test('dynamic NTK: shared below the original length, never above', () => {
  const position = positionOf(dynamic, transformers);
  assert.equal(regime(position, 2047), 'base');
  assert.equal(regime(position, 2048), unshared);
  assert.equal(sharesRegime(regime(position, 3000), regime(position, 3000)), false);
  assert.equal(willCross(position, 1000, 2047), false);
  assert.equal(willCross(position, 1000, 2048), true);
});

test('dynamic NTK in steps: borders at the original length times powers of two', () => {
  const position = positionOf(qwen1, other);
  const names = [8192, 8193, 16384, 16385, 32768].map((total) => regime(position, total));
  assert.deepEqual(names, ['step-0', 'step-1', 'step-1', 'step-2', 'step-2']);
});

test('static schemes have one regime without an end', () => {
  const position = positionOf(llama3, vllm);
  assert.equal(regime(position, 1), '');
  assert.equal(willCross(position, 1, 200000), false);
  assert.equal(regimeEnd(position, 1), null);
});

test('a batch that may decide: nothing is ever shared', () => {
  const position = positionOf(phi3, sglang);
  assert.equal(regime(position, 10), unshared);
  assert.equal(willCross(position, 10, 11), true);
});

test('property: the end of a regime is the last length inside it', () => {
  const positions = [
    positionOf(phi3, transformers),
    positionOf(dynamic, transformers),
    positionOf(qwen1, other),
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...positions),
      fc.integer({ min: 1, max: 100_000 }),
      (position, total) => {
        const end = regimeEnd(position, total);
        if (end === null) return;
        assert.equal(willCross(position, total, end), false);
        assert.equal(willCross(position, total, end + 1), true);
      },
    ),
    { seed: 20261121, numRuns: 300 },
  );
});

/** The layers and the regime function on the same lengths: an original length of 16. */
const settings = { headDim: 6, base: 100, original: 16, factor: 4 };

function small(
  scheme: 'longrope' | 'ntk-stepped' | 'ntk-dynamic',
  change: PositionScheme['switch'],
): PositionScheme {
  return { ...positionOf(phi3, transformers), scheme, switch: change, originalLength: 16 };
}

const agreements: readonly [PositionScheme, Omit<StackOptions, 'seed'>][] = [
  [
    small('longrope', 'per-request-length'),
    { mixers: [attention(longRope(settings, 'by-length'))] },
  ],
  [small('ntk-stepped', 'per-request-length'), { mixers: [attention(ntkStepped(settings))] }],
  [
    small('ntk-dynamic', 'process-history'),
    { mixers: [attention(ntkDynamic(settings))], advance: transformersLongest(16) },
  ],
];

/** Key of the last of the first 8 tokens, after a cold run of `total` tokens. */
function eighthKey(stack: Stack, total: number): Float64Array {
  const state = stack.prefill(Array.from({ length: total }, (_, i) => i % 8)).layers[0]!;
  return state.kind === 'tokens' ? state.entries[7]!.key : new Float64Array();
}

for (const [position, options] of agreements) {
  test(`regimes of ${position.scheme} are those of its layers`, () => {
    const stack = createStack({ seed: 1, ...options });
    const lengths = [8, 10, 15, 16, 17, 24, 32, 33, 40];
    // Whatever ran before in the process must not matter inside a regime that is shared.
    const busy = (): Stack => {
      const process = stack.restart();
      process.prefill(Array.from({ length: 37 }, () => 1));
      return process;
    };
    for (const cached of lengths)
      for (const wanted of lengths) {
        const shared = sharesRegime(regime(position, cached), regime(position, wanted));
        const keys = eighthKey(stack.restart(), cached);
        const equal = [stack.restart(), busy()].every(
          (process) => keys.join() === eighthKey(process, wanted).join(),
        );
        if (shared || position.switch === 'per-request-length')
          assert.equal(equal, shared, `${cached} tokens cached, ${wanted} wanted`);
        else if (equal) assert.ok(cached === wanted || Math.max(cached, wanted) <= 16);
      }
  });
}
