/**
 * The ledger in Redis or Valkey, shared by several Sluice processes. This process keeps what it used itself: that
 * answers without asking, and while Redis is away. What was decided meanwhile is written when Redis returns.
 */
import { randomBytes } from 'node:crypto';
import { boundedCache, type BoundedCache } from '../../core/bounded-cache.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { createConversationBook, type ConversationBook } from '../conversations.ts';
import { lineageKeys } from '../lineage.ts';
import { decisionBytes } from '../memory-ledger.ts';
import type { StoredConversation } from '../mode.ts';
import type { UnitDecision } from '../types.ts';
import {
  decodeConversation,
  decodeDecision,
  encodeConversation,
  encodeDecision,
  type ConversationRecord,
} from './codec.ts';
import { longest } from './longest.ts';
import { RedisAway, RedisConnection } from './redis-connection.ts';
import { find, putIfAbsent, read, remember } from './redis-scripts.ts';
import type { StoredLedger, StoreStats } from './types.ts';
import { labelOf, messageOf } from './words.ts';

export interface RedisLedgerOptions {
  /** `redis[s]://[user[:password]@]host[:port][/database]`. */
  readonly url: string;
  /** In front of every key; the processes that share a ledger have the same. */
  readonly prefix: string;
  /** Seconds without use after which Redis forgets. */
  readonly ttlSeconds: number;
  /** Milliseconds that a call may take. */
  readonly timeoutMs: number;
  /** Memory of this process for decisions, bytes; what it holds is what this process never forwards differently. */
  readonly cacheBytes: number;
  /** Milliseconds to wait for the first connection. */
  readonly connectMs?: number;
  readonly onWarning: (message: string) => void;
  readonly clock?: Clock;
}

const defaultConnectMs = 1000;
const lookMs = 500;
/** Milliseconds between two looks whether Redis still has the data. */
const markMs = 15_000;
const writtenAtOnce = 64;
/** Milliseconds after a refusal until writing is tried again. */
const refusedMs = 2000;
const maxUnits = 100_000;
const maxTurns = 10_000;

/** @throws SluiceError CONFIG_INVALID when the URL cannot be read; that Redis cannot be reached is no error */
export async function createRedisLedger(options: RedisLedgerOptions): Promise<StoredLedger> {
  const ledger = new RedisLedger(options);
  await ledger.ready(options.connectMs ?? defaultConnectMs);
  return ledger;
}

interface Cached {
  readonly decision: UnitDecision;
  /** Milliseconds, monotonic, when Redis last had it; null = it was not told yet. */
  readonly toldAt: number | null;
}

class RedisLedger implements StoredLedger {
  readonly lineage = lineageKeys;
  readonly #options: RedisLedgerOptions;
  readonly #clock: Clock;
  readonly #connection: RedisConnection;
  readonly #cache: BoundedCache<Cached>;
  readonly #book: ConversationBook;
  /** Last turn of each conversation that this process forwarded, by its last unit. */
  readonly #turns: BoundedCache<ConversationRecord>;
  /** Keys of `#cache` and `#turns` that Redis was not told. */
  readonly #untold = { decisions: new Set<string>(), turns: new Set<string>() };
  readonly #looker: NodeJS.Timeout;
  readonly #counts = { hits: 0, misses: 0, fallbacks: 0, errors: 0, conflicts: 0 };
  #mark: string | null = null;
  #markedAt = -Infinity;
  /** Why Redis refused the last write, for example because it is full. */
  #refusal: string | null = null;
  #refusedAt = -Infinity;
  #telling: Promise<void> | null = null;

  constructor(options: RedisLedgerOptions) {
    const { url, timeoutMs, cacheBytes, onWarning, clock = systemClock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#cache = boundedCache<Cached>({
      maxEntries: maxUnits,
      maxSize: cacheBytes,
      sizeOf: ({ decision }) => decisionBytes(decision),
    });
    this.#book = createConversationBook({
      maxConversations: maxTurns,
      maxUnits: 2 * maxUnits,
    });
    this.#turns = boundedCache<ConversationRecord>({ maxEntries: maxTurns });
    this.#connection = new RedisConnection({
      url,
      timeoutMs,
      clock,
      onReturn: () => {
        this.#markedAt = -Infinity;
        void this.#tell();
      },
      onAway: (reason) =>
        onWarning(
          `Redis cannot be used: ${reason}. This process goes on with what it knows; processes may decide the same text differently until Redis returns.`,
        ),
    });
    this.#looker = setInterval(() => void this.#tell(), lookMs).unref();
  }

  ready(ms: number): Promise<void> {
    return this.#connection.ready(ms);
  }

  async get(key: string): Promise<UnitDecision | null> {
    const known = this.#cache.get(key) ?? (await this.#ask(key));
    this.#counts[known === null ? 'misses' : 'hits'] += 1;
    if (known === null) return null;
    // Redis forgets what nobody asks it for, and this process does not ask for what it has.
    const age = known.toldAt === null ? 0 : this.#clock.monotonic() - known.toldAt;
    if (age > this.#options.ttlSeconds * 250) addBounded(this.#untold.decisions, key, maxUnits);
    return known.decision;
  }

  async putIfAbsent(key: string, decision: UnitDecision): Promise<UnitDecision> {
    const known = this.#cache.get(key);
    if (known !== undefined) return known.decision;
    try {
      const first = await this.#put(key, decision);
      return this.#keep(key, first ?? decision, this.#clock.monotonic());
    } catch (cause) {
      this.#failed(cause);
      const kept = this.#keep(key, decision, null);
      addBounded(this.#untold.decisions, key, maxUnits);
      return kept;
    }
  }

  async find(name: string | null, keys: readonly string[]): Promise<StoredConversation | null> {
    const label = labelOf(name);
    const own = this.#book.find(label, keys);
    try {
      const { prefix } = this.#options;
      const record = await this.#connection.run(find, [], [prefix, label ?? '', ...keys]);
      const shared = typeof record === 'string' ? decodeConversation(record) : null;
      return longest(keys, shared?.conversation ?? null, own);
    } catch (cause) {
      this.#failed(cause);
      return own;
    }
  }

  async remember(name: string | null, conversation: StoredConversation): Promise<void> {
    const label = labelOf(name);
    const tip = conversation.keys.at(-1) ?? '';
    const before = this.#book.find(null, conversation.keys);
    const goesOn = before !== null && conversation.keys.includes(before.keys.at(-1) ?? '');
    if (goesOn) this.#forgetTurn(before.keys.at(-1) ?? '');
    this.#book.store(label, conversation);
    this.#turns.set(tip, { label, conversation });
    try {
      await this.#tellTurn({ label, conversation });
      this.#untold.turns.delete(tip);
    } catch (cause) {
      this.#failed(cause);
      addBounded(this.#untold.turns, tip, maxTurns);
    }
  }

  async check(): Promise<{ ok: boolean; detail: string }> {
    const waiting = this.#untold.decisions.size + this.#untold.turns.size;
    const alone = `this process decides alone, ${waiting} entries wait`;
    try {
      await this.#connection.call(['PING']);
    } catch (cause) {
      return { ok: false, detail: `redis cannot be used: ${messageOf(cause)}; ${alone}` };
    }
    if (this.#refusal !== null) {
      return { ok: false, detail: `redis refuses to store: ${this.#refusal}; ${alone}` };
    }
    return { ok: true, detail: 'ledger in redis' };
  }

  stats(): StoreStats {
    return {
      kind: 'redis',
      available: this.#connection.trouble === null && this.#refusal === null,
      ...this.#counts,
      evictions: 0,
      pending: this.#untold.decisions.size + this.#untold.turns.size,
      decisions: null,
      conversations: null,
      bytes: null,
      cached: this.#cache.size,
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#looker);
    if (this.#connection.trouble === null) await this.#tell();
    await this.#connection.close();
  }

  async #ask(key: string): Promise<Cached | null> {
    try {
      const { prefix, ttlSeconds } = this.#options;
      const record = await this.#connection.run(read, [`${prefix}d:${key}`], [String(ttlSeconds)]);
      const decision = typeof record === 'string' ? decodeDecision(record) : null;
      if (decision === null) return this.#cache.get(key) ?? null;
      this.#keep(key, decision, this.#clock.monotonic());
    } catch (cause) {
      this.#failed(cause);
    }
    return this.#cache.get(key) ?? null;
  }

  /** What another process had stored, or null when this one was first. */
  async #put(key: string, decision: UnitDecision): Promise<UnitDecision | null> {
    const { prefix, ttlSeconds } = this.#options;
    const record = encodeDecision(decision).toString('utf8');
    const args = [record, String(ttlSeconds)];
    const stored = await this.#connection.run(putIfAbsent, [`${prefix}d:${key}`], args);
    return typeof stored !== 'string' || stored === record ? null : decodeDecision(stored);
  }

  /** Of two calls at once the first one counts: what this process used stays as it is. */
  #keep(key: string, decision: UnitDecision, toldAt: number | null): UnitDecision {
    const first = this.#cache.get(key);
    if (first !== undefined) return first.decision;
    this.#cache.set(key, { decision, toldAt });
    return decision;
  }

  /** @throws when Redis is away or refuses */
  async #tellTurn({ label, conversation }: ConversationRecord): Promise<void> {
    const { prefix, ttlSeconds } = this.#options;
    const record = encodeConversation({ label, conversation }).toString('utf8');
    const later = await this.#connection.run(
      remember,
      [],
      [
        prefix,
        String(ttlSeconds),
        randomBytes(12).toString('base64url'),
        label ?? '',
        String(conversation.epoch),
        record,
        ...conversation.keys,
      ],
    );
    const winner = typeof later === 'string' ? decodeConversation(later) : null;
    if (winner === null) return;
    // Another process has gone on in a later epoch: this one follows.
    this.#book.forget(conversation);
    this.#book.store(winner.label, winner.conversation);
    this.#forgetTurn(conversation.keys.at(-1) ?? '');
  }

  #forgetTurn(tip: string): void {
    this.#turns.delete(tip);
    this.#untold.turns.delete(tip);
  }

  /** Writes what Redis does not have; one at a time, never rejects. */
  #tell(): Promise<void> {
    const refused = this.#clock.monotonic() - this.#refusedAt < refusedMs;
    if (refused || this.#connection.trouble !== null) return Promise.resolve();
    this.#telling ??= this.#tellAll()
      .catch((cause: unknown) => this.#note(cause))
      .finally(() => {
        this.#telling = null;
      });
    return this.#telling;
  }

  async #tellAll(): Promise<void> {
    await this.#lookAtMark();
    const { decisions, turns } = this.#untold;
    while (decisions.size > 0) {
      const some = [...decisions].slice(0, writtenAtOnce);
      await Promise.all(some.map((key) => this.#tellDecision(key)));
    }
    for (const tip of turns) {
      const turn = this.#turns.get(tip);
      if (turn !== undefined) await this.#tellTurn(turn);
      turns.delete(tip);
    }
    // Everything could be written, or there was nothing: the next refusal will say so again.
    this.#refusal = null;
  }

  async #tellDecision(key: string): Promise<void> {
    const known = this.#cache.get(key);
    if (known !== undefined) {
      const first = await this.#put(key, known.decision);
      // Both were forwarded, each by its process. This one keeps to its own.
      if (first !== null) this.#counts.conflicts += 1;
      this.#cache.set(key, { ...known, toldAt: this.#clock.monotonic() });
    }
    this.#untold.decisions.delete(key);
  }

  /** Redis has another mark than before: it lost its data, so it is told everything that this process knows. */
  async #lookAtMark(): Promise<void> {
    const now = this.#clock.monotonic();
    if (now - this.#markedAt < markMs) return;
    const { prefix, ttlSeconds } = this.#options;
    const own = randomBytes(12).toString('base64url');
    const args = [own, String(ttlSeconds)];
    const stored = await this.#connection.run(putIfAbsent, [`${prefix}mark`], args);
    const mark = typeof stored === 'string' ? stored : own;
    if (this.#mark !== null && mark !== this.#mark) {
      for (const key of this.#cache.keys()) this.#untold.decisions.add(key);
      for (const tip of this.#turns.keys()) this.#untold.turns.add(tip);
      this.#options.onWarning(
        `Redis lost its data. It is told ${this.#cache.size} units and ${this.#turns.size} conversations that this process knows.`,
      );
    }
    this.#mark = mark;
    this.#markedAt = now;
  }

  #failed(cause: unknown): void {
    this.#counts.fallbacks += 1;
    this.#note(cause);
  }

  #note(cause: unknown): void {
    if (cause instanceof RedisAway) return;
    this.#counts.errors += 1;
    const refusal = messageOf(cause);
    if (this.#refusal === null) this.#options.onWarning(`Redis refuses to store: ${refusal}`);
    this.#refusal = refusal;
    this.#refusedAt = this.#clock.monotonic();
  }
}

/** The oldest goes when there are too many. */
function addBounded(keys: Set<string>, key: string, most: number): void {
  keys.add(key);
  if (keys.size <= most) return;
  for (const oldest of keys) {
    keys.delete(oldest);
    return;
  }
}
