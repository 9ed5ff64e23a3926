/** What was forwarded once is forwarded again: the store of decisions. */

/** The forwarded text of one span, as decided the first time. */
export interface StoredDecision {
  /** UTF-16 text that replaces the span; equal to the original when it was left alone. */
  readonly text: string;
  readonly method: string | null;
  readonly skipped: string | null;
  readonly tokensBefore: number | null;
  readonly tokensAfter: number | null;
}

/**
 * Keyed by tenant and by the lineage of everything before and including the span's message (not by anything after),
 * so that the same conversation prefix finds the same decisions. Implementations are bounded.
 */
export interface DecisionStore {
  get(key: string): Promise<readonly StoredDecision[] | null>;
  /** First writer wins: returns what is stored under the key afterwards. */
  putIfAbsent(
    key: string,
    decisions: readonly StoredDecision[],
  ): Promise<readonly StoredDecision[]>;
  check(): Promise<{ readonly ok: boolean; readonly detail: string }>;
  close(): Promise<void>;
}
