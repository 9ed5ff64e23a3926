/**
 * Records of the stores: UTF-8 JSON, positional, its first element the format. Reading trusts nothing: what does not
 * have the shape is absent. Of a decision the edits must be whole, since they are the forwarded bytes; a report of a
 * span that a newer version wrote with words unknown here is left out.
 */
import { methodNames } from '../../core/method.ts';
import { skipReasons, type SpanReport } from '../../core/report.ts';
import { contentKinds, spanKinds, type Policy, type SpanReason } from '../../core/span.ts';
import type { StoredConversation } from '../mode.ts';
import type { MessageEdit, UnitDecision } from '../types.ts';

/** Format of a record; one that starts with another number is not read. */
export const recordFormat = 1;

const policies: Readonly<Record<Policy, true>> = {
  pinned: true,
  compressible: true,
  droppable: true,
};
const spanReasons: Readonly<Record<SpanReason, true>> = {
  'system-prompt': true,
  'tool-schema': true,
  'tool-call': true,
  'assistant-text': true,
  image: true,
  question: true,
  'document-section': true,
  demonstration: true,
  'tool-result': true,
  'earlier-turn': true,
  'code-block': true,
  declared: true,
  'plain-prompt': true,
};

export function encodeDecision(decision: UnitDecision): Buffer {
  const edits = decision.edits.map(({ message, byteStart, byteEnd, text }) => [
    message,
    byteStart,
    byteEnd,
    text,
  ]);
  const spans = decision.spans.map((span) => [
    span.pointer,
    span.start,
    span.end,
    span.kind,
    span.content,
    span.policy,
    span.reason,
    span.detail,
    span.method,
    span.tokensBefore,
    span.tokensAfter,
    span.replayed,
    span.skipped,
    span.original,
  ]);
  return Buffer.from(JSON.stringify([recordFormat, edits, spans]));
}

export function decodeDecision(record: Uint8Array | string): UnitDecision | null {
  const [edits, spans] = elements(record);
  if (!Array.isArray(edits) || !Array.isArray(spans)) return null;
  const read = edits.map(readEdit);
  const whole = read.filter((edit) => edit !== null);
  if (whole.length !== read.length) return null;
  return { edits: whole, spans: spans.map(readSpan).filter((span) => span !== null) };
}

/** `label`: which name the conversation was last given, as stored; null = none. */
export interface ConversationRecord {
  readonly label: string | null;
  readonly conversation: StoredConversation;
}

export function encodeConversation({ label, conversation }: ConversationRecord): Buffer {
  const { keys, forwardedTokens, epoch, domain, replica, at } = conversation;
  return Buffer.from(
    JSON.stringify([recordFormat, label, keys, forwardedTokens, epoch, domain, replica, at]),
  );
}

export function decodeConversation(record: Uint8Array | string): ConversationRecord | null {
  const [label, keys, tokens, epoch, domain, replica, at] = elements(record);
  if (!isOrNull(label, isString) || !isOrNull(replica, isString)) return null;
  if (!isListOf(keys, isString)) return null;
  if (!isListOf(tokens, (value) => isOrNull(value, isCount))) return null;
  if (!isCount(epoch) || !isString(domain) || !isNumber(at)) return null;
  return {
    label,
    conversation: { keys, forwardedTokens: tokens, epoch, domain, replica, at },
  };
}

/** What follows the format; nothing when it is not ours. */
function elements(record: Uint8Array | string): readonly unknown[] {
  const text = typeof record === 'string' ? record : Buffer.from(record).toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value[0] === recordFormat ? value.slice(1) : [];
  } catch {
    return [];
  }
}

function readEdit(value: unknown): MessageEdit | null {
  const [message, byteStart, byteEnd, text] = listOf(value);
  if (!isCount(message) || !isCount(byteStart) || !isCount(byteEnd)) return null;
  if (!isString(text) || byteEnd < byteStart) return null;
  return { message, byteStart, byteEnd, text };
}

function readSpan(value: unknown): SpanReport | null {
  const [pointer, start, end, kind, content, policy, reason, detail, ...rest] = listOf(value);
  const [method, tokensBefore, tokensAfter, replayed, skipped, original] = rest;
  if (!isString(pointer) || !isCount(start) || !isCount(end) || !isString(detail)) return null;
  if (!isOneOf(spanKinds, kind) || !isOneOf(contentKinds, content)) return null;
  if (!isKeyOf(policies, policy) || !isKeyOf(spanReasons, reason)) return null;
  if (!isOrNull(tokensBefore, isCount) || !isOrNull(tokensAfter, isCount)) return null;
  if (typeof replayed !== 'boolean' || !isOrNull(original, isString)) return null;
  if (!isOrNull(method, (name) => isOneOf(methodNames, name))) return null;
  if (!isOrNull(skipped, (name) => isOneOf(skipReasons, name))) return null;
  return {
    pointer,
    start,
    end,
    kind,
    content,
    policy,
    reason,
    detail,
    method,
    tokensBefore,
    tokensAfter,
    replayed,
    skipped,
    original,
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

const isString = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);
const isCount = (value: unknown): value is number =>
  isNumber(value) && Number.isSafeInteger(value) && value >= 0;

function isOrNull<T>(value: unknown, is: (value: unknown) => value is T): value is T | null {
  return value === null || is(value);
}

function isListOf<T>(value: unknown, is: (value: unknown) => value is T): value is T[] {
  return Array.isArray(value) && value.every(is);
}

function isOneOf<T extends string>(names: readonly T[], value: unknown): value is T {
  return names.some((name) => name === value);
}

function isKeyOf<T extends string>(names: Readonly<Record<T, true>>, value: unknown): value is T {
  return isString(value) && Object.hasOwn(names, value);
}
