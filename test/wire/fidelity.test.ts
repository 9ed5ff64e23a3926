import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRequest } from '../../src/wire/read.ts';
import { applySplices } from '../../src/wire/splice.ts';
import { adversarialBodies } from './fidelity-bodies.ts';

const options = { inspectBytes: 32 * 1024 * 1024, bodyWishes: true };

test('there are at least 200 adversarial bodies, each with a name of its own', () => {
  assert.ok(adversarialBodies.length >= 200, `${adversarialBodies.length}`);
  assert.equal(new Set(adversarialBodies.map(({ name }) => name)).size, adversarialBodies.length);
});

for (const { name, path, body, forwarded, expect } of adversarialBodies)
  test(`bytes stay: ${name}`, () => {
    const before = Buffer.from(body);
    const result = readRequest(body, path, options);
    assert.equal(result.ok ? 'read' : result.reason, expect, result.ok ? '' : result.detail);
    assert.ok(body.equals(before), 'the input was written to');
    if (!result.ok) {
      assert.ok(body.equals(forwarded), 'a body that is passed through keeps every byte');
      return;
    }
    const { removals, spans, messages } = result.request;
    const out = Buffer.from(applySplices(body, removals));
    assert.equal(out.toString(), forwarded.toString());
    if (removals.length === 0) assert.equal(applySplices(body, removals), body);
    let previous = 0;
    for (const span of spans) {
      assert.ok(span.byteStart >= previous && span.byteEnd > span.byteStart);
      previous = span.byteEnd;
      const raw = body.toString('utf8', span.byteStart, span.byteEnd);
      assert.equal(JSON.parse(`"${raw}"`), span.text);
    }
    for (const message of messages)
      assert.doesNotThrow(() =>
        JSON.parse(body.toString('utf8', message.byteStart, message.byteEnd)),
      );
    // obeyed or not, the fields go, and nothing else
    const ignoring = readRequest(body, path, { ...options, bodyWishes: false });
    assert.ok(ignoring.ok && ignoring.request.notes.length === 0);
    assert.deepEqual(ignoring.request.removals, removals);
  });

test('the reader accepts as JSON exactly what JSON.parse accepts', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const differing = adversarialBodies.filter(({ body, path }) => {
    let parses = true;
    try {
      JSON.parse(decoder.decode(body));
    } catch {
      parses = false;
    }
    const result = readRequest(body, path, options);
    // a shape, depth or duplicate that stops the reading is found before the rest is checked
    if (!result.ok && result.reason !== 'not-json') return false;
    return parses !== result.ok;
  });
  assert.deepEqual(
    differing.map(({ name }) => name),
    [],
  );
});
