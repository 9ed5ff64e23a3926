/** The shipped token classifier: whole, the one its card measured, and of use. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createScorers } from '../../src/score/create.ts';
import { modelId, readManifest, scorerFile, verifyModel } from '../../src/score/manifest.ts';

const folder = 'models/keep';

test('the files are the ones of the manifest, and the card measured this model', async () => {
  assert.equal((await verifyModel(folder)).ok, true);
  const manifest = readManifest(folder);
  const id = modelId(manifest, scorerFile(manifest));
  assert.ok(readFileSync(`${folder}/CARD.md`, 'utf8').includes(`Measured with ${id}.`), id);
});

test('names, numbers and negations stay longer than function words', async (t) => {
  const pool = await createScorers({
    surprisal: null,
    keep: folder,
    workers: 1,
    threads: 1,
    queue: 8,
    cacheEntries: 16,
  });
  t.after(() => pool.close());
  const scorer = pool.keep;
  assert.ok(scorer !== null);
  const text =
    'The bridge over the river was not opened until 1932, when Mary Holloway paid for it.';
  const { starts, ends, values } = await scorer.score(text);
  const valueOf = (word: string): number => {
    const at = text.indexOf(word);
    const inside = [...values].filter(
      (_, i) => (starts[i] ?? 0) >= at && (ends[i] ?? 0) <= at + word.length,
    );
    return inside.reduce((sum, value) => sum + value, 0) / inside.length;
  };
  for (const kept of ['1932', 'Mary', 'Holloway', 'not', 'bridge'])
    for (const dropped of ['was', 'until', 'for', 'it.'])
      assert.ok(valueOf(kept) > valueOf(dropped), `${kept} and ${dropped}`);
});
