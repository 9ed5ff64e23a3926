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

export function boundedCache<V extends {}>(options: BoundedCacheOptions<V>): BoundedCache<V> {
  const { maxEntries, maxSize, sizeOf } = options;
  const cache =
    maxSize !== undefined && sizeOf !== undefined
      ? new LRUCache<string, V>({
          max: maxEntries,
          maxSize,
          sizeCalculation: (value) => Math.max(1, Math.ceil(sizeOf(value))),
        })
      : new LRUCache<string, V>({ max: maxEntries });
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
