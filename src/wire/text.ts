/** Between the raw bytes of a JSON string token and its decoded text. */
import type { RawString } from './cursor.ts';
import { ScanStop } from './cursor.ts';

/**
 * Decoded text of a string token that the cursor has passed.
 * @throws ScanStop `lone-surrogate` when the text is not well-formed UTF-16
 */
export function decodeText(body: Buffer, raw: RawString): string {
  if (!raw.escaped) return body.toString('utf8', raw.byteStart, raw.byteEnd);
  const text = String(JSON.parse(body.toString('utf8', raw.byteStart - 1, raw.byteEnd + 1)));
  // with the u flag a surrogate category matches unpaired surrogates only
  if (raw.surrogates && /\p{Surrogate}/u.test(text))
    throw new ScanStop(
      'lone-surrogate',
      `An unpaired surrogate escape in the string at byte ${raw.byteStart - 1}`,
    );
  return text;
}

/**
 * Byte offsets in the body of UTF-16 offsets into the decoded text of `raw`; one walk over the token for all of
 * them.
 * @param offsets ascending, each in [0, length]; none between the halves of a surrogate pair
 * @param length UTF-16 length of the decoded text
 */
export function byteOffsets(
  body: Buffer,
  raw: RawString,
  offsets: readonly number[],
  length: number,
): readonly number[] {
  const { byteStart, byteEnd } = raw;
  if (byteEnd - byteStart === length) return offsets.map((offset) => byteStart + offset);
  const found: number[] = [];
  let at = byteStart;
  let unit = 0;
  for (const offset of offsets) {
    if (offset >= length) {
      found.push(byteEnd);
      continue;
    }
    while (unit < offset) {
      const byte = body[at] ?? 0;
      if (byte === 0x5c) at += body[at + 1] === 0x75 ? 6 : 2;
      else at += byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      // a four-byte sequence is a surrogate pair in UTF-16
      unit += byte >= 0xf0 ? 2 : 1;
    }
    found.push(at);
  }
  return found;
}
