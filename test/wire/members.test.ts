import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../helpers/seed.ts';
import { addMembers } from '../../src/wire/members.ts';

const add = (body: string, members: Record<string, string | number>): string =>
  Buffer.from(addMembers(Buffer.from(body), members)).toString();

test('members go in front, every other byte stays, and what is there already is left alone', () => {
  assert.equal(
    add(' {"a": 1.0 }\n', { salt: 'x"y', slot: 3 }),
    ' {"salt":"x\\"y","slot":3,"a": 1.0 }\n',
  );
  assert.equal(add('{ }', { salt: 'x' }), '{"salt":"x" }');
  assert.equal(add('{"salt":null}', { salt: 'x' }), '{"salt":null}');
  assert.equal(add('{"s\\u0061lt":1}', { salt: 'x', slot: 3 }), '{"slot":3,"s\\u0061lt":1}');
});

test('what is no JSON object, or needs nothing, comes back as the same bytes', () => {
  for (const text of ['[1]', 'null', '', '{"a":1', '{"a":1}x', '{"a":1,"a":2}']) {
    const body = Buffer.from(text);
    assert.equal(addMembers(body, { salt: 'x' }), body, text);
  }
  const body = Buffer.from('{"a":1}');
  assert.equal(addMembers(body, {}), body);
});

test('any object has the members afterwards and everything else as before', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer())),
      (object, members) => {
        const text = JSON.stringify(object);
        const added = add(text, members);
        assert.ok(added.endsWith(text.slice(1)));
        const parsed: unknown = JSON.parse(added);
        assert.deepEqual(parsed, JSON.parse(JSON.stringify({ ...members, ...object })));
      },
    ),
  );
});
