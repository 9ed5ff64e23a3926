/** From the strings a dialect found to spans with exact byte ranges. */
import { SluiceError } from '../core/errors.ts';
import type { Span } from '../core/span.ts';
import { contentKindOf, demonstrationTurns, detectParts } from './detect/detect.ts';
import type { Found, FoundText } from './found.ts';
import { byteOffsets, decodeText } from './text.ts';
import type { DetectedPart, StringPlace, TurnShape } from './types.ts';

interface Decoded extends FoundText {
  readonly text: string;
}

/**
 * Every text span in body order. Empty strings have none.
 * @throws ScanStop `lone-surrogate` when one of the strings is not well-formed UTF-16
 */
export function spansOf(found: Found): Span[] {
  const body = found.cursor.bytes;
  const texts = found.texts.map((text): Decoded => ({ ...text, text: decodeText(body, text.raw) }));
  const demonstrations = demonstrationMessages(texts);
  const spans: Span[] = [];
  for (const text of texts) {
    const place: StringPlace = {
      role: text.role,
      // Every user message is read as it was read when it was the last one: what was found in it must not change
      // when the conversation goes on, or its forwarded bytes would.
      lastUser: text.role === 'prompt' || text.role === 'user',
      partType: text.partType,
      demonstrationTurn: demonstrations.has(text.messageIndex),
    };
    addSpans(spans, body, text, place);
  }
  return spans;
}

/** Indexes of the messages that are halves of few-shot pairs. */
function demonstrationMessages(texts: readonly Decoded[]): ReadonlySet<number> {
  const turns: (TurnShape & { readonly messageIndex: number })[] = [];
  for (const { messageIndex, role, text, toolCall } of texts) {
    if (toolCall || role === 'prompt') continue;
    const last = turns.at(-1);
    if (last?.messageIndex === messageIndex)
      turns[turns.length - 1] = { messageIndex, role, text: `${last.text}\n${text}` };
    else turns.push({ messageIndex, role, text });
  }
  const flags = demonstrationTurns(turns);
  return new Set(turns.filter((_, i) => flags[i] === true).map((turn) => turn.messageIndex));
}

function addSpans(spans: Span[], body: Buffer, found: Decoded, place: StringPlace): void {
  const { text } = found;
  if (text === '') return;
  const parts = partsOf(found, place);
  const ends = parts.map((part) => characterBorder(text, part.end));
  const byteEnds = byteOffsets(body, found.raw, ends, text.length);
  let start = 0;
  let byteStart = found.raw.byteStart;
  parts.forEach((part, i) => {
    const end = ends[i] ?? text.length;
    const byteEnd = byteEnds[i] ?? found.raw.byteEnd;
    if (end === start) return;
    spans.push({
      index: spans.length,
      pointer: found.pointer,
      messageIndex: found.messageIndex,
      role: found.role,
      kind: part.kind,
      content: part.content,
      policy: part.policy,
      reason: part.reason,
      detail: part.detail,
      start,
      end,
      byteStart,
      byteEnd,
      text: text.slice(start, end),
      declaredRate: found.declared?.rate ?? null,
    });
    start = end;
    byteStart = byteEnd;
  });
}

/** What the caller declared, or what the detector found; covers the text without gap or overlap. */
function partsOf(found: Decoded, place: StringPlace): readonly DetectedPart[] {
  const { text, declared } = found;
  const whole = { start: 0, end: text.length };
  if (found.toolCall)
    return [
      {
        ...whole,
        kind: 'tool-call',
        content: 'json',
        policy: 'pinned',
        reason: 'tool-call',
        detail: 'arguments of a tool call',
      },
    ];
  if (declared !== null)
    return [
      {
        ...whole,
        kind: declared.kind,
        content: contentKindOf(text),
        policy: declared.policy,
        reason: 'declared',
        detail: 'sluice field of the content part',
      },
    ];
  const parts = detectParts(text, place);
  let end = 0;
  for (const part of parts) {
    if (part.start !== end || part.end < end) break;
    end = part.end;
  }
  if (end !== text.length || parts.at(-1)?.end !== end)
    throw new SluiceError(
      'INTERNAL',
      `Detected parts of ${found.pointer} do not cover its ${text.length} characters: gap or overlap at ${end}`,
    );
  return parts;
}

/** `offset`, or the character border before it when it stands between the halves of a surrogate pair. */
function characterBorder(text: string, offset: number): number {
  const unit = text.charCodeAt(offset);
  if (!(unit >= 0xdc00 && unit <= 0xdfff) || offset === 0) return offset;
  const before = text.charCodeAt(offset - 1);
  return before >= 0xd800 && before <= 0xdbff ? offset - 1 : offset;
}
