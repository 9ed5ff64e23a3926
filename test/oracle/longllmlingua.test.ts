/** longllmlingua against the Python reference on the same weights: see divergences.ts for the rest. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ScorerPool } from '../../src/score/create.ts';
import { compareRun, tooSlow } from './compare.ts';
import { oracleMissing, readCases, readExpectations } from './load.ts';
import { openOraclePool } from './pool.ts';

describe('longllmlingua as the reference runs it', { skip: oracleMissing }, () => {
  let pool: ScorerPool;
  before(async () => {
    pool = await openOraclePool({ surprisal: true });
  });
  after(() => pool.close());
  if (oracleMissing !== false) return;
  const expectations = readExpectations();
  for (const oracle of readCases()) {
    const expected = expectations.get(oracle.id);
    if (oracle.method !== 'longllmlingua' || expected?.trace === undefined) continue;
    test(`${oracle.id} longllmlingua`, { skip: tooSlow(oracle.id) }, async () => {
      assert.ok(pool.surprisal);
      await compareRun(pool.surprisal, oracle, expected);
    });
  }
});
