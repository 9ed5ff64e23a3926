/** Rank correlation, and benches of every kind of model against a reference. */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { benchModel, spearman } from '../../src/score/bench.ts';
import { fixtures } from './helpers.ts';

const sentences = Array.from(
  { length: 60 },
  (_, i) => `Report ${i} of the committee was published ${'again '.repeat(i % 7)}in draft form.`,
).join(' ');

test('rank correlation: order, reversed order, ties, and lists that say nothing', () => {
  assert.equal(spearman([1, 2, 3, 4], [10, 20, 30, 1000]), 1);
  assert.equal(spearman([1, 2, 3, 4], [4, 3, 2, 1]), -1);
  // ranks 0 1.5 1.5 3 against 0 1 2 3: 4.5 / sqrt(4.5 * 5)
  assert.ok(Math.abs(spearman([1, 2, 2, 3], [1, 2, 3, 4]) - 4.5 / Math.sqrt(22.5)) < 1e-12);
  assert.equal(spearman([1, 1, 1], [1, 2, 3]), 0);
  assert.equal(spearman([], []), 0);
});

const kinds = ['tiny-causal', 'tiny-classifier', 'tiny-xlmr', 'tiny-encoder', 'tiny-cross'];
for (const name of kinds)
  test(`${name} agrees with itself, and an fp32 file beside it is found`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(join(fixtures, name), folder, { recursive: true });
    const options = { folder, text: sentences, reference: null, seconds: 0.02 };
    const alone = await benchModel(options);
    assert.equal(alone.rankAgreement, null);
    assert.ok(alone.tokensPerCpuSecond > 0);
    copyFileSync(join(folder, 'model.onnx'), join(folder, 'model_fp32.onnx'));
    const beside = await benchModel(options);
    assert.equal(beside.reference, join(folder, 'model_fp32.onnx'));
    assert.ok(Math.abs(beside.rankAgreement! - 1) < 1e-9, `${beside.rankAgreement}`);
    assert.ok(beside.compared > 20, `${beside.compared} values`);
  });
