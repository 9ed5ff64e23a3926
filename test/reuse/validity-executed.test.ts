/** Every cell of the validity table against reference layers in double precision. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '../../src/reuse/validity.ts';
import { validityTable } from '../../src/reuse/validity-table.ts';
import { collection } from '../engine/reference/collection.ts';

const seeds = [1, 2, 3];

for (const row of validityTable) {
  if (!row.executed) continue;
  test(`validity of ${row.id}`, () => {
    const specimen = collection[row.id];
    assert.ok(specimen, `no reference layers for the row ${row.id}`);
    for (const operation of operations) {
      const { stored, repaired, otherwise } = row.cells[operation];
      for (const seed of seeds)
        assert.deepEqual(
          specimen[operation](seed),
          { stored, repaired, otherwise },
          `${row.id}, ${operation}, seed ${seed}: layers (actual) and table (expected) disagree`,
        );
    }
  });
}

test('no reference layers without a row', () => {
  const executed = validityTable.filter((row) => row.executed).map((row) => row.id);
  assert.deepEqual(Object.keys(collection).sort(), [...executed].sort());
});
