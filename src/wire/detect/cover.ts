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
  const tagged = claimed.some((part) => part.kind === 'question');
  const cover = { sections, style, found, tagged };
  const parts: DetectedPart[] = [];
  let at = 0;
  for (const part of claimed) {
    if (part.start > at) parts.push(...gapParts(text, { start: at, end: part.start }, cover));
    parts.push(style === 'earlier-user' ? asHistory(part) : part);
    at = part.end;
  }
  if (at < text.length) parts.push(...gapParts(text, { start: at, end: text.length }, cover));
  return joinFrames(parts);
}

/** Frame beside frame is one part. */
function joinFrames(parts: readonly DetectedPart[]): DetectedPart[] {
  const joined: DetectedPart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    const both = last !== undefined && isFrame(last) && isFrame(part);
    if (both) joined[joined.length - 1] = { ...last, end: part.end };
    else joined.push(part);
  }
  return joined;
}

function isFrame(part: DetectedPart): boolean {
  return part.kind === 'instruction' && part.reason === 'document-section';
}

interface Cover {
  readonly sections: Sections;
  readonly style: GapStyle;
  /** Some part may be compressed or dropped. */
  readonly found: boolean;
  /** A tag already holds the question. */
  readonly tagged: boolean;
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

function gapParts(text: string, gap: Range, cover: Cover): DetectedPart[] {
  const { start, end } = gap;
  const { sections, style, found } = cover;
  const inner = trimRange(text, start, end);
  if (inner.end <= inner.start) return [framePart(gap, 'white space')];
  if (style === 'earlier-user') return [historyPart(gap)];
  if (style === 'prompt' && !found) return [plainPart(gap)];
  const asked = sections.question;
  if (asked !== null && asked > start && asked < end) {
    return [
      ...gapParts(text, { start, end: asked }, cover),
      lastUserPart({ start: asked, end }, false),
    ];
  }
  return [lastUserPart(gap, cover.tagged || (asked !== null && end <= asked))];
}

/** Text before a labelled question is its instruction. */
function lastUserPart(range: Range, instruction: boolean): DetectedPart {
  return {
    start: range.start,
    end: range.end,
    kind: instruction ? 'instruction' : 'question',
    content: 'prose',
    policy: 'pinned',
    reason: 'question',
    detail: instruction ? 'before the labelled question' : 'rest of the last user message',
  };
}

function historyPart(range: Range): DetectedPart {
  return {
    start: range.start,
    end: range.end,
    kind: 'history',
    content: 'prose',
    policy: 'pinned',
    reason: 'earlier-turn',
    detail: 'user text of an earlier turn',
  };
}

function plainPart(range: Range): DetectedPart {
  return {
    start: range.start,
    end: range.end,
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
