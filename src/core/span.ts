/**
 * The words of the domain that describe where a request's text comes from and what may happen to it.
 * Plain data: every stage reads and writes these, no stage owns them.
 */

export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'prompt';

export const spanKinds = [
  'instruction',
  'question',
  'demonstration',
  'document',
  'history',
  'tool-call',
  'tool-result',
] as const;
export type SpanKind = (typeof spanKinds)[number];

/** What the characters are, whatever they are for. `search` = search-engine or grep-like result lists. */
export const contentKinds = [
  'prose',
  'code',
  'json',
  'log',
  'diff',
  'table',
  'markup',
  'search',
] as const;
export type ContentKind = (typeof contentKinds)[number];

/**
 * - `pinned`: never touched
 * - `compressible`: groups inside it may be dropped
 * - `droppable`: may be left out as a whole under a budget, never cut inside
 */
export type Policy = 'pinned' | 'compressible' | 'droppable';

/**
 * Why a span has its policy.
 * - `system-prompt`, `tool-schema`, `tool-call`, `assistant-text`, `image`: roles that are pinned by default
 * - `question`: the last user message less the document sections found in it
 * - `document-section`: found by a delimiter, list, template or part type (`detail` says which)
 * - `demonstration`: one of several repeated example blocks
 * - `tool-result`: content of a tool message
 * - `earlier-turn`: user text of an earlier turn that is no document
 * - `code-block`: fenced or detected code
 * - `declared`: the caller said so with a `sluice` field
 * - `plain-prompt`: a completions prompt without any recognisable section
 */
export type SpanReason =
  | 'system-prompt'
  | 'tool-schema'
  | 'tool-call'
  | 'assistant-text'
  | 'image'
  | 'question'
  | 'document-section'
  | 'demonstration'
  | 'tool-result'
  | 'earlier-turn'
  | 'code-block'
  | 'declared'
  | 'plain-prompt';

/**
 * One piece of text inside a request body.
 *
 * A span is a half-open range of one decoded JSON string. Several spans may lie in one string; together they
 * cover it without gap or overlap, in ascending order.
 */
export interface Span {
  /** Position in the request's span list; stable within one request only. */
  readonly index: number;
  /** RFC 6901 pointer of the JSON string that holds the span, e.g. `/messages/3/content/0/text`. */
  readonly pointer: string;
  /** Index into `messages`; 0 for a completions prompt. */
  readonly messageIndex: number;
  readonly role: Role;
  readonly kind: SpanKind;
  readonly content: ContentKind;
  readonly policy: Policy;
  readonly reason: SpanReason;
  /** Which rule decided, in a few words fit for a report (`xml-tag <document>`, `numbered list`, ...). */
  readonly detail: string;
  /** UTF-16 offsets into the decoded string at `pointer`. */
  readonly start: number;
  readonly end: number;
  /** Byte offsets of the same range inside the request body (within the string's quotes). */
  readonly byteStart: number;
  readonly byteEnd: number;
  /** The decoded text, `end - start` UTF-16 units long. */
  readonly text: string;
  /** Keep rate in (0, 1] that the caller declared for this part, if any. */
  readonly declaredRate: number | null;
}
