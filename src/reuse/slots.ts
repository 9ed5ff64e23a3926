/** Which slot of a server a conversation keeps: one that holds it already, else the one unused for longest. */
import { sharedBlocks, blocksOf, type Chain } from './chain.ts';

export interface SlotBook {
  /** Slot for a prompt, given by name of its conversation (null = told apart by its text) and its text as a chain. */
  take(conversation: string | null, text: Chain): number;
  /** The same without taking it. */
  peek(conversation: string | null, text: Chain): number;
}

interface Slot {
  readonly slot: number;
  conversation: string | null;
  text: Chain | null;
}

/** The end of a body is no part of the conversation (fields after the messages): this many blocks may differ. */
const tailBlocks = 2;

export function createSlotBook(slots: number): SlotBook {
  /** Unused for longest first. */
  const order: Slot[] = Array.from({ length: slots }, (_, slot) => ({
    slot,
    conversation: null,
    text: null,
  }));
  const held = (conversation: string | null, text: Chain): number => {
    const named = order.findIndex((slot) => slot.conversation === conversation);
    return Math.max(0, conversation === null ? longest(order, text) : named);
  };
  return {
    peek: (conversation, text) => order[held(conversation, text)]?.slot ?? 0,
    take(conversation, text) {
      const [slot] = order.splice(held(conversation, text), 1);
      if (slot === undefined) return 0;
      slot.conversation = conversation;
      slot.text = text;
      order.push(slot);
      return slot.slot;
    },
  };
}

/** Slot whose prompt this one goes on from, the longest one; -1 = none. */
function longest(slots: readonly Slot[], text: Chain): number {
  let best = -1;
  let most = 0;
  for (const [at, slot] of slots.entries()) {
    if (slot.text === null || slot.conversation !== null) continue;
    const held = blocksOf(slot.text);
    const shared = sharedBlocks(slot.text, text);
    if (shared <= most || held - shared > Math.max(tailBlocks, held / 10)) continue;
    best = at;
    most = shared;
  }
  return best;
}
