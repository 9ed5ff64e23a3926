/** What is told about requests: their reports from open to counted, the totals, and what the observer hears. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import type { RequestReport } from '../core/report.ts';
import { defectFields } from '../observe/defect.ts';
import type { Observer } from '../observe/types.ts';
import { countedReport, textsToCount, type Countable } from './count-reports.ts';
import type { ExactCounts } from './exact-counts.ts';
import { closeReport } from './report.ts';
import { createReportStore } from './report-store.ts';
import { createTotals, type TenantTotals } from './totals.ts';
import type { Outcome, RequestRoute } from './types.ts';

export interface OpeningReport {
  readonly report: RequestReport;
  /** Monotonic time at which the request arrived, milliseconds. */
  readonly arrived: number;
  readonly route: RequestRoute;
  /** Null = its numbers are final as they are. */
  readonly countable: Countable | null;
}

export interface Reports {
  /** @returns the report, with exact counts where they were known already */
  open(entry: OpeningReport): RequestReport;
  /** Replaces what is known of an open report. */
  amend(id: string, change: (report: RequestReport) => RequestReport): RequestReport | null;
  /** Closes a report. Missing counts are asked for afterwards, in nobody's way. */
  settle(id: string, outcome: Outcome): void;
  /** Notes a request that is over and whose report nobody asks for. */
  note(report: RequestReport, route: RequestRoute): void;
  get(id: string): RequestReport | null;
  /** Resolves when the numbers of a settled report are final, or after `waitMs`. */
  counted(id: string, waitMs: number): Promise<void>;
  totals(tenant: string): TenantTotals;
}

/** UTF-16 units of texts that requests in flight hold for counting; past it the oldest stay estimated. */
const maxHeldChars = 32 * 1024 * 1024;
/** The same for reports whose counts are being asked for. */
const maxAskedChars = 8 * 1024 * 1024;
/** Looking up the counts of longer requests before they are forwarded would be felt. */
const maxLookedUpChars = 64 * 1024;

export function createReports(options: {
  readonly maxReports: number;
  readonly exact: ExactCounts;
  readonly observer: Observer;
  readonly clock: Clock;
}): Reports {
  return new CountedReports(options);
}

class CountedReports implements Reports {
  readonly #exact: ExactCounts;
  readonly #observer: Observer;
  readonly #clock: Clock;
  readonly #store: ReturnType<typeof createReportStore>;
  readonly #totals = createTotals();
  readonly #startedAt: number;
  readonly #held = boundedCache<Countable>({
    maxEntries: 100_000,
    maxSize: maxHeldChars,
    sizeOf: ({ chars }) => chars,
  });
  readonly #asking = new Map<string, Promise<void>>();
  #askedChars = 0;

  constructor(options: Parameters<typeof createReports>[0]) {
    this.#exact = options.exact;
    this.#observer = options.observer;
    this.#clock = options.clock;
    this.#store = createReportStore(options.maxReports);
    this.#startedAt = options.clock.now();
  }

  open({ report, arrived, route, countable }: OpeningReport): RequestReport {
    const waiting = countable !== null && this.#exact.active ? countable : null;
    const counted = waiting === null ? null : this.#lookUp(report, waiting);
    if (waiting !== null && counted === null) this.#held.set(report.id, waiting);
    const opened = counted ?? report;
    this.#store.open({ report: opened, arrived, route });
    return opened;
  }

  amend(id: string, change: (report: RequestReport) => RequestReport): RequestReport | null {
    const open = this.#store.get(id);
    if (open === null) return null;
    const report = change(open);
    this.#store.amend(report);
    return report;
  }

  settle(id: string, outcome: Outcome): void {
    const open = this.#store.take(id);
    if (open === null) return;
    const held = this.#held.get(id);
    this.#held.delete(id);
    const totalMs = this.#clock.monotonic() - open.arrived;
    const report = closeReport(open.report, { ...outcome, totalMs });
    const { upstreamMs } = report.timings;
    if (upstreamMs !== null) this.#observer.upstreamAnswered(upstreamMs);
    this.#store.keep(report);
    this.#totals.add(report, open.route);
    this.#observer.requestSettled(report, open.route);
    // A server that failed is not asked for more.
    const answered = outcome.status !== null && outcome.status < 300;
    if (held === undefined || !answered || this.#askedChars + held.chars > maxAskedChars) {
      this.#numbersAreFinal(report, open.route);
      return;
    }
    const asking = this.#ask(report, held, open.route);
    this.#asking.set(id, asking);
    void asking.finally(() => this.#asking.delete(id));
  }

  note(report: RequestReport, route: RequestRoute): void {
    this.#totals.add(report, route);
    this.#observer.requestSettled(report, route);
    this.#numbersAreFinal(report, route);
  }

  get(id: string): RequestReport | null {
    return this.#store.get(id);
  }

  async counted(id: string, waitMs: number): Promise<void> {
    const asking = this.#asking.get(id);
    if (asking !== undefined) await within(asking, waitMs);
  }

  totals(tenant: string): TenantTotals {
    return this.#totals.of(tenant, (this.#clock.now() - this.#startedAt) / 1000);
  }

  /** The report with counts that are known already, or null. */
  #lookUp(report: RequestReport, countable: Countable): RequestReport | null {
    if (countable.chars > maxLookedUpChars) return null;
    const texts = countable.texts();
    const counts = this.#exact.known(textsToCount(texts), countable.model);
    if (counts === null) return null;
    return countedReport(report, texts, { counts, tokenizer: this.#exact.tokenizer });
  }

  async #ask(report: RequestReport, held: Countable, route: RequestRoute): Promise<void> {
    let final = report;
    this.#askedChars += held.chars;
    try {
      const texts = held.texts();
      const counts = await this.#exact.count(textsToCount(texts), held.model);
      if (counts !== null) {
        final = countedReport(report, texts, { counts, tokenizer: this.#exact.tokenizer });
        this.#store.keep(final);
      }
    } catch (error) {
      this.#observer.log.error(defectFields(error), 'the counts of a report stay estimated');
    } finally {
      this.#askedChars -= held.chars;
      this.#numbersAreFinal(final, route);
    }
  }

  #numbersAreFinal(report: RequestReport, route: RequestRoute): void {
    this.#totals.addTokens(report);
    this.#observer.tokensCounted(report, route);
  }
}

/** Resolves with the promise, or after `ms` without it. */
export function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
