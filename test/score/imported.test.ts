/** Folders as Hugging Face exports them: kinds, contexts, pooling, and the tokenizer kinds of LLMLingua-2 models. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readManifest, verifyModel } from '../../src/score/manifest.ts';
import { expectedOf, fixtures, withScorers } from './helpers.ts';

function copyOf(t: TestContext, name: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'sluice-import-'));
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  cpSync(join(fixtures, name), copy, { recursive: true });
  return copy;
}

function change(folder: string, values: Record<string, unknown>): void {
  const path = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...config, ...values }));
}

for (const [name, context] of [
  ['tiny-xlmr', 192],
  ['tiny-modernbert', 192],
] as const)
  test(`${name}: a token classifier without a manifest scores as PyTorch does`, async () => {
    const folder = join(fixtures, name);
    const manifest = readManifest(folder);
    assert.equal(manifest.kind, 'token-classifier');
    assert.equal(manifest.context_length, context);
    assert.equal((await verifyModel(folder)).ok, true);
    await withScorers({ surprisal: null, keep: folder }, async ({ keep }) => {
      for (const row of expectedOf(folder)) {
        const { ids, values } = await keep!.score(row.text);
        assert.deepEqual([...ids], row.ids, row.text);
        for (const [i, value] of row.values.entries())
          assert.ok(Math.abs(value - values[i]!) < 1e-4, `${row.text}: ${i}`);
      }
    });
  });

test('kinds follow from the architecture', (t) => {
  const folder = copyOf(t, 'tiny-encoder');
  const kinds = {
    BertModel: 'sentence-encoder',
    XLMRobertaForSequenceClassification: 'cross-encoder',
    ModernBertForTokenClassification: 'token-classifier',
    LlamaForCausalLM: 'causal-lm',
    GPT2LMHeadModel: 'causal-lm',
  };
  for (const [architecture, kind] of Object.entries(kinds)) {
    change(folder, { architectures: [architecture] });
    assert.equal(readManifest(folder).kind, kind, architecture);
  }
  change(folder, { architectures: ['T5ForConditionalGeneration'] });
  assert.throws(() => readManifest(folder), { code: 'MODEL_INVALID', message: /architectures/ });
});

test('sentence-transformers: the shorter context and first-token pooling are honoured', async (t) => {
  const folder = copyOf(t, 'tiny-encoder');
  const mean = readManifest(folder);
  assert.equal(mean['pooling'], 'mean');
  assert.equal(mean['dimension'], 16);
  writeFileSync(join(folder, 'sentence_bert_config.json'), JSON.stringify({ max_seq_length: 32 }));
  mkdirSync(join(folder, '1_Pooling'));
  writeFileSync(
    join(folder, '1_Pooling/config.json'),
    JSON.stringify({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }),
  );
  const first = readManifest(folder);
  assert.equal(first.context_length, 32);
  assert.equal(first['pooling'], 'first');
  const texts = ['the committee met on Monday'];
  const vectors: Float32Array[] = [];
  for (const model of [join(fixtures, 'tiny-encoder'), folder])
    await withScorers({ surprisal: null, vectors: model }, async (pool) => {
      vectors.push(...(await pool.vectors!.vectors(texts)));
    });
  assert.notDeepEqual(vectors[0], vectors[1]);
});

test('a model with fewer positions than the warm-up pass has tokens is opened', async (t) => {
  const folder = copyOf(t, 'tiny-encoder');
  change(folder, { max_position_embeddings: 8 });
  await withScorers({ surprisal: null, vectors: folder }, async ({ vectors }) => {
    const [vector] = await vectors!.vectors(['a text of more than six tokens in three pieces']);
    assert.ok(Math.abs(Math.hypot(...vector!) - 1) < 1e-6);
  });
});

test('weights beside the graph belong to the files', (t) => {
  const folder = copyOf(t, 'tiny-encoder');
  writeFileSync(join(folder, 'model.onnx_data'), 'weights');
  assert.equal(readManifest(folder).files['model.onnx_data']?.bytes, 7);
});
