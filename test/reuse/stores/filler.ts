/** Program: fills a disk that has no room, and says what it still knows. Run under a limit of the file's size. */
import { createDiskLedger } from '../../../src/reuse/stores/disk.ts';
import { conversationOf, decisionOf } from './helpers.ts';

const [folder = ''] = process.argv.slice(2);
let now = 0;
const warnings: string[] = [];
const ledger = await createDiskLedger({
  folder,
  maxBytes: 64 << 20,
  maxConversations: 10_000,
  cacheBytes: 32 << 20,
  onWarning: (message) => warnings.push(message),
  clock: { now: () => Date.now(), monotonic: () => now },
});
const text = 'x'.repeat(4000);
for (let unit = 0; unit < 1000; unit += 1) {
  now += 100;
  await ledger.putIfAbsent(`unit ${unit}`, decisionOf(`${unit} ${text}`));
  await ledger.remember(null, conversationOf([`unit ${unit}`]));
}
let known = 0;
for (let unit = 0; unit < 1000; unit += 1) {
  const found = await ledger.get(`unit ${unit}`);
  const conversation = await ledger.find(null, [`unit ${unit}`]);
  if (found?.edits[0]?.text === `${unit} ${text}` && conversation !== null) known += 1;
}
const { errors, available } = ledger.stats();
console.log(JSON.stringify({ known, warnings, errors, available, check: await ledger.check() }));
await ledger.close();
