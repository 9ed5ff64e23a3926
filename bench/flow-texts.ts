/** Long texts of every kind that comes in prompts; the same in every run. */
import type { MethodName } from '../src/core/method.ts';
import type { ContentKind } from '../src/core/span.ts';

export interface LongText {
  readonly name: string;
  readonly method: MethodName;
  readonly content: ContentKind;
  readonly texts: readonly string[];
}

const words =
  'harbour station opened late winter river council report bridge engine signal north market letter winter morning company figure answer captain memory weather printed column valley under between several measured quickly important decision which against remember'.split(
    ' ',
  );
const signs = [
  ...'的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从',
];

let state = 7;
function below(limit: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) % limit;
}

const pick = (list: readonly string[]): string => list[below(list.length)] ?? '';

function sentence(): string {
  const parts = Array.from({ length: 8 + below(14) }, () => {
    const word = pick(words);
    return below(9) > 0 ? word : `${word.charAt(0).toUpperCase()}${word.slice(1)}${below(900)}`;
  });
  const text = parts.join(' ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Parts until there are `length` characters of them. */
function fill(length: number, part: (at: number) => string): string {
  const parts: string[] = [];
  for (let total = 0; total < length; total += parts.at(-1)?.length ?? 1)
    parts.push(part(parts.length));
  return parts.join('').slice(0, length);
}

const prose = (length: number): string =>
  fill(length, () => `${Array.from({ length: 5 }, sentence).join(' ')}\n\n`);

function chinese(length: number): string {
  return fill(length, (at) => {
    const clause = Array.from({ length: 8 + below(22) }, () => pick(signs)).join('');
    return `${clause}${below(3) > 0 ? '，' : '。'}${at % 40 === 39 ? '\n\n' : ''}`;
  });
}

function log(length: number): string {
  return fill(length, (at) => {
    const level = below(60) > 0 ? 'INFO' : 'ERROR';
    return `2026-03-0${1 + (at % 9)}T12:${10 + (at % 49)}:${10 + (at % 48)}.123Z ${level} [worker-${below(16)}] request id=${below(1 << 20).toString(16)}f0${at} path=/api/${pick(words)}/${below(1000)} took ${below(900)}ms\n`;
  });
}

function json(length: number): string {
  const rows: unknown[] = [];
  for (let total = 0; total < length;) {
    const row = {
      id: rows.length,
      name: pick(words),
      note: sentence(),
      tags: [pick(words), pick(words)],
    };
    rows.push(row);
    total += JSON.stringify(row, null, 2).length + 24;
  }
  return JSON.stringify(rows, null, 2);
}

const chat = (length: number): string =>
  fill(length, () => `${pick(['Anna', 'Bob', 'Carla'])}: ${sentence()} ${sentence()}\n`);

/** @param length characters of each text, about */
export function longTexts(length: number): LongText[] {
  state = 7;
  const documents = Array.from({ length: 100 }, () => prose(length / 100));
  return [
    { name: 'one document', method: 'extractive', content: 'prose', texts: [prose(length)] },
    { name: 'a hundred documents', method: 'extractive', content: 'prose', texts: documents },
    { name: 'chat', method: 'extractive', content: 'prose', texts: [chat(length)] },
    { name: 'Chinese', method: 'extractive', content: 'prose', texts: [chinese(length)] },
    { name: 'log', method: 'structural', content: 'log', texts: [log(length)] },
    { name: 'JSON', method: 'structural', content: 'json', texts: [json(length)] },
  ];
}
