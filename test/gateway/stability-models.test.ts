/** The law of the stable prefix with the shipped models: what was forwarded of a turn does not change with later ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tierNames } from '../../src/core/method.ts';
import { createSluice, type Sluice } from '../../src/sluice.ts';
import { prose } from '../helpers/compress-jobs.ts';

interface Message {
  readonly role: string;
  readonly content: string;
}

async function forwarded(
  sluice: Sluice,
  messages: readonly Message[],
  tenant: string,
): Promise<Message[]> {
  const prepared = await sluice.gateway.prepare({
    path: '/v1/chat/completions',
    contentEncoding: null,
    body: new TextEncoder().encode(JSON.stringify({ model: 'm', messages })),
    wishes: {},
    tenant,
    signal: null,
  });
  const body = JSON.parse(new TextDecoder().decode(prepared.body)) as { messages: Message[] };
  return body.messages;
}

for (const tier of tierNames) {
  test(`tier ${tier}: earlier messages are forwarded as before, without a memory of them`, async () => {
    const sluice = await createSluice({ log: { level: 'silent' }, compress: { tier, rate: 0.4 } });
    try {
      const turns = [1, 2, 3].flatMap((seed): Message[] => [
        {
          role: 'user',
          content: `<document>\n${prose(30, seed)}\n</document>\n\nWho repaired the engine of the captain?`,
        },
        { role: 'assistant', content: 'Somebody in the village.' },
      ]);
      let before: Message[] = [];
      for (let length = 1; length <= turns.length; length += 2) {
        // Another tenant each time: nothing is replayed from the ledger.
        const now = await forwarded(sluice, turns.slice(0, length), `tenant ${length}`);
        assert.deepEqual(now.slice(0, before.length), before);
        assert.ok((now.at(-1)?.content.length ?? 0) < (turns[length - 1]?.content.length ?? 0));
        before = now;
      }
    } finally {
      await sluice.close();
    }
  });
}
