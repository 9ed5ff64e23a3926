/** Values that are looked up by content: remembered, and worked out once however many ask at the same time. */
import { throwIfAborted } from '../core/abort.ts';
import type { BoundedCache } from '../core/bounded-cache.ts';
import { SluiceError } from '../core/errors.ts';

export interface Work<T, V> {
  readonly signal: AbortSignal | null;
  /** Works out the values of these items and hands each over as soon as it is there. */
  work(
    items: readonly (readonly [string, T])[],
    give: (key: string, value: V) => void,
  ): Promise<void>;
}

export interface ContentStore<V> {
  /**
   * The value of every key. Keys that somebody else is working out are waited for; when that caller goes away or
   * fails, they are worked out here.
   */
  ask<T>(items: ReadonlyMap<string, T>, how: Work<T, V>): Promise<ReadonlyMap<string, V>>;
}

interface Pending<V> {
  /** Null = given up. */
  readonly value: Promise<V | null>;
  settle(value: V | null): void;
}

function newPending<V>(): Pending<V> {
  let settle: Pending<V>['settle'] = () => undefined;
  const value = new Promise<V | null>((resolve) => (settle = resolve));
  return { value, settle };
}

/** What is being worked out is bounded by the callers' texts, what is remembered by the cache. */
export function contentStore<V extends {}>(cache: BoundedCache<V>): ContentStore<V> {
  const pending = new Map<string, Pending<V>>();
  return {
    async ask(items, how) {
      throwIfAborted(how.signal);
      const values = new Map<string, V>();
      const give = (key: string, value: V): void => {
        values.set(key, value);
        cache.set(key, value);
        pending.get(key)?.settle(value);
        pending.delete(key);
      };
      const giveUp = (key: string): void => {
        if (values.has(key)) return;
        pending.get(key)?.settle(null);
        pending.delete(key);
      };
      for (const key of items.keys()) {
        const known = cache.get(key);
        if (known !== undefined) values.set(key, known);
      }
      for (;;) {
        const open = [...items].filter(([key]) => !values.has(key));
        if (open.length === 0) return values;
        const own = open.filter(([key]) => !pending.has(key));
        const waits = open.flatMap(([key]) => {
          const other = pending.get(key);
          return other === undefined ? [] : [{ key, value: other.value }];
        });
        for (const [key] of own) pending.set(key, newPending());
        try {
          if (own.length > 0) await how.work(own, give);
        } finally {
          for (const [key] of own) giveUp(key);
        }
        if (own.some(([key]) => !values.has(key)))
          throw new SluiceError('INTERNAL', 'A text was left without a value');
        for (const { key, value } of waits) {
          const found = await unlessAborted(value, how.signal);
          if (found !== null) values.set(key, found);
        }
      }
    },
  };
}

/** The promise's value, or the signal's reason when that comes first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | null): Promise<T> {
  if (signal === null) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      try {
        throwIfAborted(signal);
      } catch (reason) {
        reject(reason);
      }
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const release = (): void => signal.removeEventListener('abort', onAbort);
    promise.then(resolve, reject).finally(release);
  });
}
