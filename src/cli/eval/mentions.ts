/** Mentions that users miss first when they are gone: numbers, identifiers, negations. */

export type MentionKind = 'numbers' | 'identifiers' | 'negations';

/** How often each mention occurs. */
export type Mentions = ReadonlyMap<string, number>;

/**
 * `numbers`: digits with inner separators (dates, times, versions are one number), thousands separators removed; not
 * digits inside an identifier. `identifiers`: three or more word characters with a letter and a digit, an underscore
 * or a hump. `negations`: the negating word.
 */
const patterns: Readonly<Record<MentionKind, RegExp>> = {
  numbers: /(?<![A-Za-z\p{N}_]|[A-Za-z\p{N}_][-.])\d+(?:[.,:/-]\d+)*(?![A-Za-z_-]*\d)/gu,
  identifiers: /(?<![\w-])[A-Za-z0-9_][\w-]*\w(?![\w-])/gu,
  negations:
    /(?<![\p{L}])(?:not|no|never|none|nothing|nor|neither|without|cannot|\p{L}+n['’]t)(?![\p{L}])|[不没沒未无無]/giu,
};

export function mentionsOf(kind: MentionKind, text: string): Mentions {
  const counts = new Map<string, number>();
  for (const [found] of text.normalize('NFKC').matchAll(patterns[kind])) {
    if (kind === 'identifiers' && !isIdentifier(found)) continue;
    const mention = canonical(kind, found);
    counts.set(mention, (counts.get(mention) ?? 0) + 1);
  }
  return counts;
}

/** `1990s`, `10km` and `5th` are numbers with an ending; `mid-term` is a word. */
function isIdentifier(text: string): boolean {
  if (text.length < 3 || !/[A-Za-z]/.test(text) || /^\d+[A-Za-z]*$/.test(text)) return false;
  return /\d|_|[a-z][A-Z]/.test(text);
}

function canonical(kind: MentionKind, mention: string): string {
  if (kind === 'numbers') return mention.replace(/,(?=\d{3}(?!\d))/g, '');
  return kind === 'negations' ? mention.toLowerCase() : mention;
}

/**
 * Share of the input's mentions that the output still has; null when the input has none. Numbers and identifiers count
 * once each, however often they occur. Every negation counts: a second "not" stands for another statement.
 */
export function mentionsKept(kind: MentionKind, before: Mentions, after: Mentions): number | null {
  let total = 0;
  let kept = 0;
  for (const [mention, times] of before) {
    const wanted = kind === 'negations' ? times : 1;
    total += wanted;
    kept += Math.min(wanted, after.get(mention) ?? 0);
  }
  return total === 0 ? null : kept / total;
}
