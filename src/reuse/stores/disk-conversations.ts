/**
 * Conversations on disk. Each has an id; its units and its name point there. A turn that goes on writes the record anew
 * and the pointers of the new units only. What holds: a unit points to a conversation that has this unit.
 */
import { randomBytes } from 'node:crypto';
import { isStale } from '../conversations.ts';
import type { StoredConversation } from '../mode.ts';
import { decodeConversation, encodeConversation, type ConversationRecord } from './codec.ts';
import { keepBound, orderKey, place, tableBytes, tableEntries, tableKey } from './disk-order.ts';
import type { Tables } from './disk-tables.ts';

interface Known extends ConversationRecord {
  readonly id: Buffer;
  readonly stamp: number;
}

/** Times that another process may come between reading and writing; then the turn is a conversation of its own. */
const attempts = 3;

export interface DiskConversationsOptions {
  readonly tables: Tables;
  readonly maxConversations: number;
  readonly maxBytes: number;
  readonly stamps: () => number;
}

/** Names are given as labels: their hash, or null. */
export class DiskConversations {
  readonly #tables: Tables;
  readonly #options: DiskConversationsOptions;

  constructor(options: DiskConversationsOptions) {
    this.#tables = options.tables;
    this.#options = options;
  }

  get entries(): number {
    return tableEntries(this.#tables.conversations);
  }

  get bytes(): number {
    const { conversations, turns, units, names } = this.#tables;
    return [conversations, turns, units, names].reduce((sum, table) => sum + tableBytes(table), 0);
  }

  find(label: string | null, keys: readonly string[]): StoredConversation | null {
    const known =
      this.#byUnits(keys) ??
      (label === null ? null : this.#read(this.#tables.names.get(tableKey(label))));
    return known?.conversation ?? null;
  }

  /** Resolves when it is in the operating system. */
  async remember(label: string | null, conversation: StoredConversation): Promise<void> {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const known = this.#byUnits(conversation.keys);
      if (known !== null && isStale(known.conversation, conversation)) return;
      const goesOn = known !== null && known.label === label && extendsIt(known, conversation);
      const base = goesOn && attempt < attempts ? known : null;
      if (await this.#write(base, { label, conversation })) return;
      this.#tables.conversations.resetReadTxn();
    }
  }

  keepBound(): Promise<number> {
    const { maxConversations, maxBytes } = this.#options;
    return keepBound({
      entries: this.#tables.conversations,
      order: this.#tables.turns,
      fill: () => Math.max(this.entries / maxConversations, this.bytes / maxBytes),
      onRemove: (id, record) => this.#removePointers(id, record),
    });
  }

  #read(pointer: Buffer | undefined): Known | null {
    if (pointer === undefined) return null;
    const id = Buffer.from(pointer);
    const entry = this.#tables.conversations.getEntry(id);
    const record = entry === undefined ? null : decodeConversation(entry.value);
    return record === null ? null : { ...record, id, stamp: entry?.version ?? 0 };
  }

  #byUnits(keys: readonly string[]): Known | null {
    for (let at = keys.length - 1; at >= 0; at -= 1) {
      const key = keys[at] ?? '';
      const known = this.#read(this.#tables.units.get(tableKey(key)));
      if (known?.conversation.keys[at] === key) return known;
    }
    return null;
  }

  #write(base: Known | null, record: ConversationRecord): Promise<boolean> {
    const { conversations, turns, units, names } = this.#tables;
    const id = base?.id ?? randomBytes(12);
    const stamp = this.#options.stamps();
    const value = encodeConversation(record);
    const changed = this.#changedUnits(record.conversation.keys, base);
    const put = (): void => {
      void conversations.put(id, value, stamp);
      if (base !== null) void turns.remove(orderKey(base.stamp, id));
      place(turns, stamp, id);
      for (const unit of changed) void units.put(unit, id);
      if (record.label !== null) void names.put(tableKey(record.label), id);
    };
    return base === null
      ? conversations.ifNoExists(id, put)
      : conversations.ifVersion(id, base.stamp, put);
  }

  /** Units whose pointer must change: behind what stood before, and in front what a branch took over. */
  #changedUnits(keys: readonly string[], base: Known | null): readonly Buffer[] {
    const all = keys.map(tableKey);
    if (base === null) return all;
    const before = base.conversation.keys.length;
    // A branch takes over from the first unit on: from the first one that points here, all up to `before` do.
    const ours = all.findIndex(
      (unit, at) => at < before && this.#tables.units.get(unit)?.equals(base.id) === true,
    );
    return ours < 0 ? all : [...all.slice(0, ours), ...all.slice(before)];
  }

  #removePointers(id: Buffer, record: Buffer): void {
    const { units, names } = this.#tables;
    const removed = decodeConversation(record);
    if (removed === null) return;
    for (const unit of removed.conversation.keys.map(tableKey)) {
      if (units.get(unit)?.equals(id) === true) void units.remove(unit);
    }
    if (removed.label === null) return;
    const name = tableKey(removed.label);
    if (names.get(name)?.equals(id) === true) void names.remove(name);
  }
}

/** Keys are chains: the same last key says that all before it are the same. */
function extendsIt({ conversation: { keys } }: Known, next: StoredConversation): boolean {
  return keys.length > 0 && next.keys[keys.length - 1] === keys.at(-1);
}
