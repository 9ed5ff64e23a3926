/** What the compressors may ask of a scorer. Implementations run in worker threads. */

/** Parallel arrays, one entry per token of the scored text. */
export interface TokenScores {
  readonly ids: Uint32Array;
  /** UTF-16 offsets into the scored text. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /**
   * Surprisal -ln p(token | tokens before it) in nats for a causal scorer (position 0 without any context: +Infinity
   * is never used; it is scored after the model's BOS token), or the keep probability in [0, 1] for a classifier.
   */
  readonly values: Float32Array;
}

export interface ScoreOptions {
  /** Fires when the caller is gone or out of time; queued chunks are dropped, the running one is the last. */
  readonly signal?: AbortSignal | null;
}

export interface SurprisalScorer {
  readonly kind: 'surprisal';
  /** Model name, weights hash and precision; part of every decision's key. */
  readonly id: string;
  /** Longest sequence (BOS included) that one forward pass takes. */
  readonly contextLength: number;
  /** BOS id put before the first token, or null for a model without one. */
  readonly bosId: number | null;
  encode(text: string): { ids: Uint32Array; starts: Uint32Array; ends: Uint32Array };
  decode(ids: ArrayLike<number>): string;
  /**
   * Surprisal of every token of `text`, each token scored once, in chunks whose borders depend on `text` alone.
   * `prefix` is read before the text as condition (question, document, compressed text so far) and not scored.
   * @throws SluiceError ABORTED, DEADLINE_EXCEEDED, QUEUE_FULL, SCORER_FAILED
   */
  score(text: string, options?: ScoreOptions & { readonly prefix?: string }): Promise<TokenScores>;
  /**
   * One forward pass over exactly these ids (at most `contextLength`): value i = surprisal of ids[i] given ids[0..i);
   * value 0 is 0 when nothing precedes it. Nothing is prepended.
   */
  scoreIds(ids: Uint32Array, options?: ScoreOptions): Promise<Float32Array>;
  /** Tokens that have gone through the network so far; for cost accounting and tests. */
  readonly tokensFed: number;
}

export interface KeepScorer {
  readonly kind: 'keep';
  readonly id: string;
  /** Longest sequence with special tokens. */
  readonly contextLength: number;
  encode(text: string): { ids: Uint32Array; starts: Uint32Array; ends: Uint32Array };
  decode(ids: ArrayLike<number>): string;
  /** Keep probability of every token of `text`; chunk borders depend on `text` alone. */
  score(text: string, options?: ScoreOptions): Promise<TokenScores>;
  /** One forward pass over exactly these ids (special tokens included by the caller): keep probability per position. */
  scoreIds(ids: Uint32Array, options?: ScoreOptions): Promise<Float32Array>;
  readonly tokensFed: number;
}

export type Scorer = SurprisalScorer | KeepScorer;

/** Hands out scorers by role; absent = no such model is installed. */
export interface ScorerSet {
  readonly surprisal: SurprisalScorer | null;
  readonly keep: KeepScorer | null;
}

/** `models/<name>/manifest.json`. */
export interface ModelManifest {
  readonly name: string;
  readonly version: string;
  readonly kind:
    'causal-lm' | 'token-classifier' | 'sentence-encoder' | 'cross-encoder' | 'token-table';
  readonly licence: string;
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly bytes: number }>>;
  readonly context_length: number;
  readonly bos_token_id: number | null;
  readonly eos_token_id: number | null;
  readonly [key: string]: unknown;
}
