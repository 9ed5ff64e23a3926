/** Every row of divergences.ts, shown to be true: the two sides differ. A row that stops differing fails here. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createCompressor } from '../../src/compress/create.ts';
import { createSelectiveContext } from '../../src/compress/selective-context.ts';
import { referencePrompt } from '../../src/compress/llmlingua2-reference.ts';
import { referenceLlmlingua2 } from '../../src/compress/reference/llmlingua2.ts';
import { referenceKeepModel } from '../../src/compress/reference/models.ts';
import { phraseStarts } from '../../src/compress/selective-context-phrases.ts';
import type { ScorerPool } from '../../src/score/create.ts';
import { wordGroups } from '../../src/tokenize/groups.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import { sentenceRanges } from '../../src/tokenize/sentences.ts';
import { jobOf } from '../helpers/compress-jobs.ts';
import { punkt } from './compare.ts';
import { divergences, notRun } from './divergences.ts';
import {
  causalFolder,
  classifierFolder,
  oracleMissing,
  readCases,
  readExpectations,
  textsOf,
} from './load.ts';
import type { Expectation, OracleCase } from './load.ts';
import { openOraclePool } from './pool.ts';
import { vocabularyOf } from './vocabulary.ts';
import { closePool } from '../helpers/close-pool.ts';

type Name = (typeof divergences)[number]['name'];

interface Sides {
  readonly oracle: OracleCase;
  readonly expected: Expectation;
  readonly pool: ScorerPool;
}

describe('divergences from the references', { skip: oracleMissing }, () => {
  let pool: ScorerPool;
  before(async () => {
    pool = await openOraclePool({ surprisal: true, keep: true });
  });
  after(() => closePool(pool));
  if (oracleMissing !== false) return;
  const cases = new Map(readCases().map((oracle) => [oracle.id, oracle]));
  const expectations = readExpectations();

  test('what was not run is what has no expectation', () => {
    assert.deepEqual(
      [...cases.keys()].filter((id) => !expectations.has(id)),
      [...notRun],
    );
  });

  for (const divergence of divergences)
    for (const id of divergence.cases)
      test(`${divergence.name} ${id}: ${divergence.what}`, async () => {
        const oracle = cases.get(id);
        const expected = expectations.get(id);
        assert.ok(oracle !== undefined && expected !== undefined);
        const [theirs, ours] = await sidesOf[divergence.name]({ oracle, expected, pool });
        knownDivergence(theirs, ours);
      });
});

function knownDivergence(theirs: unknown, ours: unknown): void {
  assert.notDeepEqual(ours, theirs, 'no longer differs: take the row out of divergences.ts');
}

const sidesOf: Readonly<Record<Name, (sides: Sides) => Promise<readonly [unknown, unknown]>>> = {
  'special-token-crash': async ({ oracle, expected, pool }) => {
    const tokenizer = loadTokenizer(causalFolder);
    const compressor = createCompressor('llmlingua', { tokenizer, scorers: pool });
    const { segments } = await compressor.compress(jobOf(textsOf(oracle)));
    assert.match(expected.error ?? '', /^ValueError/);
    assert.equal(segments[0]?.skipped, null);
    return [expected.error, segments[0]?.text];
  },
  'punkt-sentences': async ({ oracle }) => [
    punkt[oracle.id],
    textsOf(oracle).map((text) => sentenceRanges(text).map(({ start, end }) => end - start)),
  ],
  'spacy-noun-chunks': async ({ oracle, expected }) => {
    const text = textsOf(oracle).join('\n\n').replaceAll(/\s+/gu, ' ');
    const groups = wordGroups(text);
    const firsts = phraseStarts(text, groups);
    const phrases = firsts.map((first, i) =>
      text.slice(groups.starts[first], groups.ends[(firsts[i + 1] ?? groups.ends.length) - 1]),
    );
    const theirs = expected.trace?.units?.['phrase']?.[0].map((unit) => unit.trim());
    return [theirs, phrases];
  },
  'cl100k-counts': async ({ oracle, expected, pool }) => {
    assert.ok(pool.keep);
    const vocabulary = vocabularyOf(classifierFolder, pool.keep, () => 1);
    const run = await referenceLlmlingua2(
      referenceKeepModel(pool.keep, vocabulary),
      referencePrompt(textsOf(oracle), {
        rate: Number(oracle.params?.['rate']),
        targetToken: -1,
        options: {},
      }),
    );
    const labels = (run.labels ?? []).flat().map((list) => Array.from(list).join(''));
    return [expected.trace?.labels, labels.join('')];
  },
  'glued-pieces': async ({ oracle, expected, pool }) => {
    const tokenizer = loadTokenizer(causalFolder);
    const compressor = createCompressor('llmlingua', { tokenizer, scorers: pool });
    const { segments } = await compressor.compress(
      jobOf(textsOf(oracle), {
        budget: { type: 'rate', rate: Number(oracle.params?.['rate']) },
        options: { reference: true },
      }),
    );
    const ours = segments[0]?.text ?? '';
    assert.ok(expected.compressed?.includes('\ufffd') && !ours.includes('\ufffd'));
    // Same characters all the same, but for the separators and the one character that was cut.
    const squeeze = (text: string): string => text.replaceAll(/[\s\ufffd]/gu, '');
    const difference = Math.abs(squeeze(ours).length - squeeze(expected.compressed ?? '').length);
    assert.ok(difference <= 20, `${difference} characters`);
    return [expected.compressed, ours];
  },
  'start-token': async ({ oracle, expected, pool }) => {
    const tokenizer = loadTokenizer(causalFolder);
    const compressor = createSelectiveContext({ tokenizer, scorers: pool });
    const { segments } = await compressor.compress(
      jobOf(textsOf(oracle), {
        budget: { type: 'rate', rate: 1 - Number(oracle.params?.['reduce_ratio']) },
        options: { reference: true, reduce_level: 'sent' },
      }),
    );
    const squeeze = (text: string): string => text.replaceAll(/\s/gu, '');
    return [squeeze(expected.compressed ?? ''), squeeze(segments[0]?.text ?? '')];
  },
};
