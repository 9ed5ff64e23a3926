/** The observer that observes nothing: for tests and for library use without logs and metrics. */
import type { Observer } from './types.ts';

function ignore(): void {}

export const silentObserver: Observer = {
  log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  requestSettled: ignore,
  tokensCounted: ignore,
  upstreamAnswered: ignore,
  gauge: ignore,
  gauges: ignore,
  counter: ignore,
  metricsText: () => Promise.resolve(''),
  metricsType: 'text/plain; version=0.0.4; charset=utf-8',
  close: ignore,
};
