/** A fleet of replicas as others see it. */
import type { Chain } from './chain.ts';
import type { BreakerOptions, ReplicaHealth } from './breaker.ts';
import type { Match, ReplicaIndex, ReplicaIndexOptions } from './replica-index.ts';
import type { RouteReason, RouterOptions } from './router.ts';

export interface FleetReplica {
  readonly id: string;
  readonly index: ReplicaIndexOptions;
  /** Tokens of KV that fit; null = not known. */
  readonly capacityTokens: number | null;
}

export interface FleetRequest {
  /**
   * The prompt as this replica caches it; null = it must not get the request (other fingerprint, window too short).
   * Chains that are not exact are compared with those of other prompts as text (see `text`).
   */
  readonly chainFor: (replica: number) => Chain | null;
  readonly promptTokens: number;
  /** Replica of the conversation's previous turn, or null. */
  readonly previous: string | null;
  /** Tokens that the previous replica was sent before, for want of better knowledge; null = not known. */
  readonly reusableTokens?: number | null;
  /** The prompt as text in blocks of `textBlockTokens`, remembered for prompts whose token ids are not known in time. */
  readonly text?: Chain | null;
}

/** Blocks of chains over text. */
export const textBlockTokens = 64;

/** A request on its way. Ends exactly once: with `finish`, `fail` or `cancel`. */
export interface Ticket {
  readonly replica: number;
  readonly id: string;
  readonly reason: RouteReason;
  /** Expected before forwarding, to be compared with the report; changed by `identify`. */
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
  readonly indexBlocks: number;
  readonly indexBytes: number;
}

export interface Fleet {
  readonly indexes: readonly ReplicaIndex[];
  /** An empty index in place of a replica's: its blocks turned out to be other ones. Open tickets keep the old one. */
  rebuild(replica: number, options: ReplicaIndexOptions): void;
  /** Chooses and takes the load into account at once, so that a burst does not go to one place. null = nobody can. */
  route(request: FleetRequest, now: number): Ticket | null;
  /**
   * The prompt's exact chain came after its request was routed, and the index has not heard since of what happened on
   * the replica: what it says now is what to expect. Also for a request that has ended meanwhile.
   */
  identify(ticket: Ticket, chain: Chain, now: number): void;
  /** What a look at the replica showed. */
  checked(replica: number, ok: boolean, now: number): void;
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

export interface FleetOptions {
  readonly router?: RouterOptions;
  readonly breaker?: BreakerOptions;
  /** Half-life of what counts as lately computed, in ms. */
  readonly recentMs?: number;
}
