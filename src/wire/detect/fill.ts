/** Parts of a range that is known to be document text: fenced code and document headings stay as they are. */
import type { DetectedPart } from '../types.ts';
import type { Fence } from './blocks.ts';
import { contentKindOf } from './content.ts';
import { itemHeads } from './items.ts';
import type { ItemHead } from './items.ts';
import { freeRanges } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import { byStart, codePart, documentPart, framePart } from './parts.ts';

/** `fences` ascending; those that are not wholly inside the range are ignored. */
export function fillDocument(
  lines: Lines,
  range: Range,
  detail: string,
  fences: readonly Fence[],
): DetectedPart[] {
  const fixed: DetectedPart[] = [];
  for (const fence of fencesIn(fences, range)) {
    if (isMaterialFence(lines.text, fence)) continue;
    fixed.push(codePart(fence, `${detail}, code fence`));
  }
  const heads = outside(itemHeads(lines, range), fixed);
  const framed = heads.map((head) => framePart(head, `${detail}, ${head.detail}`));
  const taken = [...fixed, ...framed].sort(byStart);
  const parts: DetectedPart[] = [...taken];
  for (const piece of freeRanges(lines.text, range, taken)) {
    const part = documentPart(lines.text, piece, detail);
    if (part !== null) parts.push(part);
  }
  return parts.sort(byStart);
}

/** Languages of fences that hold material rather than program text. */
const materialLanguages: ReadonlySet<string> = new Set(
  'json jsonl ndjson log logs text txt plain plaintext diff patch csv tsv md markdown table output console html xml'.split(
    ' ',
  ),
);

/** No program text inside: by the fence's language, or by its lines when it names none. */
export function isMaterialFence(text: string, fence: Fence): boolean {
  if (fence.language !== '' && !materialLanguages.has(fence.language)) return false;
  return contentKindOf(text.slice(fence.innerStart, fence.innerEnd)) !== 'code';
}

/** Those that do not start inside one of `blocks`; both ascending. */
function outside(heads: readonly ItemHead[], blocks: readonly Range[]): ItemHead[] {
  let at = 0;
  return heads.filter((head) => {
    while ((blocks[at]?.end ?? Infinity) <= head.start) at += 1;
    return (blocks[at]?.start ?? Infinity) > head.start;
  });
}

function fencesIn(fences: readonly Fence[], range: Range): Fence[] {
  let low = 0;
  let high = fences.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((fences[middle]?.start ?? 0) < range.start) low = middle + 1;
    else high = middle;
  }
  const found: Fence[] = [];
  for (let at = low; at < fences.length; at += 1) {
    const fence = fences[at];
    if (fence === undefined || fence.start >= range.end) break;
    if (fence.end <= range.end) found.push(fence);
  }
  return found;
}
