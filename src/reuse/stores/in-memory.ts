/** What is left of a store that cannot be opened. */
import { createMemoryLedger } from '../memory-ledger.ts';
import type { StoredLedger } from './types.ts';

/** `reason`: why nothing outlives the process. */
export function inMemoryOnly(maxBytes: number, reason: string): StoredLedger {
  const ledger = createMemoryLedger({ maxBytes });
  const counts = { hits: 0, misses: 0 };
  return {
    ...ledger,
    async get(key) {
      const found = await ledger.get(key);
      counts[found === null ? 'misses' : 'hits'] += 1;
      return found;
    },
    async check() {
      return { ok: true, detail: `ledger in memory only: ${reason}` };
    },
    stats: () => ({
      kind: 'memory',
      available: false,
      ...counts,
      fallbacks: 0,
      errors: 0,
      conflicts: 0,
      evictions: 0,
      pending: 0,
      decisions: null,
      conversations: null,
      bytes: null,
      cached: 0,
    }),
  };
}
