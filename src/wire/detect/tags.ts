/** Parts of the tag pairs: inner text of document tags, examples, questions; the tags themselves are frame. */
import type { DetectedPart } from '../types.ts';
import type { TagPair } from './blocks.ts';
import { freeRanges, trimRange } from './lines.ts';
import type { Range } from './lines.ts';
import { byStart, demonstrationPart, framePart, questionPart } from './parts.ts';

const maxDepth = 6;

/** `fill` makes the parts of a plain document range. `pairs` ascending by start, outer before inner. */
export function tagParts(
  text: string,
  pairs: readonly TagPair[],
  fill: (range: Range, detail: string) => DetectedPart[],
): DetectedPart[] {
  const roots = topLevel(pairs);
  const examples = roots.filter(({ pair }) => pair.tag === 'example').length;
  const parts: DetectedPart[] = [];
  for (const root of roots) {
    const { pair } = root;
    if (pair.tag === 'document') parts.push(...documentTree(text, root, fill));
    else if (pair.tag === 'instruction') parts.push(instructionBlock(pair));
    else if (pair.tag === 'example') {
      const detail = `xml-tag <${pair.name}>`;
      parts.push(
        examples >= 2
          ? demonstrationPart(pair, 'prose', detail)
          : { ...questionPart(pair, detail), kind: 'instruction' },
      );
    }
  }
  return parts;
}

interface TagNode {
  readonly pair: TagPair;
  readonly children: readonly TagPair[];
}

/** Pairs that lie in no other of the list, each with the pairs inside it. Pairs that cross an outer end are dropped. */
function topLevel(pairs: readonly TagPair[]): TagNode[] {
  const roots: { pair: TagPair; children: TagPair[] }[] = [];
  for (const pair of pairs) {
    const last = roots.at(-1);
    if (last === undefined || pair.start >= last.pair.end) roots.push({ pair, children: [] });
    else if (pair.end <= last.pair.innerEnd) last.children.push(pair);
  }
  return roots;
}

function instructionBlock(pair: TagPair): DetectedPart {
  const detail = `xml-tag <${pair.name}>`;
  const part = questionPart(pair, detail);
  return /quer|question|input|问题/.test(pair.name) ? part : { ...part, kind: 'instruction' };
}

function documentTree(
  text: string,
  root: TagNode,
  fill: (range: Range, detail: string) => DetectedPart[],
): DetectedPart[] {
  const parts: DetectedPart[] = [];
  const pending: { node: TagNode; depth: number }[] = [{ node: root, depth: 0 }];
  while (pending.length > 0) {
    const next = pending.pop();
    if (next === undefined) break;
    const { node, depth } = next;
    const detail = `xml-tag <${node.pair.name}>`;
    const inner = { start: node.pair.innerStart, end: node.pair.innerEnd };
    const children = depth >= maxDepth ? [] : topLevel(node.children);
    const taken = children.map((child) => child.pair);
    for (const range of freeRanges(text, inner, taken)) parts.push(...fill(range, detail));
    for (const child of children) {
      if (isFrame(text, child.pair))
        parts.push(framePart(child.pair, `xml-tag <${child.pair.name}>`));
      else if (child.pair.tag === 'instruction') parts.push(instructionBlock(child.pair));
      else pending.push({ node: child, depth: depth + 1 });
    }
  }
  return [...parts, ...framesAround(text, root.pair, parts)];
}

/** What the parts leave of a tag pair is tags and white space: frame. */
function framesAround(text: string, pair: TagPair, parts: readonly DetectedPart[]): DetectedPart[] {
  const inside = [...parts].sort(byStart);
  return freeRanges(text, pair, inside).map((range) => framePart(range, `xml-tag <${pair.name}>`));
}

/** `<title>`, `<source>` and the like on one line name the document. */
function isFrame(text: string, pair: TagPair): boolean {
  if (pair.tag === 'metadata') return true;
  const named = pair.name === 'source' || pair.name === 'file' || pair.name === 'page';
  const inner = trimRange(text, pair.innerStart, pair.innerEnd);
  return (
    named && inner.end - inner.start < 200 && !text.slice(inner.start, inner.end).includes('\n')
  );
}
