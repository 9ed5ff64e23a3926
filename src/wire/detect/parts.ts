/** Small constructors of parts, so that rules agree on kind, policy and reason. */
import type { ContentKind } from '../../core/span.ts';
import type { DetectedPart } from '../types.ts';
import { contentKindOf } from './content.ts';
import { trimRange } from './lines.ts';
import type { Range } from './lines.ts';

/** Text that answers are looked up in. Code is pinned even there. Null when the range is blank. */
export function documentPart(text: string, range: Range, detail: string): DetectedPart | null {
  const { start, end } = trimRange(text, range.start, range.end);
  if (end <= start) return null;
  const content = contentKindOf(text.slice(start, end));
  if (content === 'code') return codePart({ start, end }, detail);
  return {
    start,
    end,
    kind: 'document',
    content,
    policy: 'compressible',
    reason: 'document-section',
    detail,
  };
}

export function codePart(range: Range, detail: string): DetectedPart {
  return {
    start: range.start,
    end: range.end,
    kind: 'document',
    content: 'code',
    policy: 'pinned',
    reason: 'code-block',
    detail,
  };
}

/** Tags, headings and delimiter lines that frame documents. */
export function framePart(range: Range, detail: string): DetectedPart {
  return {
    start: range.start,
    end: range.end,
    kind: 'instruction',
    content: 'prose',
    policy: 'pinned',
    reason: 'document-section',
    detail,
  };
}

export function questionPart(range: Range, detail: string): DetectedPart {
  return {
    start: range.start,
    end: range.end,
    kind: 'question',
    content: 'prose',
    policy: 'pinned',
    reason: 'question',
    detail,
  };
}

export function demonstrationPart(
  range: Range,
  content: ContentKind,
  detail: string,
): DetectedPart {
  return {
    start: range.start,
    end: range.end,
    kind: 'demonstration',
    content,
    policy: 'droppable',
    reason: 'demonstration',
    detail,
  };
}

export function byStart(a: Range, b: Range): number {
  return a.start - b.start;
}
