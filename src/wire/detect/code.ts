/** Share of lines that read like program text. */
import type { Lines } from './lines.ts';

const statementEnd = /(?:[;{}]|\)\s*:|\):|=>|->|\{\s*\/\/.*|\},?|\);?|\\)$/;
const keywordStart =
  /^(?:import|from|export|package|use|using|include|def|class|async|await|function|fn|pub|func|const|let|var|static|public|private|protected|return|if|elif|else|for|while|switch|case|try|except|catch|finally|raise|throw|with|struct|enum|impl|interface|type|namespace|module|end|begin|void|int|float|double|string|bool|auto|template|typedef|lambda|yield|SELECT|INSERT|UPDATE|CREATE|FROM|WHERE)\b[^.!?]*[=({:;,)\]}]?/;
const callOrAssign = /^[\w$.[\]'"*&<>, ]+(?:\s*[-+*/|&:]?=\s*\S|\([^)]*\)?;?$|\(.*[({[,]$)/;
const commentStart = /^(?:\/\/|\/\*|\*\/|\* |\*$|#!|#include|#define|# |"""|--\s|@\w+|<!--)/;
const proseEnd = /[\p{L}\p{M}]{2}[.!?]["')]?$|[。！？]$/u;

/** Between 0 and 1 over the non-blank lines; comments count as half. A single line is never code. */
export function codeShare(lines: Lines): number {
  let total = 0;
  let points = 0;
  let strong = 0;
  for (let line = 0; line < lines.count; line += 1) {
    const head = lines.heads[line] ?? '';
    if (head === '') continue;
    total += 1;
    const value = codeValue(head);
    points += value;
    if (value === 1) strong += 1;
  }
  if (total < 3 || strong < 2 || strong < total * 0.25) return 0;
  return points / total;
}

function codeValue(head: string): number {
  if (commentStart.test(head)) return 0.5;
  if (statementEnd.test(head) && !/^[-*]\s/.test(head)) return 1;
  if (proseEnd.test(head) && head.length > 30) return 0;
  if (keywordStart.test(head) && /[=({:;,)\]}<>]/.test(head)) return 1;
  return callOrAssign.test(head) ? 1 : 0;
}
