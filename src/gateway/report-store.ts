/** Reports of requests: open until the outcome is known, then remembered for a while. Both shelves are bounded. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { RequestReport } from '../core/report.ts';
import type { RequestRoute } from './types.ts';

export interface OpenReport {
  readonly report: RequestReport;
  /** Monotonic time at which the request arrived, milliseconds. */
  readonly arrived: number;
  readonly route: RequestRoute;
}

export interface ReportStore {
  open(entry: OpenReport): void;
  /** Replaces an open report, if it is still open. */
  amend(report: RequestReport): void;
  /** Takes an open report off its shelf; null when there is none under this id (any more). */
  take(id: string): OpenReport | null;
  /** Remembers a report that is closed. */
  keep(report: RequestReport): void;
  get(id: string): RequestReport | null;
}

/** Requests in flight whose reports are kept apart, so that no number of short ones evicts a long one. */
const maxOpen = 100_000;
const maxOpenBytes = 256 * 1024 * 1024;
/** Mean share of one closed report in memory; a body may have many thousands of spans. */
const bytesPerReport = 32 * 1024;

function sizeOf(report: RequestReport): number {
  return 1000 + report.spans.length * 500;
}

/** @param maxReports closed reports that are remembered, least recently used first out */
export function createReportStore(maxReports: number): ReportStore {
  const openOnes = boundedCache<OpenReport>({
    maxEntries: maxOpen,
    maxSize: maxOpenBytes,
    sizeOf: ({ report }) => sizeOf(report),
  });
  const closed = boundedCache<RequestReport>({
    maxEntries: maxReports,
    maxSize: maxReports * bytesPerReport,
    sizeOf,
  });
  return {
    open: (entry) => openOnes.set(entry.report.id, entry),
    amend(report) {
      const entry = openOnes.get(report.id);
      if (entry !== undefined) openOnes.set(report.id, { ...entry, report });
    },
    take(id) {
      const entry = openOnes.get(id) ?? null;
      openOnes.delete(id);
      return entry;
    },
    keep: (report) => closed.set(report.id, report),
    get: (id) => openOnes.get(id)?.report ?? closed.get(id) ?? null,
  };
}
