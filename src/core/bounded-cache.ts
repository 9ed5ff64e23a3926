/** The one cache of the code base: least recently used first, bounded by count and by size. */
import { LRUCache } from 'lru-cache';

export interface BoundedCacheOptions<V> {
  readonly maxEntries: number;
  /** Upper bound of the sum of `sizeOf`; left out = only the count is bounded. */
  readonly maxSize?: number;
  /** Size of one value, a positive integer, usually bytes. Required with `maxSize`. */
  readonly sizeOf?: (value: V) => number;
}

export interface BoundedCache<V> {
  get(key: string): V | undefined;
  has(key: string): boolean;
  set(key: string, value: V): void;
  delete(key: string): boolean;
  /** Most recently used first. */
  keys(): Iterable<string>;
  readonly size: number;
}

/** More entries than this are bounded as sizes of 1: for a number of entries, room is taken at once (27 bytes each). */
const takenAtOnce = 10_000;

function lruCache<V extends {}>(options: BoundedCacheOptions<V>): LRUCache<string, V> {
  const { maxEntries, maxSize, sizeOf } = options;
  if (maxSize !== undefined && sizeOf !== undefined) {
    const sizeCalculation = (value: V): number => Math.max(1, Math.ceil(sizeOf(value)));
    return new LRUCache<string, V>({ max: maxEntries, maxSize, sizeCalculation });
  }
  return maxEntries > takenAtOnce
    ? new LRUCache<string, V>({ maxSize: maxEntries, sizeCalculation: () => 1 })
    : new LRUCache<string, V>({ max: maxEntries });
}

export function boundedCache<V extends {}>(options: BoundedCacheOptions<V>): BoundedCache<V> {
  const cache = lruCache(options);
  return {
    get: (key) => cache.get(key),
    has: (key) => cache.has(key),
    set: (key, value) => void cache.set(key, value),
    delete: (key) => cache.delete(key),
    keys: () => cache.keys(),
    get size() {
      return cache.size;
    },
  };
}
