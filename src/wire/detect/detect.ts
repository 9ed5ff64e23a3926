/**
 * Which characters of one decoded string are documents, examples, code or the question (contract section 4).
 *
 * Rules are tables and small pure functions; each reads the string once, so time grows linearly with its length.
 * Doubt is resolved towards `pinned`: text that no rule claims belongs to the question.
 */
import type { DetectedPart, StringPlace } from '../types.ts';
import { contentKindOf } from './content.ts';
import { coverParts } from './cover.ts';
import type { GapStyle } from './cover.ts';
import { sectionsOf } from './sections.ts';

export { contentKindOf } from './content.ts';
export { demonstrationTurns } from './demonstrations.ts';

/**
 * Parts of one string, ascending, covering it without gap or overlap; none for the empty string. Offsets are UTF-16
 * units and never fall inside a surrogate pair.
 */
export function detectParts(text: string, place: StringPlace): DetectedPart[] {
  if (text === '') return [];
  const whole = { start: 0, end: text.length };
  if (place.role === 'system' || place.role === 'developer') {
    return [pinned(whole, 'instruction', 'system-prompt', `role ${place.role}`)];
  }
  if (place.demonstrationTurn && (place.role === 'user' || place.role === 'assistant')) {
    return [
      {
        ...whole,
        kind: 'demonstration',
        content: contentKindOf(text),
        policy: 'droppable',
        reason: 'demonstration',
        detail: 'few-shot message pair',
      },
    ];
  }
  if (place.role === 'assistant') {
    return [pinned(whole, 'history', 'assistant-text', 'role assistant')];
  }
  if (place.role === 'tool') return [toolResult(text)];
  if (place.partType !== null && wholeDocumentTypes.has(place.partType)) {
    return [declaredDocument(text, place.partType)];
  }
  const style = gapStyle(place);
  const sections = sectionsOf(text, { lead: place.lastUser || place.role === 'prompt' });
  return coverParts(text, sections, style);
}

/** Content part types whose text is a document by its type alone. */
const wholeDocumentTypes: ReadonlySet<string> = new Set([
  'document',
  'file',
  'input_file',
  'search_result',
]);

function gapStyle(place: StringPlace): GapStyle {
  if (place.role === 'prompt') return 'prompt';
  return place.lastUser ? 'last-user' : 'earlier-user';
}

function pinned(
  range: { start: number; end: number },
  kind: DetectedPart['kind'],
  reason: DetectedPart['reason'],
  detail: string,
): DetectedPart {
  return { ...range, kind, content: 'prose', policy: 'pinned', reason, detail };
}

function toolResult(text: string): DetectedPart {
  const content = contentKindOf(text);
  return {
    start: 0,
    end: text.length,
    kind: 'tool-result',
    content,
    policy: content === 'code' ? 'pinned' : 'compressible',
    reason: content === 'code' ? 'code-block' : 'tool-result',
    detail: `tool content ${content}`,
  };
}

function declaredDocument(text: string, partType: string): DetectedPart {
  const content = contentKindOf(text);
  return {
    start: 0,
    end: text.length,
    kind: 'document',
    content,
    policy: content === 'code' ? 'pinned' : 'compressible',
    reason: content === 'code' ? 'code-block' : 'document-section',
    detail: `part type ${partType}`,
  };
}
