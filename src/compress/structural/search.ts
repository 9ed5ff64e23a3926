/** Lists of search results: a kept line brings the title or path of its result along. */
import type { Steps } from '../../core/steps.ts';
import { relevanceSteps } from '../relevance.ts';
import type { PoolUnit } from '../pool-unit.ts';
import type { GroupRanges } from '../mask.ts';
import { lineUnits, rowScores, unitTexts } from './lines.ts';
import type { UnitPlan } from './plan.ts';

const grepLine = /^(?<path>[^\s:][^:\n]{0,255}):(?<line>\d{1,7})[:-]/u;
const numbered = /^\s*(?:\[?\d{1,4}[\]).:]|#{1,6}\s|[-*]\s+\[|(?:Title|Result|Source)\b.{0,12}:)/iu;
const address = /^\s*(?:(?:URL|Link|Source|Path|File)\s*:|https?:\/\/|www\.)/iu;

/** Results are documents, their lines units. Without a question rare lines and early results come first. */
export function* planSearch(text: string, question: string): Steps<UnitPlan | null> {
  const units = yield* lineUnits(text);
  const lines = unitTexts(text, units);
  if (lines.length < 2) return null;
  const starts = itemStarts(text, units, lines);
  yield;
  let document = -1;
  let position = 0;
  const pool = lines.map((line, i): PoolUnit => {
    if (starts[i] === true || document < 0) [document, position] = [document + 1, 0];
    return { text: line, document, paragraph: 0, position: position++, turn: null };
  });
  const scores =
    question.trim() === ''
      ? (yield* rowScores(lines, '')).map(
          (value, i) => value - 0.5 * Math.log1p(pool[i]?.position ?? 0),
        )
      : yield* relevanceSteps(pool, question);
  const companions = titleCompanions(pool, lines);
  return { units, scores, forced: new Uint8Array(lines.length), companions };
}

/** Where a result begins: a blank line before it, a number, a heading, or the next path of a grep-like list. */
function itemStarts(text: string, units: GroupRanges, lines: readonly string[]): boolean[] {
  const grep = lines.filter((line) => grepLine.test(line)).length > lines.length / 2;
  const pathOf = (line: string): string => grepLine.exec(line)?.groups?.['path'] ?? line;
  const blanks = /\n[^\S\n]*\r?\n/;
  return lines.map((line, i) => {
    if (i === 0) return true;
    if (grep) return pathOf(line) !== pathOf(lines[i - 1] ?? '');
    const gap = text.slice(units.ends[i - 1], units.starts[i]);
    return blanks.test(gap) || numbered.test(line);
  });
}

/** The first line of a result is what its other lines bring along; an address line under it comes with it. */
function titleCompanions(pool: readonly PoolUnit[], lines: readonly string[]): Int32Array {
  let title = -1;
  let link = -1;
  return Int32Array.from(pool, (unit, i) => {
    if (unit.position === 0) {
      [title, link] = [i, i];
      return -1;
    }
    if (grepLine.test(lines[i] ?? '')) return -1;
    if (unit.position === 1 && address.test(lines[i] ?? '')) {
      link = i;
      return title;
    }
    return link;
  });
}
