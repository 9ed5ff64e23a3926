/**
 * What every signal says about every unit of an evaluation-like set, one JSON line an item: the input of
 * training/fusion/fit.py, made by the product's own code.
 *
 *   node --import tsx scripts/relevance-features.ts FOLDER SET OUT
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { containsAnswer, normalise } from '../src/cli/eval/normalise.ts';
import { readSets } from '../src/cli/eval/sets.ts';
import type { EvalItem } from '../src/cli/eval/types.ts';
import { bm25, indexTerms, queryTerms, terms } from '../src/compress/bm25.ts';
import { factSteps } from '../src/compress/facts.ts';
import { splitUnits } from '../src/compress/units.ts';
import { runSteps } from '../src/core/steps.ts';
import { modelFolder } from '../src/models.ts';
import { createScorers, type ScorerPool } from '../src/score/create.ts';
import { scoutFolder } from '../src/sluice.ts';
import { loadTokenizer } from '../src/tokenize/load.ts';

const tokenizer = loadTokenizer(scoutFolder);

interface Unit {
  readonly document: number;
  readonly start: number;
  readonly end: number;
  readonly kind: string;
  readonly text: string;
}

function unitsOf(item: EvalItem): Unit[] {
  return item.segments.flatMap(({ text }, document) => {
    const units = splitUnits(text);
    return Array.from(units.starts, (start, i) => {
      const end = units.ends[i] ?? start;
      return { document, start, end, kind: units.kinds[i] ?? '', text: text.slice(start, end) };
    });
  });
}

const dot = (a: Float32Array, b: Float32Array | undefined): number =>
  a.reduce((sum, value, i) => sum + value * (b?.[i] ?? 0), 0);

const rounded = (values: Iterable<number>): number[] =>
  Array.from(values, (value) => Number(value.toFixed(5)));

async function featuresOf(item: EvalItem, scorers: ScorerPool): Promise<object> {
  const units = unitsOf(item);
  const texts = units.map(({ text }) => text);
  const query = queryTerms(item.question);
  const unitTerms = texts.map(terms);
  const whole = indexTerms(item.segments.map(({ text }) => terms(text)));
  const [asked, ...table] = scorers.table?.vectors([item.question, ...texts]) ?? [];
  const vectors = (await scorers.vectors?.vectors([item.question, ...texts])) ?? [];
  return {
    set: item.set,
    asked: item.answers.length > 0,
    total: item.segments.reduce((sum, { text }) => sum + tokenizer.count(text), 0),
    document: units.map(({ document }) => document),
    kind: units.map(({ kind }) => kind),
    cost: texts.map((text) => tokenizer.count(text)),
    bm25: rounded(bm25(indexTerms(unitTerms), query)),
    whole: rounded(bm25(whole, query)),
    facts: rounded(runSteps(factSteps(texts))),
    late: rounded(scorers.table?.scores(item.question, texts) ?? []),
    table: rounded(table.map((vector) => dot(vector, asked))),
    vectors: rounded(vectors.slice(1).map((vector) => dot(vector, vectors[0]))),
    answer: texts.map((text) =>
      item.answers.some((answer) => containsAnswer([normalise(text)], answer)),
    ),
    evidence: units.map(({ document, start, end }) =>
      item.evidence.some((e) => e.segment === document && e.start < end && start < e.end),
    ),
  };
}

const [folder, set, out] = process.argv.slice(2);
if (folder === undefined || set === undefined || out === undefined) {
  console.error('usage: relevance-features FOLDER SET OUT');
  process.exit(2);
}
const scorers = await createScorers({
  surprisal: null,
  keep: null,
  vectors: modelFolder(null, 'vectors'),
  table: modelFolder(null, 'table'),
  workers: 1,
  threads: 1,
  queue: 100_000,
  cacheEntries: 1,
});
writeFileSync(out, '');
for (const item of readSets({ folder, only: [set], limit: null }).get(set) ?? []) {
  if (item.question === '') continue;
  appendFileSync(out, `${JSON.stringify(await featuresOf(item, scorers))}\n`);
}
await scorers.close();
