/** Headings of numbered documents: `Document [2](Title: ...)`, `[3] Title`, `Passage 1:`, `文档2：`. */
import { labelOf, roleOf } from './labels.ts';
import { headAt, lineAt, startOf } from './lines.ts';
import type { Lines, Range } from './lines.ts';

export interface ItemHead extends Range {
  readonly line: number;
  readonly number: number;
  readonly detail: string;
}

const bracketed = /^(?:\[(\d{1,4})\]|【(\d{1,4})】|〔(\d{1,4})〕)[:：.]?\s*/;
const metadataLine =
  /^(?:title|source|url|link|author|date|file|filename|path|page|score|id|published|标题|来源|链接|日期|タイトル|出典|제목|출처|источник|заголовок)\s?[:：].{0,220}$/iu;
/** Units of the rest of a heading's line that is still a title. */
const longestTitle = 120;

/** Headings of one shape with ascending numbers, two or more (one is enough for `Document 1:`). */
export function itemHeads(lines: Lines, range: Range): ItemHead[] {
  const byShape = new Map<string, ItemHead[]>();
  const last = lineAt(lines, Math.max(range.start, range.end - 1));
  for (let line = lineAt(lines, range.start); line <= last; line += 1) {
    const head = headOf(lines, line);
    if (head === null || head.start < range.start || head.end > range.end) continue;
    const same = byShape.get(head.detail);
    if (same === undefined) byShape.set(head.detail, [head]);
    else if (head.number > (same.at(-1)?.number ?? 0)) same.push(head);
  }
  return longestSeries([...byShape.values()]);
}

function longestSeries(series: readonly ItemHead[][]): ItemHead[] {
  let best: ItemHead[] = [];
  for (const heads of series) {
    const first = heads[0];
    if (first === undefined || first.number > 1) continue;
    const enough = heads.length >= 2 || !first.detail.startsWith('[n]');
    if (enough && (best[0] === undefined || heads.length > best.length)) best = heads;
  }
  return best;
}

function headOf(lines: Lines, line: number): ItemHead | null {
  const head = headAt(lines, line);
  if (head === '') return null;
  const bracket = bracketed.exec(head);
  if (bracket !== null) {
    const number = Number(bracket[1] ?? bracket[2] ?? bracket[3]);
    return headRange(lines, line, { number, length: bracket[0].length, detail: '[n] list' });
  }
  const label = labelOf(lines, line);
  if (label === null || label.number === null || roleOf(label) !== 'item') return null;
  const { number, length, name } = label;
  // `Document [1]` without a title or a colon may begin a sentence: one alone is no list.
  const bare = /\[\d+\]\s*$/.test(head.slice(0, length));
  const detail = bare ? `[n] list "${name}"` : `numbered "${name}"`;
  return headRange(lines, line, { number, length, detail });
}

/** The marker, a short title after it, and the metadata lines below. */
function headRange(
  lines: Lines,
  line: number,
  found: { number: number; length: number; detail: string },
): ItemHead {
  const head = headAt(lines, line);
  const lineStart = startOf(lines, line);
  let start = lineStart;
  while (lines.text.startsWith(' ', start) || lines.text.startsWith('\t', start)) start += 1;
  const rest = head.slice(found.length);
  const titled = rest.length <= longestTitle && !/[.!?。！？]$/.test(rest);
  const follows = headAt(lines, line + 1) !== '';
  if (rest !== '' && !(titled && follows)) {
    return { ...found, line, start, end: start + found.length };
  }
  let next = line + 1;
  while (next < line + 5 && next < lines.count && metadataLine.test(headAt(lines, next))) next += 1;
  return { ...found, line, start, end: startOf(lines, next) };
}
