/**
 * The tables of docs/quality.md, from the reports in eval/results/. Between `<!-- generated: NAME -->` and
 * `<!-- /generated -->` stands what this file writes; everything else on the page is prose and stays as it is.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UsedModel } from '../src/cli/eval/models-used.ts';
import type { ArmName, Estimate, MacroRow, TableRow } from '../src/cli/eval/types.ts';

export const qualityFile = 'docs/quality.md';
export const resultsFolder = 'eval/results';

/** A report as `sluice eval` writes it. Reports of older versions lack columns that came later. */
interface EvalData {
  readonly date: string;
  readonly command: string;
  readonly guards: string;
  readonly models: readonly UsedModel[];
  readonly records: Readonly<Record<string, number>>;
  readonly missing: readonly string[];
  readonly macros: readonly {
    readonly arms: readonly ArmName[];
    readonly rows: readonly MacroRow[];
  }[];
  readonly rows: readonly TableRow[];
}

/** What `npm run eval:reader` writes. */
interface ReaderData {
  readonly date: string;
  readonly rate: number;
  readonly rows: readonly {
    readonly set: string;
    readonly arm: string;
    readonly n: number;
    readonly right: number;
    readonly right_95: readonly [number, number];
    readonly minus_full: number;
    readonly minus_full_95: readonly [number, number];
    readonly prompt_tokens: number | null;
    readonly timed: number;
    readonly first_token_ms: number | null;
    readonly first_token_over_full: number | null;
  }[];
}

export interface Results {
  readonly table: EvalData;
  readonly withoutQuestion: EvalData | null;
  /** Reports of runs with guards. */
  readonly guarded: readonly EvalData[];
  readonly reader: ReaderData | null;
}

export function readResults(folder: string = resultsFolder): Results {
  const read = <T>(name: string): T | null => {
    const file = join(folder, `${name}.json`);
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : null;
  };
  const table = read<EvalData>('table');
  if (table === null) throw new Error(`${folder} has no table.json`);
  return {
    table,
    withoutQuestion: read('without-question'),
    guarded: ['guards', 'without-question-guards']
      .map((name) => read<EvalData>(name))
      .filter((data) => data !== null),
    reader: read('reader'),
  };
}

/** A share without its leading zero: 1.00, .967; a dash where there is none. */
function share(value: number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  const text = value.toFixed(3);
  return text === '1.000' ? '1.00' : text.replace(/^0/, '');
}

function signed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) < 0 ? text : `+${text.replace('-', '')}`;
}

function difference(value: Estimate | null | undefined): string {
  if (value === null || value === undefined) return '-';
  const [low, high] = value.interval;
  return `${signed(value.mean, 3)} (${signed(low, 2)}..${signed(high, 2)})`;
}

const shares = (values: readonly (number | null | undefined)[]): string =>
  values.map(share).join(' / ');

function average(values: readonly (number | null | undefined)[]): number | null {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return lines.join('\n');
}

const rateName = (rate: number): string => String(rate).replace(/^0/, '');
const rateNames = (rates: readonly number[]): string => rates.map(rateName).join(' / ');

/** Look-ups in the rows of a report. */
class Rows {
  readonly #rows: ReadonlyMap<string, TableRow>;
  readonly rates: readonly number[];
  readonly sets: readonly string[];
  readonly arms: readonly ArmName[];

  constructor(data: EvalData) {
    const key = ({ set, arm, rate }: TableRow): string => `${set} ${arm} ${rate}`;
    this.#rows = new Map(data.rows.map((row) => [key(row), row]));
    const rates = new Set(data.rows.map(({ rate }) => rate).filter((rate) => rate < 1));
    this.rates = [...rates].sort((a, b) => b - a);
    this.sets = [...new Set(data.rows.map(({ set }) => set))];
    this.arms = [...new Set(data.rows.map(({ arm }) => arm))];
  }

  at(set: string, arm: ArmName, rate: number): TableRow | undefined {
    return this.#rows.get(`${set} ${arm} ${rate}`);
  }

  /** One value per rate, the largest rate first. */
  over<T>(set: string, arm: ArmName, value: (row: TableRow) => T): (T | null)[] {
    return this.rates.map((rate) => {
      const row = this.at(set, arm, rate);
      return row === undefined ? null : value(row);
    });
  }

  /** Sets where a measure exists. */
  having(value: (row: TableRow) => unknown): string[] {
    return this.sets.filter((set) =>
      this.arms.some((arm) => this.over(set, arm, value).some((found) => (found ?? null) !== null)),
    );
  }

  /** Of some arms, those that were measured. */
  known(arms: readonly ArmName[]): ArmName[] {
    return arms.filter((arm) => this.arms.includes(arm));
  }
}

const survivalOf = (row: TableRow): number | null => row.survival?.mean ?? null;

function modelNames({ models }: EvalData): string {
  // imported models have no version of their own
  return models
    .map(({ name, version }) => (version === '0' ? name : `${name} ${version}`))
    .join(', ');
}

function measured({ table }: Results): string {
  const records = Object.values(table.records);
  const all = records.reduce((sum, n) => sum + n, 0);
  const few = Math.min(...table.macros.map(({ rows }) => rows[0]?.n ?? all));
  const part =
    few < all
      ? `; ${few} of them for the methods that run a language model: read those rows as undecided`
      : '';
  return `Measured on ${table.date} with ${modelNames(table)}: ${all} records of ${records.length} sets${part}.`;
}

const command = ({ table }: Results): string => `\`\`\`sh\n${table.command}\n\`\`\``;

/** The checksums that a test compares with the files. */
function models({ table }: Results): string {
  const lines = table.models.flatMap(({ name, version, folder, arms, files }) =>
    Object.entries(files).map(([file, sum]) => [
      `${name} ${version}`,
      `\`${folder}/${file}\``,
      `\`${sum.slice(0, 12)}\``,
      arms.join(', '),
    ]),
  );
  return markdown(['model', 'file', 'SHA-256', 'used by'], lines);
}

/** The product's own first. */
const headline: readonly ArmName[] = [
  'auto',
  'auto-express',
  'extractive',
  'bm25-sentence-document',
  'bm25-sentence',
  'random-sentence',
];

/** Survival by set, arms side by side, with their means over the sets. */
function survivalTable(data: EvalData, wanted: readonly ArmName[], unmeant: string | null): string {
  const rows = new Rows(data);
  const arms = rows.known(wanted);
  const sets = rows.having(survivalOf);
  const lines = sets.map((set) => [
    set,
    String(rows.at(set, arms[0] ?? 'auto', rows.rates[0] ?? 0)?.asked ?? '-'),
    ...arms.map((arm) => shares(rows.over(set, arm, survivalOf))),
  ]);
  const counted = sets.filter((set) => set !== unmeant);
  const means = arms.map((arm) =>
    shares(
      rows.rates.map((_, at) => average(counted.map((set) => rows.over(set, arm, survivalOf)[at]))),
    ),
  );
  const left = unmeant === null || !sets.includes(unmeant) ? '' : ` without ${unmeant}`;
  const names = arms.map((arm) => (arm === 'extractive' ? 'extractive (no model)' : arm));
  return [
    `Survival of the answer at ${rateNames(rows.rates)}.`,
    '',
    markdown(['set', 'n', ...names], [...lines, [`**mean${left}**`, '', ...means]]),
  ].join('\n');
}

function survival({ table }: Results): string {
  return survivalTable(table, headline, 'code_retrieval');
}

const againstBm25 = (row: TableRow): Estimate | null | undefined => row.againstBm25;

/** Paired differences of arms to one that they are compared with, at every rate; then what lies below. */
function differenceTable(
  data: EvalData,
  wanted: readonly ArmName[],
  value: (row: TableRow) => Estimate | null | undefined,
): string {
  const rows = new Rows(data);
  const arms = rows.known(wanted);
  const sets = rows.having(value);
  const lines = sets.flatMap((set) =>
    arms.map((arm) => [set, arm, ...rows.over(set, arm, value).map(difference)]),
  );
  return markdown(['set', 'method', ...rows.rates.map(rateName)], lines);
}

/** Where an arm is behind: first beyond chance, then in the mean only. */
function losses(
  data: EvalData,
  wanted: readonly ArmName[],
  value: (row: TableRow) => Estimate | null | undefined,
): string {
  const rows = new Rows(data);
  const lines = rows.known(wanted).map((arm) => {
    const found = rows.having(value).flatMap((set) =>
      rows.rates.flatMap((rate) => {
        const row = rows.at(set, arm, rate);
        const pair = row === undefined ? null : value(row);
        return pair ? [{ name: `${set} ${rateName(rate)}`, pair }] : [];
      }),
    );
    const beyond = found.filter(({ pair }) => pair.interval[1] < 0);
    const within = found.filter(({ pair }) => pair.mean < 0 && pair.interval[1] >= 0);
    const named = (list: typeof found): string =>
      list.map(({ name, pair }) => `${name} (${signed(pair.mean, 3)})`).join(', ') || 'nowhere';
    return `- \`${arm}\`: whole interval below zero: ${named(beyond)}; mean below zero, interval not: ${named(within)}.`;
  });
  return lines.join('\n');
}

function differences({ table }: Results): string {
  const arms: ArmName[] = ['auto', 'auto-express'];
  return [
    differenceTable(table, arms, againstBm25),
    '',
    'Where they are behind `bm25-sentence-document`:',
    '',
    losses(table, arms, againstBm25),
  ].join('\n');
}

const evidenceArms: readonly ArmName[] = [
  'auto',
  'auto-express',
  'bm25-sentence-document',
  'random-sentence',
];

function shareTable(
  data: EvalData,
  arms: readonly ArmName[],
  value: (row: TableRow) => number | null | undefined,
): string {
  const rows = new Rows(data);
  const known = rows.known(arms);
  return markdown(
    ['set', ...known],
    rows
      .having(value)
      .map((set) => [set, ...known.map((arm) => shares(rows.over(set, arm, value)))]),
  );
}

function evidence({ table }: Results): string {
  const { rates } = new Rows(table);
  const passages = (row: TableRow): number | null | undefined => row.passages;
  const some = table.rows.some((row) => (passages(row) ?? null) !== null);
  return [
    `Kept tokens of the marked evidence over its tokens (ER), at ${rateNames(rates)}:`,
    '',
    shareTable(table, evidenceArms, (row) => row.evidence),
    '',
    'The same as the mean over the supporting passages, each counted the same however long it is (`passages`):',
    '',
    some ? shareTable(table, evidenceArms, passages) : 'Not in the last full run.',
  ].join('\n');
}

/** Balanced (`auto`) minus express, in survival, and both in time. */
function tiers({ table }: Results): string {
  const rows = new Rows(table);
  const sets = rows.having(survivalOf);
  const gains = (set: string): (number | null)[] => {
    const express = rows.over(set, 'auto-express', survivalOf);
    return rows.over(set, 'auto', survivalOf).map((balanced, at) => {
      const other = express[at] ?? null;
      return balanced === null || other === null ? null : balanced - other;
    });
  };
  const cell = (gain: number | null | undefined): string =>
    gain === null || gain === undefined ? '-' : signed(gain, 3);
  const lines = sets.map((set) => [set, ...gains(set).map(cell)]);
  const means = rows.rates.map((_, at) => cell(average(sets.map((set) => gains(set)[at]))));
  return markdown(
    ['balanced - express', ...rows.rates.map(rateName)],
    [...lines, ['**mean**', ...means]],
  );
}

/** Milliseconds for 1,000 tokens of text that was not compressed just before; over all rates. */
function speeds({ table }: Results): string {
  const rows = new Rows(table);
  const arms = rows.known(['auto', 'auto-express', 'extractive', 'bm25-sentence-document']);
  const time = (set: string, arm: ArmName): number | null =>
    average(rows.over(set, arm, (row) => row.msPer1000));
  const cell = (value: number | null): string => (value === null ? '-' : value.toFixed(1));
  const lines = rows.sets.map((set) => [set, ...arms.map((arm) => cell(time(set, arm)))]);
  const means = arms.map((arm) => cell(average(rows.sets.map((set) => time(set, arm)))));
  return markdown(['set', ...arms], [...lines, ['**mean**', ...means]]);
}

/** The rate at which the columns beside survival are shown. */
const shownRate = 0.33;

function meansTable(data: EvalData, rows: readonly MacroRow[]): string {
  const { rates } = new Rows(data);
  const known = [...new Set(rows.map(({ arm }) => arm))].filter(
    (arm): boolean => arm !== 'identity',
  );
  const arms = [...new Set([...headline.filter((arm) => known.includes(arm)), ...known])];
  const lines = arms.map((arm) => {
    const own = rows.filter((row) => row.arm === arm);
    const over = (value: (row: MacroRow) => number | null): string =>
      shares(rates.map((rate) => own.filter((row) => row.rate === rate).map(value)[0]));
    const shown = own.find(({ rate }) => rate === shownRate) ?? own[0];
    const time = average(own.map((row) => row.msPer1000));
    return [
      arm,
      over((row) => row.survival),
      over((row) => row.achieved),
      ...(
        ['evidence', 'numbers', 'identifiers', 'negations', 'structure', 'prefixStability'] as const
      ).map((name) => share(shown?.[name])),
      time === null ? '-' : time.toFixed(1),
    ];
  });
  const measures = ['evidence', 'numbers', 'identifiers', 'negations', 'valid', 'stable'];
  return markdown(['method', 'survival', 'kept', ...measures, 'ms per 1,000 tokens'], lines);
}

function means({ table }: Results): string {
  const widest = [...table.macros].sort((a, b) => (b.rows[0]?.n ?? 0) - (a.rows[0]?.n ?? 0));
  return widest
    .map(({ rows }, at) => {
      const heading =
        at === 0
          ? `${rows[0]?.n ?? 0} records:`
          : `With the methods that run a language model, on the ${rows[0]?.n ?? 0} records that every method measured:`;
      return `${heading}\n\n${meansTable(table, rows)}`;
    })
    .join('\n\n');
}

function notYet(how: string): string {
  return `Not measured yet; \`${how}\` writes it.`;
}

const textOnly: readonly ArmName[] = [
  'auto',
  'auto-express',
  'random-sentence',
  'head',
  'tail',
  'middle',
];

function withoutQuestion({ withoutQuestion: data }: Results): string {
  if (data === null)
    return notYet(
      `npx sluice eval --sets DIR --no-question --methods ${textOnly.join(',')} --out eval/results`,
    );
  const arms = textOnly;
  const random = (row: TableRow): Estimate | null | undefined => row.againstRandom;
  return [
    `Measured on ${data.date} with ${modelNames(data)}; guards: ${data.guards}.`,
    survivalTable(data, arms, null),
    'Paired difference to `random-sentence`, with the 95 % interval:',
    differenceTable(data, ['auto'], random),
    losses(data, ['auto'], random),
    notAbove(data),
    `\`\`\`sh\n${data.command}\n\`\`\``,
  ].join('\n\n');
}

/** Sets and rates at which the mean survival of `auto` is not above a baseline that knows nothing. */
function notAbove(data: EvalData): string {
  const rows = new Rows(data);
  const baselines = rows.known(['random-sentence', 'head', 'tail']);
  const found = rows.having(survivalOf).flatMap((set) =>
    rows.rates.flatMap((rate) => {
      const mine = rows.at(set, 'auto', rate)?.survival?.mean ?? 0;
      const ahead = baselines.filter((arm) => {
        const theirs = rows.at(set, arm, rate)?.survival?.mean ?? 0;
        return theirs >= mine && mine < 1;
      });
      return ahead.length === 0 ? [] : [`${set} ${rateName(rate)} (${ahead.join(', ')})`];
    }),
  );
  return `\`auto\` is not above ${baselines.map((arm) => `\`${arm}\``).join(', ')} at: ${found.join('; ') || 'no set and rate'}.`;
}

const wordDroppers: readonly ArmName[] = [
  'selective-context',
  'llmlingua',
  'longllmlingua',
  'llmlingua2',
];

/** What the word-dropping methods keep with guards on: the mean over the sets, and the worst set. */
function guards({ guarded }: Results): string {
  const first = guarded[0];
  if (first === undefined) {
    return notYet(
      `npx sluice eval --sets DIR --guards --methods ${wordDroppers.join(',')} --out eval/results`,
    );
  }
  return guarded
    .map((data) => {
      const rows = new Rows(data);
      const cell = (values: readonly (number | null)[]): string => {
        const known = values.filter((value) => value !== null);
        return known.length === 0 ? '-' : `${share(average(known))} (${share(Math.min(...known))})`;
      };
      const lines = rows.known(wordDroppers).flatMap((arm) =>
        rows.rates.map((rate) => {
          const own = data.rows.filter((row) => row.arm === arm && row.rate === rate);
          const n = own.reduce((sum, row) => sum + row.n, 0);
          return [
            arm,
            rateName(rate),
            String(n),
            share(average(own.map((row) => row.achieved))),
            cell(own.map((row) => row.numbers)),
            cell(own.map((row) => row.identifiers)),
            cell(own.map((row) => row.negations)),
          ];
        }),
      );
      const head = ['method', 'rate', 'n', 'kept', 'numbers', 'identifiers', 'negations'];
      return [
        `Measured on ${data.date} with ${modelNames(data)}; guards: ${data.guards}. Mean over the sets (worst set):`,
        markdown(head, lines),
        ...data.missing.map((reason) => `- ${reason}`),
        `\`\`\`sh\n${data.command}\n\`\`\``,
      ].join('\n\n');
    })
    .join('\n\n');
}

function reader({ reader: data }: Results): string {
  if (data === null) return notYet('npm run eval:reader');
  const interval = ([low, high]: readonly [number, number], digits: number): string =>
    `${low.toFixed(digits)}..${high.toFixed(digits)}`;
  const lines = data.rows.map((row) => [
    row.set,
    row.arm,
    String(row.n),
    `${share(row.right)} (${interval(row.right_95, 2)})`,
    row.arm === 'full'
      ? '-'
      : `${signed(row.minus_full, 3)} (${row.minus_full_95.map((value) => signed(value, 2)).join('..')})`,
    row.prompt_tokens === null ? '-' : String(Math.round(row.prompt_tokens)),
    row.first_token_ms === null ? '-' : String(Math.round(row.first_token_ms)),
    row.first_token_over_full === null ? '-' : row.first_token_over_full.toFixed(2),
    String(row.timed),
  ]);
  const head = [
    'set',
    'prompt',
    'n',
    'right (95 %)',
    'minus full, paired (95 %)',
    'prompt tokens',
    'first token, ms',
    'first token over full',
    'timed',
  ];
  return [
    `Measured on ${data.date} at rate ${rateName(data.rate)}; tokens and times are medians, times over the answers asked on an idle machine (\`timed\`).`,
    markdown(head, lines),
  ].join('\n\n');
}

const sections: Readonly<Record<string, (results: Results) => string>> = {
  measured,
  command,
  models,
  survival,
  differences,
  evidence,
  tiers,
  means,
  speeds,
  'without-question': withoutQuestion,
  guards,
  reader,
};

/** A page with fresh tables. @throws Error when a section has no place on it, or a place names no section */
export function qualityText(page: string, results: Results): string {
  const placed = new Set<string>();
  const text = page.replace(
    /<!-- generated: ([\w-]+) -->\n[\s\S]*?<!-- \/generated -->/g,
    (_, name: string) => {
      const section = sections[name];
      if (section === undefined) throw new Error(`${qualityFile} names no known table: ${name}`);
      placed.add(name);
      return `<!-- generated: ${name} -->\n\n${section(results)}\n\n<!-- /generated -->`;
    },
  );
  const lost = Object.keys(sections).filter((name) => !placed.has(name));
  if (lost.length > 0) throw new Error(`${qualityFile} has lost its marks of ${lost.join(', ')}`);
  return text;
}
