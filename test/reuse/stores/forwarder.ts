/**
 * Program: a Sluice reduced to its ledger. For each turn it is sent, it finds the conversation, replays what is known,
 * decides the rest in its own way and answers what it would have forwarded.
 */
import { epochKey } from '../../../src/reuse/mode.ts';
import { createDiskLedger } from '../../../src/reuse/stores/disk.ts';
import { createRedisLedger } from '../../../src/reuse/stores/redis.ts';
import { conversationOf, decisionOf } from './helpers.ts';

export interface Turn {
  readonly id: number;
  readonly keys: readonly string[];
  readonly name: string | null;
  /** Give up the forwarded prefix for a new epoch. */
  readonly rewrite: boolean;
}

export interface Forwarded {
  readonly id: number;
  /** The epoch that was found before. */
  readonly found: number | null;
  readonly epoch: number;
  readonly units: readonly { readonly key: string; readonly text: string }[];
}

const [place = '', process_ = ''] = process.argv.slice(2);
const common = { cacheBytes: 32 << 20, onWarning: (message: string) => console.error(message) };
const ledger = place.startsWith('redis:')
  ? await createRedisLedger({
      ...common,
      url: place,
      prefix: 'test:',
      ttlSeconds: 600,
      // Nothing is away here: a busy machine must not look like it.
      timeoutMs: 20_000,
    })
  : await createDiskLedger({
      ...common,
      folder: place,
      maxBytes: 64 << 20,
      maxConversations: 10_000,
    });
process.on('message', (turn: Turn | 'end') => {
  if (turn === 'end') void ledger.close().then(() => process.disconnect());
  else void forward(turn).then((forwarded) => process.send?.(forwarded));
});
process.send?.('ready');

async function forward({ id, keys, name, rewrite }: Turn): Promise<Forwarded> {
  const stored = await ledger.find(name, keys);
  const epoch = (stored?.epoch ?? 0) + (rewrite && stored !== null ? 1 : 0);
  const units: { key: string; text: string }[] = [];
  for (const lineageKey of keys) {
    const key = epochKey(lineageKey, epoch);
    const decision =
      (await ledger.get(key)) ??
      (await ledger.putIfAbsent(key, decisionOf(`${process_} ${id} ${Math.random()}`)));
    units.push({ key, text: decision.edits[0]?.text ?? '' });
  }
  await ledger.remember(name, conversationOf(keys, { epoch, at: id, replica: process_ }));
  return { id, found: stored?.epoch ?? null, epoch, units };
}
