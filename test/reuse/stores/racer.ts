/** Program: decides the same units as another process does at the same time, each its own way, and says what stands. */
import { createDiskLedger } from '../../../src/reuse/stores/disk.ts';
import { decisionOf } from './helpers.ts';

const [folder = '', racer = '', count = '0', offset = '0'] = process.argv.slice(2);
const ledger = await createDiskLedger({
  folder,
  maxBytes: 64 << 20,
  maxConversations: 10_000,
  cacheBytes: 1 << 20,
  onWarning: (message) => console.error(message),
});
process.send?.('ready');
await new Promise((resolve) => process.once('message', resolve));
const standing: string[] = [];
for (let at = 0; at < Number(count); at += 1) {
  const unit = (at + Number(offset)) % Number(count);
  const stored = await ledger.putIfAbsent(`unit ${unit}`, decisionOf(`${racer} ${unit}`));
  standing[unit] = stored.edits[0]?.text ?? '';
}
process.send?.(standing, () => process.disconnect());
await ledger.close();
