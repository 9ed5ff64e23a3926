/** HTML and XML: what never reads as text goes first, then whole blocks; tags stay balanced. */
import { mapSteps, type Steps } from '../../core/steps.ts';
import { whyCode } from '../mask.ts';
import { rowScores } from './lines.ts';
import type { UnitPlan } from './plan.ts';

const voids = new Set(
  'area base br col embed hr img input link meta param source track wbr'.split(' '),
);
/** Elements whose content is not markup. */
const opaque = /<(script|style|noscript|template|svg)\b[^>]{0,2000}>[\s\S]*?<\/\1\s*>/giu;
const comment = /<!--(?!\[if)[\s\S]*?-->/gu;
const tag =
  /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<[!?][^>]*>|<(\/?)([A-Za-z][\w:.-]*)((?:\s+[^\s"'>=/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*(\/?)>/gu;
/** HTML elements that may go as a whole; of XML any element may. */
const blocks = new Set(
  'p li dt dd tr div section article aside nav header footer figure blockquote pre table ul ol dl form h1 h2 h3 h4 h5 h6 option'.split(
    ' ',
  ),
);

interface Block {
  readonly start: number;
  readonly end: number;
  /** Holds another block: not a unit of its own. */
  readonly nested: boolean;
}

/**
 * Units: the smallest block elements, and scripts, styles and comments (ranked last). Everything between them is
 * forced. Where tags do not balance only scripts, styles and comments are units. Null when there is no unit.
 */
export function* planMarkup(text: string, question: string): Steps<UnitPlan | null> {
  if (!(yield* closesAll(text))) return null;
  const html = /<(?:html|body|div|p|span|table|ul|script)\b/iu.test(text);
  const hidden = yield* hiddenRanges(text, html);
  const found = yield* blockElements(text, hidden, html);
  const leaves = (found ?? []).filter((block) => !block.nested);
  const units = [...hidden.map((range) => ({ ...range, hidden: true })), ...leaves]
    .map((range) => ({ start: range.start, end: range.end, hidden: 'hidden' in range }))
    .sort((a, b) => a.start - b.start)
    .filter((unit, i, all) => i === 0 || unit.start >= (all[i - 1]?.end ?? 0));
  if (units.length === 0) return null;
  return yield* assemble(text, question, units);
}

/** Every comment, script and style is closed; keeps the patterns from searching to the end again and again. */
function* closesAll(text: string): Steps<boolean> {
  const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
  yield;
  if (count(/<!--/gu) > count(/-->/gu)) return false;
  yield;
  const opened = count(/<(?:script|style|noscript|template|svg)\b/giu);
  yield;
  return opened <= count(/<\/(?:script|style|noscript|template|svg)\s*>/giu);
}

function* assemble(
  text: string,
  question: string,
  units: readonly { start: number; end: number; hidden: boolean }[],
): Steps<UnitPlan> {
  const visible = yield* mapSteps(
    units,
    (unit) => text.slice(unit.start, unit.end).replace(/<[^>]*>/gu, ' '),
    (unit) => unit.end - unit.start,
  );
  const rows = yield* rowScores(visible, question);
  const starts: number[] = [];
  const ends: number[] = [];
  const scores: number[] = [];
  const forced: number[] = [];
  const push = (start: number, end: number, row: number): void => {
    const raw = text.slice(start, end);
    if (raw.trim() === '') return;
    starts.push(start + (raw.length - raw.trimStart().length));
    ends.push(start + raw.trimEnd().length);
    scores.push(row < 0 ? 0 : units[row]?.hidden === true ? -1e6 : (rows[row] ?? 0));
    forced.push(row < 0 ? whyCode('structure') : 0);
  };
  let from = 0;
  units.forEach((unit, i) => {
    push(from, unit.start, -1);
    push(unit.start, unit.end, i);
    from = unit.end;
  });
  push(from, text.length, -1);
  return {
    units: { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) },
    scores,
    forced: Uint8Array.from(forced),
  };
}

function* hiddenRanges(text: string, html: boolean): Steps<{ start: number; end: number }[]> {
  const ranges: { start: number; end: number }[] = [];
  for (const pattern of html ? [comment, opaque] : [comment]) {
    for (const match of text.matchAll(pattern)) {
      ranges.push({ start: match.index, end: match.index + match[0].length });
      yield;
    }
  }
  ranges.sort((a, b) => a.start - b.start);
  return ranges.filter((range, i) => i === 0 || range.start >= (ranges[i - 1]?.end ?? 0));
}

function* tagsOf(text: string): Steps<RegExpExecArray[]> {
  const tags: RegExpExecArray[] = [];
  for (const match of text.matchAll(tag)) if (tags.push(match) % 64 === 0) yield;
  return tags;
}

/** Block elements in order of their end; null when an element is not closed in order. */
function* blockElements(
  text: string,
  hidden: readonly { start: number; end: number }[],
  html: boolean,
): Steps<Block[] | null> {
  const open: { name: string; start: number; nested: boolean }[] = [];
  const found: Block[] = [];
  for (const match of yield* tagsOf(text)) {
    const name = (match[2] ?? '').toLowerCase();
    const at = match.index;
    if (name === '' || isInside(at, hidden) || isAlone(match, html)) continue;
    if (match[1] !== '/') {
      open.push({ name, start: at, nested: false });
      continue;
    }
    const top = open.pop();
    if (top?.name !== name) return null;
    const block = !html || blocks.has(name);
    if (block) found.push({ start: top.start, end: at + match[0].length, nested: top.nested });
    const parent = open.at(-1);
    if (parent !== undefined && (top.nested || block)) parent.nested = true;
  }
  return open.length === 0 ? found : null;
}

function isInside(at: number, ranges: readonly { start: number; end: number }[]): boolean {
  return ranges.some((range) => at >= range.start && at < range.end);
}

/** A tag without an end tag. */
function isAlone(match: RegExpExecArray, html: boolean): boolean {
  return match[4] === '/' || (html && voids.has((match[2] ?? '').toLowerCase()));
}
