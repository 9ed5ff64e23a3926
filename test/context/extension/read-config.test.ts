/** Published configurations are read as their makers mean them, and nonsense is refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deepseekV3, gemma3, llama2, llama31, phi3, qwen25 } from './configs.ts';
import { near } from './near.ts';
import { cacheCost, prefillCost } from '../../../src/context/extension/costs.ts';
import { readModelConfig } from '../../../src/context/extension/read-config.ts';
import { SluiceError } from '../../../src/core/errors.ts';

test('a configuration without scaling, and what it leaves out', () => {
  const shape = readModelConfig(llama2);
  assert.deepEqual(shape.scaling, { type: 'default' });
  assert.equal(shape.base, 10_000);
  assert.equal(shape.headDim, 128);
  assert.equal(shape.trainedLength, 4096);
  assert.equal(shape.configuredLength, 4096);
  assert.deepEqual(shape.assumed, ['rope_theta 10000, which the configuration leaves out']);
  assert.deepEqual(readModelConfig({ ...llama2, rope_theta: 10_000 }).assumed, []);
});

test('scalings, trained and configured lengths', () => {
  const lengths = (config: object): readonly (string | number)[] => {
    const { scaling, trainedLength, configuredLength } = readModelConfig(config);
    return [scaling.type, trainedLength, configuredLength];
  };
  assert.deepEqual(lengths(llama31), ['llama3', 8192, 131072]);
  assert.deepEqual(lengths(qwen25), ['default', 32768, 32768]);
  const yarn = { type: 'yarn', factor: 4, original_max_position_embeddings: 32768 };
  assert.deepEqual(lengths({ ...qwen25, rope_scaling: yarn }), ['yarn', 32768, 131072]);
  assert.deepEqual(lengths(phi3), ['longrope', 4096, 131072]);
  assert.deepEqual(lengths(deepseekV3), ['yarn', 4096, 163840]);
  assert.deepEqual(lengths(gemma3), ['linear', 131072, 1048576]);
  const linear = { type: 'linear', factor: 4 };
  assert.deepEqual(lengths({ ...llama2, rope_scaling: linear }), ['linear', 4096, 16384]);
  const stepped = { ...llama2, model_type: 'qwen', use_dynamic_ntk: true, seq_length: 2048 };
  assert.deepEqual(lengths(stepped), ['ntk-stepped', 2048, 4096]);
  const su = { ...phi3, rope_scaling: { ...phi3.rope_scaling, type: 'su' } };
  assert.deepEqual(lengths(su), ['longrope', 4096, 131072]);
});

test('rotated channels: part of the head, or of a compressed one', () => {
  const { headDim, ropeDim } = readModelConfig({ ...llama2, partial_rotary_factor: 0.25 });
  assert.deepEqual([headDim, ropeDim], [128, 32]);
  const neox = { ...llama2, rotary_pct: 0.5 };
  assert.equal(readModelConfig(neox).ropeDim, 64);
  const latent = readModelConfig(deepseekV3);
  assert.deepEqual([latent.headDim, latent.ropeDim], [192, 64]);
  assert.deepEqual(latent.kept, { kind: 'latent', rank: 512, ropeDim: 64 });
});

test('bytes of cached keys and values a token', () => {
  const perToken = (config: object): number =>
    cacheCost(readModelConfig(config), 131_072).bytesPerToken;
  assert.equal(perToken(llama2), 524_288);
  assert.equal(perToken(llama31), 131_072);
  const llama70 = { ...llama31, num_hidden_layers: 80, num_attention_heads: 64, hidden_size: 8192 };
  assert.equal(perToken(llama70), 327_680);
  assert.equal(perToken(qwen25), 57_344);
  assert.equal(perToken(deepseekV3), 70_272);
  assert.equal(perToken({ ...llama31, num_hidden_layers: 16, head_dim: 64 }), 32_768);
  assert.equal(perToken({ ...llama2, torch_dtype: 'float32' }), 2 * 524_288);
  const falcon = { ...llama2, num_key_value_heads: undefined, multi_query: true, head_dim: 64 };
  assert.equal(perToken(falcon), 8192);
  assert.equal(cacheCost(readModelConfig(llama31), 131_072).bytesAtLength, 16 * 2 ** 30);
});

test('windowed layers keep their window, recurrent ones nothing', () => {
  const gemma = readModelConfig(gemma3);
  assert.deepEqual(gemma.window, { tokens: 1024, layers: 29 });
  const perLayer = 2 * 4 * 256 * 2;
  const cost = cacheCost(gemma, 100_000);
  assert.equal(cost.bytesPerToken, 34 * perLayer);
  assert.equal(cost.bytesAtLength, perLayer * (5 * 100_000 + 29 * 1024));
  assert.equal(cost.reuse, 'W');
  assert.equal(readModelConfig(qwen25).window, null);
  const pattern = { ...llama2, sliding_window: 512, sliding_window_pattern: 4 };
  assert.deepEqual(readModelConfig(pattern).window, { tokens: 512, layers: 24 });
  const kinds = Array.from({ length: 32 }, (_, i) =>
    i % 4 === 3 ? 'full_attention' : 'linear_attention',
  );
  const hybrid = cacheCost(readModelConfig({ ...llama2, layer_types: kinds }), 10);
  assert.deepEqual([hybrid.reuse, hybrid.bytesPerToken], ['S', 524_288 / 4]);
});

test('operations of a prompt: weights and attention', () => {
  const cost = prefillCost(readModelConfig(llama31), 8192);
  assert.ok(cost);
  // 6.98 billion weights less embeddings and output layer; 2 layers L^2 d for attention.
  near(cost.linearFlops, 2 * 6.979e9 * 8192, 1e-3);
  near(cost.attentionFlops, 2 * 32 * 8192 ** 2 * 4096, 1e-12);
  assert.equal(cost.totalFlops, cost.linearFlops + cost.attentionFlops);
  const sparse = prefillCost(readModelConfig(deepseekV3), 1);
  assert.ok(sparse);
  // 37 billion active weights as published, less 0.9 of the output layer.
  near(sparse.linearFlops / 2, 36.1e9, 0.02);
  const { intermediate_size: _, ...unknown } = llama2;
  assert.equal(prefillCost(readModelConfig(unknown), 1), null);
  const windowed = prefillCost(readModelConfig({ ...llama2, sliding_window: 1024 }), 8192);
  const full = prefillCost(readModelConfig(llama2), 8192);
  assert.ok(windowed && full);
  near(
    windowed.attentionFlops / full.attentionFlops,
    (1024 * 8192 - 1024 ** 2 / 2) / (8192 ** 2 / 2),
  );
});

test('what cannot be planned for is refused, and says what was found', () => {
  const yarn = { type: 'yarn', factor: 4 };
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [null, /is no configuration/],
    [[], /is no configuration/],
    [{}, /is no configuration/],
    [{ model_type: 'mamba' }, /of mamba: it keeps a state/],
    [{ ...llama2, model_type: 'bloom' }, /ALiBi/],
    [{ ...llama2, attn_config: { alibi: true } }, /ALiBi/],
    [{ ...llama2, model_type: 'gpt2' }, /learned positions end with their table/],
    [{ ...llama2, hidden_size: undefined }, /needs hidden_size .* it is missing/],
    [{ ...llama2, num_hidden_layers: '32' }, /needs num_hidden_layers .* found "32"/],
    [{ ...llama2, max_position_embeddings: 0 }, /max_position_embeddings .* found 0/],
    [{ ...llama2, num_attention_heads: 33 }, /hidden_size 4096 is no multiple of 33 heads/],
    [{ ...llama2, num_key_value_heads: 5 }, /num_key_value_heads 5, which does not divide 32/],
    [{ ...llama2, rope_theta: -1 }, /rope_theta -1; expected a number above 0/],
    [{ ...llama2, rope_theta: 1 }, /rope_theta 1; it is above 1/],
    [{ ...llama2, partial_rotary_factor: 1.5 }, /partial_rotary_factor 1.5/],
    [{ ...llama2, head_dim: 7 }, /7 channels; rotation needs an even number/],
    [{ ...llama2, head_dim: 60_000 }, /60000 channels; at most 4096 are planned for/],
    [
      { ...llama2, rope_scaling: { type: 'polar' } },
      /rope_type "polar", which is not known; known are default/,
    ],
    [{ ...llama2, rope_scaling: { factor: 4 } }, /names a factor, but no rope_type/],
    [{ ...llama2, rope_scaling: { type: 'linear' } }, /needs factor for its rope_type/],
    [{ ...llama2, rope_scaling: { type: 'linear', factor: 0.5 } }, /factor 0.5; it is at least 1/],
    [{ ...llama2, rope_scaling: { type: 'linear', factor: 'x' } }, /factor "x"; expected a number/],
    [{ ...llama2, rope_scaling: { ...yarn, beta_fast: -1 } }, /beta_fast -1; expected/],
    [{ ...llama31, rope_scaling: { rope_type: 'llama3', factor: 8 } }, /needs low_freq_factor/],
    [
      { ...phi3, rope_scaling: { ...phi3.rope_scaling, long_factor: [1, 2] } },
      /needs long_factor with 48 numbers above 0 .* found 2 of them/,
    ],
    [
      { ...phi3, rope_scaling: { type: 'longrope', long_factor: [1] } },
      /needs short_factor with 48 .* found no list/,
    ],
  ];
  for (const [config, message] of refused) {
    assert.throws(
      () => readModelConfig(config),
      (error) =>
        SluiceError.isInstance(error) &&
        error.code === 'REQUEST_INVALID' &&
        message.test(error.message),
      String(message),
    );
  }
  const long = { ...llama2, rope_scaling: { type: 'x'.repeat(10_000) } };
  assert.throws(
    () => readModelConfig(long),
    (error) => error instanceof Error && error.message.length < 400,
  );
});
