/** Plans for published models: schemes, bounds, costs, flags, and what servers refuse. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deepseekV3, gemma3, llama2, llama31, phi3, qwen25 } from './configs.ts';
import { near, nearAll } from './near.ts';
import { estimateEffective } from '../../../src/context/extension/effective.ts';
import { planExtension, planExtensionSteps } from '../../../src/context/extension/plan.ts';
import type { ExtensionPlan, SchemePlan } from '../../../src/context/extension/plan.ts';
import { plainFrequencies, scaledRope } from '../../../src/context/extension/rope.ts';
import { retrievalLength } from '../../../src/context/extension/scaling-law.ts';
import type { ServerPlan } from '../../../src/context/extension/server-types.ts';
import { planServers, type PlanServer } from '../../../src/core/backend-kind.ts';
import { SluiceError } from '../../../src/core/errors.ts';
import { validityTable } from '../../../src/reuse/validity-table.ts';

function schemeOf(plan: ExtensionPlan, type: string): SchemePlan {
  const scheme = plan.schemes.find((one) => one.type === type);
  assert.ok(scheme, `no ${type} among ${plan.schemes.map((one) => one.type).join(', ')}`);
  return scheme;
}

function serverOf(plan: ExtensionPlan, type: string, name: PlanServer): ServerPlan {
  const server = schemeOf(plan, type).servers.find((one) => one.server === name);
  assert.ok(server);
  return server;
}

/** What stands behind a flag, as JSON. */
function overrideOf(plan: ServerPlan, flag: string): Record<string, unknown> {
  const at = plan.arguments.indexOf(flag);
  assert.ok(at >= 0, `${flag} is not in ${plan.arguments.join(' ')}`);
  return JSON.parse(plan.arguments[at + 1] ?? '') as Record<string, unknown>;
}

const llama16k = planExtension({ config: llama2, length: 16384 });

test('every scheme that can carry a plain model, with bounds side by side', () => {
  assert.deepEqual(
    llama16k.schemes.map(({ type }) => type),
    ['linear', 'ntk-static', 'dynamic', 'yarn', 'llama3', 'adjusted-base'],
  );
  assert.equal(llama16k.factor, 4);
  assert.equal(llama16k.criticalDimension, 92);
  near(llama16k.bases.perplexity ?? NaN, 56627.7967);
  near(llama16k.bases.perplexityContinuous ?? NaN, 71738.4362);
  near(llama16k.bases.retrieval, 307923, 1e-3);
  const adjusted = schemeOf(llama16k, 'adjusted-base');
  assert.equal(adjusted.ropeParameters['rope_theta'], 56628);
  assert.equal(adjusted.bounds.perplexity, 16384);
  const linear = schemeOf(llama16k, 'linear');
  assert.equal(linear.bounds.perplexity, null);
  // Dividing all frequencies stretches the distances alone.
  const plain = retrievalLength(plainFrequencies({ headDim: 128, base: 10_000 }), 16384);
  assert.ok(Math.abs(linear.bounds.retrieval - 4 * plain) <= 4);
  assert.equal(linear.bounds.retrievalReached, false);
});

test('a plan for millions of tokens can be stopped within every few thousand distances', () => {
  const options = { config: llama31, length: 16_000_000 };
  const steps = planExtensionSteps(options);
  let stops = 0;
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) stops += 1;
  // Every scheme looks at distances up to its own bound, 2,048 at a time.
  const looked = step.value.schemes.map(({ bounds }) => Math.ceil(bounds.retrieval / 2048));
  assert.ok(stops >= looked.reduce((sum, blocks) => sum + blocks, 0));
  assert.ok(stops > 100, `${stops} stops`);
  assert.deepEqual(step.value, planExtension(options));
});

test('frequencies, attention factor and changed pairs are those of the formulas', () => {
  const shape = { headDim: 128, base: 10_000, trainedLength: 4096 };
  const yarn = schemeOf(llama16k, 'yarn');
  const formula = scaledRope(shape, { type: 'yarn', factor: 4 }, 16384);
  assert.deepEqual(yarn.inverseFrequencies, [...formula.inverseFrequencies]);
  assert.equal(yarn.attentionFactor, formula.attentionFactor);
  // Pairs 0 to 20 turn 32 times and more.
  assert.equal(yarn.changedPairs, 64 - 21);
  assert.equal(schemeOf(llama16k, 'linear').changedPairs, 64);
  assert.equal(schemeOf(llama16k, 'dynamic').changedPairs, 0);
  assert.equal(schemeOf(llama16k, 'ntk-static').changedPairs, 63);
});

test('a length that the configuration reaches needs nothing but the limit', () => {
  const plan = planExtension({ config: llama31, length: 65_536 });
  assert.deepEqual(
    plan.schemes.map(({ type, title }) => [type, title]),
    [['llama3', 'Llama 3 bands, as configured']],
  );
  assert.match(plan.notes.join(), /reaches 131072 tokens: nothing has to be extended/);
  assert.deepEqual(serverOf(plan, 'llama3', 'vllm').arguments, ['--max-model-len', '65536']);
  assert.deepEqual(serverOf(plan, 'llama3', 'sglang').arguments, ['--context-length', '65536']);
  assert.equal(serverOf(plan, 'llama3', 'ollama').verdict, 'runs');
  assert.equal(schemeOf(plan, 'llama3').changedPairs, 0);
  const short = planExtension({ config: llama2, length: 1000 });
  assert.equal(schemeOf(short, 'default').bounds.perplexity, 4096);
  assert.equal(short.bases.perplexity, null);
});

test('a model with a scaling of its own keeps it, with a larger factor', () => {
  const plan = planExtension({ config: llama31, length: 262_144 });
  assert.deepEqual(
    plan.schemes.map(({ type }) => type),
    ['llama3'],
  );
  assert.equal(schemeOf(plan, 'llama3').ropeParameters['factor'], 32);
  assert.match(plan.notes.join(), /goes beyond what it was tuned for/);
  assert.match(plan.notes.join(), /base 10000; for a base of 500000 its inverse is too large/);
  const deepseek = planExtension({ config: deepseekV3, length: 327_680 });
  const yarn = schemeOf(deepseek, 'yarn');
  assert.equal(yarn.ropeParameters['factor'], 80);
  assert.equal(yarn.ropeParameters['mscale_all_dim'], 1);
  assert.equal(yarn.attentionFactor, 1);
  // llama.cpp multiplies its own 0.1 ln(80) + 1.
  const flags = serverOf(deepseek, 'yarn', 'llamacpp').arguments;
  near(Number(flags[flags.indexOf('--yarn-attn-factor') + 1]), 1 / (0.1 * Math.log(80) + 1));
});

test('factors are rounded up, so that no server ends below the target', () => {
  for (const length of [4097, 6000, 10_000, 99_999]) {
    const plan = planExtension({ config: llama2, length, server: 'vllm' });
    const factor = Number(schemeOf(plan, 'yarn').ropeParameters['factor']);
    assert.ok(factor * 4096 >= length && factor * 4 === Math.round(factor * 4), `${length}`);
    assert.ok((factor - 0.25) * 4096 < length);
  }
});

test('vLLM: what each type of scaling needs in its override', () => {
  const override = (type: string): Record<string, unknown> =>
    overrideOf(serverOf(llama16k, type, 'vllm'), '--hf-overrides');
  assert.deepEqual(override('linear'), {
    rope_parameters: { rope_type: 'linear', rope_theta: 10_000, factor: 4 },
  });
  assert.deepEqual(override('yarn'), {
    max_position_embeddings: 16384,
    rope_parameters: {
      rope_type: 'yarn',
      rope_theta: 10_000,
      factor: 4,
      original_max_position_embeddings: 4096,
    },
  });
  assert.equal(override('llama3')['max_position_embeddings'], 16384);
  const dynamic = override('dynamic')['rope_parameters'] as Record<string, unknown>;
  assert.equal(dynamic['max_trained_positions'], 4096);
  const ntk = override('ntk-static')['rope_parameters'] as Record<string, unknown>;
  assert.equal(ntk['rope_type'], 'default');
  near(Number(ntk['rope_theta']), 40889.9424);
  // A whole factor is a Python int, on which linear scaling fails.
  const written = serverOf(llama16k, 'linear', 'vllm').arguments.join(' ');
  assert.match(written, /"factor":4\.0/);
  for (const { servers } of llama16k.schemes) {
    assert.deepEqual(servers[0]?.arguments.slice(-2), ['--max-model-len', '16384']);
  }
});

test('SGLang, llama.cpp and Ollama: flags, and what they cannot do', () => {
  const sglang = serverOf(llama16k, 'yarn', 'sglang');
  assert.equal(sglang.environment[0]?.name, 'SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN');
  assert.equal(overrideOf(sglang, '--json-model-override-args')['max_position_embeddings'], 16384);
  assert.match(serverOf(llama16k, 'dynamic', 'sglang').notes.join(), /factor of 13/);
  const flags = (type: string): string => serverOf(llama16k, type, 'llamacpp').arguments.join(' ');
  const raised = '--override-kv llama.context_length=int:16384 -c 16384 -np 1';
  assert.equal(flags('linear'), `--rope-scaling linear --rope-scale 4 ${raised}`);
  assert.equal(flags('ntk-static'), `--rope-freq-base 40889.94243 ${raised}`);
  assert.equal(flags('adjusted-base'), `--rope-freq-base 56628 ${raised}`);
  assert.equal(
    flags('yarn'),
    '--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 4096 -c 16384 -np 1',
  );
  assert.equal(serverOf(llama16k, 'llama3', 'llamacpp').verdict, 'needs-file');
  const dynamic = serverOf(llama16k, 'dynamic', 'llamacpp');
  assert.equal(dynamic.verdict, 'refused');
  assert.equal(dynamic.command, null);
  assert.match(dynamic.notes.join(), /knows none, linear and yarn/);
  for (const { servers } of llama16k.schemes) {
    const ollama = servers.find(({ server }) => server === 'ollama');
    assert.equal(ollama?.verdict, 'capped');
    assert.match(
      ollama?.notes.join() ?? '',
      /num_ctx is cut to the file's context_length \(4096\)/,
    );
  }
});

test('a yarn model whose limit is stated unscaled, and one with its settings in text_config', () => {
  const scaling = { type: 'yarn', factor: 4, original_max_position_embeddings: 32768 };
  const plan = planExtension({ config: { ...qwen25, rope_scaling: scaling }, length: 131_072 });
  const vllm = overrideOf(serverOf(plan, 'yarn', 'vllm'), '--hf-overrides');
  assert.equal(vllm['max_position_embeddings'], 131_072);
  // The file's own factor does not raise what slots are capped at; only another one does.
  assert.match(
    serverOf(plan, 'yarn', 'llamacpp').arguments.join(' '),
    /--override-kv qwen2\.context_length=int:131072/,
  );
  const gemma = planExtension({ config: gemma3, length: 2_097_152 });
  const nested = overrideOf(serverOf(gemma, 'linear', 'vllm'), '--hf-overrides');
  const text = nested['text_config'] as { rope_parameters: Record<string, { factor?: number }> };
  assert.equal(text.rope_parameters['full_attention']?.factor, 16);
  assert.equal(text.rope_parameters['sliding_attention']?.factor, undefined);
});

test('LongRoPE: the table of the target, its regimes, and no further than it was searched for', () => {
  const plan = planExtension({ config: phi3, length: 131_072 });
  const scheme = schemeOf(plan, 'longrope');
  near(scheme.attentionFactor, 1.190238071);
  const plain = plainFrequencies({ headDim: 96, base: 10_000 });
  nearAll(
    scheme.inverseFrequencies,
    Array.from(plain, (theta, i) => theta / (1 + i)),
  );
  assert.match(scheme.cache, /keys of one never serve the other/);
  assert.equal(serverOf(plan, 'longrope', 'vllm').cacheRow, 'longrope-constant');
  assert.equal(serverOf(plan, 'longrope', 'sglang').cacheRow, 'longrope-batch');
  assert.match(serverOf(plan, 'longrope', 'vllm').notes.join(), /serves 4096 tokens only/);
  assert.throws(
    () => planExtension({ config: phi3, length: 131_073 }),
    /131073 tokens are out of reach: the LongRoPE tables of this model were searched for 131072/,
  );
});

test('stepped NTK reaches any length by itself, and only with its own code', () => {
  const config = { ...llama2, model_type: 'qwen', use_dynamic_ntk: true, seq_length: 2048 };
  const plan = planExtension({ config, length: 8192 });
  assert.deepEqual(
    plan.schemes.map(({ type }) => type),
    ['ntk-stepped'],
  );
  assert.equal(serverOf(plan, 'ntk-stepped', 'vllm').verdict, 'refused');
});

test('impossible targets are refused', () => {
  for (const length of [0, -1, 1.5, NaN, 2 ** 24 + 1]) {
    assert.throws(
      () => planExtension({ config: llama2, length }),
      (error) =>
        SluiceError.isInstance(error) &&
        error.code === 'REQUEST_INVALID' &&
        /target length must be a whole number of tokens from 1 to 16777216/.test(error.message),
    );
  }
  assert.equal(planExtension({ config: llama2, length: 2 ** 20 }).schemes.length, 6);
});

test('one server alone, and every cache row is one of the validity table', () => {
  const one = planExtension({ config: llama2, length: 8192, server: 'vllm' });
  assert.ok(one.schemes.every(({ servers }) => servers.length === 1));
  const rows = new Set(validityTable.map(({ id }) => id));
  const stepped = { ...llama2, model_type: 'qwen', use_dynamic_ntk: true, seq_length: 2048 };
  for (const config of [llama2, llama31, qwen25, deepseekV3, phi3, gemma3, stepped]) {
    for (const { servers } of planExtension({ config, length: 100_000 }).schemes) {
      assert.deepEqual(
        servers.map(({ server }) => server),
        planServers,
      );
      for (const { verdict, cacheRow, command, arguments: words } of servers) {
        const serves = verdict === 'runs' || verdict === 'needs-file';
        assert.equal(cacheRow !== null && rows.has(cacheRow), serves);
        assert.equal(command !== null, serves);
        if (!serves) assert.deepEqual(words, []);
      }
    }
  }
});

test('effective length is an estimate by published ratios, and says so', () => {
  const { tokens, from, to, basis } = estimateEffective(131_072);
  assert.deepEqual([tokens, from, to], [32_768, 16_384, 65_536]);
  assert.match(basis, /estimate by the median of 6 models in RULER.*not a measurement/);
  assert.equal(llama16k.effective.published.length, 6);
});
