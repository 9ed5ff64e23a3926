/** Profiles of methods: complete, and never at odds with the validity table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { profileGroups, reuseClasses } from '../../../src/core/attention-profile.ts';
import { attentionProfiles, reuseClassOf } from '../../../src/core/attention-profiles.ts';
import { validityTable } from '../../../src/reuse/validity-table.ts';

test('every method of the survey is there, once', () => {
  const ids = attentionProfiles.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const survey = [
    'alibi rope xpos pi longrope structured-prompting pcw streaming llmlingua selective-context',
    'led linformer star-transformer longformer etc cpc cosformer soft sima relu-attention',
    'mamba aft rwkv pruning weight-quantisation kv-quantisation distillation',
    'flash-attention blockwise-parallel ring-attention longnet paged-attention flash-decoding',
  ].flatMap((line) => line.split(' '));
  assert.deepEqual(
    survey.filter((id) => !ids.includes(id)),
    [],
  );
  for (const profile of attentionProfiles) {
    assert.ok(profileGroups.includes(profile.group) && profile.reuse in reuseClasses);
    for (const text of [
      profile.title,
      profile.cost,
      profile.maxContext,
      profile.movable,
      profile.note,
    ]) {
      assert.ok(text.length > 0, profile.id);
    }
  }
});

test('reuse classes agree with the rows of the validity table', () => {
  const linked = attentionProfiles.filter(({ row }) => row !== null);
  assert.ok(linked.length >= 20);
  for (const { id, row, reuse } of linked) {
    const cells = validityTable.find((one) => one.id === row)?.cells;
    assert.ok(cells, `${id} names the row ${String(row)}, which is not there`);
    const { append, rollback } = cells;
    const found = `${id}: append ${append.stored} ${append.when}, rollback ${rollback.stored} ${rollback.when}`;
    if (reuse === 'W') assert.equal(append.when, 'entries-resident', found);
    if (reuse === 'S') assert.notEqual(rollback.when, 'always', found);
    if (reuse === 'N') assert.notEqual(append.stored, 'exact', found);
    if (reuse === 'A') assert.equal(append.stored, 'exact', found);
  }
});

test('the class of a model is that of its strictest layers', () => {
  assert.equal(reuseClassOf(['full']), 'A');
  assert.equal(reuseClassOf(['full', 'window']), 'W');
  assert.equal(reuseClassOf(['window', 'recurrent']), 'S');
  assert.equal(reuseClassOf(['recurrent']), 'S');
});
