import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../helpers/seed.ts';
import { createConversationBook } from '../../src/reuse/conversations.ts';
import { lineageKeys } from '../../src/reuse/lineage.ts';
import {
  endInMessage,
  identityCuts,
  offsetInMessage,
  offsetInIdentity,
  identityBytes,
} from '../../src/reuse/markers.ts';
import { missReasonOf, type MissInput } from '../../src/reuse/miss.ts';
import { epochKey, modeOf, type StoredConversation } from '../../src/reuse/mode.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const plain = (text: string): string => Buffer.from(identityBytes(bytes(text))).toString();

test('markers go with their comma, wherever they stand; everything else stays to the byte', () => {
  const marker = '"cache_control":{"type":"ephemeral"}';
  const cases = [
    [`{"type":"text","text":"a",${marker}}`, '{"type":"text","text":"a"}'],
    [`{${marker},"type":"text","text":"a"}`, '{"type":"text","text":"a"}'],
    [
      `{ "text": "a" , "cache_control" : { "type": "ephemeral", "ttl": "1h" } }`,
      '{ "text": "a"  }',
    ],
    [`{${marker}}`, '{}'],
    [`[{"a":1,${marker}},{${marker},\n "b":2}]`, '[{"a":1},{"b":2}]'],
    // Not markers: text, other shapes, data of the client under that name.
    [`{"text":"\\"cache_control\\":{\\"type\\":\\"ephemeral\\"}"}`, null],
    [`{"cache_control":"no-cache"}`, null],
    [`{"cache_control":{"type":"ephemeral","max_age":3}}`, null],
    [`{"cache_control":{"type":"other"}}`, null],
    [`{"a":"cache_control"}`, null],
  ] as const;
  for (const [text, want] of cases) assert.equal(plain(text), want ?? text);
});

test('a text alone in its content is the same as a list of one text block', () => {
  const marker = '"cache_control":{"type":"ephemeral","ttl":"1h"}';
  const want = '{"role":"user","content":"a \\" \\\\"}';
  const text = '"a \\" \\\\"';
  for (const content of [
    text,
    `[{"type":"text","text":${text}}]`,
    `[{"type":"text","text":${text},${marker}}]`,
    `[{${marker},"text":${text},"type":"text"}]`,
    `[ { "type" : "text" ,\n "text" : ${text} } ]`,
  ]) {
    const bytes_ = bytes(`{"role":"user","content":${content}}`);
    const cuts = identityCuts(bytes_);
    const found = Buffer.from(identityBytes(bytes_)).toString();
    assert.equal(found, want);
    // A range inside the text is found again, at both of its ends.
    const start = want.indexOf(text) + 1;
    const end = start + text.length - 2;
    const from = offsetInMessage(start, cuts);
    assert.equal(
      Buffer.from(bytes_.subarray(from, endInMessage(end, cuts))).toString(),
      text.slice(1, -1),
    );
    assert.equal(offsetInIdentity(from, cuts), start);
  }
  for (const content of [
    '[{"type":"text","text":"a"},{"type":"text","text":"b"}]',
    '[{"type":"text","text":"a","citations":"x"}]',
    '[{"type":"text","text":"a","n":1}]',
    '[{"type":"image","text":"a"}]',
    '[]',
    '[{}]',
  ]) {
    assert.equal(plain(`{"content":${content}}`), `{"content":${content}}`);
  }
  assert.equal(
    plain('{"text":"\\"content\\":[{\\"type\\""}'),
    '{"text":"\\"content\\":[{\\"type\\""}',
  );
});

test('offsets go back and forth over markers', () => {
  const text = `[{"cache_control":{"type":"ephemeral"},"t":"one"},{"t":"two","cache_control":{"type":"ephemeral"}},{"t":"three"}]`;
  const cuts = identityCuts(bytes(text));
  assert.equal(cuts.length, 2);
  for (const word of ['one', 'two', 'three']) {
    const stripped = plain(text).indexOf(word);
    assert.equal(offsetInMessage(stripped, cuts), text.indexOf(word));
    assert.equal(offsetInIdentity(text.indexOf(word), cuts), stripped);
  }
});

test('any JSON with markers put into its objects gives the JSON without them', () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const withMarkers = (item: unknown, first: boolean): unknown => {
    if (Array.isArray(item)) return item.map((inner) => withMarkers(inner, !first));
    if (typeof item !== 'object' || item === null) return item;
    const marker = ['cache_control', { type: 'ephemeral', ttl: '5m' }] as const;
    const members = Object.entries(item)
      .filter(([key]) => key !== 'cache_control')
      .map(([key, inner]) => [key, withMarkers(inner, !first)] as const);
    return Object.fromEntries(first ? [marker, ...members] : [...members, marker]);
  };
  fc.assert(
    fc.property(value, fc.boolean(), fc.constantFrom(0, 2), (item, first, indent) => {
      const marked = JSON.stringify(withMarkers(item, first), null, indent);
      const expected: unknown = JSON.parse(marked, (key, inner: unknown) =>
        key === 'cache_control' ? undefined : inner,
      );
      assert.deepEqual(JSON.parse(plain(marked)), expected);
      assert.equal(plain(plain(marked)), plain(marked));
    }),
  );
});

const keysOf = (...units: readonly string[]): readonly string[] =>
  lineageKeys(
    'scope',
    units.map((unit) => [bytes(unit)]),
  );
const stored: StoredConversation = {
  keys: keysOf('s', 'u1', 'a1', 'u2'),
  forwardedTokens: [100, 150, 200, 260],
  epoch: 0,
  domain: 'd',
  replica: 'r0',
  at: 0,
};
const mode = (keys: readonly string[], facts: Partial<Parameters<typeof modeOf>[0]> = {}) =>
  modeOf({ stored, keys, domain: 'd', alive: null, ...facts });

test('append extends; edits, rewinds and other continuations branch at the first difference', () => {
  const cases = [
    [keysOf('s', 'u1', 'a1', 'u2', 'a2', 'u3'), 'extend', 4, 260, null],
    [keysOf('s', 'u1', 'a1', 'u2'), 'extend', 4, 260, null],
    [keysOf('s', 'u1', 'a1'), 'branch', 3, 200, 'prefix-changed-by-client'],
    [keysOf('s', 'u1', 'a1', 'other'), 'branch', 3, 200, 'prefix-changed-by-client'],
    [keysOf('s', 'edited', 'a1', 'u2', 'a2'), 'branch', 1, 100, 'prefix-changed-by-client'],
    [keysOf('S', 'u1'), 'cold', 0, 0, 'prefix-changed-by-client'],
  ] as const;
  for (const [keys, want, sharedUnits, sharedTokens, miss] of cases) {
    assert.deepEqual(mode(keys), { mode: want, sharedUnits, sharedTokens, miss });
  }
});

test('a cold cache changes what is expected, not what is replayed', () => {
  const keys = keysOf('s', 'u1', 'a1', 'u2', 'a2');
  const cold = { mode: 'cold', sharedUnits: 4, sharedTokens: 0 };
  assert.deepEqual(mode(keys, { alive: false }), { ...cold, miss: 'ttl' });
  assert.deepEqual(mode(keys, { domain: 'long' }), { ...cold, miss: 'regime' });
  assert.deepEqual(mode(keys, { stored: null }), {
    mode: 'cold',
    sharedUnits: 0,
    sharedTokens: 0,
    miss: null,
  });
});

test('a moved marker is no edit', () => {
  const turn = (text: string, marked: boolean): Uint8Array =>
    identityBytes(
      bytes(
        `{"role":"user","content":[{"type":"text","text":"${text}"${marked ? ',"cache_control":{"type":"ephemeral"}' : ''}}]}`,
      ),
    );
  const before = lineageKeys('x', [[turn('one', true)]]);
  const after = lineageKeys('x', [[turn('one', false)], [turn('two', true)]]);
  assert.equal(after[0], before[0]);
});

test('epoch 0 needs no store; every other epoch has keys of its own', () => {
  assert.equal(epochKey('k', 0), 'k');
  assert.equal(new Set([0, 1, 2].map((epoch) => epochKey('k', epoch))).size, 3);
});

test('conversations are found by their longest known prefix, then by name, and are bounded', () => {
  const book = createConversationBook({ maxConversations: 10, maxUnits: 40 });
  const branch = { ...stored, keys: keysOf('s', 'u1', 'b1', 'c1'), replica: 'r1' };
  book.store('name', stored);
  book.store(null, branch);
  const found = (...units: readonly string[]): string | null | undefined =>
    book.find(null, keysOf(...units))?.replica;
  assert.equal(found('s', 'u1', 'a1', 'u2', 'a2'), 'r0');
  assert.equal(found('s', 'u1', 'b1'), 'r1');
  assert.equal(found('s', 'u1', 'new'), 'r1', 'shared units belong to the latest');
  assert.equal(found('other'), undefined);
  assert.equal(book.find('name', keysOf('other'))?.replica, 'r0');
  for (let at = 0; at < 100; at += 1) book.store(`n${at}`, { ...stored, keys: keysOf(`x${at}`) });
  assert.ok(book.units <= 40);
  assert.equal(book.find('name', keysOf('other')), null);
});

test('every miss has the reason that is known, and no other', () => {
  const base: MissInput = {
    reported: 96,
    planned: 96,
    reusable: 100,
    promptTokens: 200,
    blockTokens: 16,
    known: null,
    moved: false,
    minimumTokens: 0,
    exactIndex: false,
  };
  const cases: readonly (readonly [Partial<MissInput>, ReturnType<typeof missReasonOf>])[] = [
    [{}, 'block-floor'],
    [{ reusable: 96 }, null],
    [{ reported: null }, null],
    [{ reported: null, known: 'ttl' }, 'ttl'],
    [{ reported: 0, planned: 0, known: 'ttl' }, 'ttl'],
    [{ reported: 0, planned: 0, moved: true }, 'other-replica'],
    [{ reported: 48, planned: 48 }, 'evicted'],
    [{ reported: 0 }, 'unknown'],
    [{ reported: 0, exactIndex: true }, 'evicted'],
    [{ reported: 0, minimumTokens: 1024 }, 'below-minimum'],
    [{ reusable: 200, reported: 192, planned: 192 }, 'block-floor'],
  ];
  for (const [facts, want] of cases) {
    assert.equal(missReasonOf({ ...base, ...facts }), want, JSON.stringify(facts));
  }
});
