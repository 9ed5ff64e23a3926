/** What was found in a body, at its places in the body that replaced texts have made of it. */
import type { Span } from '../core/span.ts';
import type { ReadRequest, Splice } from './types.ts';

/** A body that was read, and what was changed in it since. */
export interface Changed {
  readonly request: ReadRequest;
  /** Ascending, without overlap; each is all of a span, or outside of spans. */
  readonly splices: readonly Splice[];
  /** Length of the body with these changes. */
  readonly byteLength: number;
}

/**
 * The request as it stands in `body`: the spans that were found, with their new texts and offsets. A shortened text is
 * not read again, because what is left of it may look like something else: a shortened example no longer repeats the
 * others, and what a `sluice` field declared is gone with the field. Spans of which nothing is left are left out.
 * @param body the changed body; it may have got more members at the front of its object
 * @returns null when `body` is another one
 */
export function carryOver(changed: Changed, body: Uint8Array): ReadRequest | null {
  const { request } = changed;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const place = placing(changed, body.byteLength - changed.byteLength);
  const spans: Span[] = [];
  for (const span of request.spans) {
    const at = place(span);
    const text = decoded(bytes, at);
    if (text === null || (!at.written && text !== span.text)) return null;
    if (text === '') continue;
    const previous = spans.at(-1);
    const start = previous?.pointer === span.pointer ? previous.end : 0;
    const { byteStart, byteEnd } = at;
    const index = spans.length;
    spans.push({ ...span, index, start, end: start + text.length, byteStart, byteEnd, text });
  }
  const messages = request.messages.map((message) => {
    const { byteStart, byteEnd } = place(message);
    return { ...message, byteStart, byteEnd };
  });
  return { ...request, messages, spans, removals: [] };
}

interface Range {
  readonly byteStart: number;
  readonly byteEnd: number;
}

/** Where ranges of the body that was read lie now. */
function placing(
  { splices }: Changed,
  front: number,
): (range: Range) => Range & { readonly written: boolean } {
  const ends = splices.map(({ byteEnd }) => byteEnd);
  const moved: number[] = [];
  let sum = front;
  for (const { byteStart, byteEnd, bytes } of splices) {
    sum += bytes.byteLength - (byteEnd - byteStart);
    moved.push(sum);
  }
  /** Bytes by which everything moved that stands behind the splices that end at `offset` or before. */
  const shift = (offset: number): number => {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? Infinity) <= offset) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? front : (moved[low - 1] ?? front);
  };
  const written = new Map(splices.map(({ byteStart, byteEnd }) => [byteStart, byteEnd]));
  return ({ byteStart, byteEnd }) => ({
    byteStart: byteStart + shift(byteStart),
    byteEnd: byteEnd + shift(byteEnd),
    written: written.get(byteStart) === byteEnd,
  });
}

/** Text of a range within a JSON string; null = it is none. */
function decoded(body: Buffer, { byteStart, byteEnd }: Range): string | null {
  if (byteStart < 0 || byteEnd > body.byteLength || byteEnd < byteStart) return null;
  try {
    const text: unknown = JSON.parse(`"${body.toString('utf8', byteStart, byteEnd)}"`);
    return typeof text === 'string' ? text : null;
  } catch {
    return null;
  }
}
