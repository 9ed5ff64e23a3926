/** Replacing byte ranges of a body; everything outside the ranges is copied as it is. */
import { SluiceError } from '../core/errors.ts';
import type { Splice } from './types.ts';

/**
 * The body with every range replaced. Returns `body` itself when there is nothing to replace.
 * @param splices ascending, without overlap, inside the body
 * @throws SluiceError `INTERNAL` when they are not
 */
export function applySplices(body: Uint8Array, splices: readonly Splice[]): Uint8Array {
  if (splices.length === 0) return body;
  let length = body.byteLength;
  let previous = 0;
  for (const { byteStart, byteEnd, bytes } of splices) {
    if (byteStart < previous || byteEnd < byteStart || byteEnd > body.byteLength)
      throw new SluiceError(
        'INTERNAL',
        `Splice [${byteStart}, ${byteEnd}) is out of order or outside: the previous one ends at ${previous}, the body at ${body.byteLength}`,
      );
    previous = byteEnd;
    length += bytes.byteLength - (byteEnd - byteStart);
  }
  const result = Buffer.allocUnsafeSlow(length);
  let from = 0;
  let to = 0;
  for (const { byteStart, byteEnd, bytes } of splices) {
    result.set(body.subarray(from, byteStart), to);
    to += byteStart - from;
    result.set(bytes, to);
    to += bytes.byteLength;
    from = byteEnd;
  }
  result.set(body.subarray(from), to);
  return result;
}

/**
 * UTF-8 bytes of `text` as JSON string content, without the quotes. Only what RFC 8259 section 7 demands is
 * escaped: quote, backslash and control characters (short forms where there are any); lone surrogates become
 * `\uXXXX`; everything else stays raw.
 */
export function encodeJsonString(text: string): Uint8Array {
  const quoted = Buffer.from(JSON.stringify(text), 'utf8');
  return quoted.subarray(1, quoted.byteLength - 1);
}
