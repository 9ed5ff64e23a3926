/** Finds the conversation that a request goes on with: by its name, or by the longest prefix that was seen before. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { StoredConversation } from './mode.ts';

export interface ConversationBook {
  /** Changes nothing but recency. `name`: session header or field, already scoped to its tenant; null = none given. */
  find(name: string | null, keys: readonly string[]): StoredConversation | null;
  /** After forwarding. A conversation that went on in a later epoch meanwhile stays as it is, see `isStale`. */
  store(name: string | null, conversation: StoredConversation): void;
  /** Takes back units of a conversation that turned out to be stale elsewhere. */
  forget(conversation: StoredConversation): void;
  /** Units that are remembered. */
  readonly units: number;
}

/**
 * An epoch never goes back: of two turns at once, the one that still was in the older epoch is not remembered. Branches
 * are conversations of their own, so only the same branch counts: one is the beginning of the other.
 */
export function isStale(stored: StoredConversation, next: StoredConversation): boolean {
  if (stored.epoch <= next.epoch) return false;
  const common = Math.min(stored.keys.length, next.keys.length);
  return common > 0 && stored.keys[common - 1] === next.keys[common - 1];
}

/**
 * Bounded by conversations, least recently stored first. Each is found by every unit of its last request, so that a
 * branch finds the conversation it left; later requests take over the units that they share.
 */
export function createConversationBook(options: {
  readonly maxConversations: number;
  /** Bound of units over all conversations. */
  readonly maxUnits: number;
}): ConversationBook {
  const byUnit = boundedCache<StoredConversation>({ maxEntries: options.maxUnits });
  const byName = boundedCache<StoredConversation>({ maxEntries: options.maxConversations });
  const findByUnit = (keys: readonly string[]): StoredConversation | null => {
    for (let at = keys.length - 1; at >= 0; at -= 1) {
      const found = byUnit.get(keys[at] ?? '');
      if (found !== undefined) return found;
    }
    return null;
  };
  return {
    find(name, keys) {
      // The chain comes first: a name says which conversation is meant, the chain which branch of it stands.
      const found = findByUnit(keys);
      if (found !== null) return found;
      return name === null ? null : (byName.get(name) ?? null);
    },
    store(name, conversation) {
      const stored = findByUnit(conversation.keys);
      if (stored !== null && isStale(stored, conversation)) return;
      for (const key of conversation.keys) byUnit.set(key, conversation);
      if (name !== null) byName.set(name, conversation);
    },
    forget(conversation) {
      for (const key of conversation.keys) {
        if (byUnit.get(key) === conversation) byUnit.delete(key);
      }
    },
    get units() {
      return byUnit.size;
    },
  };
}
