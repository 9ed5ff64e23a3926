/** `sluice eval` over the sample sets with every arm: each row is there and sane; switches do what they say. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tierArms } from '../../src/cli/eval/arms.ts';
import type { UsedModel } from '../../src/cli/eval/models-used.ts';
import type { ArmName, ItemResult, MacroRow, TableRow } from '../../src/cli/eval/types.ts';
import { baselineNames, methodNames } from '../../src/core/method.ts';
import { run } from './helpers.ts';

const out = mkdtempSync(join(tmpdir(), 'sluice-smoke-'));
after(() => rmSync(out, { recursive: true, force: true }));

const arms: readonly ArmName[] = [...baselineNames, ...methodNames, ...tierArms];
const classifier = 'test/fixtures/models/tiny-classifier';
const rate = 0.33;
/** Records of each sample set. */
const records: Readonly<Record<string, number>> = {
  chinese: 2,
  code: 1,
  demonstrations: 2,
  documents: 6,
  json: 2,
  logs: 2,
  meeting: 2,
  tools: 2,
};
/** Arms that fill the budget word by word or sentence by sentence, whatever the text is. */
const exact = new Set<ArmName>(['head', 'tail', 'middle', 'random-word', 'random-sentence']);

interface Report {
  readonly question: string;
  readonly guards: string;
  readonly models: readonly UsedModel[];
  readonly records: Readonly<Record<string, number>>;
  readonly measurements: number;
  readonly missing: readonly string[];
  readonly macros: readonly { readonly rows: readonly MacroRow[] }[];
  readonly rows: readonly TableRow[];
}

async function evaluate(args: readonly string[], name: string): Promise<Report> {
  const { status, stderr } = await run(['eval', '--out', out, ...args]);
  assert.equal(status, 0, stderr);
  return JSON.parse(readFileSync(join(out, `${name}.json`), 'utf8'));
}

const within = (value: number | null, low: number, high: number): boolean =>
  value === null || (value >= low && value <= high);

function checkRow(row: TableRow): void {
  const name = `${row.set} ${row.arm} ${row.rate}`;
  assert.equal(row.n, records[row.set], name);
  assert.ok(row.asked <= row.n, name);
  assert.ok(row.achieved >= 0 && row.achieved <= 1, `${name} keeps ${row.achieved}`);
  if (exact.has(row.arm)) assert.ok(row.achieved <= row.rate + 0.01, `${name}: ${row.achieved}`);
  const parts = ['evidence', 'passages', 'numbers', 'identifiers', 'negations'] as const;
  for (const part of parts) assert.ok(within(row[part], 0, 1), `${name} ${part}: ${row[part]}`);
  for (const part of ['structure', 'prefixStability'] as const)
    assert.ok(within(row[part], 0, 1), `${name} ${part}: ${row[part]}`);
  assert.ok(within(row.msPer1000, 0, 1e6), `${name}: ${row.msPer1000} ms`);
  assert.equal(row.survival === null, row.asked === 0, name);
  for (const value of [row.survival, row.againstBm25, row.againstRandom]) {
    if (value === null) continue;
    const [low, high] = value.interval;
    assert.ok(low <= value.mean && value.mean <= high && low >= -1 && high <= 1, name);
  }
}

test('every arm on every sample set: each row is there and sane, the plots are drawn', async () => {
  const report = await evaluate(['--rates', String(rate), '--classifier', classifier], 'table');
  assert.deepEqual(report.missing, []);
  assert.deepEqual(report.records, records);
  const wanted = Object.keys(records).flatMap((set) =>
    arms.map((arm) => `${set} ${arm} ${arm === 'identity' ? 1 : rate}`),
  );
  const found = report.rows.map((row) => `${row.set} ${row.arm} ${row.rate}`);
  assert.deepEqual([...found].sort(), [...wanted].sort());
  report.rows.forEach(checkRow);
  for (const row of report.rows.filter(({ arm }) => arm === 'identity')) {
    assert.equal(row.achieved, 1);
    assert.equal(row.survival?.mean ?? 1, 1, row.set);
    assert.equal(row.numbers ?? 1, 1, row.set);
  }
  assert.equal(report.measurements, 19 * arms.length);
  const macros = new Map(report.macros[0]?.rows.map((row) => [row.arm, row]));
  assert.equal(macros.size, arms.length);
  const mean = (arm: ArmName): number => macros.get(arm)?.survival ?? 0;
  for (const arm of ['auto', 'auto-express', 'auto-balanced'] as const) {
    assert.ok(mean(arm) > mean('random-sentence') && mean(arm) > mean('head'), arm);
    assert.ok(Number(macros.get(arm)?.achieved) < 0.5, arm);
    assert.equal(macros.get(arm)?.structure, 1, arm);
    assert.equal(macros.get(arm)?.prefixStability, 1, arm);
  }
  for (const name of ['survival-by-rate', 'survival-by-time']) {
    const svg = readFileSync(join(out, `${name}.svg`), 'utf8');
    assert.match(svg, /^<svg [\s\S]*>auto<\/text>[\s\S]*<\/svg>\n$/);
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  }
});

test('the report names its command and the models of the arms', () => {
  const text = readFileSync(join(out, 'table.md'), 'utf8');
  assert.match(text, /- command: npx sluice eval --sets eval\/samples --rates 0\.33/);
  assert.match(text, /- model: minilm [\d.]+ for auto, auto-balanced.* \(sha256: .*encoder\.onnx/);
  assert.match(text, /\n\| documents +\| auto-express +\| 0\.33 \| 6 \|/);
  const report: Report = JSON.parse(readFileSync(join(out, 'table.json'), 'utf8'));
  const models = new Map(report.models.map((model) => [model.name, model]));
  assert.deepEqual(models.get('scout')?.arms, [
    'counts',
    'selective-context',
    'llmlingua',
    'longllmlingua',
  ]);
  assert.ok(models.get('table')?.arms.includes('auto-express'));
  assert.ok(models.get('minilm')?.arms.includes('auto'));
  assert.ok(models.has('tiny-classifier'));
});

/** What an arm made of every record, from the lines of a report. */
function itemsOf(name: string, arm: ArmName): ItemResult[] {
  const lines = readFileSync(join(out, 'items', `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line): ItemResult => JSON.parse(line)).filter((item) => item.arm === arm);
}

test('--no-question withholds the question from the methods and still looks for answers', async () => {
  const args = ['--methods', 'bm25-sentence,head', '--rates', String(rate), '--no-question'];
  const report = await evaluate(args, 'without-question');
  assert.match(report.question, /withheld/);
  assert.match(report.guards, /off/);
  report.rows.forEach(checkRow);
  const survivors = (name: string, arm: ArmName): boolean[] =>
    itemsOf(name, arm).flatMap(({ survived }) => survived ?? []);
  const found = (name: string, arm: ArmName): number =>
    survivors(name, arm).filter((survived) => survived).length;
  assert.equal(survivors('without-question', 'head').length, survivors('table', 'head').length);
  // what ranks by the question finds fewer answers; what does not is the same
  assert.ok(found('without-question', 'bm25-sentence') < found('table', 'bm25-sentence'));
  assert.equal(found('without-question', 'head'), found('table', 'head'));
  assert.ok(existsSync(join(out, 'without-question-survival-by-rate.svg')));
});

test('--guards holds numbers and negations in methods that drop words', async () => {
  const args = ['--methods', 'llmlingua2', '--classifier', classifier, '--rates', String(rate)];
  const guarded = await evaluate([...args, '--guards'], 'guards');
  assert.match(guarded.guards, /number.*negation/);
  const least = (name: string, part: 'numbers' | 'negations'): number =>
    Math.min(...itemsOf(name, 'llmlingua2').map((item) => item[part] ?? 1));
  for (const part of ['numbers', 'negations'] as const) {
    assert.ok(least('guards', part) >= 0.98, `${part}: ${least('guards', part)}`);
    assert.ok(least('table', part) < 0.98, `${part} are kept without guards too`);
  }
});

test('names of files are checked', async () => {
  const { status, stderr } = await run(['eval', '--name', '../table', '--methods', 'head']);
  assert.notEqual(status, 0);
  assert.match(stderr, /--name is \.\.\/table/);
});
