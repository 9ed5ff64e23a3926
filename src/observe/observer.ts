/** The observer that writes: JSON lines to stderr by pino, metrics by prom-client. */
import { destination, pino, stdTimeFunctions } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { RequestReport } from '../core/report.ts';
import { createMetrics } from './metrics.ts';
import type { Log, Observer } from './types.ts';

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug';

export interface ObserverOptions {
  readonly level: LogLevel;
  /** Version of this package, for `sluice_build_info`. */
  readonly version?: string;
  /** Where lines go; left out = stderr (stdout belongs to the command's own output). */
  readonly write?: (line: string) => void;
}

/** Bytes of log lines that may wait for a slow reader of stderr; later ones are dropped. */
const maxBufferedBytes = 4 * 1024 * 1024;

function createSink(write: ObserverOptions['write']): {
  readonly stream: DestinationStream;
  flush(): void;
} {
  if (write !== undefined) return { stream: { write }, flush: () => undefined };
  const stream = destination({ dest: 2, sync: false, maxLength: maxBufferedBytes });
  return {
    stream,
    flush() {
      try {
        stream.flushSync();
      } catch {
        // stderr is closed or not yet open: there is nobody left to tell
      }
    },
  };
}

function createLog(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

/** The fields of a report that identify and measure; pointers, spans and texts stay out. */
function summary(report: RequestReport, route: string): Record<string, unknown> {
  const { id, dialect, backend, decision, tokensBefore, tokensAfter, status, timings } = report;
  return {
    id,
    route,
    dialect,
    backend,
    decision,
    tokensBefore,
    tokensAfter,
    estimated: report.estimated,
    skipped: report.skipped,
    status,
    error: report.error,
    mode: report.reuse?.mode ?? null,
    plannedReuse: report.plannedReuse,
    reportedReuse: report.reportedReuse,
    missReason: report.reuse?.missReason ?? null,
    compressMs: timings.compressMs,
    upstreamMs: timings.upstreamMs,
    totalMs: timings.totalMs,
  };
}

export function createObserver(options: ObserverOptions): Observer {
  const { stream, flush } = createSink(options.write);
  const logger = pino(
    { level: options.level, base: null, timestamp: stdTimeFunctions.isoTime },
    stream,
  );
  const metrics = createMetrics({ version: options.version ?? 'unknown' });
  return {
    log: createLog(logger),
    requestSettled(report, route) {
      metrics.count(report, route);
      const level = report.decision === 'bypassed' && report.error === null ? 'debug' : 'info';
      if (logger.isLevelEnabled(level)) logger[level](summary(report, route), 'request');
    },
    tokensCounted: metrics.countTokens,
    upstreamAnswered: metrics.upstreamAnswered,
    gauge: metrics.gauge,
    gauges: metrics.gauges,
    counter: metrics.counter,
    metricsText: metrics.text,
    metricsType: metrics.contentType,
    close: flush,
  };
}
