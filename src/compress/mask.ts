/** Masks: building, rendering and checking. The rendered text is always a subsequence of the input. */
import { keepReasons } from '../core/mask.ts';
import type { KeepMask, KeepReason } from '../core/mask.ts';
import { runSteps, type Steps } from '../core/steps.ts';

/** Where the groups of a text lie: ascending, without overlap. `WordGroups` of tokenize/ is one of these. */
export interface GroupRanges {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

const whyIndex = new Map<KeepReason, number>(keepReasons.map((reason, index) => [reason, index]));

/** Index of a reason in `keepReasons`, as stored in `KeepMask.why`. */
export function whyCode(reason: KeepReason): number {
  return whyIndex.get(reason) ?? 0;
}

/** One group that covers the text and is kept as `pinned`. */
export function wholeMask(text: string): KeepMask {
  return {
    starts: Uint32Array.of(0),
    ends: Uint32Array.of(text.length),
    keep: Uint8Array.of(1),
    why: Uint8Array.of(whyCode('pinned')),
    scores: null,
  };
}

export interface MaskParts {
  readonly groups: GroupRanges;
  /** 1 = kept. */
  readonly keep: Uint8Array;
  /** Codes of `whyCode`; left out = `score` for every kept group. */
  readonly why?: Uint8Array;
  readonly scores?: ArrayLike<number> | null;
}

/**
 * A mask out of groups and a choice. The arrays are copied. `why` of dropped groups is `dropped`, or `structure` where
 * it was given so: white space or a comma that the syntax does without.
 */
export function maskFromKeep({ groups, keep, why, scores }: MaskParts): KeepMask {
  const score = whyCode('score');
  const structure = whyCode('structure');
  const reasons = keep.map((kept, i) => {
    const given = why?.[i] ?? 0;
    return kept === 0 ? (given === structure ? given : 0) : given || score;
  });
  return {
    starts: Uint32Array.from(groups.starts),
    ends: Uint32Array.from(groups.ends),
    keep: Uint8Array.from(keep),
    why: reasons,
    scores: scores ? Float32Array.from(scores) : null,
  };
}

/**
 * The text that a mask stands for.
 *
 * - Neighbours that are both kept keep what stands between them.
 * - Across a gap exactly one separator stands, taken from the dropped stretch: its strongest white space
 *   (blank line > newline > blank). None where a kept neighbour brings white space along.
 * - Without white space in the gap nothing is put there, unless two words would fuse: then one character of the
 *   dropped stretch (its first punctuation mark, or first character of a script without spaces) stays.
 * - Nothing stands across a gap that holds a group dropped as `structure`: there the syntax needs no separator.
 * - White space before the first and after the last group stays, so that the text around never fuses with it.
 */
export function renderMask(text: string, mask: KeepMask): string {
  return runSteps(renderSteps(text, mask));
}

/** Groups rendered between two places to stop. */
const groupStride = 1_024;

/** `renderMask` in steps. */
export function* renderSteps(text: string, mask: KeepMask): Steps<string> {
  const { starts, ends, keep, why } = mask;
  const structure = whyCode('structure');
  const count = starts.length;
  if (count === 0) return text;
  let out = text.slice(0, starts[0]);
  let runStart = -1;
  let previousEnd = -1;
  let bare = false;
  for (let i = 0; i < count; i++) {
    if (i % groupStride === groupStride - 1) yield;
    if (keep[i] === 0) {
      bare ||= why[i] === structure;
      continue;
    }
    const start = starts[i] ?? 0;
    if (previousEnd < 0) {
      runStart = start;
    } else if (keep[i - 1] === 0) {
      out += text.slice(runStart, previousEnd);
      if (!bare) out += gapSeparator(text, previousEnd, start);
      runStart = start;
    }
    previousEnd = ends[i] ?? 0;
    bare = false;
  }
  const tail = text.slice(ends[count - 1]);
  if (previousEnd < 0) return tail === '' ? out : tail;
  return out + text.slice(runStart, previousEnd) + tail;
}

const blankLine = /(\r?\n|\r)[^\S\n\r]*(\r?\n|\r)/u;
const newline = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/u;
const anySpace = /\s/u;
/** Marks that lean on what stands before them. */
const closing = /^[.,;:!?)\]}%…’”»、。，；：！？）】」』》]$/u;
const wordChar = /[\p{L}\p{M}\p{N}_]/u;
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const notWord = /[^\p{L}\p{M}\p{N}_]/u;

/** What stands between kept text ending at `from` and kept text starting at `to`; see `renderMask`. */
function gapSeparator(text: string, from: number, to: number): string {
  const before = characterBefore(text, from);
  const after = String.fromCodePoint(text.codePointAt(to) ?? 32);
  const gap = text.slice(from, to);
  if (newline.test(before) || newline.test(after)) return '';
  if (anySpace.test(before) || anySpace.test(after)) return newline.exec(gap)?.[0] ?? '';
  if (closing.test(after) && leansBack(before, gap)) return '';
  const white = strongestSpace(gap);
  if (white !== '') return white;
  const wouldFuse = isSpacedWord(before) && isSpacedWord(after);
  return wouldFuse ? firstMark(gap) : '';
}

function firstMark(gap: string): string {
  return (notWord.exec(gap) ?? unspaced.exec(gap))?.[0] ?? '';
}

function strongestSpace(gap: string): string {
  const blank = blankLine.exec(gap);
  if (blank) return `${blank[1] ?? ''}${blank[2] ?? ''}`;
  return (newline.exec(gap) ?? anySpace.exec(gap))?.[0] ?? '';
}

/** May a closing mark after `gap` move up to `before`? Not from another line, and not to a digit (`2` `.3`). */
function leansBack(before: string, gap: string): boolean {
  return !anySpace.test(gap.slice(-1)) && !newline.test(gap) && !/\p{N}/u.test(before);
}

function isSpacedWord(character: string): boolean {
  return wordChar.test(character) && !unspaced.test(character);
}

function characterBefore(text: string, end: number): string {
  const low = text.charCodeAt(end - 1);
  const paired = low >= 0xdc00 && low <= 0xdfff && end >= 2;
  return text.slice(paired ? end - 2 : end - 1, end);
}

/** True when `out` can be made from `text` by leaving characters (UTF-16 units) out. Linear time. */
export function isSubsequence(out: string, text: string): boolean {
  return runSteps(subsequenceSteps(out, text));
}

/** `isSubsequence` in steps. */
export function* subsequenceSteps(out: string, text: string): Steps<boolean> {
  let at = 0;
  for (let i = 0; i < out.length; i++) {
    if (i % 16_384 === 16_383) yield;
    // what is kept mostly stands together: looking at the next character saves the search
    if (out.charCodeAt(i) !== text.charCodeAt(at)) at = text.indexOf(out.charAt(i), at);
    if (at < 0) return false;
    at++;
  }
  return true;
}
