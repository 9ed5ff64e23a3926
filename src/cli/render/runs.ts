/** A compressed text as runs of characters with one fate each: what both renderings of `explain` draw. */
import type { CompressTextResult } from '../../index.ts';

export interface ExplainInput {
  /** The texts as given, one per segment. */
  readonly texts: readonly string[];
  readonly report: CompressTextResult['report'];
}

type SegmentReport = CompressTextResult['report']['segments'][number];
export type Piece = NonNullable<SegmentReport['pieces']>[number];

/** `dropped`, or why it is kept (one of `keepReasons`), or `gap` for white space between two different fates. */
export type Fate = string;

export interface Run {
  readonly fate: Fate;
  readonly text: string;
  /** The pieces inside, in order; empty for a gap. */
  readonly pieces: readonly Piece[];
}

export interface ExplainedSegment {
  readonly number: number;
  readonly report: SegmentReport;
  readonly runs: readonly Run[];
}

/** What a reader is told about each fate, in the order of the legend. */
export const fates: Readonly<Record<string, string>> = {
  dropped: 'left out: below the cut of the budget',
  score: 'kept: above the cut of the budget',
  survivor: 'kept: a guard says that it must survive',
  forced: 'kept: asked for by the caller',
  structure: 'kept: holds the text together',
  pinned: 'pinned: not up for compression',
};

function fateOf(piece: Piece): Fate {
  return piece.kept ? piece.why : 'dropped';
}

/** Joins neighbouring pieces of one fate, with the white space between them; together the runs are the whole text. */
export function runsOf(text: string, pieces: readonly Piece[]): Run[] {
  const runs: Run[] = [];
  let at = 0;
  let index = 0;
  while (index < pieces.length) {
    const first = pieces[index];
    if (first === undefined) break;
    const fate = fateOf(first);
    const group: Piece[] = [];
    let end = first.end;
    for (let next = pieces[index]; next !== undefined && fateOf(next) === fate;) {
      group.push(next);
      end = next.end;
      index += 1;
      next = pieces[index];
    }
    if (first.start > at) runs.push({ fate: 'gap', text: text.slice(at, first.start), pieces: [] });
    runs.push({ fate, text: text.slice(first.start, end), pieces: group });
    at = end;
  }
  if (at < text.length) runs.push({ fate: 'gap', text: text.slice(at), pieces: [] });
  return runs;
}

export function segmentsOf(input: ExplainInput): ExplainedSegment[] {
  return input.report.segments.map((report, index) => ({
    number: index + 1,
    report,
    runs: runsOf(input.texts[index] ?? '', report.pieces ?? []),
  }));
}

/** Number of pieces of each fate, in the order of the legend. */
export function countFates(segments: readonly ExplainedSegment[]): [Fate, number][] {
  const counts = new Map<Fate, number>();
  for (const run of segments.flatMap((segment) => segment.runs))
    if (run.fate !== 'gap') counts.set(run.fate, (counts.get(run.fate) ?? 0) + run.pieces.length);
  const known = Object.keys(fates).filter((fate) => counts.has(fate));
  return known.map((fate) => [fate, counts.get(fate) ?? 0]);
}

/** `segment 1: prose, llmlingua2, 120 -> 60 tokens`, or why it came back whole. */
export function segmentTitle({ number, report }: ExplainedSegment): string {
  const how =
    report.skipped === null ? (report.method ?? 'no method') : `left alone (${report.skipped})`;
  return `segment ${number}: ${report.content}, ${how}, ${report.tokensBefore} -> ${report.tokensAfter} tokens`;
}
