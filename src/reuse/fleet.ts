/** The replicas behind one Sluice: what each holds, how busy and how healthy it is; and one request's way over them. */
import { SluiceError } from '../core/errors.ts';
import { defaultBreakerOptions, nextHealth, sent, type HealthEvent } from './breaker.ts';
import type { Chain } from './chain.ts';
import {
  idle,
  identify,
  indexFor,
  known,
  release,
  startsAnswering,
  stateOf,
  viewOf,
  type Context,
} from './fleet-load.ts';
import {
  textBlockTokens,
  type Fleet,
  type FleetOptions,
  type FleetReplica,
  type FleetRequest,
  type Ticket,
} from './fleet-types.ts';
import { createReplicaIndex, type Match, type ReplicaIndexOptions } from './replica-index.ts';
import { chooseReplica, defaultRouterOptions } from './router.ts';

export { textBlockTokens };
export type {
  Fleet,
  FleetOptions,
  FleetReplica,
  FleetRequest,
  FleetState,
  Ticket,
} from './fleet-types.ts';

export function createFleet(replicas: readonly FleetReplica[], options: FleetOptions = {}): Fleet {
  const context = contextOf(replicas, options);
  const { indexes, states, breaker } = context;
  const judge = (replica: number, event: HealthEvent, now: number): void => {
    const state = known(states[replica], replica);
    const failed = state.health.breaker !== 'closed';
    state.health = nextHealth(state.health, event, now, breaker);
    if (failed && state.health.breaker === 'closed') forget(context, replica);
  };
  const giveUp = (ticket: Ticket, type: 'failure' | 'cancelled', now: number): void => {
    const own = release(context, ticket);
    if (own === null) return;
    judge(ticket.replica, { type }, now);
    // It may have been computed before it broke off; less is believed. Ids that come later change nothing.
    own.index.retract(own.chain, own.expected.tokens);
    context.inside.delete(ticket);
  };
  return {
    indexes,
    rebuild(replica, options) {
      known(indexes[replica], replica);
      indexes[replica] = createReplicaIndex(options);
    },
    route: (request, now) => routeOver(context, request, now),
    identify: (ticket, chain, now) => identify(context, { ticket, chain }, now),
    checked: (replica, ok, now) => judge(replica, { type: ok ? 'success' : 'failure' }, now),
    firstToken(ticket, reported, now) {
      if (!startsAnswering(context, ticket, reported, now)) return;
      judge(ticket.replica, { type: 'success' }, now);
    },
    finish(ticket, { reported, whole }, now) {
      const own = release(context, ticket);
      if (own === null) return;
      judge(ticket.replica, { type: 'success' }, now);
      const { index } = own;
      if (reported !== null) {
        index.correct(own.expected, reported);
        const told = own.expected.confidence === 'event' && reported <= own.expected.tokens;
        if (!told) index.confirm(own.chain, reported, now);
      }
      // Where events tell, they say what is kept; elsewhere the answer is cached like the prompt.
      if (index.options.feed === 'estimated' && whole !== null) index.record(whole, now);
    },
    fail: (ticket, now) => giveUp(ticket, 'failure', now),
    cancel: (ticket, now) => giveUp(ticket, 'cancelled', now),
    drain(id, on, now) {
      judge(numberOf(replicas, id), { type: 'drain', on }, now);
    },
    state: () =>
      replicas.map(({ id }, at) =>
        stateOf(id, known(states[at], at), [indexes[at], context.texts[at]]),
      ),
  };
}

function numberOf(replicas: readonly FleetReplica[], id: string): number {
  const replica = replicas.findIndex((candidate) => candidate.id === id);
  if (replica < 0) throw new SluiceError('NOT_FOUND', `No replica is named ${id}`);
  return replica;
}

function contextOf(replicas: readonly FleetReplica[], options: FleetOptions): Context {
  return {
    replicas,
    indexes: replicas.map(({ index }) => createReplicaIndex(index)),
    texts: replicas.map(() => createReplicaIndex(textOptions)),
    states: replicas.map(idle),
    open: new Map(),
    inside: new WeakMap(),
    router: options.router ?? defaultRouterOptions,
    breaker: options.breaker ?? defaultBreakerOptions,
    recentMs: options.recentMs ?? 600_000,
  };
}

/** Back after an outage: it may have started anew. Where events tell, they say so themselves. */
function forget({ indexes, texts }: Context, replica: number): void {
  const index = known(indexes[replica], replica);
  if (index.options.feed === 'estimated') index.clear();
  known(texts[replica], replica).clear();
}

const noHit: Match = { tokens: 0, credit: 0, confidence: null, lastUsed: null };

function routeOver(context: Context, request: FleetRequest, now: number): Ticket | null {
  const { replicas, states, router } = context;
  const chains = replicas.map((_, replica) => request.chainFor(replica));
  const matches = chains.map((chain, replica) =>
    chain === null ? noHit : matchOn(context, request, { replica, chain, now }),
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
  const queued = Math.max(0, chain.tokens - expected.tokens);
  const queuedBefore = state.queuedTokens;
  const index = indexFor(context, replica, chain);
  const ticket = {
    replica,
    id: view.id,
    reason,
    expected,
    chain,
    sentAt: now,
    queuedBefore,
    index,
  };
  context.open.set(ticket, { queued, answering: false });
  context.inside.set(ticket, ticket);
  state.running += 1;
  state.queuedTokens += queued;
  state.activeTokens += chain.tokens;
  state.recent = { tokens: view.recentTokens + queued, at: now };
  state.health = sent(state.health, now);
  index.record(chain, now);
  if (request.text != null && request.text !== chain) {
    known(context.texts[replica], replica).record(request.text, now);
  }
  return ticket;
}

/** What the index says; of the conversation's own replica, where the engine tells nothing, at least what it was sent. */
function matchOn(
  context: Context,
  request: FleetRequest,
  { replica, chain, now }: { replica: number; chain: Chain; now: number },
): Match {
  const index = indexFor(context, replica, chain);
  const match = index.match(chain, now);
  const told = chain.exact && index.options.feed === 'events';
  if (told || context.replicas[replica]?.id !== request.previous) return match;
  const { blockTokens } = known(context.indexes[replica], replica).options;
  const sentBefore = Math.min(request.reusableTokens ?? 0, chain.tokens - 1);
  const tokens = Math.floor(sentBefore / blockTokens) * blockTokens;
  if (tokens <= match.tokens) return match;
  return { tokens, credit: tokens / 2, confidence: 'estimated', lastUsed: null };
}

/** Texts are remembered as they were sent; reports say when they are gone. */
const textOptions: ReplicaIndexOptions = {
  blockTokens: textBlockTokens,
  groups: [{ kind: 'full' }],
  maxBlocks: 65_536,
  feed: 'estimated',
  names: 'chain',
  speculativeMs: 2000,
  expiryMs: null,
};
