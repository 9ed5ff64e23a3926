import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineageKeys } from '../../src/reuse/lineage.ts';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

test('the key of a unit depends on everything before it and nothing after it', () => {
  const short = lineageKeys('t', [[bytes('a')], [bytes('b')]]);
  const long = lineageKeys('t', [[bytes('a')], [bytes('b')], [bytes('c')]]);
  const edited = lineageKeys('t', [[bytes('A')], [bytes('b')]]);
  assert.deepEqual(long.slice(0, 2), short);
  assert.notEqual(edited[1], short[1]);
});

test('scope and borders between messages and units are part of the key', () => {
  const keys = [
    lineageKeys('t', [[bytes('ab'), bytes('c')]]),
    lineageKeys('t', [[bytes('a'), bytes('bc')]]),
    lineageKeys('t', [[bytes('abc')]]),
    lineageKeys('u', [[bytes('abc')]]),
    lineageKeys('t', [[bytes('ab')], [bytes('c')]]),
  ].map((list) => list.at(-1));
  assert.equal(new Set(keys).size, keys.length);
});

test('the first writer wins', async () => {
  const ledger = createMemoryLedger({ maxBytes: 100_000 });
  const edit = (
    text: string,
  ): { message: number; byteStart: number; byteEnd: number; text: string } => ({
    message: 0,
    byteStart: 0,
    byteEnd: 1,
    text,
  });
  const first = { edits: [edit('first')], spans: [] };
  assert.equal(await ledger.putIfAbsent('k', first), first);
  assert.equal(await ledger.putIfAbsent('k', { edits: [edit('second')], spans: [] }), first);
  assert.equal(await ledger.get('k'), first);
  assert.equal(await ledger.get('other'), null);
});

test('the ledger is bounded by bytes', async () => {
  const ledger = createMemoryLedger({ maxBytes: 50_000 });
  for (let at = 0; at < 100; at += 1) {
    const edits = [{ message: 0, byteStart: 0, byteEnd: 1, text: 'x'.repeat(2000) }];
    await ledger.putIfAbsent(`k${at}`, { edits, spans: [] });
  }
  assert.equal(await ledger.get('k0'), null);
  assert.notEqual(await ledger.get('k99'), null);
});
