/** The blocks of one layer group that a replica is believed to hold: names with tier, confidence and age, oldest first. */
import { createNameTable } from './name-table.ts';

/**
 * How sure we are that a block is there.
 * - `event`: the engine said so and has not taken it back
 * - `speculative`: just forwarded, the engine's word is still to come
 * - `estimated`: forwarded or reported earlier, no word from the engine
 */
export type Confidence = 'event' | 'speculative' | 'estimated';
export type Tier = 'device' | 'host' | 'disk';

export const confidences: readonly Confidence[] = ['estimated', 'speculative', 'event'];
export const tiers: readonly Tier[] = ['device', 'host', 'disk'];

/** What is known about one block. */
export interface BlockFacts {
  readonly confidence: Confidence;
  /** Fastest tier that holds it. */
  readonly tier: Tier;
  /** Milliseconds, when it was last put or touched. */
  readonly at: number;
}

export interface BlockSet {
  /** Entry of the block at `words[at ..]`, or -1. */
  find(words: Uint32Array, at: number): number;
  facts(entry: number): BlockFacts;
  /** Two of the facts without making an object: matching asks for thousands of them. */
  usedAt(entry: number): number;
  confidenceOf(entry: number): Confidence;
  /** Name of an entry, a view that the next change may invalidate. */
  nameOf(entry: number): Uint32Array;
  /** Adds or refreshes; confidence never falls here. Evicts the oldest above the bound. */
  put(words: Uint32Array, at: number, facts: BlockFacts): number;
  /** Takes a tier from a block; without a tier, or after the last one, the block is gone. */
  remove(entry: number, tier?: Tier): void;
  /** Removes what was last used before `at`. */
  evictBefore(at: number): void;
  /** All that events confirmed counts as estimated from now on. */
  distrust(): void;
  clear(): void;
  readonly size: number;
  readonly bytes: number;
}

export interface BlockSetOptions {
  readonly maxBlocks: number;
  /** 4 = whole 128-bit names, 2 = only their last 64 bits (engine hashes as events show them). */
  readonly width: 2 | 4;
  /** Told of every entry that goes, before it goes. */
  readonly onRemove?: (entry: number) => void;
}

interface Columns {
  tier: Uint8Array;
  confidence: Uint8Array;
  at: Float64Array;
  older: Int32Array;
  newer: Int32Array;
}

export function createBlockSet(options: BlockSetOptions): BlockSet {
  const table = createNameTable({ width: options.width });
  const skip = 4 - options.width;
  let columns = createColumns(table.room);
  const list = { oldest: -1, newest: -1 };
  const drop = (entry: number): void => {
    options.onRemove?.(entry);
    unlink(columns, list, entry);
    table.remove(entry);
  };
  return {
    find: (words, at) => table.find(words, at + skip),
    facts: (entry) => factsOf(columns, entry),
    usedAt: (entry) => columns.at[entry] ?? 0,
    confidenceOf: (entry) => confidences[columns.confidence[entry] ?? 0] ?? 'estimated',
    nameOf: (entry) => table.nameOf(entry),
    put(words, at, facts) {
      let entry = table.find(words, at + skip);
      if (entry < 0) {
        if (table.size >= options.maxBlocks) drop(list.oldest);
        entry = table.insert(words, at + skip);
        if (table.room > columns.at.length) columns = grownColumns(columns, table.room);
        columns.tier[entry] = 0;
        columns.confidence[entry] = 0;
      } else {
        unlink(columns, list, entry);
      }
      columns.tier[entry] = (columns.tier[entry] ?? 0) | (1 << tiers.indexOf(facts.tier));
      const rank = confidences.indexOf(facts.confidence);
      columns.confidence[entry] = Math.max(columns.confidence[entry] ?? 0, rank);
      columns.at[entry] = facts.at;
      append(columns, list, entry);
      return entry;
    },
    remove(entry, tier) {
      const kept =
        tier === undefined ? 0 : (columns.tier[entry] ?? 0) & ~(1 << tiers.indexOf(tier));
      columns.tier[entry] = kept;
      if (kept === 0) drop(entry);
    },
    evictBefore(at) {
      while (list.oldest >= 0 && (columns.at[list.oldest] ?? 0) < at) drop(list.oldest);
    },
    distrust() {
      columns.confidence.fill(0);
    },
    clear() {
      table.clear();
      columns = createColumns(table.room);
      list.oldest = -1;
      list.newest = -1;
    },
    get size() {
      return table.size;
    },
    get bytes() {
      return table.bytes + columns.at.length * (1 + 1 + 8 + 4 + 4);
    },
  };
}

function factsOf(columns: Columns, entry: number): BlockFacts {
  const held = columns.tier[entry] ?? 0;
  // The lowest bit is the fastest tier.
  const tier = tiers[31 - Math.clz32(held & -held)] ?? 'disk';
  const confidence = confidences[columns.confidence[entry] ?? 0] ?? 'estimated';
  return { tier, confidence, at: columns.at[entry] ?? 0 };
}

function createColumns(room: number): Columns {
  return {
    tier: new Uint8Array(room),
    confidence: new Uint8Array(room),
    at: new Float64Array(room),
    older: new Int32Array(room).fill(-1),
    newer: new Int32Array(room).fill(-1),
  };
}

function grownColumns(columns: Columns, room: number): Columns {
  const grown = createColumns(room);
  grown.tier.set(columns.tier);
  grown.confidence.set(columns.confidence);
  grown.at.set(columns.at);
  grown.older.set(columns.older);
  grown.newer.set(columns.newer);
  return grown;
}

interface Ends {
  oldest: number;
  newest: number;
}

function unlink(columns: Columns, list: Ends, entry: number): void {
  const older = columns.older[entry] ?? -1;
  const newer = columns.newer[entry] ?? -1;
  if (older >= 0) columns.newer[older] = newer;
  else if (list.oldest === entry) list.oldest = newer;
  if (newer >= 0) columns.older[newer] = older;
  else if (list.newest === entry) list.newest = older;
  columns.older[entry] = -1;
  columns.newer[entry] = -1;
}

function append(columns: Columns, list: Ends, entry: number): void {
  columns.older[entry] = list.newest;
  columns.newer[entry] = -1;
  if (list.newest >= 0) columns.newer[list.newest] = entry;
  else list.oldest = entry;
  list.newest = entry;
}
