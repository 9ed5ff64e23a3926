/** Worked examples: repeated labelled blocks in one string, or short user/assistant pairs before the last turn. */
import type { DetectedPart, TurnShape } from '../types.ts';
import { contentKindOf } from './content.ts';
import { roleOf, textAfter } from './labels.ts';
import type { Label } from './labels.ts';
import { headAt, startOf, trimRange } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import { demonstrationPart } from './parts.ts';
import { directiveShare, mostDirectives } from './requests.ts';
import { exampleHeading, exampleLabels, resultPhrase } from './tables.ts';

/** Complete examples that must be there before anything is called a demonstration. */
const fewestExamples = 2;
/** Units; above this a message is no few-shot turn. */
const longestTurn = 2000;

interface Block {
  readonly line: number;
  readonly endLine: number;
}

export interface Examples {
  /** One part per demonstration. */
  readonly parts: readonly DetectedPart[];
  /** What stands under the examples' own label above the real question; null = nothing does. */
  readonly material: (Range & { readonly detail: string }) | null;
}

/**
 * The last block is never a demonstration: it is the real question, or ends in it.
 * `labels` are those of the free lines, ascending; `free` tells whether a line may be used.
 */
export function findExamples(
  lines: Lines,
  labels: readonly Label[],
  free: (line: number) => boolean,
): Examples {
  for (const name of candidateNames(labels)) {
    const results = exampleLabels.get(name) ?? new Set<string>();
    const begins = labels.filter((label) => label.name === name).map((label) => label.line);
    const above = linesOfMaterial(lines, labels, begins, results);
    const blocks = blocksFrom(lines, above?.begins ?? begins);
    const examples = blocks.slice(0, -1).filter((block) => whole(block, free));
    const complete = examples.filter((block) => hasResult(lines, labels, block, results));
    if (complete.length < fewestExamples || complete.length < examples.length * 0.8) continue;
    const ended = above === null ? endLastWithItself(lines, labels, complete) : complete;
    const parts = ended.map((block) => {
      const range = { start: startOf(lines, block.line), end: startOf(lines, block.endLine) };
      const content = contentKindOf(lines.text.slice(range.start, range.end));
      return demonstrationPart(range, content, `examples "${name}:"`);
    });
    return { parts, material: above?.material ?? null };
  }
  return { parts: [], material: null };
}

/** Text behind the last example that is longer than this, and this many times the longest other one, is no part of it. */
const shortestMaterial = 400;
const materialOverExample = 4;

/**
 * What follows the last example up to the real question may be the material that the question is about: then the
 * example ends at the blank line before it. It shows by a context label or by its length.
 */
function endLastWithItself(
  lines: Lines,
  labels: readonly Label[],
  blocks: readonly Block[],
): readonly Block[] {
  const last = blocks.at(-1);
  if (last === undefined) return blocks;
  const lengthOf = ({ line, endLine }: Block): number =>
    startOf(lines, endLine) - startOf(lines, line);
  const others = blocks.slice(0, -1);
  const longest = others.reduce((most, block) => Math.max(most, lengthOf(block)), 0);
  const blank = firstBlankOf(lines, last);
  if (blank === null) return blocks;
  const rest = { line: blank, endLine: last.endLine };
  const announced = labelsIn(labels, rest).some((label) => {
    const role = roleOf(label);
    return role === 'context' || role === 'item';
  });
  // Examples that have such labels themselves are worked out over material of their own.
  const usual = others.some((block) =>
    labelsIn(labels, block).some((label) => roleOf(label) === 'context'),
  );
  const long = lengthOf(rest) > Math.max(shortestMaterial, materialOverExample * longest);
  if (usual || !(announced || long)) return blocks;
  return [...others, { line: last.line, endLine: blank + 1 }];
}

/** The first blank line inside a block, below its first line. */
function firstBlankOf(lines: Lines, block: Block): number | null {
  for (let line = block.line + 1; line < block.endLine; line += 1) {
    if (headAt(lines, line) === '') return line;
  }
  return null;
}

/** Labels that open examples, seen three times or more; the one that comes first wins. */
function candidateNames(labels: readonly Label[]): string[] {
  const counts = new Map<string, number>();
  for (const label of labels) {
    if (exampleLabels.has(label.name)) counts.set(label.name, (counts.get(label.name) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count > fewestExamples).map(([name]) => name);
}

interface Above {
  /** Lines where the blocks begin. */
  readonly begins: readonly number[];
  readonly material: Examples['material'];
}

/**
 * Where examples begin if each has its material above its question (`Meeting: ...`, then `Question: ...`): the lines of
 * the material's label, which stands above the first question and behind the result of every example. What follows the
 * last example's own paragraph is no part of it. null = they begin with their questions.
 */
function linesOfMaterial(
  lines: Lines,
  labels: readonly Label[],
  begins: readonly number[],
  results: ReadonlySet<string>,
): Above | null {
  const [first] = begins;
  const behind = begins.slice(1).map((endLine, at) => {
    const line = begins[at] ?? 0;
    return behindResult(labels, { line, endLine }, results);
  });
  const label = behind[0]?.next;
  const last = behind.at(-1);
  if (first === undefined || label === undefined || last === undefined) return null;
  const head = labelsIn(labels, { line: 0, endLine: first });
  const top = head.findLast(({ name }) => name === label.name);
  const inner = behind.slice(0, -1);
  if (top === undefined || inner.some(({ next }) => next?.name !== label.name)) return null;
  if (!isMaterial(lines, { line: top.line, endLine: first }, labels)) return null;
  const { next, endLine } = last;
  return {
    begins: [
      top.line,
      ...inner.map((block) => block.next?.line ?? 0),
      exampleEnd(lines, last, label.name),
    ],
    material: next?.name === label.name ? materialUnder(lines, next, endLine) : null,
  };
}

interface Behind {
  readonly result: Label | undefined;
  /** The first label below it that is no result. */
  readonly next: Label | undefined;
  readonly endLine: number;
}

function behindResult(
  labels: readonly Label[],
  block: Block,
  results: ReadonlySet<string>,
): Behind {
  const inside = labelsIn(labels, block);
  const at = inside.findIndex(({ name }) => results.has(name));
  const below = at < 0 ? [] : inside.slice(at + 1);
  const next = below.find(({ name }) => !results.has(name));
  return { result: inside[at], next, endLine: block.endLine };
}

/** Line where the last example ends: at the blank line below its result, or where something to read begins. */
function exampleEnd(lines: Lines, { result, next, endLine }: Behind, name: string): number {
  const blank = firstBlankOf(lines, { line: result?.line ?? endLine, endLine });
  const role = next === undefined ? null : roleOf(next);
  const reads = next?.name === name || role === 'context' || role === 'item';
  const read = next !== undefined && reads ? next.line : endLine;
  return Math.min(read, blank === null ? endLine : blank + 1);
}

/** Text to be read, not told what to do. */
function isMaterial(lines: Lines, block: Block, labels: readonly Label[]): boolean {
  const told = labelsIn(labels, block).some((label) => roleOf(label) === 'instruction');
  const text = lines.text.slice(startOf(lines, block.line), startOf(lines, block.endLine));
  return !told && directiveShare(text) <= mostDirectives;
}

/** What a label announces anyway is found there; a short text is left alone. */
function materialUnder(lines: Lines, label: Label, endLine: number): Examples['material'] {
  const block = { line: label.line, endLine };
  if (roleOf(label) !== null || !isMaterial(lines, block, [])) return null;
  const range = trimRange(lines.text, textAfter(lines, label), startOf(lines, endLine));
  if (range.end - range.start < shortestMaterial) return null;
  return { ...range, detail: `label "${label.name}:" of the examples` };
}

function blocksFrom(lines: Lines, begins: readonly number[]): Block[] {
  const opened = begins.map((line) => withHeading(lines, line));
  return opened.map((line, index) => ({ line, endLine: opened[index + 1] ?? lines.count }));
}

/** `Example 3:` right above belongs to the block. */
function withHeading(lines: Lines, line: number): number {
  let above = line - 1;
  if (headAt(lines, above) === '') above -= 1;
  return above >= 0 && exampleHeading.test(headAt(lines, above)) ? above : line;
}

function whole(block: Block, free: (line: number) => boolean): boolean {
  for (let line = block.line; line < block.endLine; line += 1) if (!free(line)) return false;
  return true;
}

/** A result label with text after it, or a phrase that states the result below the first line. */
function hasResult(
  lines: Lines,
  labels: readonly Label[],
  block: Block,
  results: ReadonlySet<string>,
): boolean {
  for (const label of labelsIn(labels, block)) {
    if (!results.has(label.name)) continue;
    const from = startOf(lines, label.line) + label.length;
    const rest = trimRange(lines.text, from, startOf(lines, block.endLine));
    if (rest.end > rest.start) return true;
  }
  for (let line = block.line + 1; line < block.endLine; line += 1) {
    if (resultPhrase.test(headAt(lines, line))) return true;
  }
  return false;
}

/** Labels of a block's lines: a binary search, so that many blocks stay linear. */
function labelsIn(labels: readonly Label[], block: Block): Label[] {
  let low = 0;
  let high = labels.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((labels[middle]?.line ?? 0) < block.line) low = middle + 1;
    else high = middle;
  }
  const inside: Label[] = [];
  for (let at = low; at < labels.length; at += 1) {
    const label = labels[at];
    if (label === undefined || label.line >= block.endLine) break;
    inside.push(label);
  }
  return inside;
}

/**
 * Which messages are halves of few-shot pairs. Pairs stand right after the system messages, are short, at least two,
 * and of one format: all users (or all assistants) begin with the same label, or every assistant answers with the
 * same shape (JSON, or one word) while the users ask independent things.
 */
export function demonstrationTurns(turns: readonly TurnShape[]): boolean[] {
  const pairs = leadingPairs(turns);
  const last = turns.at(-1);
  const few = pairs.length >= fewestExamples && last?.role === 'user';
  const until = (pairs.at(-1) ?? 0) + 2;
  if (!few || until !== turns.length - 1 || !sameFormat(turns, pairs, last.text)) {
    return turns.map(() => false);
  }
  const from = pairs[0] ?? 0;
  return turns.map((_turn, at) => at >= from && at < until);
}

/** Indices of the users of short alternating pairs right after the system messages, the last turn left out. */
function leadingPairs(turns: readonly TurnShape[]): number[] {
  let at = 0;
  while (turns[at]?.role === 'system' || turns[at]?.role === 'developer') at += 1;
  const pairs: number[] = [];
  for (; at + 2 < turns.length; at += 2) {
    if (!isShort(turns[at], 'user') || !isShort(turns[at + 1], 'assistant')) break;
    pairs.push(at);
  }
  return pairs;
}

function isShort(turn: TurnShape | undefined, role: TurnShape['role']): boolean {
  return turn !== undefined && turn.role === role && turn.text.length <= longestTurn;
}

function sameFormat(turns: readonly TurnShape[], pairs: readonly number[], last: string): boolean {
  const users = [...pairs.map((at) => turns[at]?.text ?? ''), last];
  const answers = pairs.map((at) => turns[at + 1]?.text ?? '');
  const opening = leadOf(users[0] ?? '');
  if (opening !== null && users.every((text) => leadOf(text) === opening)) return true;
  const shapes = new Set(answers.map(shapeOf));
  return shapes.size === 1 && !shapes.has('free');
}

/** Label before the first colon, when it is short. */
function leadOf(text: string): string | null {
  return /^\s*([\p{L}][\p{L}\p{N} _-]{0,30})[:：]/u.exec(text)?.[1]?.toLowerCase() ?? null;
}

function shapeOf(text: string): string {
  const plain = text.trim();
  if (/^[[{][\s\S]*[\]}]$/.test(plain)) return 'json';
  const lead = leadOf(plain);
  if (lead !== null) return `label ${lead}`;
  return /^[\p{L}\p{N}_/+-]{1,24}[.!]?$/u.test(plain) && plain !== '' ? 'word' : 'free';
}
