/**
 * Cache markers (`"cache_control": {"type": "ephemeral", ...}`) say where a provider should cache; they are no content.
 * Clients move them from turn to turn, which must not look like an edit: identity is taken from the message without
 * them, and offsets are kept in that form.
 */

/** Bytes [start, end) of a message that belong to a marker and the comma beside it. */
export interface Cut {
  readonly start: number;
  readonly end: number;
}

const markerKey = Buffer.from('"cache_control"');
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;

/** All markers of one JSON value, in order. The bytes must be valid JSON; what is none has no markers. */
export function cacheMarkers(message: Uint8Array): readonly Cut[] {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  if (!bytes.includes(markerKey)) return [];
  const cuts: Cut[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== quote) {
      at += 1;
      continue;
    }
    const cut = markerAt(bytes, at);
    if (cut !== null) cuts.push(cut);
    at = cut === null ? endOfString(bytes, at) : cut.end;
  }
  return cuts;
}

/** The message without its markers: the bytes that identity is taken from. */
export function withoutMarkers(message: Uint8Array, cuts = cacheMarkers(message)): Uint8Array {
  if (cuts.length === 0) return message;
  const kept: Uint8Array[] = [];
  let from = 0;
  for (const { start, end } of cuts) {
    kept.push(message.subarray(from, start));
    from = end;
  }
  kept.push(message.subarray(from));
  return Buffer.concat(kept);
}

/** Offset in the message as it came, of an offset in the message without markers. */
export function offsetWithMarkers(offset: number, cuts: readonly Cut[]): number {
  let shifted = offset;
  for (const { start, end } of cuts) {
    if (shifted < start) break;
    shifted += end - start;
  }
  return shifted;
}

/** Offset in the message without markers, of an offset outside of markers in the message as it came. */
export function offsetWithoutMarkers(offset: number, cuts: readonly Cut[]): number {
  let shifted = offset;
  for (const { start, end } of cuts) {
    if (offset < end) break;
    shifted -= end - start;
  }
  return shifted;
}

/** The cut of a marker whose key starts at `at`, or null when the string there is something else. */
function markerAt(bytes: Buffer, at: number): Cut | null {
  if (!bytes.subarray(at, at + markerKey.length).equals(markerKey)) return null;
  const afterKey = skipSpace(bytes, at + markerKey.length);
  if (bytes[afterKey] !== colon) return null;
  const value = skipSpace(bytes, afterKey + 1);
  const end = endOfObject(bytes, value);
  if (end === null || !isMarker(bytes.toString('utf8', value, end))) return null;
  const before = skipSpaceBack(bytes, at);
  if (bytes[before - 1] === comma) return { start: before - 1, end };
  const next = skipSpace(bytes, end);
  // First member: the comma behind it goes, with the space up to the next member.
  return { start: at, end: bytes[next] === comma ? skipSpace(bytes, next + 1) : end };
}

/** Only the known shape is a marker: data of the client under the same name is content. */
function isMarker(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return false;
    const known = Object.keys(value).every((key) => ['type', 'ttl', 'scope'].includes(key));
    return known && 'type' in value && value.type === 'ephemeral';
  } catch {
    return false;
  }
}

function endOfString(bytes: Buffer, at: number): number {
  let end = at + 1;
  while (end < bytes.length && bytes[end] !== quote) end += bytes[end] === backslash ? 2 : 1;
  return end + 1;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function skipSpace(bytes: Buffer, at: number): number {
  let next = at;
  while (isSpace(bytes[next])) next += 1;
  return next;
}

function skipSpaceBack(bytes: Buffer, at: number): number {
  let before = at;
  while (isSpace(bytes[before - 1])) before -= 1;
  return before;
}

/** End of a flat object (markers hold no objects), or null. */
function endOfObject(bytes: Buffer, at: number): number | null {
  if (bytes[at] !== 0x7b) return null;
  let next = at + 1;
  while (next < bytes.length) {
    if (bytes[next] === 0x7d) return next + 1;
    if (bytes[next] === 0x7b || bytes[next] === 0x5b) return null;
    next = bytes[next] === quote ? endOfString(bytes, next) : next + 1;
  }
  return null;
}
