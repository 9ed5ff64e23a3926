/** A scanner for JSON text that keeps offsets: one group per lexeme or run of white space, one node per value. */
import { runSteps, type Steps } from '../../core/steps.ts';
import type { GroupRanges } from '../mask.ts';
import type { TextRange } from '../../tokenize/types.ts';

export interface JsonNode {
  readonly kind: 'scalar' | 'array' | 'object';
  /** Groups from the key (in an object) or the value's first lexeme to the value's last one, inclusive. */
  readonly first: number;
  last: number;
  readonly key: TextRange | null;
  readonly parent: JsonNode | null;
  readonly children: JsonNode[];
  /** Groups that the node needs when only some of its children stay: key, colon, brackets. */
  readonly syntax: number[];
  /** The comma after this node, or -1. */
  comma: number;
}

export interface JsonScan {
  readonly groups: GroupRanges;
  /** 1 = the group is white space that may go. */
  readonly blank: Uint8Array;
  readonly roots: readonly JsonNode[];
}

/** Shapes of lexemes only; `JSON.parse` decides whether a value is one. */
const lexeme = /([ \t\n\r]+)|"[^"\\]*(?:\\[^][^"\\]*)*"|-?\d[\d.eE+-]*|true|false|null|[[\]{},:]/y;

/** Deeper nesting than this is not looked into. */
const deepest = 200;

/** Null when the text is not one JSON value, or several on lines of their own. */
export function scanJson(text: string): JsonScan | null {
  return runSteps(scanSteps(text));
}

/** `scanJson` in steps. */
export function* scanSteps(text: string): Steps<JsonScan | null> {
  const groups = yield* lexemes(text);
  if (groups === null) return null;
  const parser = new Parser(text, groups);
  const roots: JsonNode[] = [];
  while (parser.at >= 0) {
    const root = yield* parser.value(null, null, 0);
    yield;
    if (root === null || !parses(text, groups, root)) return null;
    roots.push(root);
  }
  if (roots.length === 0) return null;
  for (let i = 1; i < roots.length; i++) {
    const group = (roots[i - 1]?.last ?? 0) + 1;
    const gap = text.slice(groups.starts[group], groups.ends[group]);
    if (groups.blank[group] !== 1 || !gap.includes('\n')) return null;
  }
  return { groups, blank: groups.blank, roots };
}

function parses(text: string, groups: GroupRanges, { first, last }: JsonNode): boolean {
  return isJson(text.slice(groups.starts[first], groups.ends[last]));
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Lexemes read between two places to stop. */
const lexemeStride = 1_024;

type Lexemes = GroupRanges & { readonly blank: Uint8Array };

function* lexemes(text: string): Steps<Lexemes | null> {
  const starts: number[] = [];
  const ends: number[] = [];
  const blank: number[] = [];
  for (let start = 0; start < text.length;) {
    if (starts.length % lexemeStride === 0) yield;
    lexeme.lastIndex = start; // the expression is shared: others may use it at every stop
    const match = lexeme.exec(text);
    if (match === null) return null;
    starts.push(start);
    start = lexeme.lastIndex;
    ends.push(start);
    blank.push(match[1] === undefined ? 0 : 1);
  }
  return {
    starts: Uint32Array.from(starts),
    ends: Uint32Array.from(ends),
    blank: Uint8Array.from(blank),
  };
}

class Parser {
  /** Group of the next lexeme, -1 at the end. */
  at: number;
  #values = 0;
  readonly #text: string;
  readonly #groups: Lexemes;

  constructor(text: string, groups: Lexemes) {
    this.#text = text;
    this.#groups = groups;
    this.at = this.#next(0);
  }

  #next(from: number): number {
    for (let i = from; i < this.#groups.starts.length; i++)
      if (this.#groups.blank[i] === 0) return i;
    return -1;
  }

  #character(): string {
    return this.at < 0 ? '' : this.#text.charAt(this.#groups.starts[this.at] ?? 0);
  }

  #step(): number {
    const here = this.at;
    this.at = this.#next(here + 1);
    return here;
  }

  *value(
    parent: JsonNode | null,
    key: { group: number; colon: number } | null,
    depth: number,
  ): Steps<JsonNode | null> {
    const opens = this.#character();
    if (opens === '' || ',:]}'.includes(opens) || depth > deepest) return null;
    const here = this.#step();
    const node: JsonNode = {
      kind: opens === '[' ? 'array' : opens === '{' ? 'object' : 'scalar',
      first: key?.group ?? here,
      last: here,
      key: key === null ? null : this.#range(key.group),
      parent,
      children: [],
      syntax: key === null ? [here] : [key.group, key.colon, here],
      comma: -1,
    };
    if (node.kind === 'scalar') return node;
    return (yield* this.#children(node, depth)) ? node : null;
  }

  #range(group: number): TextRange {
    return { start: this.#groups.starts[group] ?? 0, end: this.#groups.ends[group] ?? 0 };
  }

  *#children(node: JsonNode, depth: number): Steps<boolean> {
    const closes = node.kind === 'array' ? ']' : '}';
    let afterComma = false;
    while (this.#character() !== closes || afterComma) {
      if (++this.#values % lexemeStride === 0) yield;
      const child = yield* node.kind === 'array'
        ? this.value(node, null, depth + 1)
        : this.#member(node, depth);
      if (child === null) return false;
      node.children.push(child);
      afterComma = this.#character() === ',';
      if (afterComma) child.comma = this.#step();
      else if (this.#character() !== closes) return false;
    }
    node.last = this.#step();
    node.syntax.push(node.last);
    return true;
  }

  *#member(node: JsonNode, depth: number): Steps<JsonNode | null> {
    if (this.#character() !== '"') return null;
    const group = this.#step();
    if (this.#character() !== ':') return null;
    return yield* this.value(node, { group, colon: this.#step() }, depth + 1);
  }
}
