import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { carryOver } from '../../src/wire/carry.ts';
import { addMembers } from '../../src/wire/members.ts';
import { readRequest } from '../../src/wire/read.ts';
import { applySplices, encodeJsonString } from '../../src/wire/splice.ts';
import type { ReadRequest, Splice } from '../../src/wire/types.ts';

const path = '/v1/chat/completions';
const options = { inspectBytes: 1 << 20, bodyWishes: true };

function read(body: Uint8Array): ReadRequest {
  const result = readRequest(body, path, options);
  assert.ok(result.ok);
  return result.request;
}

/** The body with some of its spans written anew, and its `sluice` fields cut out. */
function change(
  body: Uint8Array,
  rewrite: (text: string, index: number) => string | null,
): { readonly request: ReadRequest; readonly splices: readonly Splice[]; readonly made: Buffer } {
  const request = read(body);
  const written = request.spans.flatMap(({ byteStart, byteEnd, text, index }) => {
    const next = rewrite(text, index);
    return next === null ? [] : [{ byteStart, byteEnd, bytes: encodeJsonString(next) }];
  });
  const splices = [...written, ...request.removals].sort((a, b) => a.byteStart - b.byteStart);
  return { request, splices, made: Buffer.from(applySplices(body, splices)) };
}

const words = fc.string({
  unit: fc.constantFrom('a', ' ', 'é', '\n', '"', '\\', '😀', '<', 'Q: '),
  maxLength: 30,
});

test('every span has its new text where it says, whatever was cut and put in front', () => {
  const part = fc.record({ type: fc.constant('text'), text: words });
  const declared = part.map((value) => ({ ...value, sluice: { kind: 'document', rate: 0.5 } }));
  const content = fc.array(fc.oneof(part, declared), { maxLength: 4 });
  const documents = words.map((text) => `<document>${text}</document>\n${text}`);
  const message = fc.record({ role: fc.constant('user'), content: fc.oneof(content, documents) });
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 3 }),
      fc.array(fc.option(words), { minLength: 12, maxLength: 12 }),
      fc.boolean(),
      (messages, rewrites, front) => {
        const body = Buffer.from(JSON.stringify({ messages, sluice: { rate: 0.5 } }, null, 1));
        const { request, splices, made } = change(body, (_, at) => rewrites[at % 12] ?? null);
        const sent = front ? addMembers(made, { cache_salt: 'x' }) : made;
        const carried = carryOver({ request, splices, byteLength: made.byteLength }, sent);
        assert.ok(carried !== null);
        const expected = request.spans
          .map(({ text, index, kind, pointer }) => ({
            text: rewrites[index % 12] ?? text,
            kind,
            pointer,
          }))
          .filter(({ text }) => text !== '');
        assert.deepEqual(
          carried.spans.map(({ text, kind, pointer }) => ({ text, kind, pointer })),
          expected,
        );
        const root: unknown = JSON.parse(Buffer.from(sent).toString());
        for (const { pointer, start, end, text, byteStart, byteEnd } of carried.spans) {
          assert.equal(stringAt(root, pointer).slice(start, end), text);
          assert.equal(
            JSON.parse(`"${Buffer.from(sent).toString('utf8', byteStart, byteEnd)}"`),
            text,
          );
        }
        for (const [at, { byteStart, byteEnd }] of carried.messages.entries()) {
          const one = JSON.parse(Buffer.from(sent).toString('utf8', byteStart, byteEnd)) as object;
          assert.deepEqual(one, (root as { messages: object[] }).messages[at]);
        }
      },
    ),
  );
});

test('another body is noticed', () => {
  const body = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: 'One text.' }] }));
  const { request, splices, made } = change(body, () => null);
  const changed = { request, splices, byteLength: made.byteLength };
  assert.ok(carryOver(changed, made) !== null);
  const other = Buffer.from(made.toString().replace('One', 'Two'));
  assert.equal(carryOver(changed, other), null);
  assert.equal(carryOver(changed, made.subarray(0, 20)), null);
  assert.equal(carryOver(changed, Buffer.from(` ${made.toString()} `)), null);
});

function stringAt(root: unknown, pointer: string): string {
  let value = root;
  for (const key of pointer.split('/').slice(1)) value = (value as Record<string, unknown>)[key];
  assert.equal(typeof value, 'string');
  return value as string;
}
