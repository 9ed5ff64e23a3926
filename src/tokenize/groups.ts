/**
 * Word groups: the smallest units a compressor may drop.
 *
 * One forward scan. Plain words take a short path over character codes; everything else goes to one of a few
 * sticky regular expressions, each of which either consumes what it read or reads a bounded stretch only, so the
 * whole is linear. Scripts without spaces go through `Intl.Segmenter`, on runs of at most 2,000 characters: it is
 * slow and worse than linear on long strings, and on bounded runs the groups never depend on text far ahead.
 */
import type { GroupKind, WordGroups } from './types.ts';

/** Longest stretch handed to the segmenter, in characters. */
const SEGMENT_LIMIT = 2000;

// The flag `v` (set difference in classes) is spelt as an argument: the compile target knows `u` only.
const unspacedScripts =
  '[\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}\\u30FC\\uFF70\\u3006]';
const letter = `[[\\p{L}\\p{Nl}]--${unspacedScripts}]`;
const wordRest = `[[\\p{L}\\p{Nl}\\p{M}\\p{Cf}]--${unspacedScripts}]`;
const nameStart = `[[\\p{L}\\p{Nl}\\p{N}_]--${unspacedScripts}]`;
const nameRest = `[[\\p{L}\\p{N}\\p{M}\\p{Cf}_]--${unspacedScripts}]`;
const sticky = (source: string): RegExp => new RegExp(source, 'vy');

const patterns = {
  blank: sticky('[\\p{White_Space}--[\\n\\r\\u0085\\u2028\\u2029]]+'),
  newline: sticky(
    '(?:\\r\\n|[\\n\\r\\u0085\\u2028\\u2029])(?:[ \\t]*(?:\\r\\n|[\\n\\r\\u0085\\u2028\\u2029]))*',
  ),
  plain: sticky(`${letter}${wordRest}*`),
  url: sticky(
    "(?:[A-Za-z][A-Za-z0-9+.\\-]{0,15}:\\/\\/|www\\.)[A-Za-z0-9\\-._~:\\/?#\\[\\]@!$&'\\(\\)*+,;=%]+",
  ),
  email: sticky('[A-Za-z0-9._%+\\-]{1,64}@[A-Za-z0-9\\-]{1,63}(?:\\.[A-Za-z0-9\\-]{1,63})+'),
  /** `/a/b`, `~/a`, `./a`, `C:\\a`, and `a/b` of any kind; what it is decides `kindOfPath`. */
  path: sticky(
    `(?:[A-Za-z]:[\\\\\\/]|\\\\\\\\|~\\/|\\.{1,2}\\/|\\/)?(?:${nameStart}|[.@\\-])(?:${nameRest}|[.@+~%=\\-]){0,255}(?:[\\/\\\\](?:${nameRest}|[.@+~%=\\-]){1,255})*[\\/\\\\]?`,
  ),
  number: sticky(
    "[\\-+−±]?\\p{Sc}?\\p{Nd}+(?:[.,:'’_\\/\\-–٫٬]\\p{Nd}+|[\\u00A0\\u202F]\\p{Nd}{3}(?!\\p{Nd})|T\\p{Nd}{2}(?=:))*(?:[eE][+\\-]?\\p{Nd}+)?(?:Z(?![\\p{L}\\p{M}\\p{N}])|[+\\-]\\p{Nd}{2}:\\p{Nd}{2})?(?:[ \\u00A0\\u202F]?(?:[%‰°]|℃|℉)[CFK]?|\\p{Sc}|[ \\u00A0\\u202F]?(?:[kMGTP]i?B|[kMG]?Hz|[µmcdk]?[gm]|[kM]?W|[mk]?[lL]|kWh|mAh|[mµn]s|km\\/h|mph|min|USD|EUR|GBP|JPY|CNY)(?![\\p{L}\\p{M}\\p{N}_'’])|[a-zA-Zµ]{1,3}(?![\\p{L}\\p{M}\\p{N}_\\-]))?",
  ),
  name: sticky(
    `[CF]#(?!${nameRest})|C\\+\\+(?!${nameRest})|[@#$]?(?:--?(?=\\p{L}))?${nameStart}${nameRest}*(?:(?:['’]|[\\-‐‑]|::|->|\\.(?!\\p{Lu}\\p{Ll}+(?![\\p{L}\\p{M}\\p{N}_.\\(])))${nameStart}${nameRest}*)*`,
  ),
  unspaced: sticky(`${unspacedScripts}[${unspacedScripts}\\p{M}]{0,${SEGMENT_LIMIT - 1}}\\p{M}*`),
  emoji: sticky(
    '(?:\\p{RI}{2}|[0-9#*]\\uFE0F?\\u20E3|(?:\\p{Emoji_Presentation}|\\p{Extended_Pictographic})(?:\\uFE0F|\\p{EMod})?[\\u{E0020}-\\u{E007F}]*(?:\\u200D(?:\\p{Emoji_Presentation}|\\p{Extended_Pictographic})(?:\\uFE0F|\\p{EMod})?)*)',
  ),
  marks: sticky('\\p{M}+'),
  /** One sign with its marks, or a run of the same sign. */
  sign: sticky('([\\p{P}\\p{S}])(?:\\1+|[\\p{M}\\p{Cf}]*)'),
  /** Anything left (controls, lone marks, unassigned), one character with its marks. */
  other: sticky('[^][\\p{M}\\p{Cf}]*'),
} as const;

const unspacedRun = new RegExp(unspacedScripts, 'v');
const startsDigit = /^[-+−±]?\p{Sc}?\p{Nd}/u;
const plainWord = /^[\p{L}\p{Nl}][\p{L}\p{Nl}\p{M}\p{Cf}]*(?:['’‐‑-][\p{L}\p{Nl}\p{M}\p{Cf}]+)*$/u;
const innerCapital = /\p{Ll}\p{Lu}/u;
const acronymDots = /^\p{L}(?:\.\p{L})+$/u;

/** Where a sticky pattern that starts at `at` ends, or `at` when it does not match there. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

const isAsciiLetter = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
const isAsciiDigit = (code: number): boolean => code >= 48 && code <= 57;
/** Characters that may end an ASCII word without a look at what follows: blanks, newlines and most signs. */
const endsWord = (code: number): boolean =>
  code <= 32 ||
  code === 44 || // ,
  code === 59 || // ;
  code === 33 || // !
  code === 63 || // ?
  code === 34 || // "
  code === 40 || // (
  code === 41; // )

interface Collector {
  readonly starts: number[];
  readonly ends: number[];
  readonly kinds: GroupKind[];
}

function push(into: Collector, start: number, end: number, kind: GroupKind): number {
  into.starts.push(start);
  into.ends.push(end);
  into.kinds.push(kind);
  return end;
}

/** True when a word that ends at `at` needs no second look: a blank, an ordinary sign or the end follows. */
function isQuiet(text: string, at: number): boolean {
  if (at === text.length) return true;
  const code = text.charCodeAt(at);
  if (endsWord(code)) return true;
  // a full stop or colon before a blank or the end
  return (code === 46 || code === 58) && (at + 1 === text.length || text.charCodeAt(at + 1) <= 32);
}

/** End of a plain word of ASCII letters when what follows needs no second look, else -1. */
function shortWordEnd(text: string, at: number): number {
  let wasLower = false;
  for (let i = at; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0;
    const lower = code >= 97 && code <= 122;
    if (!lower && !(code >= 65 && code <= 90)) return i > at && isQuiet(text, i) ? i : -1;
    if (wasLower && !lower) return -1;
    wasLower = lower;
  }
  return -1;
}

/** Trailing signs of a URL belong to the sentence around it; a closing bracket does when it was not opened inside. */
function trimUrl(text: string, start: number, end: number): number {
  let opened = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === 40) opened++;
    else if (code === 41) opened--;
  }
  let i = end;
  for (; i > start; i--) {
    const last = text.charAt(i - 1);
    if (last === ')' && opened < 0) opened++;
    else if (!".,;:!?'*]".includes(last)) break;
  }
  return i;
}

function kindOfName(name: string): GroupKind {
  if (plainWord.test(name)) return innerCapital.test(name) ? 'identifier' : 'word';
  return acronymDots.test(name) ? 'word' : 'identifier';
}

/** `and/or` is a word; `a/b/c`, `./x` and `src/main.ts` are paths; null = no separator inside, not a path at all. */
function kindOfPath(found: string): GroupKind | null {
  const parts = found.split(/[/\\]/);
  if (parts.length === 1) return null;
  const first = parts[0] ?? '';
  if (first === '' || first === '~' || first === '.' || first === '..' || first.endsWith(':'))
    return 'path';
  if (parts.length > 2 || parts[1] === '' || /[._\d-]/.test(found)) return 'path';
  return 'word';
}

/** End and kind of a number, or null when the digits are the start of a name (`3d-model`, `4f2a91c`). */
function readNumber(text: string, at: number): { end: number; kind: GroupKind } | null {
  const end = endOf(patterns.number, text, at);
  if (end === at) return null;
  const longer = endOf(patterns.name, text, at);
  // `2024-01-31` is as long both ways; a name that goes on after the number wins
  return longer > end ? null : { end, kind: 'number' };
}

/** A group that starts with a letter, digit or sign that may begin a name; null = none of these. */
function readAtom(text: string, at: number): { end: number; kind: GroupKind } | null {
  const url = endOf(patterns.url, text, at);
  if (url > at) {
    const trimmed = trimUrl(text, at, url);
    if (trimmed > at) return { end: trimmed, kind: 'url' };
  }
  const email = endOf(patterns.email, text, at);
  if (email > at) return { end: email, kind: 'email' };
  const number = startsDigit.test(text.slice(at, at + 3)) ? readNumber(text, at) : null;
  const path = readPath(text, at);
  if (number !== null && (path === null || path.end <= number.end)) return number;
  if (path !== null) return path;
  const end = endOf(patterns.name, text, at);
  return end === at ? null : { end, kind: kindOfName(text.slice(at, end)) };
}

function readPath(text: string, at: number): { end: number; kind: GroupKind } | null {
  let end = endOf(patterns.path, text, at);
  if (end === at) return null;
  while (end > at && /[.\-=%+~]/.test(text.charAt(end - 1))) end--;
  const kind = end > at ? kindOfPath(text.slice(at, end)) : null;
  return kind === null ? null : { end, kind };
}

function segmentRun(text: string, start: number, end: number, into: Collector): void {
  if (end - start === 1) {
    push(into, start, end, 'cjk');
    return;
  }
  for (const { index, segment } of segmenter.segment(text.slice(start, end)))
    push(into, start + index, start + index + segment.length, 'cjk');
}

const segmenter = new Intl.Segmenter('und', { granularity: 'word' });

const isLineBreak = (code: number): boolean =>
  code === 10 || code === 13 || code === 0x85 || code === 0x2028 || code === 0x2029;

/** Reads one group (or blank) at `at`; returns where it ends. */
function readOne(text: string, at: number, into: Collector): number {
  const code = text.charCodeAt(at);
  if (code === 32 || code === 9) return at + 1;
  const short = shortWordEnd(text, at);
  if (short > 0) return push(into, at, short, 'word');
  if (isLineBreak(code)) return push(into, at, endOf(patterns.newline, text, at), 'newline');
  const wide = code > 127 ? readWide(text, at, into) : readKeycap(text, at, into);
  if (wide > at) return wide;
  const atom = mayStartAtom(text, at, code) ? readAtom(text, at) : null;
  if (atom !== null) return push(into, at, withMarks(text, atom.end), atom.kind);
  const sign = endOf(patterns.sign, text, at);
  return push(into, at, sign > at ? sign : endOf(patterns.other, text, at), 'punctuation');
}

/** Combining marks stay with what stands before them, whatever that is. */
function withMarks(text: string, end: number): number {
  return end < text.length && text.charCodeAt(end) > 0x2ff ? endOf(patterns.marks, text, end) : end;
}

/** `1️⃣`: an ASCII character that begins an emoji sequence; `at` when it does not. */
function readKeycap(text: string, at: number, into: Collector): number {
  const next = text.charCodeAt(at + 1);
  if (next !== 0xfe0f && next !== 0x20e3) return at;
  const end = endOf(patterns.emoji, text, at);
  return end > at ? push(into, at, end, 'emoji') : at;
}

/** Characters beyond ASCII: blanks, scripts without spaces, plain words, emoji; `at` when it is none of them. */
function readWide(text: string, at: number, into: Collector): number {
  const run = endOf(patterns.unspaced, text, at);
  if (run > at) {
    segmentRun(text, at, run, into);
    return run;
  }
  const word = endOf(patterns.plain, text, at);
  if (word > at && isQuiet(text, word)) return push(into, at, word, 'word');
  const blank = endOf(patterns.blank, text, at);
  if (blank > at) return blank;
  const emoji = endOf(patterns.emoji, text, at);
  return emoji > at ? push(into, at, emoji, 'emoji') : at;
}

/** Signs begin a number, path or name only directly before one, and only where no word ended just before. */
function mayStartAtom(text: string, at: number, code: number): boolean {
  if (isAsciiLetter(code) || isAsciiDigit(code) || code === 95 || code > 127) return true;
  if (!'-+$#@/~.\\'.includes(text.charAt(at))) return false;
  if (at + 1 >= text.length || text.charCodeAt(at + 1) <= 32) return false;
  return at === 0 || !/[\p{L}\p{N}_)\]]/u.test(text.charAt(at - 1));
}

/**
 * Splits a text into word groups; what lies between two groups is blank (spaces, tabs, other white space that is
 * no line break). Groups never overlap, never split a surrogate pair, keep combining marks with their base, and
 * keep URLs, e-mail addresses, paths, numbers with units, identifiers, contractions and emoji sequences whole.
 *
 * Runs in linear time. Offsets are UTF-16 units.
 */
export function wordGroups(text: string): WordGroups {
  const into: Collector = { starts: [], ends: [], kinds: [] };
  let at = 0;
  while (at < text.length) at = readOne(text, at, into);
  return {
    starts: Uint32Array.from(into.starts),
    ends: Uint32Array.from(into.ends),
    kinds: into.kinds,
  };
}

/** True when the character is written without spaces between words (Han, Kana, Thai, Lao, Khmer, Myanmar). */
export function isUnspaced(character: string): boolean {
  return unspacedRun.test(character);
}
