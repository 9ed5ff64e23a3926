/** What `sluice eval` reads and writes. */
import type { BaselineName, MethodName, Tier } from '../../core/method.ts';
import type { Segment } from '../../index.ts';

/** `auto` runs in the default tier, `auto-TIER` in that one. */
export type TierArm = `auto-${Tier}`;
export type ArmName = MethodName | BaselineName | TierArm;

/** Models that are not the shipped ones. */
export interface ModelSettings {
  /** Folder of a token classifier, or null. */
  readonly classifier: string | null;
  /** Folder of a sentence encoder; null = the shipped one. */
  readonly vectors: string | null;
}

/** A half-open range of UTF-16 offsets inside one segment. */
export interface EvidenceRange {
  readonly segment: number;
  readonly start: number;
  readonly end: number;
}

/** A chat message as it is sent; further fields of a record's messages go along. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

/** Sends messages the way of a request, as a tenant, and returns the messages that would be forwarded. */
export type CompressionPath = (
  messages: readonly ChatMessage[],
  tenant: string,
) => Promise<readonly ChatMessage[]>;

/** One evaluation record, ready for a compressor. */
export interface EvalItem {
  readonly set: string;
  readonly id: string;
  readonly segments: readonly Segment[];
  /** The same text as the detector of the product splits it; only where that differs (demonstrations), else null. */
  readonly detected: readonly Segment[] | null;
  /** The record as a chat: a first turn, and what is said after it. */
  readonly conversation: {
    readonly first: readonly ChatMessage[];
    readonly next: readonly ChatMessage[];
  };
  readonly question: string;
  /** Any one is right; empty when no answer stands literally in the input. */
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
  /** As `evidenceRecall`, but every supporting passage counts the same. */
  readonly passages: number | null;
  readonly numbers: number | null;
  readonly identifiers: number | null;
  readonly negations: number | null;
  readonly structure: boolean | null;
  readonly prefixStability: number | null;
  /** Of one compression; null when the same text was compressed at another rate just before, so that caches helped. */
  readonly milliseconds: number | null;
}

/** A mean with its 95 % interval. */
export interface Estimate {
  readonly mean: number;
  readonly interval: readonly [number, number];
}

/** One row of the table: one set, arm and rate. */
export interface TableRow {
  readonly set: string;
  readonly arm: ArmName;
  readonly rate: number;
  readonly n: number;
  /** Items with an answer in their input; survival is a mean over these. */
  readonly asked: number;
  readonly achieved: number;
  readonly achievedBackend: number | null;
  readonly survival: Estimate | null;
  /** Paired difference of survival to `bm25-sentence-document`. */
  readonly againstBm25: Estimate | null;
  /** Paired difference of survival to `random-sentence`: the bar where no question is known. */
  readonly againstRandom: Estimate | null;
  readonly evidence: number | null;
  readonly passages: number | null;
  readonly numbers: number | null;
  readonly identifiers: number | null;
  readonly negations: number | null;
  readonly structure: number | null;
  readonly prefixStability: number | null;
  readonly msPer1000: number | null;
}

/** One arm over all sets: unweighted means of the sets' values, over the items that every arm named has. */
export interface MacroRow {
  readonly arm: ArmName;
  readonly rate: number;
  readonly sets: number;
  readonly n: number;
  readonly achieved: number;
  readonly survival: number | null;
  readonly evidence: number | null;
  readonly passages: number | null;
  readonly numbers: number | null;
  readonly identifiers: number | null;
  readonly negations: number | null;
  readonly structure: number | null;
  readonly prefixStability: number | null;
  readonly msPer1000: number | null;
}
