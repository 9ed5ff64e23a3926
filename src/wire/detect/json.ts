/** Finds where a JSON value ends without building it. */

/**
 * End offset of the object or array that starts at `start`; when it is not closed before `limit` or a bracket does
 * not match, `~stop` (negative), where `stop` is how far the scan came. A structural scan: strings and brackets are followed, other tokens are only checked for letters that
 * JSON has not. One pass.
 */
export function jsonEnd(text: string, start: number, limit: number): number {
  const open: number[] = [];
  let at = start;
  while (at < limit) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      const end = stringEnd(text, at, limit);
      if (end < 0) return end;
      at = end;
      continue;
    }
    if (code === 123 || code === 91) open.push(code + 2);
    else if (code === 125 || code === 93) {
      if (open.pop() !== code) return ~at;
      if (open.length === 0) return looksLikeValue(text, start, at + 1) ? at + 1 : ~at;
    } else if (!allowed(code)) return ~at;
    at += 1;
  }
  return ~at;
}

/** Offset after the closing quote, or `~stop`; a raw line feed inside means this is no JSON string. */
function stringEnd(text: string, quote: number, limit: number): number {
  for (let at = quote + 1; at < limit; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 92) at += 1;
    else if (code === 34) return at + 1;
    else if (code === 10) return ~at;
  }
  return ~limit;
}

/** White space, digits, `+ - . , :` and the letters of `true`, `false`, `null`, `NaN` and exponents. */
function allowed(code: number): boolean {
  if (code === 32 || (code >= 9 && code <= 13) || (code >= 43 && code <= 58 && code !== 47)) {
    return true;
  }
  return 'truefalsnNE'.includes(String.fromCharCode(code));
}

/** `[1]` and `{x}` are citations and placeholders, not data: an object needs a quoted key, an array a real element. */
function looksLikeValue(text: string, start: number, end: number): boolean {
  const inner = text.slice(start + 1, Math.min(end - 1, start + 200)).trimStart();
  if (text.charCodeAt(start) === 123) return inner === '' || inner.startsWith('"');
  return /^["[{]|^-?\d[\d.eE+-]*\s*,/.test(inner);
}
