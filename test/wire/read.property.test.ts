import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Span } from '../../src/core/span.ts';
import { readRequest } from '../../src/wire/read.ts';
import { applySplices, encodeJsonString } from '../../src/wire/splice.ts';

const options = { inspectBytes: 1 << 24, bodyWishes: true };

/** Text in several scripts with everything that JSON can escape, pairs included, never a lone surrogate. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', ' ', '"', '\\', '/', '\n', '\t', '\u0000', '\u001f', '\u007f', '\u2028'),
      fc.constantFrom(
        'é',
        'ß',
        '文',
        '档',
        '。',
        '😀',
        '👩‍👩‍👧',
        'ש',
        '\ufeff',
        '\uffff',
        '\u{10ffff}',
      ),
      fc.constantFrom('\n\n', 'Q: what?\nA: that\n\n', '```js\nlet a = 1;\n```\n', 'word '),
      fc.constantFrom(
        '<document>\n',
        '\n</document>\n',
        'Document [1] ',
        'Context: ',
        'Question: ',
      ),
      fc.string({ unit: 'grapheme', maxLength: 12 }),
    ),
    { maxLength: 24 },
  )
  .map((pieces) => pieces.join(''));

/** Writes `value` as a JSON string with an escape form drawn anew for each character that has a choice. */
function spell(value: string, draw: () => number): string {
  let out = '"';
  for (const character of value) {
    const plain = JSON.stringify(character).slice(1, -1);
    const form = draw() % 4;
    if (form === 0)
      for (let i = 0; i < character.length; i++)
        out += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
    else if (form === 1 && character === '/') out += '\\/';
    else if (form === 2)
      for (let i = 0; i < character.length; i++)
        out +=
          character.charCodeAt(i) > 0x7f
            ? `\\u${character.charCodeAt(i).toString(16).toUpperCase().padStart(4, '0')}`
            : plain;
    else out += plain;
  }
  return `${out}"`;
}

/** Serialises with random white space, escape forms and number lexemes. */
function write(value: unknown, draw: () => number): string {
  const gap = (): string => ['', '', '', ' ', '\n', '\t ', '\r\n'][draw() % 7] ?? '';
  if (typeof value === 'string') return spell(value, draw);
  if (Array.isArray(value))
    return `[${gap()}${value.map((item) => write(item, draw) + gap()).join(`,${gap()}`)}]`;
  if (typeof value === 'object' && value !== null)
    return `{${gap()}${Object.entries(value)
      .map(([key, item]) => `${spell(key, draw)}${gap()}:${gap()}${write(item, draw)}${gap()}`)
      .join(`,${gap()}`)}}`;
  if (Number.isSafeInteger(value))
    return [`${value}`, `${value}.0`, `${value}e0`][draw() % 3] ?? '';
  return JSON.stringify(value);
}

const rest = fc.dictionary(
  fc
    .string({ maxLength: 6 })
    .filter((key) => !['messages', 'prompt', 'sluice', 'model'].includes(key)),
  fc.jsonValue({ maxDepth: 3, stringUnit: 'grapheme' }),
  { maxKeys: 4 },
);
const part = fc.oneof(
  text.map((value) => ({ type: 'text', text: value })),
  text.map((value) => ({ text: value, type: 'document', title: value })),
  text.map((url) => ({ type: 'image_url', image_url: { url } })),
);
const message = fc.oneof(
  fc.record({
    role: fc.constantFrom('system', 'user', 'assistant', 'tool', 'developer'),
    content: fc.oneof(text, fc.array(part, { maxLength: 3 }), fc.constant(null)),
  }),
  text.map((value) => ({
    role: 'assistant',
    content: null,
    tool_calls: [{ id: value, function: { name: 'f', arguments: value } }],
  })),
);
const chat = fc
  .tuple(rest, fc.array(message, { maxLength: 5 }))
  .map(([extra, messages]) => ({ path: '/v1/chat/completions', value: { ...extra, messages } }));
const completions = fc
  .tuple(rest, fc.oneof(text, fc.array(text, { maxLength: 3 })))
  .map(([extra, prompt]) => ({ path: '/v1/completions', value: { ...extra, prompt } }));
const request = fc
  .tuple(fc.oneof(chat, completions), fc.nat(), fc.nat(3))
  .map(([{ path, value }, seed, shift]) => {
    let state = seed;
    const json = write(value, () => {
      // Numerical Recipes' linear congruential generator; its high bits are the random ones
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 16;
    });
    // every alignment of the body inside its buffer
    const whole = Buffer.concat([Buffer.alloc(shift, '"'), Buffer.from(json)]);
    const aligned = Buffer.from(new ArrayBuffer(whole.length));
    whole.copy(aligned);
    return { path, body: aligned.subarray(shift) };
  });

function spansOf(path: string, body: Uint8Array): readonly Span[] {
  const result = readRequest(body, path, options);
  assert.ok(result.ok, result.ok ? '' : `${result.reason}: ${result.detail}`);
  assert.equal(applySplices(body, []), body);
  assert.deepEqual(result.request.removals, []);
  return result.request.spans;
}

/** Holder and key of the value at an RFC 6901 pointer. */
function locate(root: unknown, pointer: string): { holder: Record<string, unknown>; key: string } {
  const keys = pointer.split('/').slice(1);
  const key = keys.pop() ?? '';
  let holder = root as Record<string, unknown>;
  for (const step of keys) holder = holder[step] as Record<string, unknown>;
  return { holder, key };
}

test('spans tell the truth about text, offsets and bytes, and cover each string', () => {
  fc.assert(
    fc.property(request, ({ path, body }) => {
      const parsed: unknown = JSON.parse(body.toString());
      const seen = new Map<string, number>();
      for (const [index, span] of spansOf(path, body).entries()) {
        assert.equal(span.index, index);
        const { holder, key } = locate(parsed, span.pointer);
        const value = String(holder[key]);
        assert.equal(value.slice(span.start, span.end), span.text);
        const raw = body.toString('utf8', span.byteStart, span.byteEnd);
        assert.equal(JSON.parse(`"${raw}"`), span.text);
        assert.equal(span.start, seen.get(span.pointer) ?? 0, 'no gap, no overlap');
        seen.set(span.pointer, span.end);
      }
      for (const [pointer, end] of seen) {
        const { holder, key } = locate(parsed, pointer);
        assert.equal(end, String(holder[key]).length, 'covered to the end');
      }
    }),
    { numRuns: 400 },
  );
});

test('every text of a request is in a span', () => {
  fc.assert(
    fc.property(chat, ({ path, value }) => {
      const wanted = value.messages.flatMap((item) => {
        const loose = item as {
          content: unknown;
          tool_calls?: { function: { arguments: string } }[];
        };
        const parts = Array.isArray(loose.content) ? loose.content : [];
        return [
          ...(typeof loose.content === 'string' ? [loose.content] : []),
          ...parts.filter((p) => p.type !== 'image_url').map((p) => String(p.text)),
          ...(loose.tool_calls ?? []).map((call) => call.function.arguments),
        ];
      });
      const spans = spansOf(path, Buffer.from(JSON.stringify(value)));
      assert.equal(spans.map((span) => span.text).join(''), wanted.join(''));
    }),
    { numRuns: 200 },
  );
});

test('replacing spans changes their text and nothing else, in bytes and in meaning', () => {
  fc.assert(
    fc.property(
      request,
      fc.array(fc.oneof(fc.constant(null), text), { minLength: 1, maxLength: 8 }),
      ({ path, body }, replacements) => {
        const parsed: unknown = JSON.parse(body.toString());
        const chosen = spansOf(path, body).flatMap((span) => {
          const replacement = replacements[span.index % replacements.length];
          return typeof replacement === 'string' ? [{ span, replacement }] : [];
        });
        const out = Buffer.from(
          applySplices(
            body,
            chosen.map(({ span, replacement }) => ({
              byteStart: span.byteStart,
              byteEnd: span.byteEnd,
              bytes: encodeJsonString(replacement),
            })),
          ),
        );
        // meaning: later spans first, so that offsets of earlier ones stay
        for (const { span, replacement } of chosen.toReversed()) {
          const { holder, key } = locate(parsed, span.pointer);
          const value = String(holder[key]);
          holder[key] = value.slice(0, span.start) + replacement + value.slice(span.end);
        }
        assert.deepEqual(JSON.parse(out.toString()), parsed);
        // bytes: what lies between the replaced ranges is found again, in order
        let from = 0;
        let to = 0;
        for (const { span, replacement } of chosen) {
          const length = span.byteStart - from;
          assert.ok(body.subarray(from, span.byteStart).equals(out.subarray(to, to + length)));
          from = span.byteEnd;
          to += length + encodeJsonString(replacement).byteLength;
        }
        assert.ok(body.subarray(from).equals(out.subarray(to)));
      },
    ),
    { numRuns: 400 },
  );
});

test('any bytes at all give an answer, and the body is not written to', () => {
  const mutated = fc
    .tuple(request, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }))
    .map(([{ path, body }, changes]) => {
      const copy = Buffer.from(body);
      for (const [at, byte] of changes) copy[at % copy.length] = byte;
      return { path, body: copy };
    });
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  fc.assert(
    fc.property(mutated, ({ path, body }) => {
      const before = Buffer.from(body);
      const result = readRequest(body, path, options);
      assert.ok(body.equals(before));
      if (result.ok) assert.doesNotThrow(() => JSON.parse(decoder.decode(body)));
      else if (result.reason === 'not-json')
        assert.throws(() => JSON.parse(decoder.decode(body)), result.detail);
    }),
    { numRuns: 1500 },
  );
});
