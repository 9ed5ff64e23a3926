/** docs/quality.md, the plots and the models: what is published is what was measured, with the files that are shipped. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  qualityFile,
  qualityText,
  readResults,
  resultsFolder,
} from '../../scripts/quality-page.ts';
import type { Results } from '../../scripts/quality-page.ts';
import { survivalByRate, survivalByTime } from '../../src/cli/eval/plots.ts';
import { modelsOfArms, modelsUsed, type UsedModel } from '../../src/cli/eval/models-used.ts';
import { spread } from '../../src/cli/eval/svg.ts';
import type { Estimate, MacroRow, TableRow } from '../../src/cli/eval/types.ts';

/** The committed reports of `sluice eval`, by name; other measurements may lie beside them. */
const reports = readdirSync(resultsFolder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({
    name: file.replace('.json', ''),
    data: JSON.parse(readFileSync(join(resultsFolder, file), 'utf8')),
  }))
  .filter(({ data }) => data.macros !== undefined);

test('docs/quality.md is up to date with the committed results', () => {
  const page = readFileSync(qualityFile, 'utf8');
  const fresh = qualityText(page, readResults());
  assert.ok(page === fresh, 'run `npm run quality` and commit docs/quality.md');
});

test('the committed plots show the committed tables', () => {
  assert.ok(reports.some(({ name }) => name === 'table'));
  for (const { name, data } of reports) {
    const prefix = name === 'table' ? '' : `${name}-`;
    const rows: readonly TableRow[] = data.rows;
    const macros: readonly { rows: readonly MacroRow[] }[] = data.macros;
    const plots = {
      rate: survivalByRate(rows),
      time: survivalByTime(macros.map((macro) => macro.rows)),
    };
    for (const [over, svg] of Object.entries(plots)) {
      const file = join(resultsFolder, `${prefix}survival-by-${over}.svg`);
      assert.ok(readFileSync(file, 'utf8') === `${svg}\n`, `${file} shows other numbers`);
    }
  }
});

test('the files in models/ are the ones that the tables were made with', () => {
  let compared = 0;
  for (const { name, data } of reports) {
    const models: readonly UsedModel[] = data.models;
    assert.ok(models.length > 0, `${name}.json names no model`);
    for (const model of models.filter(({ folder }) => folder.startsWith('models/'))) {
      for (const [file, recorded] of Object.entries(model.files)) {
        const path = join(model.folder, file);
        assert.ok(existsSync(path), `${name}.json was made with ${path}, which is gone`);
        const actual = createHash('sha256').update(readFileSync(path)).digest('hex');
        assert.equal(actual, recorded, `${name}.json was made with another ${path}: run it again`);
        compared += 1;
      }
    }
  }
  const { models } = readResults().table;
  for (const wanted of ['scout', 'table']) assert.ok(models.some(({ name }) => name === wanted));
  assert.ok(compared >= 10, `${compared} files`);
});

test('the models of a report: what the arms that ran ask, with whole checksums', async () => {
  const settings = {
    classifier: 'test/fixtures/models/tiny-classifier',
    vectors: 'models/student',
  };
  const all = await modelsUsed(['head', 'auto', 'auto-express', 'llmlingua2'], settings);
  assert.deepEqual(
    all.map(({ folder, arms }) => [folder, arms]),
    [
      ['models/scout', ['counts']],
      ['models/table', ['auto', 'auto-express']],
      ['models/student', ['auto']],
      ['test/fixtures/models/tiny-classifier', ['llmlingua2']],
    ],
  );
  for (const { files } of all)
    for (const sum of Object.values(files)) assert.match(sum, /^[0-9a-f]{64}$/);
  assert.deepEqual(
    modelsOfArms(all, ['auto-express']).map(({ name, arms }) => [name, arms]),
    [
      ['scout', ['counts']],
      ['table', ['auto-express']],
    ],
  );
});

const near = (mean: number): Estimate => ({ mean, interval: [mean - 0.05, mean + 0.05] });

function row(changes: Partial<TableRow>): TableRow {
  return {
    set: 'one',
    arm: 'auto',
    rate: 0.5,
    n: 10,
    asked: 10,
    achieved: 0.5,
    achievedBackend: null,
    survival: near(0.9),
    againstBm25: null,
    againstRandom: null,
    evidence: 0.8,
    passages: 0.7,
    numbers: 0.99,
    identifiers: null,
    negations: 0.5,
    structure: null,
    prefixStability: null,
    msPer1000: 2,
    ...changes,
  };
}

type Data = Results['table'];

function dataOf(rows: readonly TableRow[], guards = 'off'): Data {
  const { date, models } = readResults().table;
  const fixed = { date, command: 'npx sluice eval', missing: [], macros: [] };
  return { ...fixed, guards, models, records: { one: 10 }, rows };
}

/** A page with a mark for every table, around some prose. */
function emptyPage(): string {
  const page = readFileSync(qualityFile, 'utf8');
  const names = [...page.matchAll(/<!-- generated: ([\w-]+) -->/g)].map(([, name]) => name);
  const marks = names.map(
    (name) => `About ${name}.\n<!-- generated: ${name} -->\nold\n<!-- /generated -->`,
  );
  return marks.join('\n\n');
}

test('tables of the page: losses are named, prose stays, a second time changes nothing', () => {
  const table = dataOf([
    row({ againstBm25: near(-0.1) }),
    row({ rate: 0.2, survival: near(0.6), againstBm25: near(-0.01), passages: 0.4 }),
    row({ arm: 'auto-express', survival: near(0.85), againstBm25: near(0.1) }),
  ]);
  const results: Results = { table, withoutQuestion: null, guarded: [], reader: null };
  const text = qualityText(emptyPage(), results);
  assert.match(text, /About survival\.\n<!-- generated: survival -->/);
  assert.doesNotMatch(text, /^old$/m);
  assert.match(text, /\| one \| 10 \| \.900 \/ \.600 \| \.850 \/ - \|/);
  assert.match(
    text,
    /`auto`: whole interval below zero: one \.5 \(-0\.100\); mean below zero, interval not: one \.2 \(-0\.010\)\./,
  );
  assert.match(text, /`auto-express`: whole interval below zero: nowhere;/);
  assert.match(text, /\| one \| \.700 \/ \.400 \|/);
  assert.match(text, /\| one \| \+0\.050 \| - \|/);
  assert.equal(text.match(/Not measured yet/g)?.length, 3);
  assert.equal(qualityText(text, results), text);
});

test('tables of the page: without a question, guards and reader, where they exist', () => {
  const rows = [
    row({ againstRandom: near(0.2) }),
    row({ arm: 'random-sentence', survival: near(0.7) }),
    row({ arm: 'tail', survival: near(0.95) }),
  ];
  const guarded = [
    row({ arm: 'llmlingua2', numbers: 1, negations: 1 }),
    row({ set: 'two', arm: 'llmlingua2', numbers: 0.98, negations: null }),
  ];
  const answer = {
    set: 'one',
    n: 100,
    prompt_tokens: 400.4,
    timed: 90,
    right_95: [0.2, 0.4],
    minus_full_95: [-0.05, 0.15],
    first_token_over_full: 0.2,
  } as const;
  const results: Results = {
    table: dataOf(rows),
    withoutQuestion: dataOf(rows),
    guarded: [dataOf(guarded, 'number, negation')],
    reader: {
      date: '2026-01-01',
      rate: 0.2,
      rows: [
        { ...answer, arm: 'full', right: 0.25, minus_full: 0, first_token_ms: 5000 },
        { ...answer, arm: 'sluice', right: 0.3, minus_full: 0.05, first_token_ms: null },
      ],
    },
  };
  const text = qualityText(emptyPage(), results);
  assert.doesNotMatch(text, /Not measured yet/);
  assert.match(text, /\| one \| auto \| \+0\.200 \(\+0\.15\.\.\+0\.25\) \|/);
  assert.match(text, /is not above `random-sentence`, `tail` at: one \.5 \(tail\)\./);
  assert.match(text, /guards: number, negation/);
  assert.match(
    text,
    /\| llmlingua2 \| \.5 \| 20 \| \.500 \| \.990 \(\.980\) \| - \| 1\.00 \(1\.00\) \|/,
  );
  assert.match(
    text,
    /\| one \| full \| 100 \| \.250 \(0\.20\.\.0\.40\) \| - \| 400 \| 5000 \| 0\.20 \| 90 \|/,
  );
  assert.match(
    text,
    /\| sluice \| 100 \| \.300 .* \| \+0\.050 \(-0\.05\.\.\+0\.15\) \| 400 \| - \|/,
  );
});

test('a page without its marks is refused', () => {
  const results = readResults();
  assert.throws(() => qualityText('prose', results), /has lost its marks of measured/);
  const unknown = '<!-- generated: luck -->\n<!-- /generated -->';
  assert.throws(() => qualityText(unknown, results), /names no known table: luck/);
});

test('the plots: samples of the records are hollow over time and not drawn over rates', () => {
  const rows = [row({}), row({ arm: 'head', asked: 2, survival: near(0.3) })];
  const byRate = survivalByRate(rows);
  assert.match(byRate, />one \(10\)<\/text>/);
  assert.equal(byRate.match(/<circle/g)?.length, 1);
  const macro = (changes: Partial<MacroRow>): MacroRow => ({
    ...row({}),
    sets: 1,
    survival: 0.9,
    ...changes,
  });
  const few = [macro({ n: 2, survival: 0.1 }), macro({ n: 2, arm: 'llmlingua', survival: 0.4 })];
  const byTime = survivalByTime([few, [macro({ n: 10 })]]);
  const dots = [...byTime.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)" r="3" fill="(#\w+)"/g)];
  // survival .9 of all records, not .1 of the sample: 76 + 270 * (1 - .9)
  assert.deepEqual(
    dots.map(([, , y, fill]) => [y, fill]),
    [
      ['103', '#0072b2'],
      ['238', '#ffffff'],
    ],
  );
});

test('labels are moved apart and stay in their column', () => {
  assert.deepEqual(spread([10, 10, 50], { gap: 12, from: 0, to: 60 }), [10, 22, 50]);
  assert.deepEqual(spread([58, 60, 5], { gap: 12, from: 0, to: 60 }), [48, 60, 5]);
});
