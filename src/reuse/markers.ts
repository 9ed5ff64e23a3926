/**
 * What a client may change about a message without changing its content. Cache markers
 * (`"cache_control": {"type": "ephemeral", ...}`) say where a provider should cache, and move from turn to turn; to
 * carry one, clients turn `"content": "text"` into a list of one text block and back again. Neither must look like an
 * edit: identity is taken from the message without them, and offsets are kept in that form.
 */

/** Bytes [start, end) of a message that are no part of its identity. */
export interface Cut {
  readonly start: number;
  readonly end: number;
}

const markerKey = Buffer.from('"cache_control"');
const contentKey = Buffer.from('"content"');
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/**
 * All cuts of one JSON value, in order and apart: markers with their comma, and the list and block around a text that
 * is alone in its content. The bytes must be valid JSON.
 */
export function identityCuts(message: Uint8Array): readonly Cut[] {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const lone = keysOf(bytes, contentKey).flatMap((at) => loneTextAt(bytes, at));
  const inside = ({ start, end }: Cut): boolean =>
    lone.some((cut) => cut.start <= start && end <= cut.end);
  const markers = keysOf(bytes, markerKey)
    .flatMap((at) => markerAt(bytes, at) ?? [])
    .filter((cut) => !inside(cut));
  return [...lone, ...markers].toSorted((a, b) => a.start - b.start);
}

/** The bytes that a message's identity is taken from. */
export function identityBytes(message: Uint8Array, cuts = identityCuts(message)): Uint8Array {
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

/**
 * Offset in the message as it came, of an offset in its identity bytes. On a cut: behind it, which is where a text
 * starts; see `endInMessage` for ends.
 */
export function offsetInMessage(offset: number, cuts: readonly Cut[]): number {
  let shifted = offset;
  for (const { start, end } of cuts) {
    if (shifted < start) break;
    shifted += end - start;
  }
  return shifted;
}

/** The same for the end of a range: on a cut it stays in front of it. */
export function endInMessage(offset: number, cuts: readonly Cut[]): number {
  return offset === 0 ? 0 : offsetInMessage(offset - 1, cuts) + 1;
}

/** Offset in the identity bytes, of an offset outside of cuts in the message as it came. */
export function offsetInIdentity(offset: number, cuts: readonly Cut[]): number {
  let shifted = offset;
  for (const { start, end } of cuts) {
    if (offset < end) break;
    shifted -= end - start;
  }
  return shifted;
}

/**
 * Where the key stands as a key. Inside a string its quotes would be escaped, so the bytes themselves tell; only the
 * quote in front must not be an escaped one.
 */
function keysOf(bytes: Buffer, key: Buffer): readonly number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(key); at >= 0; at = bytes.indexOf(key, at + key.length)) {
    const after = skipSpace(bytes, at + key.length);
    if (bytes[at - 1] !== backslash && bytes[after] === colon) found.push(at);
  }
  return found;
}

/** Start of the value of the key at `at`. */
function valueOf(bytes: Buffer, at: number, key: Buffer): number {
  return skipSpace(bytes, skipSpace(bytes, at + key.length) + 1);
}

function markerAt(bytes: Buffer, at: number): Cut | null {
  const members = flatObject(bytes, valueOf(bytes, at, markerKey));
  if (members === null || !isMarker(members.values)) return null;
  const { end } = members;
  const before = skipSpaceBack(bytes, at);
  if (bytes[before - 1] === comma) return { start: before - 1, end };
  const next = skipSpace(bytes, end);
  // First member: the comma behind it goes, with the space up to the next member.
  return { start: at, end: bytes[next] === comma ? skipSpace(bytes, next + 1) : end };
}

/** Only the known shape is a marker: data of the client under the same name is content. */
function isMarker(values: ReadonlyMap<string, Cut | string>): boolean {
  const known = [...values.keys()].every((key) => ['type', 'ttl', 'scope'].includes(key));
  return known && values.get('type') === 'ephemeral';
}

/** Cuts around the text of `"content": [{"type": "text", "text": ...}]`; none when there is anything else in it. */
function loneTextAt(bytes: Buffer, at: number): readonly Cut[] {
  const start = valueOf(bytes, at, contentKey);
  if (bytes[start] !== openBracket) return [];
  const block = flatObject(bytes, skipSpace(bytes, start + 1));
  if (block === null) return [];
  const end = skipSpace(bytes, block.end);
  const { values, places } = block;
  const text = places.get('text');
  if (bytes[end] !== closeBracket || text === undefined || values.get('type') !== 'text') return [];
  const others = [...values].filter(([key]) => key !== 'type' && key !== 'text');
  const marked = others.every(
    ([key, value]) => key === 'cache_control' && typeof value !== 'string',
  );
  if (!marked) return [];
  return [
    { start, end: text.start },
    { start: text.end, end: end + 1 },
  ];
}

interface FlatObject {
  readonly end: number;
  /** Short strings as text; the place of anything longer or of a marker. */
  readonly values: ReadonlyMap<string, Cut | string>;
  readonly places: ReadonlyMap<string, Cut>;
}

/** An object of strings and markers, or null when it is anything else. */
function flatObject(bytes: Buffer, at: number): FlatObject | null {
  if (bytes[at] !== openBrace) return null;
  const values = new Map<string, Cut | string>();
  const places = new Map<string, Cut>();
  let next = skipSpace(bytes, at + 1);
  while (bytes[next] === quote) {
    const keyEnd = endOfString(bytes, next);
    const key = bytes.toString('utf8', next + 1, keyEnd - 1);
    const start = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1);
    const end = endOfValue(bytes, start, key);
    if (end === null || values.has(key)) return null;
    places.set(key, { start, end });
    const short = bytes[start] === quote && end - start < 32;
    values.set(key, short ? bytes.toString('utf8', start + 1, end - 1) : { start, end });
    next = skipSpace(bytes, end);
    if (bytes[next] === comma) next = skipSpace(bytes, next + 1);
  }
  return bytes[next] === closeBrace ? { end: next + 1, values, places } : null;
}

/** End of a string, or of a marker under its key; null for any other value. */
function endOfValue(bytes: Buffer, at: number, key: string): number | null {
  if (bytes[at] === quote) return endOfString(bytes, at);
  if (key !== 'cache_control') return null;
  const marker = flatObject(bytes, at);
  return marker !== null && isMarker(marker.values) ? marker.end : null;
}

function endOfString(bytes: Buffer, at: number): number {
  let end = bytes.indexOf(quote, at + 1);
  while (end >= 0 && isEscaped(bytes, end)) end = bytes.indexOf(quote, end + 1);
  return end < 0 ? bytes.length : end + 1;
}

/** An odd number of backslashes in front. */
function isEscaped(bytes: Buffer, at: number): boolean {
  let from = at;
  while (bytes[from - 1] === backslash) from -= 1;
  return (at - from) % 2 === 1;
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
