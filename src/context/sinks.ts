/**
 * Sinks for endless chats, at the level of text (after StreamingLLM, arXiv 2309.17453): the head and the recent turns
 * stay, the middle goes, in large steps, so that the forwarded prefix is constant between two steps.
 *
 * Which messages are left out is a function of the conversation alone: every process that sees it makes the same cuts,
 * with nothing to remember.
 */
import type { SinkCut, SinkOptions, SinkUnit } from './types.ts';

/**
 * The cut that holds for a conversation. Walks through it as it grew: wherever a request can have ended, the tokens
 * so far are compared with `start` of the window; above it, turns after the head are left out until `keep` of the
 * window is left. null = nothing is left out.
 * @param units messages in order, each with its tokens as forwarded
 */
export function sinkCut(units: readonly SinkUnit[], options: SinkOptions): SinkCut | null {
  const head = headUnits(units, options.firstTurns);
  const start = Math.floor(options.windowTokens * options.start);
  const keep = Math.floor(options.windowTokens * options.keep);
  const sums = prefixSums(units);
  const tokensOf = (from: number, to: number): number => (sums[to] ?? 0) - (sums[from] ?? 0);
  const headTokens = tokensOf(0, head) + options.markerTokens;
  let to = head;
  let cuts = 0;
  let madeAt = head;
  for (let end = head; end < units.length; end++) {
    if (!canEndRequest(units[end])) continue;
    if (headTokens + tokensOf(to, end + 1) <= start) continue;
    const kept = firstKept(units, { from: to, end, room: keep - headTokens, tokensOf });
    if (kept === to) continue;
    to = kept;
    cuts += 1;
    madeAt = end;
  }
  return cuts === 0 ? null : { from: head, to, tokens: tokensOf(head, to), cuts, madeAt };
}

function prefixSums(units: readonly SinkUnit[]): readonly number[] {
  const sums = [0];
  for (const { tokens } of units) sums.push((sums.at(-1) ?? 0) + tokens);
  return sums;
}

/** Units in front that are never left out: what precedes the first user message, and the first turns. */
function headUnits(units: readonly SinkUnit[], firstTurns: number): number {
  let turns = 0;
  for (const [at, { role }] of units.entries()) {
    if (role !== 'user') continue;
    if (turns === firstTurns) return at;
    turns += 1;
  }
  return units.length;
}

/** Requests end with what the model is to answer: a user's message or a tool's result. */
function canEndRequest(unit: SinkUnit | undefined): boolean {
  return unit?.role === 'user' || unit?.role === 'tool';
}

/**
 * Where the recent part begins: at the first turn from which on everything fits into the room, else at the last turn.
 * Inside one long turn of tool calls it may begin at a message of the model that follows a tool's result: a call and
 * its result are never parted.
 */
function firstKept(
  units: readonly SinkUnit[],
  range: {
    readonly from: number;
    readonly end: number;
    readonly room: number;
    readonly tokensOf: (from: number, to: number) => number;
  },
): number {
  const { from, end, room, tokensOf } = range;
  const fits = (at: number): boolean => tokensOf(at, end + 1) <= room;
  let last = from;
  for (let at = from + 1; at <= end; at++) {
    if (units[at]?.role !== 'user') continue;
    last = at;
    if (fits(at)) return at;
  }
  for (let at = last + 1; at <= end; at++) {
    if (units[at]?.role !== 'assistant' || units[at - 1]?.role !== 'tool') continue;
    last = at;
    if (fits(at)) return at;
  }
  return last;
}

/** What the model is told in place of what was left out. */
export function sinkMarker(left: { readonly messages: number; readonly tokens: number }): string {
  const { messages, tokens } = left;
  const many = `${messages} earlier message${messages === 1 ? '' : 's'}`;
  return `[${many} of this conversation, about ${tokens} tokens, were left out here to fit the model's context window.]`;
}
