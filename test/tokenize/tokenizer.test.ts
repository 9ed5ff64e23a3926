/** Tokenizers: ids and offsets against the Rust library, special-token text, round trips. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import { mixedText, splitsPair } from './helpers.ts';

const models = join(import.meta.dirname, '../fixtures/models');
const causal = loadTokenizer(join(models, 'tiny-causal'));
const classifier = loadTokenizer(join(models, 'tiny-classifier'));

interface Row {
  readonly text: string;
  readonly ids: number[];
  readonly offsets: [number, number][];
}

for (const [name, tokenizer] of [
  ['tiny-causal', causal],
  ['tiny-classifier', classifier],
] as const)
  test(`${name}: ids and offsets are those of the Rust library`, () => {
    const rows = JSON.parse(readFileSync(join(models, name, 'expected.json'), 'utf8')) as Row[];
    assert.ok(rows.length >= 5);
    for (const { text, ids, offsets } of rows) {
      const found = tokenizer.encode(text);
      assert.deepEqual([...found.ids], ids, text);
      const pairs = Array.from(found.starts, (start, i) => [start, found.ends[i]]);
      assert.deepEqual(pairs, offsets, text);
    }
  });

test('byte-level text survives encoding and decoding; counts agree; offsets cover the text', () => {
  fc.assert(
    fc.property(mixedText, (text) => {
      const { ids, starts, ends } = causal.encode(text);
      assert.equal(causal.count(text), ids.length);
      assert.equal(causal.decode(ids), Buffer.from(text).toString());
      let at = 0;
      for (let i = 0; i < ids.length; i++) {
        const [start, end] = [starts[i]!, ends[i]!];
        assert.ok(start <= at && end >= at && end > start, 'no gap, and forward only');
        assert.ok(!splitsPair(text, start) && !splitsPair(text, end));
        at = end;
      }
      assert.equal(at, text.length);
    }),
    { numRuns: 300 },
  );
});

test('WordPiece offsets ascend, stay inside the text and split no pair', () => {
  fc.assert(
    fc.property(mixedText, (text) => {
      const { ids, starts, ends } = classifier.encode(text);
      assert.equal(classifier.count(text), ids.length);
      let at = 0;
      for (let i = 0; i < ids.length; i++) {
        const [start, end] = [starts[i]!, ends[i]!];
        assert.ok(start >= at && end > start && end <= text.length);
        assert.ok(!splitsPair(text, start) && !splitsPair(text, end));
        at = end;
      }
    }),
    { numRuns: 300 },
  );
});

test('the text of a special token is plain text', () => {
  for (const literal of ['<s>', '</s>', '<|endoftext|>']) {
    const special = causal.specialId(literal);
    assert.notEqual(special, null);
    const { ids } = causal.encode(`before ${literal} after`);
    assert.ok(!ids.includes(special!), literal);
    assert.equal(causal.decode(ids), `before ${literal} after`);
    assert.equal(causal.decode([special!]), literal);
  }
  for (const literal of ['[CLS]', '[SEP]', '[MASK]', '[UNK]']) {
    const special = classifier.specialId(literal)!;
    const { ids } = classifier.encode(`the ${literal} report`);
    if (literal !== '[UNK]') assert.ok(!ids.includes(special), literal);
    assert.ok(ids.length > 4, literal);
  }
  assert.equal(causal.specialId('<none>'), null);
});

/** Writes a tokenizer.json and opens it. */
function tokenizerOf(json: unknown, use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-tokenizer-'));
  try {
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json));
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const wordOf = (content: string, id: number, special: boolean): object => ({
  id,
  content,
  special,
  lstrip: false,
  rstrip: false,
  single_word: false,
  normalized: false,
});

test('Unigram with word borders: special pieces are out of reach, added words stay whole', () => {
  const pieces: [string, number][] = [
    ['<s>', 0],
    ['<unk>', 0],
    ...['▁', '▁the', '▁cat', 's', '<', '>', '/', 't', 'h', 'e'].map((piece): [string, number] => [
      piece,
      -piece.length,
    ]),
  ];
  const json = {
    added_tokens: [wordOf('<s>', 0, true), wordOf('<unk>', 1, true), wordOf('<tool>', 12, false)],
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    post_processor: null,
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 1, vocab: pieces },
  };
  tokenizerOf(json, (folder) => {
    const tokenizer = loadTokenizer(folder, { estimated: true });
    assert.equal(tokenizer.estimated, true);
    assert.match(tokenizer.id, /^sluice-tokenizer-.*:[0-9a-f]{12}$/);
    const { ids, starts, ends } = tokenizer.encode('the cats <s>');
    assert.ok(!ids.includes(0));
    assert.deepEqual([...ids], [3, 4, 5, 2, 6, 5, 7]);
    assert.deepEqual([...starts], [0, 3, 7, 8, 9, 10, 11]);
    assert.deepEqual([...ends], [3, 7, 8, 9, 10, 11, 12]);
    const mixed = tokenizer.encode('the<tool>☃☃ cat');
    assert.deepEqual([...mixed.ids].slice(0, 2), [3, 12]);
    assert.deepEqual([mixed.starts[1], mixed.ends[1]], [3, 9]);
    assert.equal(mixed.ends.at(-1), 15);
    assert.equal(tokenizer.count('the<tool>☃☃ cat'), mixed.ids.length);
  });
});

test('character BPE with byte fallback and a prepended blank (as LLaMA 2 does it)', () => {
  const vocabulary = [
    '<unk>',
    '<s>',
    '▁',
    't',
    'h',
    'e',
    'th',
    'the',
    '▁the',
    '<0xE2>',
    '<0x98>',
    '<0x83>',
  ];
  const json = {
    added_tokens: [wordOf('<unk>', 0, true), wordOf('<s>', 1, true)],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges: ['t h', 'th e', '▁ the'],
    },
  };
  tokenizerOf(json, (folder) => {
    const tokenizer = loadTokenizer(folder);
    const { ids, starts, ends } = tokenizer.encode('the the☃');
    assert.deepEqual([...ids], [8, 8, 9, 10, 11]);
    assert.deepEqual([...starts], [0, 3, 7, 7, 7]);
    assert.deepEqual([...ends], [3, 7, 8, 8, 8]);
  });
});

test('a normaliser that changes lengths keeps offsets into the original text', () => {
  const json = {
    added_tokens: [wordOf('[UNK]', 0, true)],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'Lowercase' }] },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: { '[UNK]': 0, fi: 1, '##ne': 2, caf: 3, '##é': 4, '3': 5 },
    },
  };
  tokenizerOf(json, (folder) => {
    const text = 'ﬁNE Cafe\u0301 ③ ☃';
    const { ids, starts, ends } = loadTokenizer(folder).encode(text);
    assert.deepEqual([...ids], [1, 2, 3, 4, 5, 0]);
    assert.deepEqual(
      Array.from(starts, (start, i) => text.slice(start, ends[i])),
      ['ﬁ', 'NE', 'Caf', 'e\u0301', '③', '☃'],
    );
  });
});

test('files that cannot be used are refused with a reason', () => {
  assert.throws(() => loadTokenizer('/no/such/folder'), { code: 'MODEL_INVALID' });
  tokenizerOf({ model: 3 }, (folder) =>
    assert.throws(() => loadTokenizer(folder), { code: 'MODEL_INVALID', message: /"model"/ }),
  );
  tokenizerOf(
    { model: { type: 'BPE', vocab: {}, merges: [] }, pre_tokenizer: { type: 'Nothing' } },
    (folder) => assert.throws(() => loadTokenizer(folder), { code: 'MODEL_INVALID' }),
  );
});
