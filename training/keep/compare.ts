/**
 * Does a token classifier keep more answers than rules without a model, at equal tokens and without a question?
 *
 *     node --import tsx training/keep/compare.ts --classifier FOLDER --words WORK/words.json --sets ../shared/eval [--sample 100]
 *
 * All arms go through the same code (`llmlingua2`: words above a threshold per segment, counted by the shipped
 * tokenizer); they differ in the score of a word only:
 *
 * random          a seeded number
 * frequent-first  frequent words go first: minus the word's count in the corpus (words.json of keep.labels)
 * names-first     numbers and capitalised words stay longest, then as frequent-first
 * keep            the classifier
 *
 * For orientation also whole sentences: `random-sentence`, and `auto` without a question.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { estimate, mean } from '../../src/cli/eval/bootstrap.ts';
import { mentionsKept, mentionsOf, type MentionKind } from '../../src/cli/eval/mentions.ts';
import { answerSurvives } from '../../src/cli/eval/run.ts';
import { readSets } from '../../src/cli/eval/sets.ts';
import type { EvalItem } from '../../src/cli/eval/types.ts';
import { createCompressor } from '../../src/compress/create.ts';
import { createLlmlingua2 } from '../../src/compress/llmlingua2.ts';
import type { Compressor } from '../../src/compress/types.ts';
import { createScorers } from '../../src/score/create.ts';
import type { KeepScorer } from '../../src/score/types.ts';
import { scoutFolder } from '../../src/sluice.ts';
import { wordGroups } from '../../src/tokenize/groups.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';

const { values: options } = parseArgs({
  options: {
    classifier: { type: 'string' },
    words: { type: 'string' },
    sets: { type: 'string' },
    only: { type: 'string', default: 'nq_multidoc,squad_multidoc,hotpotqa,chat_multiturn' },
    rates: { type: 'string', default: '0.5,0.33,0.2' },
    sample: { type: 'string', default: '100' },
  },
});
if (!options.classifier || !options.words || !options.sets)
  throw new Error('--classifier, --words and --sets are needed');

const { counts } = JSON.parse(readFileSync(options.words, 'utf8')) as {
  counts: Record<string, number>;
};
const tokenizer = loadTokenizer(scoutFolder);
const scorers = await createScorers({
  surprisal: null,
  keep: options.classifier,
  workers: 1,
  threads: 1,
  queue: 64,
  cacheEntries: 4096,
});

function seeded(text: string, at: number): number {
  let mixed = at + 1 + text.length * 2654435761;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

const countOf = (word: string): number =>
  /[\p{L}\p{N}]/u.test(word)
    ? Object.hasOwn(counts, word.toLowerCase())
      ? (counts[word.toLowerCase()] ?? 0)
      : 0
    : Infinity;

type ScoreOf = (word: string, at: number, text: string) => number;
const rules: Record<string, ScoreOf> = {
  random: (_, at, text) => seeded(text, at),
  'frequent-first': (word) => -countOf(word),
  'names-first': (word) => -countOf(word) + (/^[\p{Lu}\p{N}]/u.test(word) ? 1e9 : 0),
};

/** A scorer whose tokens are the words themselves. */
function ruleScorer(name: string, scoreOf: ScoreOf): KeepScorer {
  const unused = (): never => {
    throw new Error(`${name} reads whole texts only`);
  };
  return {
    kind: 'keep',
    id: name,
    contextLength: 512,
    encode: unused,
    decode: unused,
    scoreIds: unused,
    tokensFed: 0,
    async score(text) {
      const { starts, ends } = wordGroups(text);
      const values = Float32Array.from(starts, (start, at) =>
        Math.max(-1e12, scoreOf(text.slice(start, ends[at]), at, text)),
      );
      return { ids: new Uint32Array(starts.length), starts, ends, values };
    },
  };
}

const arms = new Map<string, Compressor>();
const none = { surprisal: null, vectors: null, table: null, pairs: null };
for (const [name, scoreOf] of Object.entries(rules))
  arms.set(
    name,
    createLlmlingua2({ tokenizer, scorers: { ...none, keep: ruleScorer(name, scoreOf) } }),
  );
arms.set('keep', createLlmlingua2({ tokenizer, scorers: { ...none, keep: scorers.keep } }));
for (const name of ['random-sentence', 'auto'] as const)
  arms.set(name, createCompressor(name, { tokenizer, scorers: { ...none, keep: null } }));

const kinds: readonly MentionKind[] = ['numbers', 'identifiers', 'negations'];

async function run(
  item: EvalItem,
  compressor: Compressor,
  rate: number,
): Promise<{ survived: boolean | null; achieved: number; kept: (number | null)[] }> {
  const result = await compressor.compress({
    segments: item.segments,
    question: '',
    instruction: '',
    budget: { type: 'rate', rate },
    survivors: { classes: [], literals: [], patterns: [] },
    options: { seed: 1 },
    minTokens: 0,
    signal: null,
  });
  const texts = result.segments.map(({ text }) => text);
  const before = item.segments.map(({ text }) => text).join('\n\n');
  const kept = kinds.map((kind) =>
    mentionsKept(kind, mentionsOf(kind, before), mentionsOf(kind, texts.join('\n\n'))),
  );
  return {
    survived: answerSurvives(item.answers, texts),
    achieved: result.tokensAfter / result.tokensBefore,
    kept,
  };
}

const percent = (value: number): string => value.toFixed(3).replace(/^(-?)0\./, '$1.');
const sets = readSets({
  folder: options.sets,
  only: options.only.split(','),
  limit: options.sample === 'all' ? null : Number(options.sample),
});
type Outcome = Awaited<ReturnType<typeof run>>;
type Results = ReadonlyMap<string, readonly Outcome[]>;

const sentenceArms: readonly string[] = ['random-sentence', 'auto'];
const wordArms = [...arms.keys()].filter((name) => !sentenceArms.includes(name));
const rivals = wordArms.filter((name) => name !== 'keep');

async function runAll(items: readonly EvalItem[], rate: number): Promise<Results> {
  const results = new Map<string, Outcome[]>();
  for (const [name, compressor] of arms) {
    const own = [];
    for (const item of items) own.push(await run(item, compressor, rate));
    results.set(name, own);
  }
  return results;
}

const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
const answers: string[] = [
  row(['answers kept', 'rate', 'n', ...arms.keys(), ...rivals.map((name) => `keep minus ${name}`)]),
  row(['---', '---:', '---:', ...[...arms.keys(), ...rivals].map(() => '---:')]),
];
const details: string[] = [
  row(['tokens kept; numbers, identifiers, negations kept', 'rate', ...wordArms]),
  row(['---', '---:', ...wordArms.map(() => '---')]),
];
const rates = options.rates.split(',').map(Number);

/** Rows of both tables for one set and rate. */
function report(set: string, rate: number, results: Results): void {
  const hits = (name: string): number[] =>
    (results.get(name) ?? [])
      .filter(({ survived }) => survived !== null)
      .map(({ survived }) => Number(survived));
  const keep = hits('keep');
  const differences = rivals.map((name) => {
    const theirs = hits(name);
    const { mean: difference, interval } = estimate(keep.map((hit, i) => hit - (theirs[i] ?? 0)));
    return `${percent(difference)} (${percent(interval[0])} to ${percent(interval[1])})`;
  });
  const shares = [...arms.keys()].map((name) => percent(mean(hits(name))));
  answers.push(row([set, rate, keep.length, ...shares, ...differences]));
  const facts = wordArms.map((name) => {
    const own = results.get(name) ?? [];
    const kept = kinds.map((_, k) => {
      const known = own.map((result) => result.kept[k] ?? null).filter((value) => value !== null);
      return known.length === 0 ? '-' : percent(mean(known));
    });
    return `${percent(mean(own.map(({ achieved }) => achieved)))}; ${kept.join(' ')}`;
  });
  details.push(row([set, rate, ...facts]));
}

const everything = new Map(rates.map((rate) => [rate, new Map<string, Outcome[]>()]));
for (const [set, items] of sets) {
  for (const rate of rates) {
    const results = await runAll(items, rate);
    report(set, rate, results);
    for (const [name, own] of results) {
      const pooled = everything.get(rate);
      pooled?.set(name, [...(pooled.get(name) ?? []), ...own]);
    }
  }
}
for (const [rate, results] of everything) report('all', rate, results);
console.log(
  [...answers, '', ...details, '', `Measured with ${scorers.keep?.id ?? 'none'}.`].join('\n'),
);
await scorers.close();
