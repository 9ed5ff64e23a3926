/** What was forwarded once is forwarded again: the ledger of decisions, and what follows from it for a request. */
import type { SpanReport } from '../core/report.ts';
import type { MissReason } from './miss.ts';
import type { StoredConversation } from './mode.ts';
import type { Plan } from './planner.ts';

/** Replacement of bytes inside one message, relative to the first of its bytes (in the ledger: of its identity bytes). */
export interface MessageEdit {
  /** Index of the message inside its unit. */
  readonly message: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  /** Decoded text that stands there instead; its JSON encoding is a function of it alone. */
  readonly text: string;
}

/**
 * Everything that was decided about one unit (a run of messages that is decided at once). The edits describe the
 * forwarded bytes completely: whoever has the unit's original bytes and its edits has what was forwarded.
 */
export interface UnitDecision {
  readonly edits: readonly MessageEdit[];
  readonly spans: readonly SpanReport[];
}

/**
 * The store of decisions, keyed by lineage: a hash chain over tenant and raw message bytes up to and including the
 * unit, and nothing after it. Same prefix, same key, so the same forwarded bytes. Implementations are bounded.
 */
export interface Ledger {
  /**
   * One key per unit. `units[i]` holds the identity bytes of the messages of unit i; `scope` names tenant, dialect and
   * model, so that nothing is shared across them.
   */
  lineage(scope: string, units: readonly (readonly Uint8Array[])[]): readonly string[];
  get(key: string): Promise<UnitDecision | null>;
  /** First writer wins: returns what is stored under the key afterwards. */
  putIfAbsent(key: string, decision: UnitDecision): Promise<UnitDecision>;
  /**
   * The conversation that a request goes on with: by the longest prefix of `keys` that was stored, else by `name` (already
   * scoped to its tenant; null = none given). null = none known.
   */
  find(name: string | null, keys: readonly string[]): Promise<StoredConversation | null>;
  /** After forwarding. A branch takes over the units that it shares. */
  remember(name: string | null, conversation: StoredConversation): Promise<void>;
  check(): Promise<{ readonly ok: boolean; readonly detail: string }>;
  close(): Promise<void>;
}

/** One request of a conversation, before anything of it is decided. */
export interface TurnRequest {
  /** Tenant, dialect and model: nothing is shared across scopes. */
  readonly scope: string;
  /** Model as the request names it, for prices; null = none named. */
  readonly model: string | null;
  /** `x-sluice-session`, scoped by the caller to its tenant; null = none given. */
  readonly session: string | null;
  /** Raw bytes of the messages of each unit. */
  readonly units: readonly (readonly Uint8Array[])[];
  /** About how many tokens of each unit may be compressed, and how many may not. */
  readonly sizes: readonly { readonly compressible: number; readonly fixed: number }[];
  /** Units in front of the first user message: instructions, which new conversations share. */
  readonly leadingUnits: number;
  /** Most tokens of the answer that the request allows; null = not said. */
  readonly maxNewTokens: number | null;
}

/** What is known about a request before anything of it is decided. Nothing here rejects: a store that fails knows nothing. */
export interface Turn {
  /** The plan of the newest unit that is not known yet, or of the last one; it stands for the request in reports. */
  readonly plan: Plan;
  /** The plan of a unit that is not known yet: a function of what stands before it, not of what follows. */
  planOf(unit: number): Plan;
  /** Regime of the position scheme that the prompt is computed in; '' = it has one only, null = not known. */
  readonly regime: string | null;
  /** Replica of the conversation's previous turn, or null. */
  readonly previous: string | null;
  /** Forwarded tokens of the units that were forwarded before; null = not counted. */
  readonly reusableTokens: number | null;
  /** The previous prompt was too short for the provider to cache: nothing is expected, whatever was sent before. */
  readonly uncacheable: boolean;
  /**
   * What was decided about a unit by an earlier request, to be forwarded again; null = nothing. Offsets are those of
   * this request's bytes, also where a cache marker has moved since.
   */
  known(unit: number): UnitDecision | null;
  /** Stores what was decided about a unit, and returns what stands: of two requests at once, the first one's decision. */
  decided(unit: number, decision: UnitDecision): Promise<UnitDecision>;
  /** After the bytes are final: remembers the conversation. Awaited before forwarding, so that a crash forgets nothing. */
  forwarded(facts: {
    /** Tokens of the forwarded prompt up to and including each unit; null = not counted. */
    readonly tokens: readonly (number | null)[];
    readonly replica: string | null;
  }): Promise<void>;
  /** After the answer: learns, and says why reuse fell short. */
  settled(facts: TurnOutcomeFacts): MissReason | null;
}

/** What became of a turn. */
export interface TurnOutcomeFacts {
  /** Tokens expected to be reused, as `Placed.forecast` said at the end; null = no forecast. */
  readonly planned: number | null;
  /** Cached tokens and prompt tokens of the answer's usage; null = not told. */
  readonly reported: number | null;
  readonly promptTokens: number | null;
  /** Tokens that compressing this request saved, as far as counted. */
  readonly savedTokens: number | null;
  /** Tokens that the compressor read in this request, what it left of them, and the time it took, in ms. */
  readonly compressedBefore: number;
  readonly compressedAfter: number;
  readonly compressMs: number | null;
  readonly blockTokens: number;
  readonly exactIndex: boolean;
  /** Where it went. */
  readonly replica: string | null;
}

/** Conversations: lineage, epochs, plans and what was learned. Made by the composition root. */
export interface Reuse {
  turn(request: TurnRequest): Promise<Turn>;
  totals(): ReuseTotals;
  /** Whether the store of decisions answers. */
  check(): Promise<{ readonly ok: boolean; readonly detail: string }>;
}

export interface ReuseTotals {
  /** Conversations in memory. */
  readonly conversations: number;
  /** Conversations that are not compressed any more because it cost more than it saved. */
  readonly stoppedSessions: number;
  /** Calls of the store that failed or came too late. */
  readonly storeErrors: number;
}

/** A prompt whose bytes are final, looking for a replica. */
export interface PlacementRequest {
  /** Path without query. */
  readonly path: string;
  readonly body: Uint8Array;
  readonly tenant: string;
  readonly model: string | null;
  readonly previous: string | null;
  /** What the client calls its conversation, scoped to its tenant; null or left out = it is told by its text. */
  readonly session?: string | null;
  /** From `Turn.reusableTokens`: the forecast where no index knows better. */
  readonly reusableTokens: number | null;
  readonly signal: AbortSignal | null;
}

export interface Forecast {
  /** Tokens that the replica is expected to reuse. */
  readonly tokens: number;
  /** `exact`: token ids and the engine's own events; `estimated`: what was forwarded there, or counted otherwise. */
  readonly exactness: 'exact' | 'estimated';
  readonly blockTokens: number;
}

export interface AnswerUsage {
  readonly promptTokens?: number | null;
  readonly completionTokens?: number | null;
}

/** A place on a replica. Ends exactly once, with `finish`, `fail` or `cancel`. */
export interface Placed {
  /** Index into the gateway's backends. */
  readonly replica: number;
  readonly id: string;
  /** Fields to add to the forwarded JSON object (`cache_salt`, `id_slot`); usually empty. */
  readonly fields: Readonly<Record<string, string | number>>;
  /** What is expected now; null = not known (yet). With one replica it may become known after forwarding. */
  forecast(): Forecast | null;
  firstToken(): void;
  /** The answer is complete; its usage, null or left out = not told. */
  finish(cachedTokens: number | null, more?: AnswerUsage): void;
  /** The replica failed. `sent` = bytes of the request may have left. Returns another place when it is safe to try there. */
  fail(sent: boolean): Placed | null;
  cancel(): void;
}

/** Which replica gets which prompt. Made by the composition root. */
export interface Placement {
  /** null = no replica can be used; the first one is tried all the same. Never rejects. */
  place(request: PlacementRequest): Promise<Placed | null>;
  drain(id: string, on: boolean): void;
  state(): readonly {
    readonly id: string;
    readonly healthy: boolean;
    readonly draining: boolean;
    readonly running: number;
    readonly queuedTokens: number;
    readonly prefillTokensPerSecond: number | null;
    readonly indexBlocks: number;
    readonly indexBytes: number;
    /** State feed of the engine: `live`, `lost` (connected before, not now), or `none`. */
    readonly feed: 'live' | 'lost' | 'none';
  }[];
  close(): Promise<void>;
}
