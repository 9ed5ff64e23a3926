/** Hash table of fixed-width names in typed arrays: a few dozen bytes an entry, bounded, no garbage. */

export interface NameTable {
  /** Entry of the name at `words[at ..]`, or -1. */
  find(words: Uint32Array, at: number): number;
  /** Entry of the name, made if need be. The caller keeps `size` below `maxEntries` by removing first. */
  insert(words: Uint32Array, at: number): number;
  remove(entry: number): void;
  /** The name of an entry; a view that the next insert may invalidate. */
  nameOf(entry: number): Uint32Array;
  clear(): void;
  /** Entries that exist now. */
  readonly size: number;
  /** Entry numbers are below this; grows by doubling. */
  readonly room: number;
  /** Bytes of the arrays. */
  readonly bytes: number;
}

/** Mutable arrays of one table. */
interface Store {
  names: Uint32Array;
  /** Entry + 1 per slot, 0 = empty; at most half full, so that probes stay short. */
  slots: Int32Array;
  free: Int32Array;
  freeCount: number;
  used: number;
  size: number;
  room: number;
}

/** Linear probing with backward-shift deletion (no tombstones). `width` words of 32 bits a name. */
export function createNameTable(options: { readonly width: number }): NameTable {
  const { width } = options;
  const store: Store = emptyStore(width);
  return {
    find(words, at) {
      const slot = slotOf(store, width, { words, at });
      return (store.slots[slot] ?? 0) - 1;
    },
    insert(words, at) {
      if (store.size === store.room) grow(store, width);
      const slot = slotOf(store, width, { words, at });
      const known = (store.slots[slot] ?? 0) - 1;
      if (known >= 0) return known;
      const entry = takeEntry(store);
      store.names.set(words.subarray(at, at + width), entry * width);
      store.slots[slot] = entry + 1;
      store.size += 1;
      return entry;
    },
    remove(entry) {
      const slot = slotOf(store, width, { words: store.names, at: entry * width });
      if (store.slots[slot] !== entry + 1) return;
      closeGap(store, width, slot);
      store.free[store.freeCount] = entry;
      store.freeCount += 1;
      store.size -= 1;
    },
    nameOf: (entry) => store.names.subarray(entry * width, (entry + 1) * width),
    clear() {
      Object.assign(store, emptyStore(width));
    },
    get size() {
      return store.size;
    },
    get room() {
      return store.room;
    },
    get bytes() {
      return store.names.byteLength + store.slots.byteLength + store.free.byteLength;
    },
  };
}

const firstRoom = 64;

function emptyStore(width: number): Store {
  return {
    names: new Uint32Array(firstRoom * width),
    slots: new Int32Array(firstRoom * 2),
    free: new Int32Array(firstRoom),
    freeCount: 0,
    used: 0,
    size: 0,
    room: firstRoom,
  };
}

interface NameAt {
  readonly words: Uint32Array;
  readonly at: number;
}

/** Slot that holds the name, or the empty one where it belongs. Names are hashes already: the last word is the hash. */
function slotOf(store: Store, width: number, { words, at }: NameAt): number {
  const mask = store.slots.length - 1;
  let slot = (words[at + width - 1] ?? 0) & mask;
  for (;;) {
    const entry = (store.slots[slot] ?? 0) - 1;
    if (entry < 0 || sameName(store.names, entry * width, { words, at }, width)) return slot;
    slot = (slot + 1) & mask;
  }
}

function sameName(names: Uint32Array, from: number, other: NameAt, width: number): boolean {
  for (let word = 0; word < width; word += 1) {
    if (names[from + word] !== other.words[other.at + word]) return false;
  }
  return true;
}

function takeEntry(store: Store): number {
  if (store.freeCount > 0) {
    store.freeCount -= 1;
    return store.free[store.freeCount] ?? 0;
  }
  store.used += 1;
  return store.used - 1;
}

/** Moves later members of the probe run back over the freed slot. */
function closeGap(store: Store, width: number, freed: number): void {
  const { slots, names } = store;
  const mask = slots.length - 1;
  let gap = freed;
  let at = freed;
  slots[gap] = 0;
  for (;;) {
    at = (at + 1) & mask;
    const entry = (slots[at] ?? 0) - 1;
    if (entry < 0) return;
    const home = (names[entry * width + width - 1] ?? 0) & mask;
    // Movable unless its home lies cyclically after the gap.
    if (((at - home) & mask) >= ((at - gap) & mask)) {
      slots[gap] = entry + 1;
      slots[at] = 0;
      gap = at;
    }
  }
}

function grow(store: Store, width: number): void {
  const room = store.room * 2;
  const names = new Uint32Array(room * width);
  names.set(store.names);
  const free = new Int32Array(room);
  free.set(store.free);
  const old = store.slots;
  Object.assign(store, { names, free, room, slots: new Int32Array(room * 2) });
  for (const held of old) {
    if (held === 0) continue;
    const slot = slotOf(store, width, { words: names, at: (held - 1) * width });
    store.slots[slot] = held;
  }
}
