/** The contract of all compressors: a job in, one mask per segment out. */
import type { BaselineName, MethodName, Tier } from '../core/method.ts';
import type { KeepMask } from '../core/mask.ts';
import type { ContentKind, Policy, SpanKind } from '../core/span.ts';
import type { SurvivorClass } from '../core/survivor-class.ts';
import type { SkipReason } from '../core/report.ts';
import type { ScorerSet } from '../score/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';

/** One text that may be shortened. Segments of a job share one budget. */
export interface Segment {
  readonly text: string;
  readonly kind: SpanKind;
  readonly content: ContentKind;
  /** `pinned` segments are read as context but come back whole. */
  readonly policy: Policy;
  /** Overrides the job's rate for this segment, in (0, 1]. */
  readonly rate?: number;
}

/** How much may remain. Exactly one form; tokens are counted with the job's tokenizer. */
export type Budget =
  | { readonly type: 'rate'; readonly rate: number }
  | { readonly type: 'tokens'; readonly tokens: number };

/** What must be present afterwards, verified after masking. */
export interface Survivors {
  /** Groups of these classes survive. */
  readonly classes: readonly SurvivorClass[];
  /** Literal strings that survive wherever they occur. */
  readonly literals: readonly string[];
  /** Regular expressions (compiled with the flags `gu`); every match survives. */
  readonly patterns: readonly RegExp[];
}
export type { SurvivorClass };

/**
 * Options of the reference libraries under their own names and meaning, all optional.
 * `reference: true` reproduces the reference's arithmetic step by step (for comparison only).
 */
export interface MethodOptions {
  readonly reference?: boolean;
  // llmlingua, longllmlingua
  readonly iterative_size?: number;
  readonly force_context_ids?: readonly number[];
  readonly force_context_number?: number;
  readonly use_sentence_level_filter?: boolean;
  readonly use_context_level_filter?: boolean;
  readonly use_token_level_filter?: boolean;
  readonly keep_split?: boolean;
  readonly keep_first_sentence?: number;
  readonly keep_last_sentence?: number;
  readonly keep_sentence_number?: number;
  readonly high_priority_bonus?: number;
  readonly context_budget?: string;
  readonly token_budget_ratio?: number;
  readonly condition_in_question?: 'none' | 'before' | 'after';
  readonly reorder_context?: 'original' | 'sort' | 'two_stage';
  readonly dynamic_context_compression_ratio?: number;
  readonly condition_compare?: boolean;
  readonly add_instruction?: boolean;
  readonly rank_method?: 'llmlingua' | 'longllmlingua' | 'bm25';
  readonly concate_question?: boolean;
  // llmlingua2
  readonly target_context?: number;
  readonly context_level_rate?: number;
  readonly context_level_target_token?: number;
  readonly token_to_word?: 'mean' | 'first';
  readonly force_tokens?: readonly string[];
  readonly force_reserve_digit?: boolean;
  readonly drop_consecutive?: boolean;
  readonly chunk_end_tokens?: readonly string[];
  // selective-context
  readonly reduce_level?: 'phrase' | 'sent' | 'token';
  // extractive
  /** Fill what whole sentences leave of the budget with the beginning of the next one. */
  readonly fill_partial?: boolean;
  // baselines
  readonly seed?: number;
}

export interface CompressJob {
  readonly segments: readonly Segment[];
  /** Empty string = no question is known. */
  readonly question: string;
  readonly instruction: string;
  readonly budget: Budget;
  readonly survivors: Survivors;
  readonly options: MethodOptions;
  /** Segments below this many tokens come back whole (`too-short`). */
  readonly minTokens: number;
  readonly signal: AbortSignal | null;
}

export interface SegmentResult {
  readonly mask: KeepMask;
  /** The text that the mask renders to; a subsequence of the segment's text. */
  readonly text: string;
  /** Method that decided this segment (`auto` reports what it picked), or null when it came back whole. */
  readonly method: MethodName | BaselineName | null;
  /** Why it came back whole, or null. */
  readonly skipped: SkipReason | null;
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}

export interface CompressResult {
  /** One per segment of the job, in the job's order. */
  readonly segments: readonly SegmentResult[];
  /** Order in which the segments should be put together, as indices; identity unless `reorder_context` asked. */
  readonly order: readonly number[];
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  /** Tokens that the budget allowed, after forced and pinned text; null when no budget applied. */
  readonly budgetTokens: number | null;
  /** Facts worth telling in a report (`budget-below-survivors`, ...). */
  readonly notes: readonly string[];
}

/** Everything a compressor may use; given at construction. */
export interface CompressorDeps {
  readonly tokenizer: TextTokenizer;
  readonly scorers: ScorerSet;
  /** What `auto` may spend; left out = the default tier. A tier whose model is missing falls back, with a note. */
  readonly tier?: Tier;
}

export interface Compressor {
  readonly method: MethodName | BaselineName;
  /** Names method version, scorer and tokenizer; part of every decision's key. */
  readonly id: string;
  /**
   * Never mutates the job. Same job, same bytes: nothing outside the job and the models decides.
   * @throws SluiceError METHOD_UNAVAILABLE, BUDGET_IMPOSSIBLE, and what the scorer throws
   */
  compress(job: CompressJob): Promise<CompressResult>;
}
