/** Long texts are cut in batches: the pieces and counts are those of the whole text, whoever comes in between. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { runSteps } from '../../src/core/steps.ts';
import { cutRules, cutText } from '../../src/tokenize/cut.ts';
import { isRecord, readDefinition } from '../../src/tokenize/definition.ts';
import { countInSteps, encodeInSteps } from '../../src/tokenize/in-steps.ts';
import { type Library, openLibrary } from '../../src/tokenize/library.ts';
import { createTextTokenizer } from '../../src/tokenize/text-tokenizer.ts';
import type { TextTokenizer } from '../../src/tokenize/types.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import { mixedText } from './helpers.ts';

const scout = readJson(join('models', 'scout', 'tokenizer.json'));
const causal = readJson(join('test', 'fixtures', 'models', 'tiny-causal', 'tokenizer.json'));
const classifier = readJson(
  join('test', 'fixtures', 'models', 'tiny-classifier', 'tokenizer.json'),
);

function readJson(path: string): Record<string, unknown> {
  const json: unknown = JSON.parse(readFileSync(path, 'utf8'));
  assert.ok(isRecord(json));
  return json;
}

const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
const split = (Regex: string, behavior = 'Isolated', invert = false): unknown => ({
  type: 'Split',
  pattern: { Regex },
  behavior,
  invert,
});
const sequence = (...pretokenizers: unknown[]): unknown => ({ type: 'Sequence', pretokenizers });

/** Rules as published tokenizers combine them. */
const splitters: Readonly<Record<string, unknown>> = {
  'as shipped': scout['pre_tokenizer'],
  'byte-level expression': causal['pre_tokenizer'],
  'lines, then the byte-level expression': sequence(split('\n'), { ...bytes, use_regex: true }),
  'digits, then unspaced scripts, then words': sequence(
    split('\\p{N}{1,3}'),
    split('[一-龥぀-ゟ゠-ヿ]+'),
    split('[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'),
    bytes,
  ),
  'single digits and signs': sequence(
    { type: 'Digits', individual_digits: true },
    { type: 'Punctuation' },
    bytes,
  ),
  'matches that may be empty': sequence(split('\\p{Lu}*'), bytes),
  'only what matches': sequence(split('\\p{L}+', 'Isolated', true), bytes),
  'without blanks': sequence(split('\\s+', 'Removed'), bytes),
};

/** Texts above and below the length from which they are cut in batches. */
const longText = fc
  .tuple(fc.array(mixedText, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 120 }))
  .map(([parts, times]) => parts.join(' ').repeat(times).slice(0, 12_000));

const opened = (pre_tokenizer: unknown): Library =>
  openLibrary(readDefinition({ ...scout, pre_tokenizer }).json, {});

for (const [name, rules] of Object.entries(splitters)) {
  test(`pieces of the whole text: ${name}`, () => {
    const library = opened(rules);
    const signs = library.preTokenizers.at(-1)?.part.byte_encoder ?? {};
    const encoder = new TextEncoder();
    const spelt = (piece: string): string =>
      Array.from(encoder.encode(piece), (byte) => signs[byte] ?? '').join('');
    fc.assert(
      fc.property(longText, (text) => {
        const whole = library.preTokenizer?.pre_tokenize(text) ?? [];
        const batches = [...cutText(text, cutRules(library.preTokenizers))];
        const visible = (pieces: string[]): string[] => pieces.filter((piece) => piece !== '');
        assert.deepEqual(visible(batches.flat().map(spelt)), visible(whole));
      }),
      { numRuns: 25 },
    );
  });
}

const tokenizers: Readonly<Record<string, TextTokenizer>> = {
  scout: textTokenizer(scout),
  'composed characters first': textTokenizer({ ...scout, normalizer: { type: 'NFC' } }),
  'word pieces': textTokenizer(classifier),
  'no steps of its own': fakeTokenizer(),
};

function textTokenizer(json: Record<string, unknown>): TextTokenizer {
  const definition = readDefinition(json);
  return createTextTokenizer({ id: 'test', estimated: true, definition, config: {} });
}

for (const [name, tokenizer] of Object.entries(tokenizers)) {
  test(`counts and offsets in steps, two texts by turns: ${name}`, () => {
    fc.assert(
      fc.property(longText, longText, (one, two) => {
        const first = encodeInSteps(tokenizer, one);
        const second = countInSteps(tokenizer, two);
        // each takes a step, then the other: what they share must not mix them up
        first.next();
        const counted = second.next();
        const encoded = runSteps(first);
        const count = counted.done === true ? counted.value : runSteps(second);
        if (encoded !== undefined) assert.deepEqual(encoded, tokenizer.encode(one));
        assert.equal(count, tokenizer.encode(two).ids.length);
        assert.equal(tokenizer.count(one), tokenizer.encode(one).ids.length);
      }),
      { numRuns: 25 },
    );
  });
}

test('text that composing leaves alone is read as without composing', () => {
  const plain = textTokenizer(scout);
  const composing = textTokenizer({ ...scout, normalizer: { type: 'NFC' } });
  fc.assert(
    fc.property(longText, (text) => {
      const composed = text.normalize('NFC');
      assert.deepEqual(composing.encode(composed), plain.encode(composed));
      assert.deepEqual([...composing.encode(text).ids], [...plain.encode(composed).ids]);
    }),
    { numRuns: 25 },
  );
});

test('a long text is left often: no stretch holds more than a few thousand characters', () => {
  const { scout: tokenizer } = tokenizers;
  assert.ok(tokenizer?.countSteps !== undefined);
  const text = 'The harbour station opened in 1931, after a long winter. '.repeat(2_000);
  let stops = 0;
  const steps = tokenizer.countSteps(text);
  while (steps.next().done !== true) stops += 1;
  assert.ok(stops >= text.length / 4_096, `${stops} stops`);
});
