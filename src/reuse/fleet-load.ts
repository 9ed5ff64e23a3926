/** The load of each replica of a fleet, and how a request's life changes it. */
import { SluiceError } from '../core/errors.ts';
import {
  healthy,
  isDrained,
  mayRoute,
  type BreakerOptions,
  type ReplicaHealth,
} from './breaker.ts';
import type { Chain } from './chain.ts';
import type { FleetReplica, FleetState, Ticket } from './fleet-types.ts';
import { nextRate, pooledRate, unmeasured, type MeasuredRate } from './rates.ts';
import type { Match, ReplicaIndex } from './replica-index.ts';
import { decayed, type ReplicaView, type RouterOptions } from './router.ts';

export interface Running {
  running: number;
  queuedTokens: number;
  activeTokens: number;
  rate: MeasuredRate;
  health: ReplicaHealth;
  recent: { readonly tokens: number; readonly at: number };
}

export interface Held {
  /** Tokens that still wait to be computed; 0 once the answer has begun. */
  queued: number;
  answering: boolean;
}

/** A ticket as its fleet sees it. */
export interface MutableTicket extends Ticket {
  expected: Match;
  chain: Chain;
  /** The index that expected it. */
  index: ReplicaIndex;
}

export interface Context {
  readonly replicas: readonly FleetReplica[];
  readonly indexes: ReplicaIndex[];
  /** What was sent where as text. */
  readonly texts: readonly ReplicaIndex[];
  readonly states: readonly Running[];
  /** Tickets under way. */
  readonly open: Map<Ticket, Held>;
  /** The same objects as seen from inside; kept as long as anybody holds the ticket. */
  readonly inside: WeakMap<Ticket, MutableTicket>;
  readonly router: RouterOptions;
  readonly breaker: BreakerOptions;
  readonly recentMs: number;
}

export function idle(): Running {
  return {
    running: 0,
    queuedTokens: 0,
    activeTokens: 0,
    rate: unmeasured,
    health: healthy,
    recent: { tokens: 0, at: 0 },
  };
}

export function viewOf(
  { replicas, states, breaker, recentMs }: Context,
  asked: {
    readonly replica: number;
    readonly match: Match;
    readonly fits: boolean;
    readonly now: number;
  },
): ReplicaView {
  const { replica, match, fits, now } = asked;
  const { health, rate, queuedTokens, running, activeTokens, recent } = known(
    states[replica],
    replica,
  );
  return {
    id: replicas[replica]?.id ?? '',
    // The only one is tried also when it failed before: there is nothing to wait for.
    eligible: fits && (replicas.length === 1 || mayRoute(health, now, breaker)),
    hitTokens: match.tokens,
    creditTokens: match.credit,
    prefillRate: pooledRate(
      rate,
      states.map((state) => state.rate),
    ),
    queuedTokens,
    running,
    activeTokens,
    capacityTokens: replicas[replica]?.capacityTokens ?? null,
    recentTokens: decayed(recent.tokens, recent.at, now, recentMs),
  };
}

export function indexFor({ indexes, texts }: Context, replica: number, chain: Chain): ReplicaIndex {
  return known((chain.exact ? indexes : texts)[replica], replica);
}

export function identify(
  context: Context,
  { ticket, chain }: { ticket: Ticket; chain: Chain },
  now: number,
): void {
  const own = context.inside.get(ticket);
  if (own === undefined) return;
  const { replica } = own;
  const index = indexFor(context, replica, chain);
  const expected = index.match(chain, now);
  const held = context.open.get(ticket);
  if (held !== undefined) {
    const state = known(context.states[replica], replica);
    state.activeTokens += chain.tokens - own.chain.tokens;
    if (!held.answering) {
      const queued = Math.max(0, chain.tokens - expected.tokens);
      state.queuedTokens += queued - held.queued;
      held.queued = queued;
    }
  }
  index.record(chain, now);
  Object.assign(own, { chain, expected, index });
}

/** Takes a ticket's load off; null when it has ended before. */
export function release({ open, states, inside }: Context, ticket: Ticket): MutableTicket | null {
  const held = open.get(ticket);
  const own = inside.get(ticket);
  if (held === undefined || own === undefined) return null;
  const state = known(states[own.replica], own.replica);
  state.running -= 1;
  state.activeTokens -= own.chain.tokens;
  state.queuedTokens -= held.queued;
  open.delete(ticket);
  return own;
}

export function startsAnswering(
  { open, states, inside }: Context,
  ticket: Ticket,
  reported: number | null,
  now: number,
): boolean {
  const held = open.get(ticket);
  const own = inside.get(ticket);
  if (held === undefined || own === undefined) return false;
  const state = known(states[own.replica], own.replica);
  state.queuedTokens -= held.queued;
  held.queued = 0;
  held.answering = true;
  const tokens = own.chain.tokens - (reported ?? own.expected.tokens);
  const ms = now - own.sentAt;
  state.rate = nextRate(state.rate, { tokens, ms, queuedTokens: own.queuedBefore });
  // It may have waited long: the engine's events about it come from now on.
  own.index.record(own.chain, now);
  return true;
}

export function stateOf(
  id: string,
  state: Running,
  indexes: readonly (ReplicaIndex | undefined)[],
): FleetState {
  const counts = indexes.flatMap((index) => index?.counts() ?? []);
  return {
    id,
    running: state.running,
    queuedTokens: state.queuedTokens,
    health: state.health,
    drained: isDrained(state.health, state.running),
    prefillRate: state.rate.tokensPerSecond,
    indexBlocks: counts.reduce((sum, { blocks }) => sum + blocks, 0),
    indexBytes: counts.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

export function known<T>(value: T | undefined, replica: number): T {
  if (value === undefined) throw new SluiceError('INTERNAL', `There is no replica ${replica}`);
  return value;
}
