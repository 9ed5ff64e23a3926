/** selective-context against the Python reference on the same weights: see divergences.ts for the rest. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { referenceSelectiveModel } from '../../src/compress/reference/models.ts';
import { referenceSelectiveContext } from '../../src/compress/reference/selective-context.ts';
import type { ScorerPool } from '../../src/score/create.ts';
import { oracleMissing, readCases, readExpectations, textsOf } from './load.ts';
import { openOraclePool } from './pool.ts';
import { tracePhrases } from './phrases.ts';
import { closePool } from '../helpers/close-pool.ts';

/** `<|endoftext|>` in the vocabulary of the reference's small model. */
const startId = 3;

describe('selective-context as the reference runs it', { skip: oracleMissing }, () => {
  let pool: ScorerPool;
  before(async () => {
    pool = await openOraclePool({ surprisal: true });
  });
  after(() => closePool(pool));
  if (oracleMissing !== false) return;
  const expectations = readExpectations();
  for (const oracle of readCases()) {
    const expected = expectations.get(oracle.id);
    if (oracle.method !== 'selective-context' || expected?.trace === undefined) continue;
    const { trace } = expected;
    test(`${oracle.id} selective-context`, async () => {
      assert.ok(pool.surprisal);
      const level = String(oracle.params?.['reduce_level']);
      assert.ok(level === 'phrase' || level === 'sent' || level === 'token');
      const [texts, values] = trace.units?.[level] ?? [[], []];
      const run = await referenceSelectiveContext(
        referenceSelectiveModel(pool.surprisal, { startId }),
        {
          text: textsOf(oracle).join('\n\n'),
          reduceRatio: Number(oracle.params?.['reduce_ratio']),
          level,
          phrasesOf: tracePhrases(texts),
        },
      );
      assert.deepEqual(
        run.ids.map((ids) => Array.from(ids)),
        expected.token_ids,
        'token ids',
      );
      expected.nll?.forEach((list, s) => {
        [list].flat().forEach((value, i) => near(run.surprisals[s]?.[i], value, 1e-3));
      });
      assert.deepEqual(
        run.units.map(({ text }) => text),
        texts,
      );
      values.forEach((value, i) => near(run.units[i]?.value, value ?? Number.NaN, 1e-3));
      near(run.threshold, trace.threshold ?? Number.NaN, 2e-3);
      assert.equal(run.text, expected.compressed, 'kept units');
    });
  }
});

function near(got: number | undefined, want: number, tolerance: number): void {
  const equal = Object.is(got, want) || Math.abs((got ?? Number.NaN) - want) <= tolerance;
  assert.ok(equal, `${got} for ${want}`);
}
