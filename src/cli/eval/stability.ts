/** Prefix stability: does the forwarded text of a turn stay the same when the conversation goes on? */
import type { CompressionPath } from './types.ts';
import type { ChatMessage, EvalItem } from './types.ts';

/**
 * Sends the item's first turn alone, then the same turn followed by an answer and a second question, through the whole
 * path of a request (detection, planning, compression, splicing), as two tenants: the second request finds no earlier
 * decision and has to come to the same one by itself.
 *
 * Length of the common prefix of what was forwarded of the first turn, over its length in the first request; 1 = the
 * backend's prefix cache holds. null when nothing in the first turn was shortened, for then nothing could change.
 */
export async function prefixStability(
  item: EvalItem,
  forward: CompressionPath,
): Promise<number | null> {
  const { first, next } = item.conversation;
  const alone = await forward(first, 'alone');
  const before = JSON.stringify(alone);
  if (before === JSON.stringify(first)) return null;
  const longer = await forward([...first, ...next], 'going on');
  return prefixShare(before, JSON.stringify(longer.slice(0, first.length)));
}

/** Length of the longest common prefix over the length of `before`. */
export function prefixShare(before: string, after: string): number {
  if (before === '') return 1;
  let at = 0;
  while (at < before.length && before[at] === after[at]) at += 1;
  return at / before.length;
}

/** What is said after the item's first turn. The second question has other words, so that using it would show. */
export const laterTurn: readonly ChatMessage[] = [
  { role: 'assistant', content: 'Here is what I found in the text above.' },
  {
    role: 'user',
    content: 'Thank you. Which weather, colours and prices are mentioned, and by whom?',
  },
];
