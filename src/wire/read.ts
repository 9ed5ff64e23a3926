/** Request bytes -> spans. A body that cannot be read is a value with a reason, never an error of ours. */
import { isUtf8 } from 'node:buffer';
import type { SkipReason } from '../core/report.ts';
import { JsonCursor, ScanStop } from './cursor.ts';
import { findDialect } from './dialect.ts';
import type { Dialect } from './dialects/types.ts';
import type { Found } from './found.ts';
import { unexpected } from './found.ts';
import { noWishes, readWishes } from './sluice-field.ts';
import { spansOf } from './spans.ts';
import { decodeText } from './text.ts';
import type { ReadOptions, ReadResult } from './types.ts';

/**
 * Reads a request body of a dialect.
 *
 * The whole body is checked to be JSON (RFC 8259) in UTF-8. Duplicate keys matter in the objects that are read:
 * the top level, messages, content parts, tool calls and `sluice` fields; elsewhere they are the upstream's affair,
 * because nothing is decided by what stands there.
 * @param path request path; a query is ignored
 */
export function readRequest(body: Uint8Array, path: string, options: ReadOptions): ReadResult {
  const query = path.indexOf('?');
  const dialect = findDialect(query < 0 ? path : path.slice(0, query));
  if (dialect === null) return skip('not-a-dialect', 'No dialect is read on this path');
  const encoding = options.contentEncoding ?? '';
  if (encoding !== '' && encoding.toLowerCase() !== 'identity')
    return skip('content-encoding', 'The body is encoded');
  if (body.byteLength > options.inspectBytes)
    return skip(
      'body-too-large',
      `The body has ${body.byteLength} bytes; at most ${options.inspectBytes} are read`,
    );
  if (!isUtf8(body)) return skip('not-json', 'The body is not UTF-8');
  try {
    return readBody(body, dialect, options.bodyWishes);
  } catch (error) {
    if (error instanceof ScanStop) return skip(error.reason, error.message);
    throw error;
  }
}

const fieldName = '"sluice"';

/**
 * False when the body has no `sluice` field, so that with compression off it needs no reading. Costs about a
 * nanosecond per hundred bytes of prose (the quote is searched natively), less than a scan in any text. A name spelt
 * with escapes (`\u0073luice`), which no serialiser writes, is found by reading only.
 */
export function mentionsSluice(body: Uint8Array): boolean {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).includes(fieldName);
}

function skip(reason: SkipReason, detail: string): ReadResult {
  return { ok: false, reason, detail };
}

function readBody(body: Uint8Array, dialect: Dialect, bodyWishes: boolean): ReadResult {
  const found: Found = {
    cursor: new JsonCursor(body),
    bodyWishes,
    texts: [],
    messages: [],
    removals: [],
    notes: [],
    model: null,
    stream: dialect.streamByDefault,
    maxTokens: null,
    wishes: noWishes,
  };
  readTopLevel(found, dialect);
  found.cursor.expectEnd();
  return {
    ok: true,
    request: {
      dialect: dialect.name,
      model: found.model,
      stream: found.stream,
      maxTokens: found.maxTokens,
      messages: found.messages,
      spans: spansOf(found),
      wishes: found.wishes,
      removals: found.removals.toSorted((a, b) => a.byteStart - b.byteStart),
      notes: found.notes,
    },
  };
}

function readTopLevel(found: Found, dialect: Dialect): void {
  const { cursor } = found;
  if (!cursor.isObject()) unexpected(cursor, 'The body', 'an object');
  let complete = false;
  const cut = cursor.readObject((key) => {
    if (key === 'sluice') {
      found.wishes = readWishes(found);
      return 'cut';
    }
    const read = Object.hasOwn(dialect.members, key) ? dialect.members[key] : undefined;
    if (read !== undefined) read(found);
    else if (key === 'model' && cursor.isString())
      found.model = decodeText(cursor.bytes, cursor.passRawString());
    else if (key === 'stream') found.stream = readFlag(found);
    else if (lengthKeys.has(key)) found.maxTokens = readCount(found) ?? found.maxTokens;
    else cursor.passValue();
    complete ||= key === dialect.required;
    return 'keep';
  });
  if (cut !== null) found.removals.push({ ...cut, bytes: new Uint8Array(0) });
  if (!complete) throw new ScanStop('unexpected-shape', `/${dialect.required} is missing`);
}

const lengthKeys: ReadonlySet<string> = new Set(['max_tokens', 'max_completion_tokens']);

/** Passes the value at the cursor; null when it is no whole number above 0. */
function readCount({ cursor }: Found): number | null {
  cursor.peek();
  const start = cursor.at;
  cursor.passValue();
  // A number of tokens has few digits; a longer value is none, and is not copied.
  if (cursor.at - start > 16) return null;
  const count = Number(cursor.bytes.toString('latin1', start, cursor.at));
  return Number.isSafeInteger(count) && count > 0 ? count : null;
}

/** Passes the value at the cursor; true only for the literal `true`. */
function readFlag(found: Found): boolean {
  const isTrue = found.cursor.peek() === 0x74;
  found.cursor.passValue();
  return isTrue;
}
