/** Growing conversations through the real methods: what was forwarded stays forwarded, with and without a memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCompressor } from '../../src/compress/create.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import { input, longDocument, testGateway } from '../helpers/gateway.ts';
import { noScorers } from '../helpers/fake-scorer.ts';

const compressor = createCompressor('auto', {
  tokenizer: loadTokenizer('models/scout'),
  scorers: noScorers,
});

interface Message {
  readonly role: string;
  readonly content: string;
  readonly tool_call_id?: string;
}

const rows = (seed: number): string =>
  JSON.stringify(
    Array.from({ length: 30 }, (_, at) => ({
      id: `item-${seed}-${at}`,
      price: at * 1.5,
      note: `Shelf ${at % 5}, seen in week ${seed + at}.`,
    })),
  );

const log = (seed: number): string =>
  Array.from(
    { length: 60 },
    (_, at) =>
      `2026-03-01T10:${String(at).padStart(2, '0')}:00Z ${at === seed ? 'ERROR disk full' : 'INFO request served'} id=${at * 31 + seed}`,
  ).join('\n');

const turn = fc.oneof(
  fc.nat(30).map((seed): Message[] => [
    {
      role: 'user',
      content: `<document>\n${longDocument(seed)}\n</document>\n\nWhen did station ${seed}-3 open?`,
    },
    { role: 'assistant', content: `In 1903, says document ${seed}.` },
  ]),
  fc.nat(30).map((seed): Message[] => [
    { role: 'user', content: `What does item-${seed}-4 cost?` },
    { role: 'tool', tool_call_id: 'a', content: rows(seed) },
    { role: 'assistant', content: 'Six.' },
  ]),
  fc.nat(30).map((seed): Message[] => [
    { role: 'user', content: 'Why did it fail?' },
    { role: 'tool', tool_call_id: 'b', content: log(seed) },
    { role: 'tool', tool_call_id: 'c', content: longDocument(seed + 100) },
  ]),
  fc.constant<Message[]>([
    { role: 'user', content: 'Thanks. And in plain words?' },
    { role: 'assistant', content: 'It was full.' },
  ]),
);

test('forwarded(t) is a prefix of forwarded(t+1), with one process, and with a new one for every request', async () => {
  let compressed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 2, maxLength: 5 }), async (turns) => {
      const remembering = testGateway({ compressor });
      let before: unknown[] = [];
      for (let count = 1; count <= turns.length; count += 1) {
        const messages = turns.slice(0, count).flat();
        const body = JSON.stringify({ model: 'm', messages });
        const [kept, fresh] = await Promise.all(
          [remembering, testGateway({ compressor })].map((gateway) => gateway.prepare(input(body))),
        );
        assert.deepEqual(kept?.body, fresh?.body);
        const forwarded: unknown[] = JSON.parse(Buffer.from(kept?.body ?? []).toString()).messages;
        assert.deepEqual(forwarded.slice(0, before.length), before);
        before = forwarded;
        if ((kept?.body.length ?? 0) < body.length) compressed += 1;
      }
    }),
    { numRuns: 25, seed: 20261121 },
  );
  assert.ok(compressed > 25, `only ${compressed} requests were compressed`);
});
