/** Scores of all arms with intervals, as rows and as the table of docs/windows.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { estimate } from '../../src/cli/eval/bootstrap.ts';
import { arms, keyOf, type Answer, type Arm } from './types.ts';

export interface Row {
  readonly window: number;
  readonly set: string;
  readonly arm: Arm;
  readonly n: number;
  readonly score: number;
  readonly score_95: readonly [number, number];
  readonly compressed_windows_minus_this: number;
  readonly compressed_windows_minus_this_95: readonly [number, number];
  readonly prompt_tokens: number;
  readonly calls: number;
  readonly windows: number;
  readonly left_out: number;
  readonly refused: number;
}

const page = 'docs/windows.md';
const begin = '<!-- windows: results -->';
const end = '<!-- /windows -->';

/** Puts the table into the page. */
export function writePage(table: string): void {
  const text = readFileSync(page, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < 0) throw new Error(`${page} has lost its marks`);
  writeFileSync(page, `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`);
}

/** The table in Markdown, one block for each window and set. */
export function tableOf(rows: readonly Row[], rate: number): string {
  const number = (value: number): string => value.toFixed(3);
  const range = ([low, high]: readonly [number, number]): string =>
    `${number(low)} to ${number(high)}`;
  const lines = rows.map((row) =>
    [
      row.window,
      row.set,
      row.arm,
      row.n,
      `${number(row.score)} (${range(row.score_95)})`,
      `${number(row.compressed_windows_minus_this)} (${range(row.compressed_windows_minus_this_95)})`,
      row.windows,
      row.prompt_tokens,
      row.calls,
    ].join(' | '),
  );
  const head = [
    `\`compressed+windows\` is what Sluice does by itself: compressed to fit where \`windows.fit_rate\` of the text can stay, else ${rate} of it is read in windows. Windows, tokens and requests are means; 95 % intervals in brackets.`,
    '',
    '| window | set | arm | n | score | compression + windows minus this | windows | prompt tokens | requests |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  return [...head, ...lines.map((line) => `| ${line} |`)].join('\n');
}

/**
 * Scores by set, window and arm, and paired differences to compression followed by windows, over the records that every
 * arm has answered.
 */
export function summary(answers: readonly Answer[]): Row[] {
  const of = new Map(answers.map((answer) => [keyOf(answer), answer]));
  const windows = [...new Set(answers.map(({ window }) => window))].filter((window) => window > 0);
  const sets = [...new Set(answers.map(({ set }) => set))];
  const questions = sets.filter((set) => set !== 'qmsum');
  const groups = [...sets.map((set) => [set]), ...(questions.length > 1 ? [questions] : [])];
  return windows.flatMap((window) =>
    groups.flatMap((group) =>
      arms.flatMap((arm) => {
        const pairs = answers.flatMap((mine) => {
          if (!group.includes(mine.set) || mine.arm !== arm) return [];
          if (mine.window !== (arm === 'full' ? 0 : window)) return [];
          const { set, id } = mine;
          const answer = (other: Arm): Answer | undefined =>
            of.get(keyOf({ set, id, arm: other, window: other === 'full' ? 0 : window }));
          const both = answer('compressed+windows');
          const complete = arms.every((other) => answer(other) !== undefined);
          return both === undefined || !complete ? [] : [{ mine, both }];
        });
        if (pairs.length === 0) return [];
        const score = estimate(pairs.map(({ mine }) => mine.score));
        const gain = estimate(pairs.map(({ mine, both }) => both.score - mine.score));
        const mean = (pick: (answer: Answer) => number): number =>
          Math.round((pairs.reduce((sum, { mine }) => sum + pick(mine), 0) / pairs.length) * 10) /
          10;
        return [
          {
            window,
            set: group.length === 1 ? (group[0] ?? '') : 'all questions',
            arm,
            n: pairs.length,
            score: score.mean,
            score_95: score.interval,
            compressed_windows_minus_this: gain.mean,
            compressed_windows_minus_this_95: gain.interval,
            prompt_tokens: mean(({ promptTokens }) => promptTokens),
            calls: mean(({ calls }) => calls),
            windows: mean((answer) => answer.windows),
            left_out: mean(({ leftOut }) => leftOut),
            refused: pairs.filter(({ mine }) => mine.refused !== null).length,
          },
        ];
      }),
    ),
  );
}
