/** llmlingua2 against the Python reference on the same weights: see divergences.ts for the rest. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { referencePrompt } from '../../src/compress/llmlingua2-reference.ts';
import { referenceLlmlingua2 } from '../../src/compress/reference/llmlingua2.ts';
import { referenceKeepModel } from '../../src/compress/reference/models.ts';
import type { MethodOptions } from '../../src/compress/types.ts';
import type { ScorerPool } from '../../src/score/create.ts';
import { classifierFolder, oracleMissing, readCases, readExpectations, textsOf } from './load.ts';
import { openOraclePool } from './pool.ts';
import { countsOf, vocabularyOf } from './vocabulary.ts';
import { closePool } from '../helpers/close-pool.ts';

describe('llmlingua2 as the reference runs it', { skip: oracleMissing }, () => {
  let pool: ScorerPool;
  before(async () => {
    pool = await openOraclePool({ keep: true });
  });
  after(() => closePool(pool));
  if (oracleMissing !== false) return;
  const expectations = readExpectations();
  const counts = countsOf(expectations);
  for (const oracle of readCases()) {
    const trace = expectations.get(oracle.id)?.trace;
    if (oracle.method !== 'llmlingua2' || trace === undefined) continue;
    test(`${oracle.id} llmlingua2`, async () => {
      assert.ok(pool.keep);
      const asked = oracle.params ?? {};
      const targeted = asked['target_token'] !== undefined;
      // Totals only matter where a number of tokens is asked for.
      const count = (text: string): number => {
        const known = counts(text);
        assert.ok(!targeted || !Number.isNaN(known), 'every count is known');
        return Number.isNaN(known) ? 0 : known;
      };
      const vocabulary = vocabularyOf(classifierFolder, pool.keep, count);
      const run = await referenceLlmlingua2(
        referenceKeepModel(pool.keep, vocabulary),
        referencePrompt(textsOf(oracle), {
          rate: Number(asked['rate'] ?? 0.5),
          targetToken: targeted ? Number(asked['target_token']) : -1,
          options: asked as MethodOptions,
        }),
      );
      assert.deepEqual(
        run.chunks.map((list) => list.map(({ text }) => Array.from(text).length)),
        trace.chunks,
        'chunk lengths',
      );
      run.chunks.flat().forEach(({ words, bare }, i) => {
        const [expectedWords, probabilities] = trace.chunks_words?.[i] ?? [[], []];
        assert.deepEqual(words, expectedWords, `words of chunk ${i}`);
        probabilities.forEach((pieces, w) => {
          const first = asked['token_to_word'] === 'first';
          const sum = pieces.reduce((total, value) => total + value, 0);
          const want = first ? (pieces[0] ?? Number.NaN) : sum / pieces.length;
          const got = bare[w] ?? Number.NaN;
          assert.ok(Math.abs(got - want) <= 1e-3, `chunk ${i} word ${w}: ${got} for ${want}`);
        });
      });
      const labels = (run.labels ?? []).flat().map((list) => Array.from(list).join(''));
      const jaccard = labelJaccard(labels.join(''), trace.labels ?? '');
      assert.ok(jaccard >= 0.99, `kept words: Jaccard ${jaccard}`);
    });
  }
});

function labelJaccard(left: string, right: string): number {
  assert.equal(left.length, right.length, 'number of words');
  let both = 0;
  let either = 0;
  for (let i = 0; i < left.length; i++) {
    if (left[i] === '1' && right[i] === '1') both++;
    if (left[i] === '1' || right[i] === '1') either++;
  }
  return either === 0 ? 1 : both / either;
}
