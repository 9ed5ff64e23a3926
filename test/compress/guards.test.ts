import assert from 'node:assert/strict';
import { test } from 'node:test';
import { survivorGroups, survivorRanges, verifySurvivors } from '../../src/compress/guards.ts';
import type { SurvivorClass, Survivors } from '../../src/compress/types.ts';
import { wordGroups } from '../../src/tokenize/groups.ts';

const only = (...classes: SurvivorClass[]): Survivors => ({ classes, literals: [], patterns: [] });

const finds: readonly [SurvivorClass, string, string[]][] = [
  [
    'number',
    'It rose 12.5% to $1,250 on 2024-05-17 at 10:30.',
    ['12.5%', '$1,250', '2024', '-05', '-17', '10:30'],
  ],
  ['number', '第3章 ٣٫٥ ½', ['3', '٣٫٥', '½']],
  [
    'identifier',
    'call getUserName() in user_id of HTTPServer2 for AB-1234 and a.b_c by @alice',
    ['getUserName', 'user_id', 'HTTPServer2', 'AB-1234', 'b_c', '@alice'],
  ],
  [
    'identifier',
    'NIOServerCnxn on LabSZ with _pin, __all__ and host r5---sn-i3b7kn7r in a well-known town',
    ['NIOServerCnxn', 'LabSZ', '_pin', '__all__', 'r5---sn-i3b7kn7r'],
  ],
  [
    'url',
    'see https://a.example/x?y=1 or mail bob.b@mail.example now',
    ['https://a.example/x?y=1', 'bob.b@mail.example'],
  ],
  [
    'path',
    'open /etc/hosts or ./src/x.ts and C:\\dir\\f.txt',
    ['/etc/hosts', './src/x.ts', 'C:\\dir\\f.txt'],
  ],
  [
    'quoted',
    'he said "stop now" and «vite» and 「止まれ」',
    ['"stop now"', '«vite»', '「止まれ」'],
  ],
  ['negation', "It is not true, it isn't, and never was", ['not', "isn't", 'never']],
  ['negation', 'Das ist nicht wahr', ['nicht']],
  ['negation', 'Ce n’est pas vrai', ['pas']],
  ['negation', 'Это не правда', ['не']],
  ['negation', '这不是真的', ['不']],
  ['negation', '本当ではない', ['ない']],
  ['negation', 'Não é verdade', ['Não']],
  ['code', 'run `npm ci` first', ['`npm ci`']],
  ['list-marker', '- one\n2. two\n## three', ['-', '2.', '##']],
];

for (const [name, text, expected] of finds) {
  test(`${name}: ${text.slice(0, 30)}`, () => {
    const found = survivorRanges(text, only(name)).map(({ start, end }) => text.slice(start, end));
    for (const mention of expected)
      assert.ok(found.includes(mention), `${mention} in ${found.join(' | ')}`);
  });
}

test('words that only contain a negation are not one', () => {
  assert.deepEqual(survivorRanges('notable another knot', only('negation')), []);
});

test('marks every group that a survivor touches, and declared ones', () => {
  const text = 'keep the Blue Door 42 always';
  const groups = wordGroups(text);
  const marked = survivorGroups(text, groups, {
    classes: ['number'],
    literals: ['Blue Door'],
    patterns: [/alw\w+/u],
  });
  const kept = [...marked].flatMap((mark, i) =>
    mark ? [text.slice(groups.starts[i], groups.ends[i])] : [],
  );
  assert.deepEqual(kept, ['Blue', 'Door', '42', 'always']);
});

test('verification counts mentions, not substrings', () => {
  const text = 'port 80 and port 8080 and port 80';
  assert.deepEqual(verifySurvivors(text, 'port 80 8080 80', only('number')), []);
  assert.deepEqual(verifySurvivors(text, 'port 80 8080', only('number')), ['80']);
  assert.deepEqual(verifySurvivors(text, 'port 8080', only('number')), ['80', '80']);
  assert.deepEqual(verifySurvivors('3 of 3.5', '3.5', only('number')), ['3']);
  assert.deepEqual(verifySurvivors('不是 不是', '不是', only('negation')), ['不']);
});

test('a literal inside a longer word counts', () => {
  const survivors: Survivors = { classes: [], literals: ['lock'], patterns: [] };
  assert.deepEqual(verifySurvivors('a locksmith', 'locksmith', survivors), []);
  assert.deepEqual(verifySurvivors('a locksmith', 'a', survivors), ['lock']);
});

test('hostile text is scanned in linear time', () => {
  const all = only(
    'number',
    'identifier',
    'url',
    'path',
    'quoted',
    'negation',
    'code',
    'list-marker',
  );
  const texts = [
    'a'.repeat(200_000),
    '1.'.repeat(100_000),
    '"'.repeat(200_001),
    '_a'.repeat(100_000),
    'a/'.repeat(100_000),
    'a.'.repeat(100_000),
    '`'.repeat(200_000),
    'aB'.repeat(100_000),
    '- '.repeat(100_000),
  ];
  const started = performance.now();
  for (const text of texts) survivorRanges(text, all);
  // Quadratic behaviour takes minutes here; the bound only tells the two apart.
  assert.ok(performance.now() - started < 20_000);
});
