/** What a dialect collects while it walks a body; plain data that `spans.ts` turns into spans. */
import type { Policy, Role, SpanKind } from '../core/span.ts';
import type { JsonCursor, RawString } from './cursor.ts';
import { ScanStop } from './cursor.ts';
import type { BodyWishes, MessageSlice, Splice } from './types.ts';

/** A caller's own word about one content part. */
export interface Declaration {
  readonly kind: SpanKind;
  readonly policy: Policy;
  /** Keep rate in (0, 1], or null. */
  readonly rate: number | null;
}

/** One string that holds text. */
export interface FoundText {
  readonly pointer: string;
  readonly messageIndex: number;
  readonly role: Role;
  /** Content part type, or null for a plain string. */
  readonly partType: string | null;
  /** Arguments of a tool call: one pinned span, no detection. */
  readonly toolCall: boolean;
  readonly declared: Declaration | null;
  readonly raw: RawString;
}

/** Filled by the walk, in body order except for `removals`. */
export interface Found {
  readonly cursor: JsonCursor;
  /** Whether `sluice` fields are obeyed; they are removed in any case. */
  readonly bodyWishes: boolean;
  readonly texts: FoundText[];
  readonly messages: MessageSlice[];
  readonly removals: Splice[];
  readonly notes: string[];
  model: string | null;
  stream: boolean;
  maxTokens: number | null;
  wishes: BodyWishes;
}

/**
 * Checks the value at the cursor and refuses the body for it.
 * @throws ScanStop `not-json` when there is no value, else `unexpected-shape`
 */
export function unexpected(cursor: JsonCursor, pointer: string, wanted: string): never {
  cursor.passValue();
  throw new ScanStop('unexpected-shape', `${pointer} is not ${wanted}`);
}
