/** Decisions on disk: first writer wins, also between processes; least recently used leave first. */
import type { UnitDecision } from '../types.ts';
import { decodeDecision, encodeDecision } from './codec.ts';
import { keepBound, orderKey, place, tableBytes, tableEntries, tableKey } from './disk-order.ts';
import type { Tables } from './disk-tables.ts';

export interface StoredDecision {
  readonly decision: UnitDecision;
  /** Microseconds; when it was written or last touched. */
  readonly stamp: number;
}

export interface DiskDecisionsOptions {
  readonly tables: Tables;
  readonly maxBytes: number;
  readonly stamps: () => number;
}

export class DiskDecisions {
  readonly #decisions: Tables['decisions'];
  readonly #order: Tables['order'];
  readonly #maxBytes: number;
  readonly #stamps: () => number;

  constructor({ tables, maxBytes, stamps }: DiskDecisionsOptions) {
    this.#decisions = tables.decisions;
    this.#order = tables.order;
    this.#maxBytes = maxBytes;
    this.#stamps = stamps;
  }

  get entries(): number {
    return tableEntries(this.#decisions);
  }

  get bytes(): number {
    return tableBytes(this.#decisions) + tableBytes(this.#order);
  }

  get(name: string): StoredDecision | null {
    const entry = this.#decisions.getEntry(tableKey(name));
    if (entry === undefined) return null;
    const decision = decodeDecision(entry.value);
    return decision === null ? null : { decision, stamp: entry.version ?? 0 };
  }

  /** What is stored afterwards. Resolves when it is in the operating system. */
  async putIfAbsent(name: string, decision: UnitDecision): Promise<StoredDecision> {
    const key = tableKey(name);
    const record = encodeDecision(decision);
    const stamp = this.#stamps();
    const written = await this.#decisions.ifNoExists(key, () => this.#put(key, record, stamp));
    if (written) return { decision, stamp };
    // Another process wrote it after the snapshot that reads here use.
    this.#decisions.resetReadTxn();
    const first = this.get(name);
    if (first !== null) return first;
    // A record that cannot be read is as good as absent.
    if (await this.#replace(key, record, stamp)) return { decision, stamp };
    this.#decisions.resetReadTxn();
    return this.get(name) ?? { decision, stamp };
  }

  /** Used again: moves to the young end, unless it was moved or left out meanwhile. */
  async touch(name: string, stamp: number): Promise<void> {
    const key = tableKey(name);
    const entry = this.#decisions.getEntry(key);
    if (entry?.version !== stamp) return;
    await this.#replace(key, Buffer.from(entry.value), this.#stamps());
  }

  keepBound(): Promise<number> {
    return keepBound({
      entries: this.#decisions,
      order: this.#order,
      onRemove: () => {},
      fill: () => this.bytes / this.#maxBytes,
    });
  }

  #replace(key: Buffer, record: Buffer, stamp: number): Promise<boolean> {
    const old = this.#decisions.getEntry(key)?.version ?? 0;
    return this.#decisions.ifVersion(key, old, () => {
      void this.#order.remove(orderKey(old, key));
      this.#put(key, record, stamp);
    });
  }

  #put(key: Buffer, record: Buffer, stamp: number): void {
    void this.#decisions.put(key, record, stamp);
    place(this.#order, stamp, key);
  }
}
