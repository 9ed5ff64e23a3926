/** Added tokens that are ordinary vocabulary (`<tool_call>`, runs of blanks): units of their own in any text. */
import type { AddedToken } from './definition.ts';

/** A stretch of text; `token` = it is this added token, null = it is plain text. */
export interface Stretch {
  readonly token: number | null;
  readonly from: number;
  readonly to: number;
}

/** Cuts a text at added tokens that are ordinary vocabulary (longest first). */
export function addedTokenCutter(
  added: readonly AddedToken[],
): (text: string) => Iterable<Stretch> {
  if (added.length === 0)
    return (text) => (text.length > 0 ? [{ token: null, from: 0, to: text.length }] : []);
  const byContent = new Map(added.map((token) => [token.content, token]));
  const literals = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(
    literals.map((literal) => literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'),
    'g',
  );
  return function* (text) {
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      const token = byContent.get(match[0]);
      if (token === undefined || match.index < at) continue;
      let from = match.index;
      let to = from + match[0].length;
      if (token.lstrip) from -= blankBefore(text, at, from);
      if (token.rstrip) while (to < text.length && /\s/.test(text.charAt(to))) to++;
      if (from > at) yield { token: null, from: at, to: from };
      yield { token: token.id, from, to };
      at = to;
    }
    if (at < text.length) yield { token: null, from: at, to: text.length };
  };
}

function blankBefore(text: string, from: number, to: number): number {
  let count = 0;
  while (to - count > from && /\s/.test(text.charAt(to - count - 1))) count++;
  return count;
}
