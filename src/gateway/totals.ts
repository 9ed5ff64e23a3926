/** Running sums per tenant, bounded by the number of tenants that are remembered. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { RequestReport } from '../core/report.ts';
import type { Totals } from './types.ts';

interface Sums {
  requests: number;
  byDecision: Record<string, number>;
  tokensBefore: number;
  tokensAfter: number;
  skipped: Record<string, number>;
  cachedTokens: number;
  promptTokensReported: number;
}

const empty = (): Sums => ({
  requests: 0,
  byDecision: {},
  tokensBefore: 0,
  tokensAfter: 0,
  skipped: {},
  cachedTokens: 0,
  promptTokensReported: 0,
});

export interface TotalsKeeper {
  add(report: RequestReport): void;
  of(tenant: string, uptimeSeconds: number): Totals;
}

export function createTotals(): TotalsKeeper {
  const tenants = boundedCache<Sums>({ maxEntries: 1000 });
  return {
    add(report) {
      const sums = tenants.get(report.tenant) ?? empty();
      sums.requests += 1;
      sums.byDecision[report.decision] = (sums.byDecision[report.decision] ?? 0) + 1;
      sums.tokensBefore += report.tokensBefore ?? 0;
      sums.tokensAfter += report.tokensAfter ?? 0;
      for (const [reason, count] of Object.entries(report.skipped)) {
        sums.skipped[reason] = (sums.skipped[reason] ?? 0) + count;
      }
      sums.cachedTokens += report.usage?.cachedTokens ?? 0;
      sums.promptTokensReported += report.usage?.promptTokens ?? 0;
      tenants.set(report.tenant, sums);
    },
    of(tenant, uptimeSeconds) {
      return { ...(tenants.get(tenant) ?? empty()), uptimeSeconds };
    },
  };
}
