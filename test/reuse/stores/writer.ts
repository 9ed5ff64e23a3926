/** Program: writes units and turns into the ledger of a folder without end, and says what was acknowledged. */
import { createDiskLedger } from '../../../src/reuse/stores/disk.ts';
import { chainKeys, conversationOf, decisionOf } from './helpers.ts';

const [folder = '', writer = ''] = process.argv.slice(2);
const ledger = await createDiskLedger({
  folder,
  maxBytes: 64 << 20,
  maxConversations: 10_000,
  cacheBytes: 1 << 20,
  onWarning: (message) => console.error(message),
});
const names: string[] = [];
for (let turn = 0; ; turn += 1) {
  names.push(`${writer} ${turn}`);
  if (names.length > 12) names.splice(0, names.length - 1);
  const keys = chainKeys(names);
  const key = keys.at(-1) ?? '';
  await ledger.putIfAbsent(key, decisionOf(`${writer} ${turn} ${'text '.repeat(turn % 300)}`));
  await ledger.remember(`session ${names[0]}`, conversationOf(keys, { at: turn }));
  process.send?.([turn, key, names[0]]);
}
