/** Structural validity: does a shortened text still read as what it was? */
import type { Segment } from '../../index.ts';

/**
 * False when a segment's output is no subsequence of its input, JSON (or lines of JSON) no longer parses, code fences
 * or tags that were balanced are not any more, or a numbered list no longer ascends. null when the item has neither
 * JSON, fences, tags nor numbered lists. A segment left out as a whole is judged valid only where that was allowed
 * (`droppable`) or where several segments competed (documents of a pool).
 */
export function structureValid(
  segments: readonly Segment[],
  outputs: readonly string[],
): boolean | null {
  let checked = false;
  for (const [at, segment] of segments.entries()) {
    const output = outputs[at] ?? '';
    if (!isSubsequence(output, segment.text)) return false;
    if (output === '' && segments.length > 1) continue;
    for (const check of checks) {
      if (!check.applies(segment)) continue;
      checked = true;
      if (!check.holds(output)) return false;
    }
  }
  return checked ? true : null;
}

interface Check {
  readonly applies: (segment: Segment) => boolean;
  readonly holds: (output: string) => boolean;
}

const checks: readonly Check[] = [
  { applies: ({ content, text }) => content === 'json' && parses(text), holds: parses },
  { applies: ({ text }) => text.includes('```') && fencesBalance(text), holds: fencesBalance },
  {
    applies: ({ content, text }) => content === 'markup' && /<\w/.test(text) && tagsBalance(text),
    holds: tagsBalance,
  },
  { applies: ({ text }) => listNumbers(text).length > 2 && ascends(text), holds: ascends },
];

function isSubsequence(part: string, whole: string): boolean {
  let at = 0;
  for (let i = 0; i < whole.length && at < part.length; i += 1) {
    if (whole.charCodeAt(i) === part.charCodeAt(at)) at += 1;
  }
  return at === part.length;
}

function fencesBalance(text: string): boolean {
  return (text.match(/^[^\S\n]*```/gm) ?? []).length % 2 === 0;
}

function parses(text: string): boolean {
  if (isJson(text)) return true;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.length > 1 && lines.every(isJson);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Elements of HTML that have no end tag. */
const voidTags = new Set(
  'area base br col embed hr img input link meta source track wbr'.split(' '),
);

function tagsBalance(text: string): boolean {
  const open: string[] = [];
  for (const [, end, name, self] of text.matchAll(/<(\/?)([A-Za-z][\w:-]*)[^<>]*?(\/?)>/g)) {
    const tag = name?.toLowerCase() ?? '';
    if (self === '/' || voidTags.has(tag)) continue;
    if (end !== '/') open.push(tag);
    else if (open.pop() !== tag) return false;
  }
  return open.length === 0;
}

function listNumbers(text: string): number[] {
  return Array.from(text.matchAll(/^[^\S\n]*(\d{1,4})[.)]\s/gm), ([, digits]) => Number(digits));
}

/** Several lists may follow each other: a list may begin again at its first number. */
function ascends(text: string): boolean {
  const numbers = listNumbers(text);
  return numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0) || number <= 1);
}
