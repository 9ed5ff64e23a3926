/** Measures of one compressed item (definitions: SR, ER, KR of the evaluation protocol). */
import type { CompressResult } from '../../index.ts';
import type { EvalItem } from './types.ts';

/** NFKC, lower case, articles and punctuation dropped, thousands separators removed, spaces collapsed. */
export function normalise(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/(\d),(?=\d{3}\b)/g, '$1')
    .replace(/[\p{P}\p{S}]/gu, ' ')
    .replace(/\b(?:a|an|the)\b/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** True when one of the answers is a contiguous part of the output; null when none was in the input. */
export function answerSurvives(item: EvalItem, output: string): boolean | null {
  if (item.answers.length === 0) return null;
  const haystack = normalise(output);
  return item.answers.some((answer) => {
    const needle = normalise(answer);
    // An answer of punctuation only has no normal form; compare it as it stands.
    return needle === '' ? output.includes(answer) : haystack.includes(needle);
  });
}

/** Kept characters of the evidence over all its characters; null without evidence. */
export function evidenceRecall(item: EvalItem, result: CompressResult): number | null {
  let total = 0;
  let kept = 0;
  for (const range of item.evidence) {
    const mask = result.segments[range.segment]?.mask;
    if (mask === undefined) continue;
    for (let at = 0; at < mask.starts.length; at += 1) {
      const start = Math.max(range.start, mask.starts[at] ?? 0);
      const end = Math.min(range.end, mask.ends[at] ?? 0);
      if (end <= start) continue;
      total += end - start;
      if (mask.keep[at] === 1) kept += end - start;
    }
  }
  return total === 0 ? null : kept / total;
}

const mentionPatterns = {
  numbers: /\d+(?:[.,:]\d+)*/gu,
  identifiers: /\b(?=\w*(?:\d|_|[a-z][A-Z]))[A-Za-z_][\w-]{2,}\b/gu,
  negations: /\b(?:not|no|never|none|nor|neither|without|cannot|\w+n['’]t)\b|[不没未无]/giu,
} as const;

/** Share of the input's distinct mentions of a class that are in the output; null when the input has none. */
export function mentionsKept(
  kind: keyof typeof mentionPatterns,
  input: string,
  output: string,
): number | null {
  const before = new Set(input.match(mentionPatterns[kind]) ?? []);
  if (before.size === 0) return null;
  const after = new Set(output.match(mentionPatterns[kind]) ?? []);
  let kept = 0;
  for (const mention of before) if (after.has(mention)) kept += 1;
  return kept / before.size;
}

/** Whether JSON segments still parse and code fences still balance; null when there is nothing to check. */
export function structureValid(item: EvalItem, result: CompressResult): boolean | null {
  let checked = false;
  for (const [at, segment] of item.segments.entries()) {
    const output = result.segments[at]?.text ?? segment.text;
    if (segment.content === 'json') {
      checked = true;
      if (output !== '' && !parses(output)) return false;
    }
    if (segment.text.includes('```') && count(segment.text) % 2 === 0) {
      checked = true;
      if (count(output) % 2 !== 0) return false;
    }
  }
  return checked ? true : null;
}

const count = (text: string): number => text.split('```').length - 1;

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .every((line) => {
        try {
          JSON.parse(line);
          return true;
        } catch {
          return false;
        }
      });
  }
}

/** Longest common prefix of two outputs over the length of the first; 1 = the first is a prefix of the second. */
export function prefixShare(shorter: string, longer: string): number {
  if (shorter === '') return 1;
  let at = 0;
  while (at < shorter.length && shorter[at] === longer[at]) at += 1;
  return at / shorter.length;
}
