/** Runs llmlingua and longllmlingua cases in reference mode and compares them with what the Python package did. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { referenceModel } from '../../src/compress/reference/models.ts';
import { referenceLlmlingua } from '../../src/compress/reference/llmlingua.ts';
import { textLosses } from '../../src/compress/reference/contexts.ts';
import type { MethodOptions } from '../../src/compress/types.ts';
import type { SurprisalScorer } from '../../src/score/types.ts';
import type { ScorerPool } from '../../src/score/create.ts';
import { oracleMissing, readCases, readExpectations, sequenceJaccard, textsOf } from './load.ts';
import type { Expectation, OracleCase } from './load.ts';
import { openOraclePool } from './pool.ts';
import { closePool } from '../helpers/close-pool.ts';

export const punkt = JSON.parse(
  readFileSync(join('test', 'oracle', 'fixtures', 'punkt-sentences.json'), 'utf8'),
) as Readonly<Record<string, readonly (readonly number[])[]>>;

/** Cases that take long because every window is computed from its start; in a file of their own. */
const slow = new Set(['L04', 'L06', 'L08', 'L10', 'L12', 'L17', 'Q06', 'Q08']);

/** Declares one test per case that has an expectation. Slow ones run with SLUICE_ORACLE=all only. */
export function describeReference(
  methods: readonly OracleCase['method'][],
  which: 'quick' | 'slow',
): void {
  const name = `${methods.join(' and ')} as the reference runs it (${which} cases)`;
  describe(name, { skip: oracleMissing }, () => {
    let pool: ScorerPool;
    before(async () => {
      pool = await openOraclePool({ surprisal: true });
    });
    after(() => closePool(pool));
    if (oracleMissing !== false) return;
    const skip =
      which === 'slow' && process.env['SLUICE_ORACLE'] !== 'all' && 'slow; set SLUICE_ORACLE=all';
    const expectations = readExpectations();
    for (const oracle of readCases()) {
      const expected = expectations.get(oracle.id);
      if (!methods.includes(oracle.method) || expected?.trace === undefined) continue;
      if (slow.has(oracle.id) !== (which === 'slow')) continue;
      test(`${oracle.id} ${oracle.method}`, { skip }, async () => {
        assert.ok(pool.surprisal);
        await compareRun(pool.surprisal, oracle, expected);
      });
    }
  });
}

/** Token ids equal, NLL within 1e-3, ranking equal, thresholds within 2e-3, kept positions Jaccard 0.99 or more. */
async function compareRun(
  scorer: SurprisalScorer,
  oracle: OracleCase,
  expected: Expectation,
): Promise<void> {
  const model = referenceModel(scorer);
  const source = textsOf(oracle).join('\n\n');
  const bos = model.bosId === null ? [] : [model.bosId];
  const ids = [...bos, ...model.encode(source)].slice(0, model.maxPositions);
  assert.deepEqual(ids.slice(bos.length), expected.token_ids, 'token ids');
  const losses = await textLosses(model, source);
  (expected.nll ?? []).flat().forEach((value, i) => near(losses[i], value, 1e-3, `nll ${i}`));

  const asked = oracle.params ?? {};
  const condition = String(asked['condition_in_question'] ?? 'none').replace('_condition', '');
  const options = { ...asked, condition_in_question: condition } as MethodOptions;
  const run = await referenceLlmlingua(model, {
    method: oracle.method === 'longllmlingua' ? 'longllmlingua' : 'llmlingua',
    contexts: textsOf(oracle).filter((text, _, all) => all.length > 1 || text !== ''),
    instruction: oracle.instruction ?? '',
    question: oracle.question ?? '',
    rate: Number(asked['rate'] ?? 0.5),
    targetToken: asked['target_token'] === undefined ? null : Number(asked['target_token']),
    options,
    sentencesOf: (text, index) => {
      let at = 0;
      return (punkt[oracle.id]?.[index] ?? []).map((length) => text.slice(at, (at += length)));
    },
  });
  const trace = expected.trace ?? {};
  if (trace.contexts_used !== undefined) assert.deepEqual(run.contextsUsed, trace.contexts_used);
  (trace.dynamic_ratio ?? []).forEach((value, i) =>
    near(run.dynamicRatio[i], value, 1e-4, 'rates'),
  );
  if (trace.token_budget !== undefined) near(run.target, trace.token_budget, 1e-3, 'budget');
  const thresholds = run.tokens?.thresholds ?? [];
  assert.equal(thresholds.length, trace.thresholds?.length ?? 0, 'number of thresholds');
  trace.thresholds?.forEach(([rate, value, count], i) => {
    const own = thresholds[i];
    near(own?.rate, rate, 1e-5, `rate ${i}`);
    near(own?.value, value ?? Number.NEGATIVE_INFINITY, 2e-3, `threshold ${i}`);
    // A score that ties with the threshold within rounding may fall on either side; each one shifts later counts by one.
    near(own?.values, count, Math.max(1, 0.005 * count), `values ${i}`);
  });
  if (trace.kept_ids === undefined) return;
  const kept = run.tokens?.keptIds ?? new Uint32Array(0);
  const jaccard = sequenceJaccard(kept, trace.kept_ids);
  assert.ok(jaccard >= 0.99, `kept positions: Jaccard ${jaccard}`);
  assert.equal(run.tokens?.overflow, false);
}

function near(got: number | undefined, want: number, tolerance: number, what: string): void {
  const equal = got === want || Math.abs((got ?? Number.NaN) - want) <= tolerance;
  assert.ok(equal, `${what}: ${got} for ${want}`);
}
