/** Text between triple quotes or triple backticks that are no code fence: `Text: """ ... """`. */
import type { Fence } from './blocks.ts';
import { contentKindOf } from './content.ts';
import { trimRange } from './lines.ts';
import type { Range } from './lines.ts';
import { directiveShare } from './requests.ts';

export interface Quoted extends Range {
  readonly inner: Range;
  readonly detail: string;
}

const marks = ['"""', "'''", '```'] as const;
/** Units; shorter quotations stay where they are. */
const shortestQuotation = 200;

/** Quoted texts outside `fences`, ascending. Program text quotes strings this way too, so none is looked for there. */
export function quotedTexts(text: string, fences: readonly Fence[]): Quoted[] {
  if (!marks.some((mark) => text.includes(mark)) || contentKindOf(text) === 'code') return [];
  const found = marks.flatMap((mark) => quotedBy(text, mark, fences));
  found.sort((a, b) => a.start - b.start);
  const kept: Quoted[] = [];
  for (const quoted of found) if (quoted.start >= (kept.at(-1)?.end ?? 0)) kept.push(quoted);
  return kept;
}

function quotedBy(text: string, mark: string, fences: readonly Fence[]): Quoted[] {
  const found: Quoted[] = [];
  let fence = 0;
  let open = -1;
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) {
    while ((fences[fence]?.end ?? Infinity) <= at) fence += 1;
    if ((fences[fence]?.start ?? Infinity) <= at) continue;
    if (open < 0) {
      if (opens(text, at)) open = at;
      continue;
    }
    const inner = trimRange(text, open + mark.length, at);
    const body = text.slice(inner.start, inner.end);
    if (body.length >= shortestQuotation && directiveShare(body) <= 4) {
      found.push({ start: open, end: at + mark.length, inner, detail: `${mark} quotation` });
    }
    open = -1;
  }
  return found;
}

/** At the start of a line or after a colon. */
function opens(text: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && (text[before] === ' ' || text[before] === '\t')) before -= 1;
  return before < 0 || /[\n:：(]/.test(text[before] ?? '');
}
