import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCompressor } from '../../src/compress/create.ts';
import { logTemplate } from '../../src/compress/structural/log.ts';
import type { ContentKind } from '../../src/core/span.ts';
import type { SegmentResult } from '../../src/compress/types.ts';
import { noScorers } from '../helpers/fake-scorer.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

const tokenizer = fakeTokenizer();
const structural = createCompressor('structural', {
  tokenizer,
  scorers: noScorers,
});

async function compress(
  content: ContentKind,
  text: string,
  more: { rate?: number; question?: string; literals?: string[] } = {},
): Promise<SegmentResult> {
  const result = await structural.compress({
    segments: [{ text, kind: 'tool-result', content, policy: 'compressible' }],
    question: more.question ?? '',
    instruction: '',
    budget: { type: 'rate', rate: more.rate ?? 0.5 },
    survivors: { classes: [], literals: more.literals ?? [], patterns: [] },
    options: {},
    minTokens: 0,
    signal: null,
  });
  const [segment] = result.segments;
  assert.ok(segment !== undefined);
  return segment;
}

/** Everything in `part` stands in `whole` at the same place, arrays in order. */
function isPartOf(part: unknown, whole: unknown): boolean {
  if (Array.isArray(part) && Array.isArray(whole)) {
    let at = 0;
    return part.every((item) => {
      while (at < whole.length && !isPartOf(item, whole[at])) at++;
      return at++ < whole.length;
    });
  }
  if (typeof part === 'object' && part !== null && typeof whole === 'object' && whole !== null)
    return Object.entries(part).every(([key, value]) =>
      isPartOf(value, Object.getOwnPropertyDescriptor(whole, key)?.value),
    );
  return Object.is(part, whole);
}

test('json: white space outside strings goes first and nothing else', async () => {
  const text =
    '{\n  "a b" : [ 1.0, 1e-7, 12345678901234567890 ],\n  "a b": "x  y\\n\\u00e9",\n  "c": {}\n}';
  const out = await compress('json', text, { rate: 0.95 });
  assert.equal(out.text, '{"a b":[1.0,1e-7,12345678901234567890],"a b":"x  y\\n\\u00e9","c":{}}');
});

test('json: under a budget elements and members go whole, and what stays parses', async () => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ id: `row-${i}`, note: `value ${i}`, n: i }));
  const text = JSON.stringify({ total: 40, rows }, null, 2);
  const out = await compress('json', text, { rate: 0.2, question: 'What is the note of row-27?' });
  const parsed: unknown = JSON.parse(out.text);
  assert.ok(isPartOf(parsed, JSON.parse(text)));
  assert.match(out.text, /"row-27","note":"value 27"/);
  assert.ok(out.tokensAfter <= out.tokensBefore * 0.2);
});

test('json: any value, any rate', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.json({ maxDepth: 4, stringUnit: 'grapheme' }),
      fc.constantFrom(0, 2),
      fc.double({ min: 0.1, max: 1, noNaN: true }),
      async (compact, indent, rate) => {
        const value: unknown = JSON.parse(compact);
        const text = JSON.stringify(value, null, indent);
        const out = await compress('json', text, { rate });
        if (typeof value === 'object') assert.ok(isPartOf(JSON.parse(out.text), value), out.text);
      },
    ),
    { numRuns: 300 },
  );
});

test('json lines keep one value a line', async () => {
  const lines = Array.from({ length: 30 }, (_, i) =>
    JSON.stringify({ at: i, event: `event${i % 3}` }),
  );
  const out = await compress('json', lines.join('\n'), { rate: 0.4, literals: ['"at":21'] });
  const kept = out.text.split('\n');
  assert.ok(kept.length > 3 && kept.length < 20);
  for (const line of kept) assert.ok(lines.includes(line), line);
  assert.ok(out.text.includes('"at":21'));
});

test('json: what is no json comes back whole', async () => {
  for (const text of [
    '{"a": 1,}',
    '{"a": 01}',
    '[1 2]',
    '{"a" 1}',
    '{"a": [}',
    'hello there',
    '{"a": 1} x',
  ])
    assert.equal((await compress('json', text)).skipped, 'no-method', text);
});

test('json: a text whose only value is too long loses only white space', async () => {
  const text = JSON.stringify({ body: 'word '.repeat(80) }, null, 4);
  const out = await compress('json', text, { rate: 0.3 });
  assert.deepEqual(JSON.parse(out.text), JSON.parse(text));
});

test('log: the odd line stays at a tenth of the tokens', async () => {
  const lines = Array.from(
    { length: 200 },
    (_, i) =>
      `2024-05-01 10:00:${String(i % 60).padStart(2, '0')} INFO worker[${i}] heartbeat ok seq=${i * 7}`,
  );
  lines[133] = '2024-05-01 10:02:13 ERROR disk controller: parity mismatch on /dev/sdb1';
  const out = await compress('log', lines.join('\n'), { rate: 0.1 });
  assert.ok(out.text.includes('parity mismatch'));
  for (const line of out.text.split('\n')) assert.ok(lines.includes(line));
});

test('log: lines of one kind have one template', () => {
  const template = logTemplate('worker[12] got 0xdeadbeef from 10.0.0.1:80 "a b"');
  assert.equal(template, logTemplate('worker[7] got 0xfeedface from 10.9.8.7:443 "c"'));
  assert.notEqual(template, logTemplate('worker[7] lost 0xfeedface from 10.9.8.7:443 "c"'));
});

const diff = `diff --git a/src/a.ts b/src/a.ts
index 1111111..2222222 100644
--- a/src/a.ts
+++ b/src/a.ts
@@ -1,9 +1,9 @@
 context one stays far away
 context two stays far away
 context three stays far away
-const limit = 10;
+const limit = 20;
 context four right after
 context five further off
 context six further off
diff --git a/src/b.ts b/src/b.ts
--- a/src/b.ts
+++ b/src/b.ts
@@ -5,3 +5,3 @@
 more context here as well
-old line
+new line
`;

test('diff: changes and their headers before context', async () => {
  const out = await compress('diff', diff, { rate: 0.75 });
  for (const line of [
    '-const limit = 10;',
    '+const limit = 20;',
    '-old line',
    '+new line',
    '@@ -1,9 +1,9 @@',
    '+++ b/src/b.ts',
  ])
    assert.ok(out.text.includes(line), line);
  assert.ok(!out.text.includes('context one'));
});

test('table: header and rule stay, the asked row stays', async () => {
  const rows = Array.from({ length: 30 }, (_, i) => `| City${i} | ${i * 1000} |`);
  const text = ['| City | People |', '| --- | ---: |', ...rows].join('\n');
  const out = await compress('table', text, {
    rate: 0.3,
    question: 'How many people live in City17?',
  });
  assert.ok(out.text.startsWith('| City | People |\n| --- | ---: |\n'));
  assert.ok(out.text.includes('| City17 | 17000 |'));
});

test('table: a quoted cell with line breaks is one row', async () => {
  const rows = Array.from(
    { length: 20 },
    (_, i) => `${i},"first line ${i}\nsecond line ${i}",x${i}`,
  );
  const out = await compress('table', ['id,text,code', ...rows].join('\n'), {
    rate: 0.4,
    question: 'x13',
  });
  assert.ok(out.text.includes('13,"first line 13\nsecond line 13",x13'));
  assert.equal((out.text.match(/"/g) ?? []).length % 2, 0);
});

test('search: a kept line brings its title', async () => {
  const items = Array.from(
    { length: 12 },
    (_, i) =>
      `${i + 1}. Result title ${i}\nhttps://site${i}.example/page\nSome snippet about topic${i} and more words here.`,
  );
  const out = await compress('search', items.join('\n\n'), { rate: 0.25, question: 'topic7' });
  assert.match(
    out.text,
    /8\. Result title 7\nhttps:\/\/site7\.example\/page\nSome snippet about topic7/,
  );
});

const code = `/**
 * Licence text that says a lot of things nobody asked about.
 */
import { a } from './a.js';

// A long explanation of what follows, in one line.
export function f(x) {
  const url = 'https://x.example'; // stays: shares its line with code
  const text = \`
// not a comment, part of a string
\`;
  /* gone */
  return a(x) + "/* no comment */";
}
// eslint-disable-next-line
`;

test('code: only comment lines go', async () => {
  const out = await compress('code', code, { rate: 0.2 });
  assert.ok(out.tokensAfter < out.tokensBefore);
  for (const line of code.split('\n').slice(3)) {
    const comment = line.startsWith('// A long') || line.trim() === '/* gone */';
    if (line.trim() !== '') assert.equal(out.text.includes(line), !comment, line);
  }
  assert.ok(!out.text.includes('Licence'));
});

test('code: Python strings are no comments', async () => {
  const python = `#!/usr/bin/env python\n# a comment\ndef f():\n    """Doc\n    # inside a string\n    """\n    # another comment\n    return '# no comment'\n`;
  const out = await compress('code', python, { rate: 0.2 });
  assert.equal(
    out.text,
    `#!/usr/bin/env python\ndef f():\n    """Doc\n    # inside a string\n    """\n    return '# no comment'\n`,
  );
});

test('code: an unclosed string means the language was guessed wrong', async () => {
  const out = await compress('code', 'let a = `x;\n// b\nlet c = 1;\nlet d = 2;\n', { rate: 0.2 });
  assert.equal(out.skipped, 'no-method');
});

test('markup: scripts and comments first, then whole blocks; tags stay balanced', async () => {
  const items = Array.from({ length: 20 }, (_, i) => `<li>Entry <b>${i}</b> about thing${i}</li>`);
  const text = `<html><head><script>var x = "<p>";</script><style>p { a: b }</style></head><body><!-- note --><p>Intro text</p><ul>${items.join('\n')}</ul></body></html>`;
  const mild = await compress('markup', text, { rate: 0.85 });
  assert.ok(
    !mild.text.includes('var x') && !mild.text.includes('note') && mild.text.includes('Intro'),
  );
  const out = await compress('markup', text, { rate: 0.3, question: 'thing11' });
  assert.ok(out.text.includes('<li>Entry <b>11</b> about thing11</li>'));
  const open: string[] = [];
  for (const [, slash, name] of out.text.matchAll(/<(\/?)(\w+)[^>]*>/g)) {
    if (slash === '') open.push(name ?? '');
    else assert.equal(open.pop(), name);
  }
  assert.deepEqual(open, []);
});

test('prose has no structure', async () => {
  assert.equal((await compress('prose', 'A sentence. Another one.')).skipped, 'no-method');
});
