/**
 * The little of Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding) that is needed to look into
 * an ONNX file and to append nodes to it: varints and length-delimited fields.
 */

/** Bytes of a varint; `value` is a non-negative safe integer, or -1 as the ten-byte form of int64. */
export function varint(value: number): number[] {
  if (value < 0) return [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

/** A field with a varint value. */
export function numberField(field: number, value: number): number[] {
  return [...varint(field * 8), ...varint(value)];
}

/** A field that holds bytes: a string, or a message made of fields. */
export function bytesField(field: number, value: string | readonly number[]): number[] {
  const bytes = typeof value === 'string' ? [...Buffer.from(value, 'utf8')] : value;
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
}

/** One field as it lies in a message: varint value, or where its bytes are. */
export interface Field {
  readonly number: number;
  readonly value: number;
  readonly start: number;
  readonly end: number;
}

/** Walks over the fields of the message at [start, end) without copying. @throws RangeError on damaged input */
export function* fieldsOf(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): Generator<Field> {
  let at = start;
  const readVarint = (): number => {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = bytes[at++];
      if (byte === undefined || at > end) break;
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return value;
    }
    throw new RangeError(`Damaged varint at byte ${at}`);
  };
  while (at < end) {
    const key = readVarint();
    const wire = key & 7;
    const number = Math.floor(key / 8);
    if (wire === 0) {
      const from = at;
      yield { number, value: readVarint(), start: from, end: at };
      continue;
    }
    const length = wire === 2 ? readVarint() : wire === 1 ? 8 : wire === 5 ? 4 : -1;
    if (length < 0 || at + length > end) throw new RangeError(`Damaged field at byte ${at}`);
    yield { number, value: 0, start: at, end: at + length };
    at += length;
  }
}
