/** One normal form for answers and texts, so that survival does not hang on typography. */

const han = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}`;
const betweenHan = new RegExp(String.raw`(?<=[${han}])\s+|\s+(?=[${han}])`, 'gu');

/**
 * NFKC and lower case; English articles and punctuation dropped; numbers canonical (1,250 = 1250, 50 % = 50%, 3.5
 * stays one number); white space collapsed, and removed beside Chinese and Japanese characters, which are compared
 * one by one.
 */
export function normalise(text: string): string {
  const plain = withoutPunctuation(text);
  const words = plain.replace(/(?<![\p{L}\p{N}])(?:a|an|the)(?![\p{L}\p{N}])/gu, ' ');
  // A text of articles only ("A" as an answer) keeps them: nothing would be left to look for.
  return collapse(words) === '' ? collapse(plain) : collapse(words);
}

function withoutPunctuation(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/(?<=\d),(?=\d{3}(?!\d))/g, '')
    .replace(/(?<=\d)\s+(?=%)/g, '')
    .replace(/(?!(?<=\d)\.(?=\d))(?!(?<=\d)%)[\p{P}\p{S}]/gu, ' ');
}

function collapse(text: string): string {
  return text.replace(betweenHan, '').replace(/\s+/g, ' ').trim();
}

/**
 * True when `answer` is a contiguous part of one of the texts, all in normal form. Letters or digits that go on at
 * either end do not count (17 is not in 2017), except between Chinese and Japanese characters.
 */
export function containsAnswer(texts: readonly string[], answer: string): boolean {
  const needle = normalise(answer);
  if (needle === '') return false;
  return texts.some((text) => {
    for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) {
      if (isWhole(text, at, at + needle.length)) return true;
    }
    return false;
  });
}

const letterOrDigit = new RegExp(String.raw`^(?![${han}])[\p{L}\p{N}]$`, 'u');

function isWhole(text: string, start: number, end: number): boolean {
  return !goesOn(text[start - 1], text[start]) && !goesOn(text[end - 1], text[end]);
}

function goesOn(left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  return letterOrDigit.test(left) && letterOrDigit.test(right);
}
