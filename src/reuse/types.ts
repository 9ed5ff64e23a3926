/** What was forwarded once is forwarded again: the ledger of decisions. */
import type { SpanReport } from '../core/report.ts';

/** Replacement of bytes inside one message, relative to the message's first byte. */
export interface MessageEdit {
  /** Index of the message inside its unit. */
  readonly message: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  /** Decoded text that stands there instead; its JSON encoding is a function of it alone. */
  readonly text: string;
}

/**
 * Everything that was decided about one unit (a run of messages that is decided at once). The edits describe the
 * forwarded bytes completely: whoever has the unit's original bytes and its edits has what was forwarded.
 */
export interface UnitDecision {
  readonly edits: readonly MessageEdit[];
  readonly spans: readonly SpanReport[];
}

/**
 * The store of decisions, keyed by lineage: a hash chain over tenant and raw message bytes up to and including the
 * unit, and nothing after it. Same prefix, same key, so the same forwarded bytes. Implementations are bounded.
 */
export interface Ledger {
  /**
   * One key per unit. `units[i]` holds the raw bytes of the messages of unit i; `scope` names tenant, dialect and
   * model, so that nothing is shared across them.
   */
  lineage(scope: string, units: readonly (readonly Uint8Array[])[]): readonly string[];
  get(key: string): Promise<UnitDecision | null>;
  /** First writer wins: returns what is stored under the key afterwards. */
  putIfAbsent(key: string, decision: UnitDecision): Promise<UnitDecision>;
  check(): Promise<{ readonly ok: boolean; readonly detail: string }>;
  close(): Promise<void>;
}
