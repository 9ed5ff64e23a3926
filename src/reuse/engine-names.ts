/** Which entry an engine's 64-bit hash stands for; needed to take blocks away again and to find parents. */
import type { EngineHash } from './kv-events.ts';
import { createNameTable } from './name-table.ts';

export interface EngineNames {
  bind(hash: EngineHash, entry: number): void;
  /** Entry bound to the hash, or -1. */
  entryOf(hash: EngineHash): number;
  unbind(entry: number): void;
  clear(): void;
  readonly bytes: number;
}

/** One hash an entry: a later binding of the entry replaces the earlier one. */
export function createEngineNames(): EngineNames {
  const table = createNameTable({ width: 2 });
  let entries = new Int32Array(table.room);
  let keys = new Int32Array(table.room).fill(-1);
  const words = new Uint32Array(2);
  const locate = (hash: EngineHash): void => {
    words[0] = hash.high;
    words[1] = hash.low;
  };
  const unbind = (entry: number): void => {
    const key = keys[entry] ?? -1;
    if (key < 0) return;
    table.remove(key);
    keys[entry] = -1;
  };
  return {
    bind(hash, entry) {
      unbind(entry);
      locate(hash);
      const known = table.find(words, 0);
      if (known >= 0) keys[entries[known] ?? 0] = -1;
      const key = table.insert(words, 0);
      if (key >= entries.length) entries = grown(entries, table.room, 0);
      if (entry >= keys.length) keys = grown(keys, Math.max(entry + 1, keys.length * 2), -1);
      entries[key] = entry;
      keys[entry] = key;
    },
    entryOf(hash) {
      locate(hash);
      const key = table.find(words, 0);
      return key < 0 ? -1 : (entries[key] ?? -1);
    },
    unbind,
    clear() {
      table.clear();
      entries = new Int32Array(table.room);
      keys = new Int32Array(table.room).fill(-1);
    },
    get bytes() {
      return table.bytes + entries.byteLength + keys.byteLength;
    },
  };
}

function grown(array: Int32Array, length: number, fill: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length).fill(fill);
  larger.set(array);
  return larger;
}
