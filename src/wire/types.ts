/** Bytes <-> spans. The body is scanned, never parsed into objects; only strings that are looked at are decoded. */
import type { SkipReason } from '../core/report.ts';
import type { ContentKind, Policy, Role, Span, SpanKind, SpanReason } from '../core/span.ts';

export const dialectNames = [
  'openai-chat',
  'openai-completions',
  'openai-responses',
  'anthropic-messages',
  'ollama-chat',
] as const;
export type DialectName = (typeof dialectNames)[number];

/** Replacement of `body[byteStart, byteEnd)` by `bytes` (already encoded for where it goes). */
export interface Splice {
  readonly byteStart: number;
  readonly byteEnd: number;
  readonly bytes: Uint8Array;
}

/** Per-request wishes found in the body's own `sluice` fields. */
export interface BodyWishes {
  readonly compress: boolean | null;
  readonly rate: number | null;
  readonly targetTokens: number | null;
  readonly method: string | null;
  readonly session: string | null;
}

/** One message as the raw bytes that identify it, for lineage. */
export interface MessageSlice {
  readonly index: number;
  /** Role string as found, or null. */
  readonly role: string | null;
  readonly byteStart: number;
  readonly byteEnd: number;
}

export interface ReadRequest {
  readonly dialect: DialectName;
  /** Model name as found in the body, or null. */
  readonly model: string | null;
  readonly stream: boolean;
  /** Most tokens of the answer, as far as the body says; null = it does not. */
  readonly maxTokens: number | null;
  readonly messages: readonly MessageSlice[];
  /** Every text span in body order, pinned ones included. */
  readonly spans: readonly Span[];
  readonly wishes: BodyWishes;
  /** Removals of `sluice` fields, to be applied always. Ascending, without overlap. */
  readonly removals: readonly Splice[];
  /** What was found in the body's `sluice` fields and ignored, and where; no prompt text. */
  readonly notes: readonly string[];
}

export interface ReadOptions {
  /** Value of the request's `content-encoding` header; anything but nothing and `identity` is passed through. */
  readonly contentEncoding?: string | null;
  /** Larger bodies are passed through. */
  readonly inspectBytes: number;
  /** Whether `sluice` fields are obeyed. They are removed in any case. */
  readonly bodyWishes: boolean;
}

export type ReadResult =
  | { readonly ok: true; readonly request: ReadRequest }
  /** Forward untouched. `detail` names what was found and where (byte offset, pointer), never prompt text. */
  | { readonly ok: false; readonly reason: SkipReason; readonly detail: string };

/** A part of one decoded string, as the detector sees it. Parts cover the string without gap or overlap. */
export interface DetectedPart {
  /** UTF-16 offsets into the string. */
  readonly start: number;
  readonly end: number;
  readonly kind: SpanKind;
  readonly content: ContentKind;
  readonly policy: Policy;
  readonly reason: SpanReason;
  readonly detail: string;
}

/** Where a string stands in the request; all the detector may know besides the string itself. */
export interface StringPlace {
  readonly role: Role;
  /** The string belongs to the last user message (or is a completions prompt). */
  readonly lastUser: boolean;
  /** Content part type (`text`, `document`, `file`, ...), or null for a plain string. */
  readonly partType: string | null;
  /** The message is one half of a few-shot user/assistant pair before the last turn. */
  readonly demonstrationTurn: boolean;
}

/** What is known of one message when few-shot pairs are looked for. */
export interface TurnShape {
  readonly role: Role;
  readonly text: string;
}
