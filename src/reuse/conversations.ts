/** Finds the conversation that a request goes on with: by its name, or by the longest prefix that was seen before. */
import { boundedCache } from '../core/bounded-cache.ts';
import type { StoredConversation } from './mode.ts';

export interface ConversationBook {
  /** Changes nothing but recency. `name`: session header or field, already scoped to its tenant; null = none given. */
  find(name: string | null, keys: readonly string[]): StoredConversation | null;
  /** After forwarding. */
  store(name: string | null, conversation: StoredConversation): void;
  /** Units that are remembered. */
  readonly units: number;
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
  return {
    find(name, keys) {
      // The chain comes first: a name says which conversation is meant, the chain which branch of it stands.
      for (let at = keys.length - 1; at >= 0; at -= 1) {
        const found = byUnit.get(keys[at] ?? '');
        if (found !== undefined) return found;
      }
      return name === null ? null : (byName.get(name) ?? null);
    },
    store(name, conversation) {
      for (const key of conversation.keys) byUnit.set(key, conversation);
      if (name !== null) byName.set(name, conversation);
    },
    get units() {
      return byUnit.size;
    },
  };
}
