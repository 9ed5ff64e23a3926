/** Runs the rules over one user string, strongest first; each later rule sees only what is still free. */
import type { DetectedPart } from '../types.ts';
import { blocksOf } from './blocks.ts';
import type { Fence } from './blocks.ts';
import { findExamples } from './demonstrations.ts';
import { fillDocument, isMaterialFence } from './fill.ts';
import { labelsOf, roleOf } from './labels.ts';
import type { Label } from './labels.ts';
import { freeRanges, lineAt, linesOf, startOf } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import { isPattern, looseParts } from './loose.ts';
import { byStart, codePart, documentPart } from './parts.ts';
import { isScratchpad, observationParts } from './react.ts';
import { quotedTexts } from './quoted.ts';
import { announcedRegions } from './regions.ts';
import { tagParts } from './tags.ts';

export interface Sections {
  readonly parts: readonly DetectedPart[];
  /** Offset where a labelled question starts, or null. */
  readonly question: number | null;
}

export interface SectionOptions {
  /** The string holds the question, so long text beside a short request may be split from it. */
  readonly lead: boolean;
}

export function sectionsOf(text: string, options: SectionOptions): Sections {
  const lines = linesOf(text);
  const blocks = blocksOf(lines);
  const fill = (range: Range, detail: string): DetectedPart[] =>
    fillDocument(lines, range, detail, blocks.fences);
  const parts = tagParts(text, blocks.tags, fill);
  const tagged = takenLines(lines, parts);
  for (const fence of blocks.fences) {
    if (tagged[lineAt(lines, fence.start)] !== 1) parts.push(...fenceParts(text, fence));
  }
  const quotes = quotedTexts(text, blocks.fences).filter((quoted) => isFree(quoted, lines, tagged));
  for (const { inner, detail } of quotes) parts.push(...fill(inner, detail));
  parts.sort(byStart);
  const taken = takenLines(lines, [
    ...parts,
    ...quotes.map((quoted) => quoted.inner),
    ...blocks.fences,
    ...blocks.tags.filter((tag) => tag.tag !== 'metadata'),
  ]);
  const free = (line: number): boolean => taken[line] !== 1;
  const labels = labelsOf(lines, 0, lines.count).filter((label) => free(label.line));
  const { parts: examples, material } = findExamples(lines, labels, free);
  for (const example of examples) parts.push(example);
  let rest = afterExamples(lines, labels, examples);
  if (isScratchpad(rest)) {
    parts.push(...observationParts(lines, rest));
    rest = rest.filter((label) => roleOf(label) !== 'context');
  }
  const regions = announcedRegions(
    lines,
    rest,
    (line) => free(line) && !within(lines, line, examples),
  );
  addRegions({ text, parts, fill }, [
    ...regions.documents,
    ...(material === null ? [] : [material]),
  ]);
  parts.push(...looseParts(lines, parts, options));
  const real = examples.at(-1)?.end ?? null;
  return { parts, question: regions.question ?? real };
}

/** Units; shorter text between tagged or quoted documents of a region joins them and stays. */
const shortestRemainder = 200;

interface RegionTarget {
  readonly text: string;
  readonly parts: DetectedPart[];
  readonly fill: (range: Range, detail: string) => DetectedPart[];
}

function addRegions(
  target: RegionTarget,
  regions: readonly { start: number; end: number; detail: string }[],
): void {
  const { text, parts, fill } = target;
  for (const region of regions) {
    const taken = [...parts].sort(byStart);
    const pieces = freeRanges(text, region, taken);
    const broken = pieces.length > 1 || taken.some((part) => overlaps(part, region));
    for (const range of pieces) {
      if (broken && range.end - range.start < shortestRemainder) continue;
      parts.push(...fill(range, region.detail));
    }
  }
}

/** Touches no tagged line. */
function isFree(range: Range, lines: Lines, tagged: Uint8Array): boolean {
  return !tagged.subarray(lineAt(lines, range.start), lineAt(lines, range.end - 1) + 1).includes(1);
}

function overlaps(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}

/** 1 for every line that a claimed range touches. */
function takenLines(lines: Lines, ranges: readonly Range[]): Uint8Array {
  const taken = new Uint8Array(lines.count);
  for (const range of ranges) {
    const last = lineAt(lines, Math.max(range.start, range.end - 1));
    taken.fill(1, lineAt(lines, range.start), last + 1);
  }
  return taken;
}

function within(lines: Lines, line: number, ranges: readonly Range[]): boolean {
  const first = ranges[0];
  const last = ranges.at(-1);
  if (first === undefined || last === undefined) return false;
  const at = startOf(lines, line);
  return at >= first.start && at < last.end;
}

/** Labels between the first and the last example are theirs. */
function afterExamples(
  lines: Lines,
  labels: readonly Label[],
  examples: readonly DetectedPart[],
): Label[] {
  return labels.filter((label) => !within(lines, label.line, examples));
}

/** Units; a shorter fence of plain words may be a format to follow. */
const shortestProseFence = 400;

function fenceParts(text: string, fence: Fence): DetectedPart[] {
  const detail = fence.language === '' ? 'code fence' : `code fence ${fence.language}`;
  const inner = { start: fence.innerStart, end: fence.innerEnd };
  if (isMaterialFence(text, fence)) {
    const part = documentPart(text, inner, detail);
    const long = part?.content !== 'prose' || inner.end - inner.start >= shortestProseFence;
    if (part !== null && long && !isPattern(text, part)) return [part];
  }
  return [codePart(fence, detail)];
}
