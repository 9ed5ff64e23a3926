/** The replicas behind one Sluice: what each holds, how busy and how healthy it is; and one request's way over them. */
import { SluiceError } from '../core/errors.ts';
import {
  defaultBreakerOptions,
  healthy,
  isDrained,
  mayRoute,
  nextHealth,
  sent,
  type BreakerOptions,
  type HealthEvent,
  type ReplicaHealth,
} from './breaker.ts';
import type { Chain } from './chain.ts';
import { nextRate, unmeasured, type MeasuredRate } from './rates.ts';
import {
  createReplicaIndex,
  type Match,
  type ReplicaIndex,
  type ReplicaIndexOptions,
} from './replica-index.ts';
import {
  chooseReplica,
  decayed,
  defaultRouterOptions,
  type ReplicaView,
  type RouteReason,
  type RouterOptions,
} from './router.ts';

export interface FleetReplica {
  readonly id: string;
  readonly index: ReplicaIndexOptions;
  /** Tokens of KV that fit; null = not known. */
  readonly capacityTokens: number | null;
}

export interface FleetRequest {
  /** The prompt as this replica caches it; null = it must not get the request (other fingerprint, window too short). */
  readonly chainFor: (replica: number) => Chain | null;
  readonly promptTokens: number;
  /** Replica of the conversation's previous turn, or null. */
  readonly previous: string | null;
}

/** A request on its way. Ends exactly once: with `finish`, `fail` or `cancel`. */
export interface Ticket {
  readonly replica: number;
  readonly id: string;
  readonly reason: RouteReason;
  /** Expected before forwarding, to be compared with the report. */
  readonly expected: Match;
  readonly chain: Chain;
  readonly sentAt: number;
  /** Uncached tokens that were waiting there before it. */
  readonly queuedBefore: number;
}

export interface FleetState {
  readonly id: string;
  readonly running: number;
  readonly queuedTokens: number;
  readonly health: ReplicaHealth;
  readonly drained: boolean;
  readonly prefillRate: number | null;
  readonly indexBytes: number;
}

export interface Fleet {
  readonly indexes: readonly ReplicaIndex[];
  /** Chooses and takes the load into account at once, so that a burst does not go to one place. null = nobody can. */
  route(request: FleetRequest, now: number): Ticket | null;
  /** The first token came: nothing of it waits any more, and the engine's speed can be told. */
  firstToken(ticket: Ticket, reported: number | null, now: number): void;
  /** The answer is complete. `whole`: prompt and answer as a chain where their tokens are known. */
  finish(
    ticket: Ticket,
    outcome: { reported: number | null; whole: Chain | null },
    now: number,
  ): void;
  /** The replica failed; nothing that it was sent is believed to be there. */
  fail(ticket: Ticket, now: number): void;
  /** The client went away; says nothing about the replica. */
  cancel(ticket: Ticket, now: number): void;
  drain(id: string, on: boolean, now: number): void;
  state(): readonly FleetState[];
}

interface Running {
  running: number;
  queuedTokens: number;
  activeTokens: number;
  rate: MeasuredRate;
  health: ReplicaHealth;
  recent: { readonly tokens: number; readonly at: number };
}

export interface FleetOptions {
  readonly router?: RouterOptions;
  readonly breaker?: BreakerOptions;
  /** Half-life of what counts as lately computed, in ms. */
  readonly recentMs?: number;
}

interface Context {
  readonly replicas: readonly FleetReplica[];
  readonly indexes: readonly ReplicaIndex[];
  readonly states: readonly Running[];
  /** Tickets under way, with the tokens of each that still wait to be computed. */
  readonly open: Map<Ticket, { queued: number }>;
  readonly router: RouterOptions;
  readonly breaker: BreakerOptions;
  readonly recentMs: number;
}

export function createFleet(replicas: readonly FleetReplica[], options: FleetOptions = {}): Fleet {
  const context: Context = {
    replicas,
    indexes: replicas.map(({ index }) => createReplicaIndex(index)),
    states: replicas.map(idle),
    open: new Map(),
    router: options.router ?? defaultRouterOptions,
    breaker: options.breaker ?? defaultBreakerOptions,
    recentMs: options.recentMs ?? 600_000,
  };
  const { indexes, states, breaker } = context;
  const judge = (replica: number, event: HealthEvent, now: number): void => {
    const state = known(states[replica], replica);
    state.health = nextHealth(state.health, event, now, breaker);
  };
  const giveUp = (ticket: Ticket, type: 'failure' | 'cancelled', now: number): void => {
    if (!release(context, ticket)) return;
    judge(ticket.replica, { type }, now);
    // It may have been computed before it broke off; less is believed.
    known(indexes[ticket.replica], ticket.replica).retract(ticket.chain, ticket.expected.tokens);
  };
  return {
    indexes,
    route: (request, now) => routeOver(context, request, now),
    firstToken(ticket, reported, now) {
      if (!startsAnswering(context, ticket, reported, now)) return;
      judge(ticket.replica, { type: 'success' }, now);
    },
    finish(ticket, { reported, whole }, now) {
      if (!release(context, ticket)) return;
      judge(ticket.replica, { type: 'success' }, now);
      const index = known(indexes[ticket.replica], ticket.replica);
      if (reported !== null) index.correct(ticket.expected, reported);
      // Where events tell, they say what is kept; elsewhere the answer is cached like the prompt.
      if (index.options.feed === 'estimated' && whole !== null) index.record(whole, now);
    },
    fail: (ticket, now) => giveUp(ticket, 'failure', now),
    cancel: (ticket, now) => giveUp(ticket, 'cancelled', now),
    drain(id, on, now) {
      const replica = replicas.findIndex((candidate) => candidate.id === id);
      if (replica < 0) throw new SluiceError('NOT_FOUND', `No replica is named ${id}`);
      judge(replica, { type: 'drain', on }, now);
    },
    state: () =>
      replicas.map(({ id }, at) => stateOf(id, known(states[at], at), known(indexes[at], at))),
  };
}

function routeOver(context: Context, request: FleetRequest, now: number): Ticket | null {
  const { replicas, indexes, states, open, router } = context;
  const chains = replicas.map((_, replica) => request.chainFor(replica));
  const matches = chains.map((chain, replica) =>
    chain === null ? noHit : known(indexes[replica], replica).match(chain, now),
  );
  const views = matches.map((match, replica) =>
    viewOf(context, { replica, match, fits: chains[replica] !== null, now }),
  );
  const route = chooseReplica(request, views, router);
  if (route === null) return null;
  const { replica, reason } = route;
  const chain = chains[replica] ?? null;
  const view = views[replica];
  if (chain === null || view === undefined) return null;
  const expected = matches[replica] ?? noHit;
  const state = known(states[replica], replica);
  const queued = chain.tokens - expected.tokens;
  const queuedBefore = state.queuedTokens;
  const ticket = { replica, id: view.id, reason, expected, chain, sentAt: now, queuedBefore };
  open.set(ticket, { queued });
  state.running += 1;
  state.queuedTokens += queued;
  state.activeTokens += chain.tokens;
  state.recent = { tokens: view.recentTokens + queued, at: now };
  state.health = sent(state.health, now);
  known(indexes[replica], replica).record(chain, now);
  return ticket;
}

function viewOf(
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
    eligible: fits && mayRoute(health, now, breaker),
    hitTokens: match.tokens,
    creditTokens: match.credit,
    prefillRate: rate.tokensPerSecond,
    queuedTokens,
    running,
    activeTokens,
    capacityTokens: replicas[replica]?.capacityTokens ?? null,
    recentTokens: decayed(recent.tokens, recent.at, now, recentMs),
  };
}

/** Takes a ticket's load off; false when it has ended before. */
function release({ open, states }: Context, ticket: Ticket): boolean {
  const held = open.get(ticket);
  if (held === undefined) return false;
  const state = known(states[ticket.replica], ticket.replica);
  state.running -= 1;
  state.activeTokens -= ticket.chain.tokens;
  state.queuedTokens -= held.queued;
  return open.delete(ticket);
}

function startsAnswering(
  { open, states, indexes }: Context,
  ticket: Ticket,
  reported: number | null,
  now: number,
): boolean {
  const held = open.get(ticket);
  if (held === undefined) return false;
  const state = known(states[ticket.replica], ticket.replica);
  state.queuedTokens -= held.queued;
  held.queued = 0;
  const tokens = ticket.chain.tokens - (reported ?? ticket.expected.tokens);
  const ms = now - ticket.sentAt;
  state.rate = nextRate(state.rate, { tokens, ms, queuedTokens: ticket.queuedBefore });
  // It may have waited long: the engine's events about it come from now on.
  known(indexes[ticket.replica], ticket.replica).record(ticket.chain, now);
  return true;
}

const noHit: Match = { tokens: 0, credit: 0, confidence: null, lastUsed: null };

function idle(): Running {
  return {
    running: 0,
    queuedTokens: 0,
    activeTokens: 0,
    rate: unmeasured,
    health: healthy,
    recent: { tokens: 0, at: 0 },
  };
}

function stateOf(id: string, state: Running, index: ReplicaIndex): FleetState {
  return {
    id,
    running: state.running,
    queuedTokens: state.queuedTokens,
    health: state.health,
    drained: isDrained(state.health, state.running),
    prefillRate: state.rate.tokensPerSecond,
    indexBytes: index.counts().bytes,
  };
}

function known<T>(value: T | undefined, replica: number): T {
  if (value === undefined) throw new SluiceError('INTERNAL', `There is no replica ${replica}`);
  return value;
}
