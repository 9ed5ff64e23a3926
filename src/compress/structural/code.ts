/** Code: only lines that are nothing but comment may go, never code. */
import type { Steps } from '../../core/steps.ts';
import { whyCode } from '../mask.ts';
import { rowScores } from './lines.ts';
import type { UnitPlan } from './plan.ts';

interface CommentSyntax {
  readonly line: readonly string[];
  readonly block: readonly (readonly [open: string, close: string])[];
  /** Delimiters of strings that may span lines. */
  readonly longStrings: readonly string[];
  /** Delimiters of strings that end with the line at the latest. */
  readonly strings: readonly string[];
}

const cLike: CommentSyntax = {
  line: ['//'],
  block: [['/*', '*/']],
  longStrings: ['"""', '`'],
  strings: ['"'],
};
const hashLike: CommentSyntax = {
  line: ['#'],
  block: [],
  longStrings: ['"""', "'''", '`'],
  strings: ['"', "'"],
};
const shell: CommentSyntax = { ...hashLike, longStrings: ['"', "'", '`'], strings: [] };
const dashLike: CommentSyntax = {
  line: ['--'],
  block: [['/*', '*/']],
  longStrings: [],
  strings: ['"', "'"],
};

/** Comments that tools read. */
const directive =
  /^\s*(?:#!|#\s*(?:type|noqa|pylint|mypy|fmt|isort|pragma|-\*-|region|endregion)|#(?:include|define|if|ifdef|ifndef|else|elif|endif|undef|error|line|import|\[)|\/\/\s*(?:go:|@ts-|eslint|prettier|biome|oxlint|istanbul|c8|v8|tslint|nolint|NOLINT|clang-format|export\b|\+build|region|endregion|@flow|\/\s*<)|\/\*\s*(?:eslint|global|istanbul|c8|webpack|@__PURE__|#__PURE__|!))/u;

/**
 * Comment lines as units that may go; everything else is forced. Null when the language cannot be told, or when
 * strings and comments do not balance under its rules.
 */
export function* planCode(text: string, question: string): Steps<UnitPlan | null> {
  const syntax = yield* syntaxOf(text);
  if (syntax === null) return null;
  const lines = yield* classify(text, syntax);
  if (lines === null || !lines.some((line) => line.comment)) return null;
  const starts = Uint32Array.from(lines, (line) => line.start);
  const ends = Uint32Array.from(lines, (line) => line.end);
  const scores = yield* rowScores(
    lines.map(({ comment, start, end }) => (comment ? text.slice(start, end) : '')),
    question,
  );
  const structure = whyCode('structure');
  const forced = Uint8Array.from(lines, ({ comment }) => (comment ? 0 : structure));
  return { units: { starts, ends }, scores, forced };
}

function* syntaxOf(text: string): Steps<CommentSyntax | null> {
  const count = function* (pattern: RegExp): Steps<number> {
    let found = 0;
    for (const _ of text.matchAll(pattern)) if (++found % 256 === 0) yield;
    yield;
    return found;
  };
  const c = yield* count(/[;{}]\s*$|^\s*\/\/|^\s*\/?\*/gmu);
  const hash = yield* count(/^\s*#\s|:\s*$|^\s*(?:def|import|from|elif|fi|done|end)\b/gmu);
  const dash = yield* count(/^\s*--\s|^\s*(?:SELECT|INSERT|CREATE|FROM|WHERE|local)\b/gimu);
  const best = Math.max(c, hash, dash);
  if (best < 2) return null;
  if (best === c) return /^\s*#\s/mu.test(text) && hash * 2 > c ? null : cLike;
  if (best === dash && dash > hash) return dashLike;
  if (/<<-?\s*['"]?\w/u.test(text)) return null; // here-documents hold anything
  return /^\s*(?:fi|done|esac)\b/mu.test(text) ? shell : hashLike;
}

interface CodeLine {
  readonly start: number;
  readonly end: number;
  readonly comment: boolean;
}

/** Walks the text once with the state of strings and block comments; null when it ends inside one. */
function* classify(text: string, syntax: CommentSyntax): Steps<CodeLine[] | null> {
  const lines: CodeLine[] = [];
  let open: string | null = null; // the delimiter that closes what is open
  let inComment = false;
  let steps = 0;
  for (const match of text.matchAll(/[^\n]*\n|[^\n]+$/gu)) {
    const line = match[0];
    const before = { open, inComment };
    let code = open !== null && !inComment;
    for (let i = 0; i < line.length;) {
      if (++steps % 2_048 === 0) yield;
      const step: Step = open === null ? stepOutside(line, i, syntax) : stepInside(line, i, open);
      if (step.code) code ||= !inComment;
      if (step.opens !== undefined) [open, inComment] = [step.opens, step.comment ?? false];
      else if (step.closes) [open, inComment] = [null, false];
      i += step.length;
    }
    const body = line.trimEnd();
    if (body.trim() === '') {
      if (before.open !== null) lines.push(span(match.index, line, before.inComment));
      continue;
    }
    lines.push(span(match.index, line, !code && !directive.test(body)));
  }
  return open === null ? lines : null;
}

function span(start: number, line: string, comment: boolean): CodeLine {
  const length = line.replace(/\r?\n$/u, '').length;
  return { start, end: start + Math.max(1, length), comment };
}

interface Step {
  readonly length: number;
  /** Something that is neither comment nor blank was read. */
  readonly code: boolean;
  readonly opens?: string;
  readonly comment?: boolean;
  readonly closes?: boolean;
}

function stepOutside(line: string, at: number, syntax: CommentSyntax): Step {
  const rest = line.length - at;
  if (syntax.line.some((mark) => line.startsWith(mark, at))) return { length: rest, code: false };
  for (const [mark, close] of syntax.block)
    if (line.startsWith(mark, at))
      return { length: mark.length, code: false, opens: close, comment: true };
  for (const mark of syntax.longStrings)
    if (line.startsWith(mark, at)) return { length: mark.length, code: true, opens: mark };
  const quote = syntax.strings.find((mark) => line.startsWith(mark, at));
  if (quote !== undefined) return { length: shortString(line, at, quote), code: true };
  return { length: 1, code: line.charAt(at).trim() !== '' };
}

function stepInside(line: string, at: number, close: string): Step {
  if (line.charAt(at) === '\\' && close !== '*/') return { length: 2, code: true };
  if (line.startsWith(close, at)) return { length: close.length, code: true, closes: true };
  return { length: 1, code: true };
}

/** Length of a string that ends on this line; to the end of the line when it is not closed. */
function shortString(line: string, at: number, quote: string): number {
  for (let i = at + 1; i < line.length; i++) {
    if (line.charAt(i) === '\\') i++;
    else if (line.charAt(i) === quote) return i + 1 - at;
  }
  return line.length - at;
}
