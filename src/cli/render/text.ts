/** `explain` for a terminal (colours) and for a pipe (marks). */
import type { ExplainInput, Fate } from './runs.ts';
import { countFates, fates, segmentsOf, segmentTitle } from './runs.ts';
import { summaryOf } from './summary.ts';

/** What stands before and after a run of each fate; fates that are missing are written as they are. */
export interface TextStyle {
  readonly marks: Readonly<Record<Fate, readonly [before: string, after: string]>>;
  readonly title: readonly [before: string, after: string];
}

/** Marks in the manner of wdiff. */
export const plainStyle: TextStyle = {
  marks: {
    dropped: ['[-', '-]'],
    survivor: ['{+', '+}'],
    forced: ['{!', '!}'],
    structure: ['{=', '=}'],
  },
  title: ['', ''],
};

function sgr(codes: string): readonly [string, string] {
  return [`\u001b[${codes}m`, '\u001b[0m'];
}

/** Select Graphic Rendition sequences of ECMA-48: dim and struck out for what is dropped. */
export const colourStyle: TextStyle = {
  marks: {
    dropped: sgr('2;9;31'),
    survivor: sgr('32'),
    forced: sgr('35'),
    structure: sgr('36'),
    pinned: sgr('34'),
  },
  title: sgr('1'),
};

/** Control characters shown as symbols, so that a text cannot drive the terminal; tabs and line feeds stay. */
export function harmless(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (char) => {
    if (char === '\n' || char === '\t') return char;
    const code = char.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : '\ufffd';
  });
}

function mark(style: TextStyle, fate: Fate, text: string): string {
  const marks = style.marks[fate];
  return marks === undefined ? text : `${marks[0]}${text}${marks[1]}`;
}

export function renderText(input: ExplainInput, style: TextStyle): string {
  const segments = segmentsOf(input);
  const bold = (text: string): string => `${style.title[0]}${text}${style.title[1]}`;
  const lines = [bold(summaryOf(input.report))];
  for (const [fate, count] of countFates(segments))
    lines.push(`  ${mark(style, fate, fate)} ${count}  ${fates[fate] ?? ''}`);
  for (const segment of segments) {
    lines.push('', bold(segmentTitle(segment)), '');
    lines.push(segment.runs.map((run) => mark(style, run.fate, harmless(run.text))).join(''));
  }
  return `${lines.join('\n')}\n`;
}
