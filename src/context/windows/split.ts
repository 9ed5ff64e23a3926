/** Splitting of texts into windows, at borders of documents, then of sentences, then of words. */
import { SluiceError } from '../../core/errors.ts';
import { sentenceRanges } from '../../tokenize/sentences.ts';
import type { Material, Piece, SplitOptions, TextWindow } from './types.ts';

/** Tokens that joining two pieces may cost beyond what each has alone. */
const joint = 1;
/** UTF-16 units of a token are rarely more; a part may come out shorter than it could be. */
const mostTokenChars = 16;

/**
 * Windows in the order of the text. A document that fits into a window is never cut; a longer one is cut between
 * sentences, a longer sentence between words. The last window is not left much smaller than the one before it.
 *
 * The result depends on the materials and the budget alone, not on any question, so that the same text gives the same
 * windows again.
 * @throws SluiceError BUDGET_IMPOSSIBLE when what stands around a document leaves no room for its text
 */
export function splitWindows(
  materials: readonly Material[],
  options: SplitOptions,
): readonly TextWindow[] {
  const pieces = materials.flatMap((material, at) => piecesOf(material, at, options));
  const lists = balanced(evenly(pieces, options), options.budget);
  return lists.map((list) => ({ pieces: joined(list), tokens: sumOf(list) }));
}

/** As few windows as the budget allows, or the wanted number of them in the smallest size that does. */
function evenly(pieces: readonly Counted[], { budget, windows }: SplitOptions): Counted[][] {
  if (windows === null) return pack(pieces, budget);
  const total = pieces.reduce((sum, { tokens }) => sum + tokens, 0);
  let size = Math.min(budget, Math.max(1, Math.ceil(total / windows)));
  let packed = pack(pieces, size);
  while (packed.length > windows && size < budget) {
    size = Math.min(budget, Math.ceil(size * 1.05));
    packed = pack(pieces, size);
  }
  return packed;
}

interface Counted extends Piece {
  readonly tokens: number;
  /** A border of a document stands in front of it. */
  readonly first: boolean;
  /** Tokens around the document, which its window has once. */
  readonly around: number;
}

/** A document as one piece, or its sentences when it is longer than a window or windows are to be even. */
function piecesOf(material: Material, at: number, options: SplitOptions): Counted[] {
  const { count, budget } = options;
  const { text } = material;
  if (text.trim() === '') return [];
  const around = count(material.lead) + count(material.trail) + joint;
  const room = budget - around;
  const whole = count(text);
  const base = { material: at, first: true, around };
  if (whole <= room && options.windows === null) {
    return [{ ...base, start: 0, end: text.length, tokens: whole + around }];
  }
  if (room < 1) {
    const message = `A window of ${budget} tokens has no room for text beside the ${around} tokens around document ${at}`;
    throw new SluiceError('BUDGET_IMPOSSIBLE', message);
  }
  const ranges = sentenceRanges(text).flatMap(({ start, end }) =>
    fitting(text, { start, end }, { room, count }),
  );
  return ranges.map(({ start, end, tokens }, index) => ({
    ...base,
    first: index === 0,
    start,
    end,
    tokens: tokens + (index === 0 ? around : 0),
  }));
}

/** A range as it is when it fits, else in parts that do: at words, and inside a word that alone is too long. */
function fitting(
  text: string,
  range: { readonly start: number; readonly end: number },
  rule: { readonly room: number; readonly count: (text: string) => number },
): { start: number; end: number; tokens: number }[] {
  const parts: { start: number; end: number; tokens: number }[] = [];
  let { start } = range;
  while (start < range.end) {
    // What is surely too long is not counted: a line without borders may be all of the text.
    let end = Math.min(range.end, start + rule.room * mostTokenChars);
    if (end < range.end) end = border(text, start, end);
    let tokens = rule.count(text.slice(start, end)) + joint;
    while (tokens > rule.room && end - start > 1) {
      const share = Math.min(0.9, rule.room / tokens);
      end = border(text, start, start + Math.max(1, Math.floor((end - start) * share)));
      tokens = rule.count(text.slice(start, end)) + joint;
    }
    parts.push({ start, end, tokens });
    start = end;
  }
  return parts;
}

/** The last white space before `end`, or `end` itself, moved off the middle of a surrogate pair. */
function border(text: string, start: number, end: number): number {
  for (let at = end; at > start + (end - start) / 2; at--) {
    if (/\s/.test(text[at - 1] ?? '')) return at;
  }
  const code = text.charCodeAt(end);
  const inPair = code >= 0xdc00 && code <= 0xdfff;
  return inPair && end - 1 > start ? end - 1 : inPair ? end + 1 : end;
}

function pack(pieces: readonly Counted[], budget: number): Counted[][] {
  const windows: Counted[][] = [];
  let current: Counted[] = [];
  let tokens = 0;
  for (const piece of wholeDocuments(pieces, budget)) {
    const cost = costBehind(current.at(-1) ?? null, piece);
    if (current.length > 0 && tokens + cost > budget) {
      windows.push(current);
      current = [];
      tokens = 0;
    }
    tokens += costBehind(current.at(-1) ?? null, piece);
    current.push(piece);
  }
  if (current.length > 0) windows.push(current);
  return windows;
}

/** Sentences of a document that fits into a window go together. */
function wholeDocuments(pieces: readonly Counted[], budget: number): Counted[] {
  const result: Counted[] = [];
  for (let from = 0; from < pieces.length;) {
    let to = from + 1;
    while (to < pieces.length && pieces[to]?.first === false) to += 1;
    const document = pieces.slice(from, to);
    const [head] = document;
    const tokens = document.reduce((sum, piece) => sum + piece.tokens, 0);
    const end = document.at(-1)?.end;
    if (head !== undefined && end !== undefined && tokens <= budget) {
      result.push({ ...head, end, tokens });
    } else result.push(...document);
    from = to;
  }
  return result;
}

/**
 * What a piece adds behind another one of its window: a document that goes on in a new window is framed anew.
 * @param previous null = it begins the window
 */
function costBehind(previous: Counted | null, piece: Counted): number {
  const framed = previous?.material === piece.material;
  return piece.tokens + (piece.first || framed ? 0 : piece.around);
}

function sumOf(window: readonly Counted[]): number {
  return window.reduce((sum, piece, at) => sum + costBehind(window[at - 1] ?? null, piece), 0);
}

/** A last window shorter than half of the one before it takes over pieces from that. */
function balanced(windows: Counted[][], budget: number): Counted[][] {
  const last = windows.at(-1);
  const before = windows.at(-2);
  if (last === undefined || before === undefined) return windows;
  let left = sumOf(before);
  let right = sumOf(last);
  while (before.length > 1) {
    const moved = before.at(-1);
    const [head] = last;
    if (moved === undefined || head === undefined) break;
    const grown =
      right - costBehind(null, head) + costBehind(null, moved) + costBehind(moved, head);
    if (grown > budget || grown >= left) break;
    left -= costBehind(before.at(-2) ?? null, moved);
    right = grown;
    before.pop();
    last.unshift(moved);
  }
  return windows;
}

/** Neighbouring pieces of one material as one. */
function joined(pieces: readonly Counted[]): Piece[] {
  const result: Piece[] = [];
  for (const { material, start, end } of pieces) {
    const previous = result.at(-1);
    if (previous !== undefined && previous.material === material && previous.end === start) {
      result[result.length - 1] = { ...previous, end };
    } else result.push({ material, start, end });
  }
  return result;
}

/** Text of a window as it stands in a prompt: each piece with what stands around its document. */
export function renderWindow(materials: readonly Material[], pieces: readonly Piece[]): string {
  let text = '';
  for (const [at, { material, start, end }] of pieces.entries()) {
    const source = materials[material];
    if (source === undefined) continue;
    const last = at === pieces.length - 1;
    const cut = source.text.slice(start, end);
    // A piece that stops in the middle ends with the blank that followed its last sentence.
    const tidy = end < source.text.length ? cut.trimEnd() : cut;
    text += source.lead + tidy + source.trail + (last ? '' : source.separator || '\n');
  }
  return text;
}
