/** Conversations with documents and tool results, as plain messages; and the three ways to send them. */
import type { EvalItem } from '../../src/cli/eval/types.ts';
import type { Sluice } from '../../src/sluice.ts';

export interface Turn {
  readonly documents: readonly string[];
  readonly question: string;
  /** Result of a tool call that stands between question and answer; null = none. */
  readonly tool: string | null;
}

export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
}

export const system =
  'You answer questions about documents. Use what the documents say and nothing else. Answer in one short sentence.';

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Turns of `documents` passages each; every third turn also has a tool's result, a JSON list of records. */
export function conversationsOf(
  items: readonly EvalItem[],
  size: { readonly conversations: number; readonly turns: number; readonly documents: number },
): readonly (readonly Turn[])[] {
  const random = seeded(1);
  const pick = (): EvalItem => {
    const item = items[Math.floor(random() * items.length)];
    if (item === undefined) throw new Error('no records to make conversations of');
    return item;
  };
  return Array.from({ length: size.conversations }, () =>
    Array.from({ length: size.turns }, (_, at): Turn => {
      const item = pick();
      const documents = item.segments.slice(0, size.documents).map(({ text }) => text);
      return { documents, question: item.question, tool: at % 3 === 2 ? toolResult(random) : null };
    }),
  );
}

function toolResult(random: () => number): string {
  const records = Array.from({ length: 12 }, (_, at) => ({
    id: `R${Math.floor(random() * 1e6)}`,
    status: random() < 0.8 ? 'confirmed' : 'cancelled',
    seat: `${at + 1}${'ABCDEF'[Math.floor(random() * 6)]}`,
    price: Math.floor(random() * 500),
  }));
  return JSON.stringify({ records });
}

export function userText(documents: readonly string[], question: string): string {
  const listed = documents.map((text, at) => `Document [${at + 1}] ${text}`);
  return [...listed, `Question: ${question}`].join('\n\n');
}

/** The messages that a turn adds in front of the model's answer. */
export function messagesOf(turn: Turn, at: number): readonly Message[] {
  const asked: Message = { role: 'user', content: userText(turn.documents, turn.question) };
  if (turn.tool === null) return [asked];
  const id = `call_${at}`;
  const call = { id, type: 'function', function: { name: 'list_bookings', arguments: '{}' } };
  return [
    asked,
    { role: 'assistant', content: '', tool_calls: [call] },
    { role: 'tool', tool_call_id: id, content: turn.tool },
  ];
}

/**
 * What a compressor without memory does: in every turn all passages so far are shortened for the question of that turn,
 * so that earlier messages change.
 */
export async function naive(
  sluice: Sluice,
  turns: readonly Turn[],
  answers: readonly string[],
  rate: number,
): Promise<readonly Message[]> {
  const question = turns.at(-1)?.question ?? '';
  const shorter = async (context: readonly string[]): Promise<readonly string[]> => {
    const result = await sluice.compress({ context, question, rate });
    return result.context.filter((text) => text.trim() !== '');
  };
  const messages: Message[] = [{ role: 'system', content: system }];
  for (const [at, turn] of turns.entries()) {
    const documents = await shorter(turn.documents);
    const tool = turn.tool === null ? null : ((await shorter([turn.tool]))[0] ?? '');
    messages.push(...messagesOf({ ...turn, documents, tool }, at));
    const answer = answers[at];
    if (answer !== undefined) messages.push({ role: 'assistant', content: answer });
  }
  return messages;
}

export function direct(turns: readonly Turn[], answers: readonly string[]): readonly Message[] {
  return [
    { role: 'system', content: system },
    ...turns.flatMap((turn, at): readonly Message[] => {
      const answer = answers[at];
      const said: readonly Message[] =
        answer === undefined ? [] : [{ role: 'assistant', content: answer }];
      return [...messagesOf(turn, at), ...said];
    }),
  ];
}
