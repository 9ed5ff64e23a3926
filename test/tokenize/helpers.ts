/** Text in several scripts for property tests. */
import fc from 'fast-check';

const words = [
  'the',
  'cat’s',
  "don't",
  'well-known',
  'naïve',
  'e\u0301te\u0301',
  'Straße',
  'U.S.',
  'Dr.',

  '3.14',
  '1,234,567',
  '2024-01-31',
  '12 kg',
  '$5.00',
  '50%',
  '10:30',
  '0x1F',
  'v1.2.3',
  '٣٫١٤',
  'https://a.b/c_(d)?e=f&g=1',
  'bob@mail.example.org',
  '/usr/local/bin',
  'C:\\x\\y.txt',
  'a/b',

  'snake_case',
  'camelCase',
  'os.path.join',
  'foo::bar',
  '3fa85f64-5717-4562-b3fc-2c963f66afa6',

  'Комитет',
  'собрался',
  'اجتمعت',
  'समिति',
  'बैठक',
  '한국어',
  '委员会星期一开会',
  '会議は月曜日に',
  'ภาษาไทยไม่มีช่องว่าง',
  'ພາສາລາວ',
  'ភាសាខ្មែរ',
  'မြန်မာဘာသာ',
  '👍🏽',
  '👩‍👩‍👧',
  '🇩🇪',
  '1️⃣',
  '𝒳𝒴',

  '<|endoftext|>',
  '[UNK]',
  '</s>',
  '…',
  '--',
  '“quoted”',
  '(',
  ')',
  '。',
  '！',
  '、',
  '।',
  '؟',
  '.',
  '?',
];
const blanks = [' ', '  ', '\n', '\n\n', '\t', '\r\n', '\u00a0', '\u3000', '', '- ', '1. '];

/** Mixed text: real words of many scripts, and now and then anything at all. */
export const mixedText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...words) },
      { weight: 4, arbitrary: fc.constantFrom(...blanks) },
      { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

/** True when a cut at `at` would part the halves of a surrogate pair. */
export function splitsPair(text: string, at: number): boolean {
  return (
    at > 0 &&
    at < text.length &&
    /[\uD800-\uDBFF]/.test(text.charAt(at - 1)) &&
    /[\uDC00-\uDFFF]/.test(text.charAt(at))
  );
}
