/**
 * Guards: what must survive, found before masking and verified after it.
 *
 * What applies where (the one place that says so):
 * - Declared `literals` and `patterns` survive always, whatever the method: the unit they stand in is kept, and
 *   `verifySurvivors` counts them afterwards.
 * - `classes` (number, identifier, negation, ...) apply to methods that drop words inside sentences, where losing one
 *   changes what the sentence says. A method that drops whole units (sentences, lines, documents, JSON members) keeps
 *   every number of a unit that it keeps, and is not asked to keep the units that hold numbers: hardly anything
 *   could be dropped otherwise. Such methods use `declaredOnly`.
 */
import type { SurvivorClass, Survivors } from './types.ts';
import type { TextRange } from '../tokenize/types.ts';
import type { GroupRanges } from './mask.ts';
import { runSteps, type Steps } from '../core/steps.ts';
import { negationMarks, negationWords } from './negations.ts';

/** The survivors that hold for methods that drop whole units. */
export function declaredOnly(survivors: Survivors): Survivors {
  return { classes: [], literals: survivors.literals, patterns: survivors.patterns };
}

const edge = String.raw`(?<![\p{L}\p{N}_])`;
const edgeAfter = String.raw`(?![\p{L}\p{N}_])`;

function negationPattern(): RegExp {
  const words = alternatives(negationWords);
  const marks = alternatives(negationMarks);
  const contracted = String.raw`\p{L}+n['’]t`;
  return new RegExp(`${edge}(?:${words}|${contracted})${edgeAfter}|${marks}`, 'giu');
}

function alternatives(lists: Readonly<Record<string, string>>): string {
  return [...new Set(Object.values(lists).flatMap((list) => list.split(' ')))].join('|');
}

/** Every quantifier is bounded or walks one class, so matching takes linear time on hostile text too. */
const classPatterns: Readonly<Record<SurvivorClass, RegExp>> = {
  number: /[+\-−±$€£¥]?\p{Nd}+(?:[.,:/٫٬]\p{Nd}+){0,8}(?:\s?%|‰|[eE][+-]?\d{1,4})?|[½¼¾⅓⅔]/gu,
  identifier: new RegExp(
    [
      String.raw`${edge}#\d{1,12}${edgeAfter}`, // #123
      String.raw`${edge}[@#][\p{L}_][\p{L}\p{N}_]{1,63}`, // @name
      String.raw`${edge}(?=[\p{L}\p{N}_-]{0,63}\p{N})(?=[\p{L}\p{N}_-]{0,63}\p{L})[\p{L}\p{N}_]+(?:-{1,3}[\p{L}\p{N}_]+){0,8}`, // A1, AB-12
      String.raw`${edge}_{0,4}[\p{L}\p{N}]{1,63}(?:_[\p{L}\p{N}]{0,63}){1,12}`, // snake_case
      String.raw`${edge}_{1,4}[\p{L}\p{N}]{1,63}`, // _private
      String.raw`${edge}(?=[\p{L}\p{N}]{0,62}\p{Ll}\p{Lu})[\p{L}\p{N}]{3,64}${edgeAfter}`, // camelCase, NIOServer, MegaRAID
      String.raw`${edge}[\p{L}_][\p{L}\p{N}_]{1,63}(?:(?:\.|::|->)[\p{L}_][\p{L}\p{N}_]{1,63}){1,12}(?:\(\))?`, // a.b
      String.raw`${edge}[\p{L}_][\p{L}\p{N}_]{1,63}\(\)`, // call()
    ].join('|'),
    'gu',
  ),
  url: /\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s<>"'`，。；）】]{1,2048}|\bwww\.[^\s<>"'`]{1,2048}|[\p{L}\p{N}._%+-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/giu,
  path: /(?<![\p{L}\p{N}_/])(?:[A-Za-z]:\\|\.{0,2}\/|~\/)[\p{L}\p{N}_.@+-]{1,255}(?:[/\\][\p{L}\p{N}_.@+-]{1,255}){0,31}\/?|(?<![\p{L}\p{N}_/])[\p{L}\p{N}_.-]{1,128}(?:\/[\p{L}\p{N}_.-]{1,128}){1,31}/gu,
  quoted:
    /"[^"\n]{1,160}"|“[^”\n]{1,160}”|«[^»\n]{1,160}»|「[^」\n]{1,160}」|『[^』\n]{1,160}』|《[^》\n]{1,160}》/gu,
  negation: negationPattern(),
  code: /```[^`]{0,20000}```|`[^`\n]{1,200}`/gu,
  'list-marker':
    /^[^\S\n]{0,40}(?:[-*+•‣▪·–](?=\s)|(?:\d{1,4}|\p{L})[.)](?=\s)|\(\w{1,4}\)(?=\s)|#{1,6}(?=\s))/gmu,
};

/** Where the survivors stand in a text: ascending by class, ranges may overlap. */
export function survivorRanges(text: string, survivors: Survivors): TextRange[] {
  return runSteps(rangeSteps(text, survivors));
}

function* rangeSteps(text: string, survivors: Survivors): Steps<TextRange[]> {
  const ranges: TextRange[] = [];
  for (const name of survivors.classes) yield* collect(text, classPatterns[name], ranges);
  for (const pattern of survivors.patterns) yield* collect(text, pattern, ranges);
  for (const literal of survivors.literals) {
    if (literal === '') continue;
    yield;
    for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length))
      ranges.push({ start: at, end: at + literal.length });
  }
  return ranges;
}

/** Matches between two places to stop. */
const matchStride = 128;

function* collect(text: string, pattern: RegExp, into: TextRange[]): Steps<void> {
  let done = 0;
  for (const match of text.matchAll(globalForm(pattern))) {
    if (done++ % matchStride === 0) yield;
    const leading = match[0].length - match[0].trimStart().length;
    const end = match.index + match[0].trimEnd().length;
    if (end > match.index + leading) into.push({ start: match.index + leading, end });
  }
}

function globalForm(pattern: RegExp): RegExp {
  return pattern.global ? pattern : new RegExp(pattern.source, `${pattern.flags}g`);
}

/** 1 for every group that a survivor touches. */
export function survivorGroups(
  text: string,
  groups: GroupRanges,
  survivors: Survivors,
): Uint8Array {
  return runSteps(survivorSteps(text, groups, survivors));
}

/** `survivorGroups` in steps. */
export function* survivorSteps(
  text: string,
  groups: GroupRanges,
  survivors: Survivors,
): Steps<Uint8Array> {
  const { starts, ends } = groups;
  const marked = new Uint8Array(starts.length);
  for (const { start, end } of yield* rangeSteps(text, survivors)) {
    for (let group = firstEndingAfter(ends, start); group < marked.length; group++) {
      if ((starts[group] ?? 0) >= end) break;
      marked[group] = 1;
    }
  }
  return marked;
}

function firstEndingAfter(ends: Uint32Array, offset: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Mentions of `text` that `output` no longer holds, as often as they occurred. A mention counts as present where its
 * characters stand unbroken and are not part of a longer word or number. Empty = everything survived.
 */
export function verifySurvivors(text: string, output: string, survivors: Survivors): string[] {
  return runSteps(verifySteps(text, output, survivors));
}

/** `verifySurvivors` in steps. */
export function* verifySteps(text: string, output: string, survivors: Survivors): Steps<string[]> {
  if (text === output) return [];
  const wanted = new Map<string, number>();
  for (const { start, end } of yield* rangeSteps(text, survivors)) {
    const mention = text.slice(start, end);
    wanted.set(mention, (wanted.get(mention) ?? 0) + 1);
  }
  const literals = new Set(survivors.literals);
  const missing: string[] = [];
  for (const [mention, times] of wanted) {
    yield;
    const inside = literals.has(mention);
    const enough = Math.min(times, occurrences(text, mention, inside));
    for (let i = occurrences(output, mention, inside); i < enough; i++) missing.push(mention);
  }
  return missing;
}

const wordCharacter = /[\p{L}\p{M}\p{N}_]/u;
const digit = /\p{Nd}/u;
const spaced =
  /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Devanagari}\p{N}_]/u;

/** Occurrences without overlap; `inside` also counts those inside longer words. */
function occurrences(text: string, mention: string, inside: boolean): number {
  let count = 0;
  for (let at = text.indexOf(mention); at >= 0;) {
    const standsAlone = inside || isBounded(text, at, at + mention.length);
    if (standsAlone) count++;
    at = text.indexOf(mention, standsAlone ? at + mention.length : at + 1);
  }
  return count;
}

function isBounded(text: string, start: number, end: number): boolean {
  return !continues(text, start, -1) && !continues(text, end - 1, 1);
}

/** Does the word or number at `offset` go on in the direction? */
function continues(text: string, offset: number, direction: 1 | -1): boolean {
  const own = text.charAt(offset);
  const next = text.charAt(offset + direction);
  if (!spaced.test(own) || next === '') return false;
  if (wordCharacter.test(next)) return spaced.test(next);
  return digit.test(own) && /[.,]/.test(next) && digit.test(text.charAt(offset + 2 * direction));
}
