/** What the rest of the code base may tell the outside: log lines and metrics. Never prompt text, in neither. */
import type { RequestReport } from '../core/report.ts';

/** Plain values that identify and measure; no request or response text. */
export type LogFields = Readonly<Record<string, unknown>>;

/** One JSON object per line. `error` inside `fields` under the key `err` is written with type, message, stack and cause. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export interface Observer {
  readonly log: Log;
  /**
   * Counts a request that is over and logs one line about it: `info`, or `debug` when it was bypassed without an error.
   * Cheap: called for every request.
   * @param route label that says where the request came in
   */
  requestSettled(report: RequestReport, route: string): void;
  /** Adds the tokens of a request that is over, once its numbers are final; called once per request. */
  tokensCounted(report: RequestReport, route: string): void;
  /** Time from forwarding a request to the upstream's response head, milliseconds. */
  upstreamAnswered(milliseconds: number): void;
  /** Registers a value that is read when metrics are asked for. `name` begins with `sluice_`. */
  gauge(name: string, help: string, read: () => number): void;
  /** As `gauge`, for several values that `label` tells apart; null = not known, left out. */
  gauges(
    name: string,
    help: string,
    label: string,
    read: () => readonly (readonly [string, number | null])[],
  ): void;
  /** As `gauge`, for a number that only grows; `name` ends in `_total`. */
  counter(name: string, help: string, read: () => number): void;
  /** Everything in Prometheus text format 0.0.4. */
  metricsText(): Promise<string>;
  /** Content type of `metricsText`. */
  readonly metricsType: string;
  /** Writes out what is buffered. */
  close(): void;
}
