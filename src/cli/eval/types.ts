/** What `sluice eval` reads and writes. */
import type { BaselineName, MethodName } from '../../core/method.ts';
import type { Segment } from '../../index.ts';

export type ArmName = MethodName | BaselineName;

/** A half-open range of UTF-16 offsets inside one segment. */
export interface EvidenceRange {
  readonly segment: number;
  readonly start: number;
  readonly end: number;
}

/** One evaluation record, ready for a compressor. */
export interface EvalItem {
  readonly set: string;
  readonly id: string;
  readonly segments: readonly Segment[];
  readonly question: string;
  /** Any one is right; empty when the answer is not literally in the context. */
  readonly answers: readonly string[];
  readonly evidence: readonly EvidenceRange[];
}

/** Measurements of one item under one arm and rate. null = does not apply to this item. */
export interface ItemResult {
  readonly set: string;
  readonly id: string;
  readonly arm: ArmName;
  readonly rate: number;
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  readonly backendBefore: number | null;
  readonly backendAfter: number | null;
  readonly survived: boolean | null;
  readonly evidenceRecall: number | null;
  readonly numbers: number | null;
  readonly identifiers: number | null;
  readonly negations: number | null;
  readonly structure: boolean | null;
  readonly prefixStability: number | null;
  readonly milliseconds: number;
}

/** One row of the table: means over the items of a set, with the 95 % interval of survival minus a reference arm. */
export interface TableRow {
  readonly set: string;
  readonly arm: ArmName;
  readonly rate: number;
  readonly n: number;
  readonly achieved: number;
  readonly achievedBackend: number | null;
  readonly survival: number | null;
  readonly survivalInterval: readonly [number, number] | null;
  /** Paired difference to `bm25-sentence`, with its interval. */
  readonly againstBm25: {
    readonly mean: number;
    readonly interval: readonly [number, number];
  } | null;
  readonly evidence: number | null;
  readonly numbers: number | null;
  readonly identifiers: number | null;
  readonly negations: number | null;
  readonly structure: number | null;
  readonly prefixStability: number | null;
  readonly msPer1000: number;
}
