/** Conversations over any ledger, without prices and without measured speeds unless a test gives them. */
import { systemClock } from '../../src/core/clock.ts';
import { createReuse, type ReuseOptions } from '../../src/reuse/reuse.ts';
import type { Ledger, Reuse } from '../../src/reuse/types.ts';

export function testReuse(
  ledger: Ledger,
  rate: number,
  options: Partial<ReuseOptions> = {},
): Reuse {
  return createReuse({
    ledger,
    clock: systemClock,
    backend: () => 'embedded',
    fingerprint: 'fake',
    position: () => null,
    limitTokens: () => null,
    rate,
    always: false,
    maxConversations: 1000,
    ttlMs: null,
    prefillRate: () => null,
    storeMs: 1000,
    onFailure: () => undefined,
    ...options,
  });
}
