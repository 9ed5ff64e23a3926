/**
 * The ledger on disk: what was forwarded survives the process. LMDB in one folder, shared by the processes of one
 * machine, with a cache in memory in front.
 */
import { statfsSync } from 'node:fs';
import { open as openFile, type FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { boundedCache, type BoundedCache } from '../../core/bounded-cache.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { createConversationBook, type ConversationBook } from '../conversations.ts';
import { lineageKeys } from '../lineage.ts';
import { decisionBytes } from '../memory-ledger.ts';
import type { StoredConversation } from '../mode.ts';
import type { UnitDecision } from '../types.ts';
import { DiskConversations } from './disk-conversations.ts';
import { DiskDecisions, type StoredDecision } from './disk-decisions.ts';
import { openDatabase, type OpenDatabase } from './disk-file.ts';
import { createStamps } from './disk-order.ts';
import { inMemoryOnly } from './in-memory.ts';
import { longest } from './longest.ts';
import { labelOf, messageOf } from './words.ts';
import type { StoredLedger, StoreStats } from './types.ts';

export interface DiskLedgerOptions {
  /** Made with mode 0700 when it is not there. On a local file system: LMDB does not work over a network. */
  readonly folder: string;
  /** Bound on disk; a quarter of it is for conversations. The file is a little larger. */
  readonly maxBytes: number;
  readonly maxConversations: number;
  /** Memory for decisions in front of the disk, or in place of one that cannot be used, bytes. */
  readonly cacheBytes: number;
  /** Milliseconds that checking the file at the start may take. */
  readonly checkMs?: number;
  readonly onWarning: (message: string) => void;
  readonly clock?: Clock;
  /** Free bytes of the folder's file system; left out = asked for. */
  readonly freeBytes?: (folder: string) => number;
}

const conversationShare = 0.25;
/** Writes between two looks at the bound. */
const writesPerLook = 16;
/** Microseconds after which a decision that is used again moves to the young end. */
const touchAfter = 3_600_000_000;
const flushMs = 1000;
/**
 * Free bytes below which nothing is written. LMDB must never meet a full disk: the binding goes on with broken memory
 * after a commit that failed, so a failure that comes all the same ends writing until the next start.
 */
const spareBytes = 64 << 20;
const defaultCheckMs = 10_000;

/** Never rejects: a folder that cannot be used leaves the ledger in memory, with a warning. */
export async function createDiskLedger(options: DiskLedgerOptions): Promise<StoredLedger> {
  const { folder, onWarning, checkMs = defaultCheckMs, freeBytes = freeBytesOf } = options;
  const hasRoom = (): boolean => freeBytes(folder) >= spareBytes;
  try {
    const database = await openDatabase({ folder, checkMs, hasRoom, onWarning });
    const file = await openFile(database.path, 'r+');
    return new DiskLedger({ ...options, hasRoom }, database, file);
  } catch (cause) {
    const reason = messageOf(cause);
    onWarning(
      `The store in ${folder} cannot be used: ${reason}. What is forwarded is remembered in memory only: a restart forgets it.`,
    );
    return inMemoryOnly(options.cacheBytes, reason);
  }
}

type Opened = DiskLedgerOptions & { readonly hasRoom: () => boolean };

class DiskLedger implements StoredLedger {
  readonly lineage = lineageKeys;
  readonly #database: OpenDatabase;
  readonly #file: FileHandle;
  readonly #decisions: DiskDecisions;
  readonly #conversations: DiskConversations;
  readonly #cache: BoundedCache<StoredDecision>;
  /** Conversations that could not be written. */
  readonly #spare: ConversationBook;
  readonly #clock: Clock;
  readonly #onWarning: (message: string) => void;
  readonly #roomIsThere: () => boolean;
  readonly #flusher: NodeJS.Timeout;
  readonly #background = new Set<Promise<unknown>>();
  readonly #counts = { hits: 0, misses: 0, fallbacks: 0, errors: 0, evictions: 0 };
  #trouble: string | null = null;
  /** A commit failed: nothing is written any more. */
  #off = false;
  #writes = 0;
  #looking = false;
  #dirty = false;
  #closed = false;

  constructor(options: Opened, database: OpenDatabase, file: FileHandle) {
    const { maxBytes, maxConversations, cacheBytes, clock = systemClock } = options;
    const stamps = createStamps(clock);
    const { tables } = database;
    this.#database = database;
    this.#file = file;
    this.#clock = clock;
    this.#onWarning = options.onWarning;
    this.#roomIsThere = options.hasRoom;
    const share = maxBytes * conversationShare;
    this.#decisions = new DiskDecisions({ tables, maxBytes: maxBytes - share, stamps });
    this.#conversations = new DiskConversations({
      tables,
      maxConversations,
      maxBytes: share,
      stamps,
    });
    this.#cache = boundedCache<StoredDecision>({
      maxEntries: 100_000,
      maxSize: cacheBytes,
      sizeOf: ({ decision }) => decisionBytes(decision),
    });
    this.#spare = createConversationBook({ maxConversations: 10_000, maxUnits: 100_000 });
    this.#flusher = setInterval(() => this.#inBackground(this.#flush()), flushMs).unref();
    this.#keepBounds();
  }

  async get(key: string): Promise<UnitDecision | null> {
    const known = this.#cache.get(key) ?? this.#read(key);
    if (known === null) {
      this.#counts.misses += 1;
      return null;
    }
    this.#counts.hits += 1;
    this.#cache.set(key, known);
    this.#refresh(key, known);
    return known.decision;
  }

  async putIfAbsent(key: string, decision: UnitDecision): Promise<UnitDecision> {
    const known = this.#cache.get(key);
    if (known !== undefined) return known.decision;
    const stored = await this.#write(() => this.#decisions.putIfAbsent(key, decision));
    // Of two calls at once, one of which could not write, the first one counts.
    const first = this.#cache.get(key);
    if (first !== undefined) return first.decision;
    const result = stored ?? { decision, stamp: 0 };
    this.#cache.set(key, result);
    return result.decision;
  }

  async find(name: string | null, keys: readonly string[]): Promise<StoredConversation | null> {
    const label = labelOf(name);
    const spare = this.#spare.find(label, keys);
    try {
      const found = this.#closed ? null : this.#conversations.find(label, keys);
      return longest(keys, found, spare);
    } catch (cause) {
      this.#failed(messageOf(cause));
      return spare;
    }
  }

  async remember(name: string | null, conversation: StoredConversation): Promise<void> {
    const label = labelOf(name);
    const write = async (): Promise<true> => {
      await this.#conversations.remember(label, conversation);
      return true;
    };
    if ((await this.#write(write)) === null) this.#spare.store(label, conversation);
  }

  async check(): Promise<{ ok: boolean; detail: string }> {
    if (this.#trouble !== null) {
      return { ok: true, detail: `ledger in memory only: ${this.#trouble}` };
    }
    return { ok: true, detail: `ledger on disk, ${this.#decisions.entries} units` };
  }

  stats(): StoreStats {
    const open = !this.#closed;
    return {
      kind: 'disk',
      available: open && this.#trouble === null,
      ...this.#counts,
      conflicts: 0,
      pending: 0,
      decisions: open ? this.#decisions.entries : null,
      conversations: open ? this.#conversations.entries : null,
      bytes: open ? this.#decisions.bytes + this.#conversations.bytes : null,
      cached: this.#cache.size,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#flusher);
    await Promise.allSettled(this.#background);
    await this.#flush().catch(() => {});
    await this.#database.root.close();
    await this.#file.close();
  }

  #read(key: string): StoredDecision | null {
    if (this.#closed) return null;
    try {
      return this.#decisions.get(key);
    } catch (cause) {
      this.#failed(messageOf(cause));
      return null;
    }
  }

  /** null = it could not be written. */
  async #write<T>(write: () => Promise<T>): Promise<T | null> {
    if (this.#closed || this.#off || !this.#hasRoom()) {
      this.#counts.fallbacks += 1;
      return null;
    }
    try {
      const writing = write();
      this.#inBackground(writing);
      const result = await writing;
      this.#trouble = null;
      this.#dirty = true;
      this.#writes += 1;
      if (this.#writes % writesPerLook === 0) this.#keepBounds();
      return result;
    } catch (cause) {
      this.#off = true;
      this.#counts.fallbacks += 1;
      this.#failed(await reasonOf(cause));
      return null;
    }
  }

  #hasRoom(): boolean {
    if (this.#roomIsThere()) return true;
    if (this.#trouble === null) this.#failed('the disk is nearly full');
    return false;
  }

  /** A decision that is used stays; one that could not be written is tried again. */
  #refresh(key: string, { decision, stamp }: StoredDecision): void {
    if (this.#closed) return;
    if (stamp === 0 && this.#trouble === null) {
      const again = this.#write(() => this.#decisions.putIfAbsent(key, decision));
      const settled = again.then((stored) => this.#stamp(key, decision, stored?.stamp ?? 0));
      this.#inBackground(settled);
    } else if (stamp > 0 && this.#clock.now() * 1000 - stamp > touchAfter) {
      this.#stamp(key, decision, this.#clock.now() * 1000);
      this.#inBackground(this.#write(() => this.#decisions.touch(key, stamp)));
    }
  }

  /** The decision stays the one that this process forwards. */
  #stamp(key: string, decision: UnitDecision, stamp: number): void {
    this.#cache.set(key, { decision, stamp });
  }

  #keepBounds(): void {
    if (this.#looking || this.#closed || this.#off || !this.#hasRoom()) return;
    this.#looking = true;
    const keep = async (): Promise<void> => {
      try {
        this.#counts.evictions += await this.#decisions.keepBound();
        await this.#conversations.keepBound();
      } catch (cause) {
        this.#off = true;
        this.#failed(await reasonOf(cause));
      } finally {
        this.#looking = false;
      }
    };
    this.#inBackground(keep());
  }

  /** Commits are in the operating system; this puts them on the disk, for the case that the machine stops. */
  async #flush(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    await this.#file.datasync();
  }

  #inBackground(work: Promise<unknown>): void {
    const settled = work.catch(() => {}).finally(() => this.#background.delete(settled));
    this.#background.add(settled);
  }

  #failed(reason: string): void {
    this.#counts.errors += 1;
    if (this.#trouble === null) {
      this.#onWarning(
        `The store ${this.#database.path} failed: ${reason}. What is forwarded now is remembered in memory only.`,
      );
    }
    this.#trouble = reason;
  }
}

/** Where it cannot be told, there is room. */
function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}

/** LMDB rejects with a general error that has a promise of the real one, which nobody else waits for. */
async function reasonOf(cause: unknown): Promise<string> {
  if (!(cause instanceof Error && 'commitError' in cause && cause.commitError instanceof Promise)) {
    return messageOf(cause);
  }
  const real: unknown = await Promise.race([
    cause.commitError.catch((error: unknown) => error),
    nextTurn(cause),
  ]);
  // Its message tells addresses of memory behind the first colon.
  return messageOf(real).split(':')[0] ?? '';
}
