/** Tables (Markdown, CSV, TSV, aligned columns): the header stays, rows are ranked. */
import type { Steps } from '../../core/steps.ts';
import { whyCode } from '../mask.ts';
import type { GroupRanges } from '../mask.ts';
import { lineUnits, rowScores, unitTexts } from './lines.ts';
import type { UnitPlan } from './plan.ts';

const pipeRow = /^\s*\|.*\|\s*$|^[^|\n]+(?:\|[^|\n]*)+$/u;
const rule = /^\s*[|+]?\s*:?-{2,}[\s|:+=-]*$|^[\s+=-]{4,}$/u;

export function* planTable(text: string, question: string): Steps<UnitPlan | null> {
  const units = (yield* csvRows(text)) ?? (yield* lineUnits(text));
  const rows = unitTexts(text, units);
  if (rows.length < 3) return null;
  const scores = yield* rowScores(rows, question);
  return { units, scores, forced: headerRows(rows) };
}

/** Marks header rows: what stands directly above a rule, the rule, and the first row of anything. */
function headerRows(rows: readonly string[]): Uint8Array {
  const structure = whyCode('structure');
  const forced = new Uint8Array(rows.length);
  forced[0] = structure;
  rows.forEach((row, i) => {
    if (!rule.test(row)) return;
    forced[i] = structure;
    if (i > 0 && pipeRow.test(rows[i - 1] ?? '')) forced[i - 1] = structure;
  });
  return forced;
}

/** Rows of a text with quoted cells that hold line breaks; null when no cell does. */
function* csvRows(text: string): Steps<GroupRanges | null> {
  const starts: number[] = [];
  const ends: number[] = [];
  let quoted = false;
  let multiLine = false;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    if (i % 16_384 === 0) yield;
    const character = text.charAt(i);
    if (character === '"') quoted = !quoted;
    const ends_ = i === text.length || character === '\n';
    if (!ends_) continue;
    if (quoted && i < text.length) {
      multiLine = true;
      continue;
    }
    if (text.slice(start, i).trim() !== '') {
      starts.push(start);
      ends.push(start + text.slice(start, i).trimEnd().length);
    }
    start = i + 1;
  }
  if (!multiLine || quoted) return null;
  return { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) };
}
