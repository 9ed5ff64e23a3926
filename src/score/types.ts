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

/** Sentence vectors (Reimers and Gurevych 2019): texts near in meaning have vectors with a high dot product. */
export interface VectorScorer {
  readonly kind: 'vectors';
  readonly id: string;
  /** Length of every vector. */
  readonly dimension: number;
  /** Longest sequence with special tokens. Longer texts are read in pieces and their vectors averaged. */
  readonly contextLength: number;
  /**
   * One vector of length 1 per text, so that a dot product is the cosine; all zero for a text without tokens. A
   * text's vector depends on that text alone, bit for bit. Vectors are remembered by content, and equal texts that
   * are asked for at the same time go through the network once.
   * @throws SluiceError ABORTED, DEADLINE_EXCEEDED, QUEUE_FULL, SCORER_FAILED
   */
  vectors(texts: readonly string[], options?: ScoreOptions): Promise<readonly Float32Array[]>;
  readonly tokensFed: number;
}

/** Vectors of single tokens without context. Everything is a look-up in memory: synchronous, no worker. */
export interface TokenTable {
  readonly kind: 'table';
  readonly id: string;
  readonly dimension: number;
  /** Token ids, special tokens not included. */
  encode(text: string): Uint32Array;
  /**
   * Weighted late interaction (the sum of maxima of ColBERT, Khattab and Zaharia 2020, with a weight per token): for
   * each text the mean over the question's tokens q, weighted by the table's weight of q, of the highest cosine
   * between q and a token of the text. In [-1, 1]; 0 for a text without tokens, and 0 throughout for a question
   * without tokens.
   */
  scores(question: string, texts: readonly string[]): Float32Array;
  /** Weighted mean of a text's token vectors, scaled to length 1; all zero for a text without tokens. */
  vectors(texts: readonly string[]): readonly Float32Array[];
}

/** Reads question and text together (cross-encoder, Nogueira and Cho 2019). */
export interface PairScorer {
  readonly kind: 'pairs';
  readonly id: string;
  /** Longest sequence: question, text and special tokens. */
  readonly contextLength: number;
  /**
   * Relevance of each text to the question: the model's logit, higher is better, any real number. Depends on
   * question and text alone; remembered by content. A text that does not fit beside the question is read in pieces
   * and has the score of its best one.
   * @throws SluiceError ABORTED, DEADLINE_EXCEEDED, QUEUE_FULL, SCORER_FAILED
   */
  scores(question: string, texts: readonly string[], options?: ScoreOptions): Promise<Float32Array>;
  readonly tokensFed: number;
}

export type Scorer = SurprisalScorer | KeepScorer;

/** Hands out scorers by role; null = no such model is installed. */
export interface ScorerSet {
  readonly surprisal: SurprisalScorer | null;
  readonly keep: KeepScorer | null;
  readonly vectors: VectorScorer | null;
  readonly table: TokenTable | null;
  readonly pairs: PairScorer | null;
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
