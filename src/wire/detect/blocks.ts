/** Fenced code and tag pairs: the blocks that carry their own ends. One pass with a stack per tag name. */
import { headAt, startOf } from './lines.ts';
import type { Lines, Range } from './lines.ts';
import { documentTags, exampleTags, instructionTags, metadataTags } from './tables.ts';

export type TagClass = 'document' | 'metadata' | 'instruction' | 'example';

export interface Fence extends Range {
  /** First word after the opening fence, lower case. */
  readonly language: string;
  readonly innerStart: number;
  readonly innerEnd: number;
}

export interface TagPair extends Range {
  readonly name: string;
  readonly tag: TagClass;
  readonly innerStart: number;
  readonly innerEnd: number;
}

export interface Blocks {
  readonly fences: readonly Fence[];
  readonly tags: readonly TagPair[];
}

interface OpenFence {
  readonly mark: string;
  readonly language: string;
  readonly line: number;
  /** Tag openings seen inside, whose closings belong to the fence too. */
  openings: number;
}

interface OpenTag {
  readonly start: number;
  readonly end: number;
  /** False for a tag in the middle of a sentence: it only keeps its own closing tag from closing another. */
  readonly block: boolean;
}

const fenceLine = /^(`{3,}|~{3,})\s*([\w+#.-]{0,30})([^`]*)$/;
/** Units after the language of an opening fence; more is text that happens to follow backticks. */
const longestInfo = 60;
const tagPattern = /<(\/?)([A-Za-z_\u0080-\uffff][\w\u0080-\uffff.-]{0,40})((?:\s[^<>]{0,300})?)>/g;

/** Class of a tag name, or null when the tag says nothing about documents. */
export function tagClassOf(name: string): TagClass | null {
  const plain = name.toLowerCase().replace(/[-_]?\d+$/, '');
  if (exampleTags.has(plain)) return 'example';
  if (instructionTags.has(plain)) return 'instruction';
  if (documentTags.has(plain)) return 'document';
  if (metadataTags.has(plain)) return 'metadata';
  const last = plain.slice(Math.max(plain.lastIndexOf('_'), plain.lastIndexOf('-')) + 1);
  if (instructionTags.has(last) || last === 'prompt') return 'instruction';
  if (exampleTags.has(last)) return 'example';
  return documentTags.has(last) ? 'document' : null;
}

/** All closed fences and tag pairs, each list ascending; pairs may nest. Unclosed openings are left out. */
export function blocksOf(lines: Lines): Blocks {
  const reader: Reader = { lines, stacks: new Map(), fences: [], tags: [], fence: null };
  let angle = lines.text.indexOf('<');
  for (let line = 0; line < lines.count; line += 1) {
    const head = headAt(lines, line);
    const first = head.charCodeAt(0);
    const mark = first === 96 || first === 126 ? fenceLine.exec(head) : null;
    if (mark !== null) {
      readFence(reader, mark, line);
      continue;
    }
    // the next `<` of the text is looked for once, not from every line
    if (angle >= 0 && angle < startOf(lines, line))
      angle = lines.text.indexOf('<', startOf(lines, line));
    if (angle >= 0 && angle < startOf(lines, line + 1)) readTags(reader, line);
  }
  const tags = reader.tags.sort((a, b) => a.start - b.start || b.end - a.end);
  return { fences: reader.fences, tags };
}

/** State of the pass. */
interface Reader {
  readonly lines: Lines;
  readonly stacks: Map<string, OpenTag[]>;
  readonly fences: Fence[];
  readonly tags: TagPair[];
  /** The fence that is open, or null. */
  fence: OpenFence | null;
}

function readFence(reader: Reader, mark: RegExpExecArray, line: number): void {
  const { fence } = reader;
  const closed = fence === null ? null : closing(reader.lines, fence, mark, line);
  if (closed !== null) {
    reader.fences.push(closed);
    reader.fence = null;
    return;
  }
  if (fence !== null || (mark[3] ?? '').length > longestInfo) return;
  const language = (mark[2] ?? '').toLowerCase();
  reader.fence = { mark: mark[1] ?? '', language, line, openings: 0 };
}

function closing(lines: Lines, open: OpenFence, mark: RegExpExecArray, line: number): Fence | null {
  const marks = mark[1] ?? '';
  if (marks[0] !== open.mark[0] || marks.length < open.mark.length || mark[2] !== '') return null;
  return {
    start: startOf(lines, open.line),
    end: startOf(lines, line + 1),
    innerStart: startOf(lines, open.line + 1),
    innerEnd: startOf(lines, line),
    language: open.language,
  };
}

/** Reads the tags of one line. One that closes a pair opened before the fence ends the fence, as unclosed. */
function readTags(reader: Reader, line: number): void {
  const { lines } = reader;
  const start = startOf(lines, line);
  const source = lines.text.slice(start, startOf(lines, line + 1));
  for (const match of source.matchAll(tagPattern)) {
    const name = (match[2] ?? '').toLowerCase();
    const tag = tagClassOf(name);
    if (tag === null || (match[3] ?? '').endsWith('/')) continue;
    const at = start + match.index;
    const place = {
      start: at,
      end: at + match[0].length,
      block: opensBlock(lines.text, at, start),
    };
    const { fence } = reader;
    if (match[1] === '') {
      if (fence === null) pushOpen(reader.stacks, name, place);
      else fence.openings += 1;
    } else if (fence !== null && fence.openings > 0) fence.openings -= 1;
    else if (closeTag(reader, { name, tag }, place)) reader.fence = null;
  }
}

function closeTag(reader: Reader, named: { name: string; tag: TagClass }, close: OpenTag): boolean {
  const open = popOpen(reader.stacks.get(named.name), close.block);
  if (open === null || !open.block) return false;
  const { start, end: innerStart } = open;
  reader.tags.push({ ...named, start, innerStart, innerEnd: close.start, end: close.end });
  return true;
}

function pushOpen(stacks: Map<string, OpenTag[]>, name: string, open: OpenTag): void {
  const stack = stacks.get(name);
  if (stack === undefined) stacks.set(name, [open]);
  else stack.push(open);
}

/** A closing tag at the start of its line skips openings in mid-sentence that were never closed. */
function popOpen(stack: OpenTag[] | undefined, ownLine: boolean): OpenTag | null {
  let open = stack?.pop();
  while (ownLine && open !== undefined && !open.block && stack !== undefined && stack.length > 0) {
    open = stack.pop();
  }
  return open ?? null;
}

/**
 * A tag opens a block at the start of its line, right after another tag, or after a colon. Elsewhere it is talk
 * about a tag.
 */
function opensBlock(text: string, at: number, lineStart: number): boolean {
  let before = at - 1;
  while (before >= lineStart && text.charCodeAt(before) <= 32) before -= 1;
  if (before < lineStart) return true;
  const code = text[before];
  return code === '>' || code === ':' || code === '：';
}
