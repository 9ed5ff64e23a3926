/** Share of lines that read like program text. */
import type { Lines } from './lines.ts';

const statementEnd = /(?:[;{}]|\)\s*:|\):|=>|->|\},?|[\])],?;?|\\|&&|\|\|)$/;
const keywordStart =
  /^(?:import|from|export|package|use|using|include|def|class|async|await|function|fn|pub|func|const|let|var|static|public|private|protected|return|if|elif|else|for|while|switch|case|try|except|catch|finally|raise|throw|with|struct|enum|impl|interface|type|namespace|module|end|begin|void|int|float|double|string|bool|auto|template|typedef|lambda|yield|SELECT|INSERT|UPDATE|CREATE|FROM|WHERE)\b/;
const codeMark = /[=({:;,)\]}<>]/;
const wordImport =
  /^(?:import|from|package|use|using|return|pass|break|continue|else|try|end)\s?[\w.*:"'/@ -]*;?$/;
const callOrAssign =
  /^[\w$.[\]'"*&<>,: ]{1,120}?(?:\s?[-+*/|&:%]?=\s*\S|\([^)]{0,160}\)?[;,]?$|\([^)]{0,160}[({[,]$)/;
const memberLine =
  /^(?:[\w$"'.-]+\s?[:=]\s?\S.{0,200}[,;{([]|[-\w$."']+,|[.&|+?:]\s?[\w$(].{0,200})$/;
const lineComment = /^(?:\/\/|#(?!#*\s*\p{Lu}\p{Ll}+ [^#]{0,60}$)|--\s|@\w+|;;|%\s)/u;
const proseEnd = /[\p{L}\p{M}\d]{2}[.!?:,]["')]?$|[。！？]$/u;
const proseWords = /^(?:[-*]\s)?\p{L}+(?:[,]? \p{L}[\p{L}'’-]*){5,}/u;

/** Comment and documentation blocks: how they open and close. */
const commentBlocks: readonly { readonly open: RegExp; readonly close: RegExp }[] = [
  { open: /^\/\*/, close: /\*\/$|\*\/\s*\S{0,20}$/ },
  { open: /^[rbuf]{0,2}"""/i, close: /"""[),;\s]*$/ },
  { open: /^[rbuf]{0,2}'''/i, close: /'''[),;\s]*$/ },
  { open: /^<!--/, close: /-->$/ },
];
/** Lines after which an unclosed comment block is taken for no comment. */
const longestComment = 400;

/**
 * Between 0 and 1 over the lines outside comments; 0 for fewer than three lines or when hardly any line reads like a
 * statement. Comment lines count neither for nor against, but code needs statements worth a twenty-fifth of all lines.
 */
export function codeShare(lines: Lines): number {
  let statements = 0;
  let others = 0;
  let comments = 0;
  let line = 0;
  let plainUntil = 0;
  while (line < lines.count) {
    const head = lines.heads[line] ?? '';
    const block = head === '' || line < plainUntil ? 0 : commentLength(lines, line);
    // an unclosed block was read once; do not read the same lines again
    if (block < 0) plainUntil = line - block;
    if (block > 0) {
      comments += block;
      line += block;
      continue;
    }
    if (head !== '') {
      if (lineComment.test(head)) comments += 1;
      else if (isStatement(head)) statements += 1;
      else others += 1;
    }
    line += 1;
  }
  const total = statements + others + comments;
  if (total < 3 || statements < 2 || statements < total * 0.04) return 0;
  return statements / (statements + others);
}

/** Lines of the comment block that starts here; 0 when none does, minus the lines read when it does not end. */
function commentLength(lines: Lines, line: number): number {
  const head = lines.heads[line] ?? '';
  const kind = commentBlocks.find(({ open }) => open.test(head));
  if (kind === undefined) return 0;
  if (kind.close.test(head) && head.length > 5) return 1;
  const last = Math.min(lines.count, line + longestComment);
  for (let next = line + 1; next < last; next += 1) {
    if (kind.close.test(lines.heads[next] ?? '')) return next - line + 1;
  }
  return line - last;
}

function isStatement(head: string): boolean {
  if (proseEnd.test(head) && proseWords.test(head)) return false;
  if (statementEnd.test(head) && !/^[-*]\s/.test(head)) return !citationEnd.test(head);
  if (wordImport.test(head)) return true;
  if (keywordStart.test(head) && codeMark.test(head)) return true;
  return callOrAssign.test(head) || memberLine.test(head);
}

/** `... as shown before [12]` and `... (see above)` end with a bracket but are prose. */
const citationEnd = /^\p{Lu}?\p{L}+(?: [\p{L}\d,'’-]+){4,}.{0,200}[\])]$/u;
