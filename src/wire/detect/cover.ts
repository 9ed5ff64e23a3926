/** Fills what no rule claimed, so that the parts cover the string. */
import type { DetectedPart } from '../types.ts';
import type { Sections } from './sections.ts';
import { byStart, framePart } from './parts.ts';
import { trimRange } from './lines.ts';
import type { Range } from './lines.ts';

/** Whose text it is; decides what the unclaimed text is called. */
export type GapStyle = 'last-user' | 'earlier-user' | 'prompt';

export function coverParts(text: string, sections: Sections, style: GapStyle): DetectedPart[] {
  const claimed = disjoint(sections.parts, text.length);
  const found = claimed.some((part) => part.policy !== 'pinned');
  const parts: DetectedPart[] = [];
  let at = 0;
  for (const part of claimed) {
    if (part.start > at)
      parts.push(...gapParts(text, { start: at, end: part.start }, sections, style, found));
    parts.push(style === 'earlier-user' ? asHistory(part) : part);
    at = part.end;
  }
  if (at < text.length)
    parts.push(...gapParts(text, { start: at, end: text.length }, sections, style, found));
  return parts;
}

/** Ascending and without overlap: of two that overlap the earlier stays, blank and empty ones go. */
function disjoint(parts: readonly DetectedPart[], length: number): DetectedPart[] {
  const kept: DetectedPart[] = [];
  let at = 0;
  for (const part of [...parts].sort(byStart)) {
    if (part.start < at || part.end <= part.start || part.end > length) continue;
    kept.push(part);
    at = part.end;
  }
  return kept;
}

function gapParts(
  text: string,
  gap: Range,
  sections: Sections,
  style: GapStyle,
  found: boolean,
): DetectedPart[] {
  const { start, end } = gap;
  if (style === 'earlier-user') return [historyPart(gap)];
  if (style === 'prompt' && !found && sections.parts.length === 0) return [plainPart(gap)];
  const inner = trimRange(text, start, end);
  if (inner.end <= inner.start) return [framePart(gap, 'white space')];
  const asked = sections.question;
  if (asked !== null && asked > start && asked < end) {
    return [lastUserPart({ start, end: asked }, true), lastUserPart({ start: asked, end }, false)];
  }
  return [lastUserPart(gap, asked !== null && end <= asked)];
}

/** Text before a labelled question is its instruction. */
function lastUserPart(range: Range, instruction: boolean): DetectedPart {
  return {
    ...range2(range),
    kind: instruction ? 'instruction' : 'question',
    content: 'prose',
    policy: 'pinned',
    reason: 'question',
    detail: instruction ? 'before the labelled question' : 'rest of the last user message',
  };
}

function historyPart(range: Range): DetectedPart {
  return {
    ...range2(range),
    kind: 'history',
    content: 'prose',
    policy: 'pinned',
    reason: 'earlier-turn',
    detail: 'user text of an earlier turn',
  };
}

function plainPart(range: Range): DetectedPart {
  return {
    ...range2(range),
    kind: 'instruction',
    content: 'prose',
    policy: 'pinned',
    reason: 'plain-prompt',
    detail: 'no section found',
  };
}

/** A question in an earlier turn is history. */
function asHistory(part: DetectedPart): DetectedPart {
  return part.reason === 'question' ? { ...part, kind: 'history', reason: 'earlier-turn' } : part;
}

function range2(range: Range): { start: number; end: number } {
  return { start: range.start, end: range.end };
}
