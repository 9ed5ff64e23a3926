/** Health of one replica as data: a circuit breaker and a drain, changed by pure functions. */

/**
 * - `closed`: in use
 * - `open`: failed too often; nothing goes there until `until`
 * - `probing`: one request may try; its outcome decides
 */
export interface ReplicaHealth {
  readonly breaker: 'closed' | 'open' | 'probing';
  /** Failures in a row. */
  readonly failures: number;
  /** Milliseconds; when an open breaker lets one request try. */
  readonly until: number;
  /** Milliseconds; when the probe was sent, null = none is under way. */
  readonly probedAt: number | null;
  /** Openings in a row without a success between; each doubles the pause. */
  readonly openings: number;
  /** Told by the operator: finishes what it has, gets nothing new. */
  readonly draining: boolean;
}

export interface BreakerOptions {
  /** Failures in a row that open the breaker. */
  readonly failures: number;
  /** First pause; doubles up to `maxPauseMs`. */
  readonly pauseMs: number;
  readonly maxPauseMs: number;
  /** A probe without an outcome after this time counts as lost, so that another may try. */
  readonly probeMs: number;
}

export const defaultBreakerOptions: BreakerOptions = {
  failures: 3,
  pauseMs: 1000,
  maxPauseMs: 60_000,
  probeMs: 30_000,
};

/**
 * - `success`: any answer that shows a working server, also a 4xx
 * - `failure`: refused, reset, timed out, or a 5xx that says the server cannot
 * - `cancelled`: the client went away; says nothing about the server
 */
export type HealthEvent =
  | { readonly type: 'success' }
  | { readonly type: 'failure' }
  | { readonly type: 'cancelled' }
  | { readonly type: 'drain'; readonly on: boolean };

export const healthy: ReplicaHealth = {
  breaker: 'closed',
  failures: 0,
  until: 0,
  probedAt: null,
  openings: 0,
  draining: false,
};

/** May a new request go there now? Call `sent` when it does. */
export function mayRoute(health: ReplicaHealth, now: number, options: BreakerOptions): boolean {
  if (health.draining) return false;
  switch (health.breaker) {
    case 'closed':
      return true;
    case 'open':
      return now >= health.until;
    case 'probing':
      return health.probedAt === null || now - health.probedAt >= options.probeMs;
  }
}

/** A request was sent: after a pause it is the probe. */
export function sent(health: ReplicaHealth, now: number): ReplicaHealth {
  if (health.breaker === 'closed') return health;
  return { ...health, breaker: 'probing', probedAt: now };
}

export function nextHealth(
  health: ReplicaHealth,
  event: HealthEvent,
  now: number,
  options: BreakerOptions = defaultBreakerOptions,
): ReplicaHealth {
  switch (event.type) {
    case 'drain':
      return { ...health, draining: event.on };
    case 'cancelled':
      return { ...health, probedAt: null };
    case 'success':
      // An answer to a request from before the breaker opened proves that the server lives.
      return { ...healthy, draining: health.draining };
    case 'failure':
      return failed(health, now, options);
  }
}

function failed(health: ReplicaHealth, now: number, options: BreakerOptions): ReplicaHealth {
  const failures = health.failures + 1;
  const opens = health.breaker === 'probing' || failures >= options.failures;
  // Requests that were under way when it opened fail too; they neither lengthen nor restart the pause.
  if (!opens || health.breaker === 'open') return { ...health, failures };
  const pause = Math.min(options.maxPauseMs, options.pauseMs * 2 ** health.openings);
  return {
    ...health,
    breaker: 'open',
    failures,
    until: now + pause,
    probedAt: null,
    openings: health.openings + 1,
  };
}

/** Drained: nothing is under way and nothing new will come. */
export function isDrained(health: ReplicaHealth, running: number): boolean {
  return health.draining && running === 0;
}
