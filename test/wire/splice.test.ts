import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SluiceError } from '../../src/core/errors.ts';
import { applySplices, encodeJsonString } from '../../src/wire/splice.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const splice = (byteStart: number, byteEnd: number, text: string) => ({
  byteStart,
  byteEnd,
  bytes: bytes(text),
});
const spliced = (body: string, ...splices: ReturnType<typeof splice>[]): string =>
  Buffer.from(applySplices(bytes(body), splices)).toString();

test('ranges are replaced, shorter, longer, empty, at both ends and side by side', () => {
  assert.equal(spliced('abcdef', splice(1, 3, 'X')), 'aXdef');
  assert.equal(spliced('abcdef', splice(0, 1, 'long'), splice(5, 6, '')), 'longbcde');
  assert.equal(
    spliced('abcdef', splice(2, 2, '+'), splice(2, 4, '-'), splice(4, 4, '*')),
    'ab+-*ef',
  );
  assert.equal(spliced('abc', splice(0, 3, '')), '');
  assert.equal(spliced('', splice(0, 0, 'x')), 'x');
});

test('without splices the very same object comes back; with them the input stays', () => {
  const body = bytes('abc');
  assert.equal(applySplices(body, []), body);
  applySplices(body, [splice(0, 3, 'xyz')]);
  assert.deepEqual(body, bytes('abc'));
});

test('a view into a larger buffer is spliced by its own offsets', () => {
  const view = Buffer.from('__abcdef__').subarray(2, 8);
  assert.equal(Buffer.from(applySplices(view, [splice(0, 2, '')])).toString(), 'cdef');
});

for (const [name, splices] of [
  ['descending', [splice(3, 4, ''), splice(1, 2, '')]],
  ['overlapping', [splice(1, 3, ''), splice(2, 4, '')]],
  ['reversed', [splice(3, 1, '')]],
  ['behind the end', [splice(3, 99, '')]],
  ['before the start', [splice(-1, 2, '')]],
] as const)
  test(`${name} splices are a defect`, () => {
    assert.throws(
      () => applySplices(bytes('abcdef'), splices),
      (error) => SluiceError.isInstance(error) && error.code === 'INTERNAL',
    );
  });

test('strings are escaped only where RFC 8259 demands it', () => {
  const encode = (text: string): string => Buffer.from(encodeJsonString(text)).toString();
  assert.equal(encode(''), '');
  assert.equal(encode('a"b\\c/d'), 'a\\"b\\\\c/d');
  assert.equal(encode('\b\f\n\r\t\u0000\u001f\u007f'), '\\b\\f\\n\\r\\t\\u0000\\u001f\u007f');
  assert.equal(encode('é文😀\u2028\u2029\ufeff<>&'), 'é文😀\u2028\u2029\ufeff<>&');
  assert.equal(encode('\ud83d'), '\\ud83d');
});

test('what is encoded decodes to the same text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(JSON.parse(`"${Buffer.from(encodeJsonString(text)).toString()}"`), text);
    }),
  );
});
