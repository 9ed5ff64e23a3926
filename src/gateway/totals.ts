/** Running sums per tenant, bounded by the number of tenants that are remembered. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { RequestReport } from '../core/report.ts';
import type { RequestRoute, ReuseSums, Totals } from './types.ts';

interface Sums {
  requests: number;
  byDecision: Record<string, number>;
  byRoute: Record<string, number>;
  tokensBefore: number;
  tokensAfter: number;
  tokensEstimated: number;
  skipped: Record<string, number>;
  cachedTokens: number;
  promptTokensReported: number;
  reuse: {
    -readonly [Key in keyof ReuseSums]: ReuseSums[Key] extends number
      ? number
      : Record<string, number>;
  };
}

/** What is summed up here; the rest of the totals is no sum over requests. */
export type TenantTotals = Omit<Totals, 'reuse' | 'replicas'> & { readonly reuse: ReuseSums };

const empty = (): Sums => ({
  requests: 0,
  byDecision: {},
  byRoute: {},
  tokensBefore: 0,
  tokensAfter: 0,
  tokensEstimated: 0,
  skipped: {},
  cachedTokens: 0,
  promptTokensReported: 0,
  reuse: { byMode: {}, byMiss: {}, plannedTokens: 0, reportedTokens: 0, errorTokens: 0 },
});

export interface TotalsKeeper {
  /** Counts a request that is over. */
  add(report: RequestReport, route: RequestRoute): void;
  /** Adds the report's tokens, once its numbers are final. */
  addTokens(report: RequestReport): void;
  of(tenant: string, uptimeSeconds: number): TenantTotals;
}

export function createTotals(): TotalsKeeper {
  const tenants = boundedCache<Sums>({ maxEntries: 1000 });
  return {
    add(report, route) {
      const sums = tenants.get(report.tenant) ?? empty();
      sums.requests += 1;
      sums.byDecision[report.decision] = (sums.byDecision[report.decision] ?? 0) + 1;
      sums.byRoute[route] = (sums.byRoute[route] ?? 0) + 1;
      for (const [reason, count] of Object.entries(report.skipped)) {
        sums.skipped[reason] = (sums.skipped[reason] ?? 0) + count;
      }
      sums.cachedTokens += report.usage?.cachedTokens ?? 0;
      sums.promptTokensReported += report.usage?.promptTokens ?? 0;
      addReuse(sums.reuse, report);
      tenants.set(report.tenant, sums);
    },
    addTokens(report) {
      if (report.tokensBefore === null || report.tokensAfter === null) return;
      const sums = tenants.get(report.tenant) ?? empty();
      sums.tokensBefore += report.tokensBefore;
      sums.tokensAfter += report.tokensAfter;
      if (report.estimated) sums.tokensEstimated += report.tokensBefore;
      tenants.set(report.tenant, sums);
    },
    of(tenant, uptimeSeconds) {
      return { ...(tenants.get(tenant) ?? empty()), uptimeSeconds };
    },
  };
}

function addReuse(sums: Sums['reuse'], report: RequestReport): void {
  const { reuse, plannedReuse, reportedReuse } = report;
  if (reuse !== null) {
    sums.byMode[reuse.mode] = (sums.byMode[reuse.mode] ?? 0) + 1;
    const miss = reuse.missReason;
    if (miss !== null) sums.byMiss[miss] = (sums.byMiss[miss] ?? 0) + 1;
  }
  if (plannedReuse === null || reportedReuse === null) return;
  sums.plannedTokens += plannedReuse;
  sums.reportedTokens += reportedReuse;
  sums.errorTokens += Math.abs(plannedReuse - reportedReuse);
}
