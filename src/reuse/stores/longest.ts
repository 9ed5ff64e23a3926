/** Two memories of one conversation: which one is gone on with. */
import type { StoredConversation } from '../mode.ts';

/** The one that shares more units with the request; of two that share the same, the later epoch, then the later turn. */
export function longest(
  keys: readonly string[],
  a: StoredConversation | null,
  b: StoredConversation | null,
): StoredConversation | null {
  if (a === null || b === null) return a ?? b;
  const by =
    sharedUnits(keys, a) - sharedUnits(keys, b) || a.epoch - b.epoch || Math.sign(a.at - b.at);
  return by >= 0 ? a : b;
}

/** Keys are chains: what is common is found from the end. */
function sharedUnits(keys: readonly string[], { keys: stored }: StoredConversation): number {
  let at = Math.min(keys.length, stored.length);
  while (at > 0 && keys[at - 1] !== stored[at - 1]) at -= 1;
  return at;
}
