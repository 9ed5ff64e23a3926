/** `sluice eval`: from item results to the table, and wrong arguments. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { estimate } from '../../src/cli/eval/bootstrap.ts';
import { renderMacro, renderTable } from '../../src/cli/eval/render.ts';
import { runEvaluation } from '../../src/cli/eval/run.ts';
import type { RunOptions } from '../../src/cli/eval/run.ts';
import { readSets, sample } from '../../src/cli/eval/sets.ts';
import { macroOf, tableOf } from '../../src/cli/eval/table.ts';
import type { ArmName, ItemResult } from '../../src/cli/eval/types.ts';
import { SluiceError } from '../../src/index.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import { halvingCompressor } from '../helpers/gateway.ts';
import { run } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-eval-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function result(changes: Partial<ItemResult>): ItemResult {
  return {
    set: 'a',
    id: '1',
    arm: 'auto',
    rate: 0.5,
    tokensBefore: 100,
    tokensAfter: 50,
    backendBefore: null,
    backendAfter: null,
    survived: true,
    evidenceRecall: null,
    passages: null,
    numbers: null,
    identifiers: null,
    negations: null,
    structure: null,
    prefixStability: null,
    milliseconds: 2,
    ...changes,
  };
}

test('a row: means over the items that a measure applies to, tokens summed, cold times only', () => {
  const results = [
    result({ id: '1', numbers: 1, tokensBefore: 300, tokensAfter: 100, milliseconds: 6 }),
    result({ id: '2', numbers: 0.5, survived: false, milliseconds: null }),
    result({ id: '3', survived: null, milliseconds: null }),
    result({ id: '1', arm: 'bm25-sentence-document', survived: false }),
    result({ id: '2', arm: 'bm25-sentence-document', survived: false }),
    result({ id: '3', arm: 'bm25-sentence-document', survived: null }),
  ];
  const rows = tableOf(results, ['bm25-sentence-document', 'auto']);
  assert.deepEqual(
    rows.map(({ arm }) => arm),
    ['bm25-sentence-document', 'auto'],
  );
  const row = rows[1];
  assert.ok(row);
  assert.equal(row.n, 3);
  assert.equal(row.asked, 2);
  assert.equal(row.achieved, 200 / 500);
  assert.equal(row.survival?.mean, 0.5);
  assert.equal(row.againstBm25?.mean, 0.5);
  assert.equal(row.numbers, 0.75);
  assert.equal(row.evidence, null);
  assert.equal(row.msPer1000, 20);
  assert.equal(rows[0]?.againstBm25, null);
  assert.match(
    renderTable(rows),
    /^\| set .*\n\|-.*\n\| a +\| bm25-sentence-document .*\n\| a +\| auto /,
  );
});

test('means over the sets count each set once, and only records that every method measured', () => {
  const results = [
    result({ set: 'a', id: '1', survived: true }),
    result({ set: 'a', id: '2', survived: true }),
    result({ set: 'a', id: '3', survived: false }),
    result({ set: 'b', id: '1', survived: false }),
    result({ set: 'a', id: '1', arm: 'head', survived: false }),
    result({ set: 'a', id: '2', arm: 'head', survived: true }),
    result({ set: 'b', id: '1', arm: 'head', survived: true }),
  ];
  const rows = macroOf(results, ['head', 'auto']);
  assert.deepEqual(
    rows.map(({ arm, n, sets, survival }) => [arm, n, sets, survival]),
    [
      ['head', 3, 2, 0.75],
      ['auto', 3, 2, 0.5],
    ],
  );
  assert.equal(macroOf(results, ['auto'])[0]?.n, 4);
  assert.match(renderMacro(rows), /\| head +\| 0\.5 +\| 2 +\| 3 +\| 0\.500 \| 0\.750 \|/);
});

test('the interval: the same every time, around the mean, narrow for equal values', () => {
  const values = Array.from({ length: 40 }, (_, at) => at % 2);
  const once = estimate(values);
  assert.deepEqual(estimate(values), once);
  assert.equal(once.mean, 0.5);
  const [low, high] = once.interval;
  // +-1.96 standard errors of a fair coin over 40 items: 0.345..0.655
  assert.ok(low > 0.3 && low < 0.4 && high > 0.6 && high < 0.7, `${low}..${high}`);
  assert.deepEqual(estimate([1, 1, 1]).interval, [1, 1]);
});

test('a sample is fixed, nested and follows no step; what cannot be read is named', () => {
  const places = Array.from({ length: 300 }, (_, at) => at);
  const few = sample(places, 20);
  assert.equal(few.length, 20);
  assert.deepEqual(sample(places, 20), few);
  assert.deepEqual(
    few,
    [...few].sort((a, b) => a - b),
  );
  const more = new Set(sample(places, 50));
  assert.ok(few.every((place) => more.has(place)));
  // sets repeat a pattern every five records: all five kinds are there
  assert.equal(new Set(few.map((place) => place % 5)).size, 5);
  assert.deepEqual(sample([0, 1], 3), [0, 1]);
  const read = (only: string[] = []): unknown => readSets({ folder, only, limit: null });
  const refused = (pattern: RegExp) => (error: unknown) =>
    SluiceError.isInstance(error) &&
    error.code === 'REQUEST_INVALID' &&
    pattern.test(error.message);
  assert.throws(() => read(), refused(/No evaluation set/));
  writeFileSync(join(folder, 'one.jsonl'), '{"id": "1", "context": "text"}\n\n{"id": ');
  assert.throws(() => read(), refused(/one\.jsonl, line 3 is not JSON/));
  assert.throws(() => read(['two']), refused(/two/));
  writeFileSync(join(folder, 'one.jsonl'), '{"id": "1", "context": "text"}\n');
  assert.equal(readSets({ folder, only: ['one'], limit: 1 }).get('one')?.[0]?.id, '1');
});

test('a run: every rate is timed first on its share of items; missing models are named, defects are thrown', async () => {
  const items = [
    ...readSets({ folder: 'eval/samples', only: ['documents'], limit: 4 }).values(),
  ].flat();
  const results: ItemResult[] = [];
  const missing: string[] = [];
  const options = (open: RunOptions['open']): RunOptions => ({
    arms: ['auto', 'llmlingua2'],
    items: () => items,
    rates: [0.5, 0.2],
    questions: true,
    survivors: { classes: [], literals: [], patterns: [] },
    options: {},
    open,
    backendTokenizer: fakeTokenizer(),
    signal: new AbortController().signal,
    onItem: (measured) => void results.push(measured),
    onUnavailable: (arm: ArmName, reason) => void missing.push(`${arm}: ${reason}`),
    onProgress: () => {},
  });
  const opened = {
    compressor: halvingCompressor(),
    tokenizer: fakeTokenizer(),
    forward: null,
    close: async () => {},
  };
  await runEvaluation(
    options(async (arm) => {
      if (arm === 'auto') return opened;
      throw new SluiceError('METHOD_UNAVAILABLE', 'no classifier');
    }),
  );
  assert.deepEqual(missing, ['llmlingua2: no classifier']);
  assert.equal(results.length, 8);
  const cold = results.filter(({ milliseconds }) => milliseconds !== null);
  assert.deepEqual(
    cold.map(({ id, rate }) => `${id} ${rate}`),
    items.map(({ id }, at) => `${id} ${at % 2 === 0 ? 0.5 : 0.2}`),
  );
  const defect = options(() => Promise.reject(new TypeError('defect')));
  await assert.rejects(runEvaluation(defect), /defect/);
});

test('wrong arguments are named', async () => {
  const [method, rate, limit] = await Promise.all([
    run(['eval', '--methods', 'best']),
    run(['eval', '--rates', '2']),
    run(['eval', '--limit', '0']),
  ]);
  for (const [outcome, pattern] of [
    [method, /Method best is not one of identity/],
    [rate, /--rates holds 2/],
    [limit, /--limit is 0/],
  ] as const) {
    assert.notEqual(outcome?.status, 0);
    assert.match(outcome?.stderr ?? '', pattern);
  }
});
