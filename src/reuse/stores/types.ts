/** Ledgers that outlive the process or are shared between processes. */
import type { Ledger } from '../types.ts';

export interface StoreStats {
  readonly kind: 'memory' | 'disk' | 'redis';
  /** False = what is decided now is in this process alone: it does not outlive it, or others cannot see it. */
  readonly available: boolean;
  /** Decisions that were asked for and found, here or in the store. */
  readonly hits: number;
  readonly misses: number;
  /** Calls that were answered by this process alone, because the store could not be asked. */
  readonly fallbacks: number;
  /** Calls to the store that failed. */
  readonly errors: number;
  /** Times that another process had decided the same unit differently while the store was away. */
  readonly conflicts: number;
  /** Decisions that were left out of the store to keep its bound. */
  readonly evictions: number;
  /** Decisions and conversations that wait to be written to the store. */
  readonly pending: number;
  /** In the store; null = not known. */
  readonly decisions: number | null;
  readonly conversations: number | null;
  /** Bytes that the store takes; null = not known. */
  readonly bytes: number | null;
  /** Decisions in this process's memory. */
  readonly cached: number;
}

export interface StoredLedger extends Ledger {
  stats(): StoreStats;
}
