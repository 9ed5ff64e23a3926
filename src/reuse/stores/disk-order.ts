/** Oldest first, shared by the tables of decisions and of conversations: stamps, touching and leaving out. */
import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from 'lmdb';
import type { Clock } from '../../core/clock.ts';

type Table = Database<Buffer, Buffer>;

/** Entries that are left out in one go; the event loop gets its turn between two goes. */
const batch = 32;
/** Share of the bound down to which entries are left out, so that it is not touched again at once. */
const lowWater = 0.97;
const longestKey = 512;
const nothing = Buffer.alloc(0);

/** Microseconds since the epoch, never twice the same in this process. Below 2^53 until the year 2255. */
export function createStamps(clock: Clock): () => number {
  let last = 0;
  return () => {
    last = Math.max(last + 1, Math.floor(clock.now() * 1000));
    return last;
  };
}

/** Bytes of a key in a table. Keys are hashes; one that is too long for LMDB is hashed once more. */
export function tableKey(key: string): Buffer {
  const bytes = Buffer.from(key);
  return bytes.length > 0 && bytes.length <= longestKey ? bytes : hash('sha256', key, 'buffer');
}

/** Position in the order: two processes may use one stamp, so the key is part of it. */
export function orderKey(stamp: number, key: Buffer): Buffer {
  const place = Buffer.alloc(8 + key.length);
  place.writeBigUInt64BE(BigInt(stamp));
  key.copy(place, 8);
  return place;
}

/** Pages in use by a table, in bytes. Free pages inside the file are not counted; they are used again. */
export function tableBytes(table: Table): number {
  const stats: Record<string, unknown> = { ...table.getStats() };
  const count = (name: string): number => {
    const value = stats[name];
    return typeof value === 'number' ? value : 0;
  };
  const pages = count('treeBranchPageCount') + count('treeLeafPageCount') + count('overflowPages');
  return pages * count('pageSize');
}

export function tableEntries(table: Table): number {
  const stats: Record<string, unknown> = { ...table.getStats() };
  return typeof stats['entryCount'] === 'number' ? stats['entryCount'] : 0;
}

export interface Bounded {
  readonly entries: Table;
  readonly order: Table;
  /** What else goes with an entry, inside the same transaction. */
  readonly onRemove: (key: Buffer, record: Buffer) => void;
  /** How full: 1 = the bound is reached. */
  readonly fill: () => number;
}

/** Leaves out the oldest until the bound is kept. Returns how many. */
export async function keepBound({ entries, order, onRemove, fill }: Bounded): Promise<number> {
  if (fill() <= 1) return 0;
  let removed = 0;
  for (;;) {
    const oldest = [...order.getKeys({ limit: batch })].map((place) => Buffer.from(place));
    if (oldest.length === 0) return removed;
    const outcomes = oldest.map((place) => {
      const stamp = Number(place.readBigUInt64BE(0));
      const key = place.subarray(8);
      const entry = entries.getEntry(key);
      // An entry that was touched since stands at a newer place; then only this old place goes.
      if (entry === undefined || entry.version !== stamp) return order.remove(place).then(() => 0);
      const leaveOut = (): void => {
        void entries.remove(key);
        void order.remove(place);
        onRemove(key, entry.value);
      };
      return entries.ifVersion(key, stamp, leaveOut).then((done) => (done ? 1 : 0));
    });
    for (const count of await Promise.all(outcomes)) removed += count;
    if (fill() <= lowWater) return removed;
    await nextTurn();
  }
}

/** Writes the place of an entry; inside the same transaction as the entry. */
export function place(order: Table, stamp: number, key: Buffer): void {
  void order.put(orderKey(stamp, key), nothing);
}
