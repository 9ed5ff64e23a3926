/**
 * Sentence borders by rules: one regular expression finds candidates (terminators and line breaks), and what
 * stands around a candidate decides. No model, no dictionary beyond common abbreviations.
 */
import { runSteps, type Steps } from '../core/steps.ts';
import { isUnspaced } from './groups.ts';
import type { TextRange } from './types.ts';

/** Terminators with the quotes and brackets that close after them, or a line break with the indent after it. */
const candidate =
  /[.!?…]+["'”’»)\]]*|[。！？｡．؟۔।॥።]+["'”’」』）】》〉»)\]]*|\r?\n(?:[ \t\u3000]*\r?\n)*[ \t\u3000]*|[\u2028\u2029]/g;

/** Lower-case, without the final full stop; after these a full stop ends a sentence only at a line break. */
const abbreviations = new Set(
  (
    'mr mrs ms mx dr prof sr jr st ste vs v cf viz al ca approx fig figs eq eqs sec secs ch chap vol vols no nos ' +
    'nr pp p pt art ed eds rev gen col sgt capt lt cmdr maj adm rep sen gov hon pres supt inc ltd co corp bros ' +
    'dept univ assn est jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur fri sat sun ' +
    'ave blvd rd mt ft esp usw bzw ggf evtl dr.h.c m.e z.b d.h u.a sra srta ud uds pág av mme mlle m e.g i.e'
  ).split(' '),
);

const listMarker = /(?:[-*+•‣◦▪–—]\s|\d{1,4}[.)]\s|[a-zA-Z][.)]\s|#{1,6}\s|[|>]|```|~~~|<|\[\d)/y;
const lowerStart = /[\p{Ll}\p{M},;:)\]}]/uy;
const letterStart = /[\p{L}"'“‘(]/uy;
const lastWord = /[\p{L}\p{N}.]{1,20}$/u;
const initials = /^(?:\p{Lu}|(?:\p{L}\.)+\p{L})$/u;
/** Lines shorter than this are taken as lines of their own (titles, addresses, verse), not as wrapped prose. */
const WRAP_COLUMNS = 40;

const testAt = (pattern: RegExp, text: string, at: number): boolean => {
  pattern.lastIndex = at;
  return pattern.test(text);
};

const isBlankCode = (code: number): boolean =>
  code === 32 || code === 9 || code === 10 || code === 13 || code === 0xa0 || code === 0x3000;

const isBreak = (code: number): boolean =>
  code === 10 || code === 13 || code === 0x2028 || code === 0x2029;

/** First offset at or after `at` that is no blank. */
function skipBlank(text: string, at: number): number {
  let i = at;
  while (i < text.length && isBlankCode(text.charCodeAt(i))) i++;
  return i;
}

interface Stop {
  /** Offset of the first terminator sign. */
  readonly at: number;
  /** Offset after the terminators and the quotes that close after them. */
  readonly end: number;
  /** Offset of the next character that is no blank. */
  readonly next: number;
  /** Offset where the line of the terminator starts. */
  readonly lineStart: number;
}

/** Does the sentence end at this run of terminators? */
function terminatorEnds(text: string, stop: Stop): boolean {
  const { at, end, next } = stop;
  const code = text.charCodeAt(at);
  if (code > 127 && code !== 0x2026) return code !== 0xff0e || !/\p{Nd}/u.test(text.charAt(end));
  if (next === end && end < text.length) return isUnspaced(text.charAt(end)) && code !== 46;
  if (testAt(lowerStart, text, next)) return false;
  return code !== 46 || /[!?]/.test(text.charAt(at + 1)) || fullStopEnds(text, stop);
}

/** The same for a full stop before a blank: abbreviations, initials and item numbers do not end a sentence. */
function fullStopEnds(text: string, { at, lineStart }: Stop): boolean {
  if (text.charCodeAt(at + 1) === 46) return true; // an ellipsis
  const before = lastWord.exec(text.slice(Math.max(0, at - 20), at))?.[0] ?? '';
  if (abbreviations.has(before.toLowerCase()) || initials.test(before)) return false;
  if (!/^\d{1,3}$/.test(before)) return true;
  // the number of a list item stands at the start of its line: `1. First`
  return at - lineStart > 40 || text.slice(lineStart, at).trim() !== before;
}

/** A run of line breaks and indents: blank lines always end a sentence; a single break does unless prose wraps there. */
function breakEnds(text: string, found: { at: number; end: number; lineStart: number }): boolean {
  const { at, end, lineStart } = found;
  if (text.charCodeAt(at) > 13 || end >= text.length) return true;
  if (text.indexOf('\n', at) !== text.lastIndexOf('\n', end - 1)) return true;
  if (testAt(listMarker, text, end)) return true;
  const wraps = testAt(lowerStart, text, end);
  if (wraps || testAt(listMarker, text, lineStart)) return !wraps;
  return at - lineStart < WRAP_COLUMNS || !testAt(letterStart, text, end);
}

/**
 * Sentences of a text, in order; each holds its trailing white space, so the ranges cover the text without gap or
 * overlap. Borders: terminators of Latin, CJK, Arabic, Devanagari and Ethiopic text (not after abbreviations and
 * initials, nor inside numbers and addresses), blank lines, list items, headings and short lines.
 * Linear time; a border depends on the text before it and on the first characters after it.
 */
export function sentenceRanges(text: string): TextRange[] {
  return runSteps(sentenceSteps(text));
}

/** Candidates looked at between two places to stop. */
const candidateStride = 256;

/** `sentenceRanges` in steps. */
export function* sentenceSteps(text: string): Steps<TextRange[]> {
  const ranges: TextRange[] = [];
  let start = 0;
  let firstSolid = skipBlank(text, 0);
  let lineStart = 0;
  const cut = (end: number): void => {
    // blanks alone are no sentence: they stay with what follows
    if (end <= firstSolid) return;
    ranges.push({ start, end });
    start = end;
    firstSolid = skipBlank(text, end);
  };
  let from = 0; // the expression is shared: others may use it at every stop
  for (let done = 1; ; done++) {
    if (done % candidateStride === 0) yield;
    candidate.lastIndex = from;
    const found = candidate.exec(text);
    if (found === null) break;
    const at = found.index;
    const end = at + found[0].length;
    from = end;
    if (isBreak(text.charCodeAt(at))) {
      if (breakEnds(text, { at, end, lineStart })) cut(end);
      lineStart = end;
      continue;
    }
    const next = skipBlank(text, end);
    if (!terminatorEnds(text, { at, end, next, lineStart })) continue;
    cut(next);
    from = next;
    if (text.slice(end, next).includes('\n')) lineStart = next;
  }
  if (start < text.length) ranges.push({ start, end: text.length });
  return ranges;
}
