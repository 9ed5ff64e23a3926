/** Content kinds, few-shot message pairs, and what holds for every string. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { contentKindOf, demonstrationTurns, detectParts } from '../../src/wire/detect/detect.ts';
import type { StringPlace, TurnShape } from '../../src/wire/types.ts';
import * as m from './detect-cases/material.ts';

const lastUser: StringPlace = {
  role: 'user',
  lastUser: true,
  partType: null,
  demonstrationTurn: false,
};

const kinds: readonly [name: string, text: string, kind: string][] = [
  ['empty', '', 'prose'],
  ['prose', m.prose3, 'prose'],
  ['Chinese', m.chinese, 'prose'],
  ['Arabic', m.arabic, 'prose'],
  [
    'Markdown list',
    '- buy bread\n- write to Oona\n- call the harbour (before noon)\n- mend the net',
    'prose',
  ],
  ['prose with citations', `${m.lighthouse} [1]\n${m.river} (see above)\n${m.bakery} [2]`, 'prose'],
  [
    'a poem',
    'The sea is grey,\nthe gulls are loud,\nthe keeper sleeps,\nbeneath the cloud,',
    'prose',
  ],
  ['pretty JSON', m.json, 'json'],
  ['JSON array of numbers', '[1, 2, 3, 4, 5, 6, 7]', 'json'],
  ['JSON lines', m.jsonLines, 'json'],
  ['JSON with a bracket in a string', '{"a": "}]", "b": ["[", 1]}', 'json'],
  ['placeholder', '{name} went to {place} and saw {thing}', 'prose'],
  ['bracketed citation', '[1] The lighthouse stands on a rock.', 'prose'],
  ['application log', m.log, 'log'],
  ['syslog', m.syslog, 'log'],
  ['log with a trace', m.trace, 'log'],
  ['level first', 'ERROR: no such file\nWARN: using default\nINFO: started\nINFO: ready', 'log'],
  ['diff', m.diff, 'diff'],
  ['CSV', m.csv, 'table'],
  ['tab-separated', m.csv.replaceAll(',', '\t'), 'table'],
  ['Markdown table', m.pipeTable, 'table'],
  ['grep', m.grep, 'search'],
  ['link list', m.links, 'search'],
  ['HTML page', m.html, 'markup'],
  ['XML', '<?xml version="1.0"?>\n<a><b>1</b></a>', 'markup'],
  ['Python', m.python, 'code'],
  ['TypeScript', m.typescript, 'code'],
  [
    'C',
    '#include <stdio.h>\n\nint main(void) {\n  for (int i = 0; i < 3; i++) {\n    printf("%d\\n", i);\n  }\n  return 0;\n}',
    'code',
  ],
  ['SQL', 'SELECT name, level\nFROM gauges\nWHERE level > 3\nORDER BY level DESC;', 'code'],
  [
    'mostly comments',
    `/**\n${' * The keeper wrote down every ship.\n'.repeat(30)} */\n${m.typescript}`,
    'code',
  ],
];

describe('contentKindOf', () => {
  for (const [name, text, kind] of kinds) {
    test(name, () => assert.equal(contentKindOf(text), kind));
  }
});

function turns(...texts: string[]): TurnShape[] {
  return texts.map((text, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', text }));
}

const system: TurnShape = { role: 'system', text: 'You label reviews.' };
const labelled = turns('Review: good', 'positive', 'Review: bad', 'negative', 'Review: dull');

describe('demonstrationTurns', () => {
  test('pairs with a constant label after the system prompt', () => {
    assert.deepEqual(demonstrationTurns([system, ...labelled]), [
      false,
      true,
      true,
      true,
      true,
      false,
    ]);
  });
  test('pairs answered with JSON', () => {
    const pairs = turns('Ann is 31', '{"name":"Ann"}', 'Bo, 40, diver', '{"name":"Bo"}', 'Cy is 7');
    assert.deepEqual(demonstrationTurns(pairs), [true, true, true, true, false]);
  });
  const none: Record<string, TurnShape[]> = {
    'one pair is not enough': [system, ...labelled.slice(0, 2), ...labelled.slice(4)],
    'a conversation': turns(
      'Hi there',
      'Hello! How can I help?',
      'Is the harbour open?',
      'Yes, until six.',
      'And on Sunday?',
    ),
    'a pair above the length': [...turns(`Review: ${'x'.repeat(3000)}`, 'good'), ...labelled],
    'an assistant has the last word': labelled.slice(0, 4),
    'a tool message in between': [
      ...labelled.slice(0, 2),
      { role: 'tool', text: '3' },
      ...labelled.slice(2),
    ],
    'no turns': [],
  };
  for (const [name, given] of Object.entries(none)) {
    test(`${name}: none`, () =>
      assert.deepEqual(
        demonstrationTurns(given),
        given.map(() => false),
      ));
  }
});

/** Pieces that rules react to, so that random strings reach deep. */
const pieces = [
  '<document>',
  '</document>',
  '<context>\n',
  '</context>',
  '<source>a</source>',
  '<question>',
  '</question>',
  '<example>',
  '</example>',
  '```',
  '```json\n',
  '~~~',
  '"""',
  '-----\n',
  '---------------------',
  '###\n',

  'Context:',
  'Question: ',
  '\nAnswer:',
  '\nQ: a',
  '\nA: b',
  'Document [1](Title: x) ',
  '\n[2] ',
  '已知信息：',
  '问题：',
  '【上下文】',
  '\nObservation: ',
  '\nThought: ',
  '\nAction: ',

  'Context information is below.\n',
  'Summarize the following text:\n',
  'What is it?',
  '# Heading\n',
  '## Context\n',
  '\n',
  '\n\n',
  '\r\n',
  ' ',
  '😀',
  '\ud83d',
  '\ude00',
  '漢字',
  'é',
  m.lighthouse,
  m.chinese,
  m.log,
  m.json,
  m.csv,
  m.diff,
  m.python,
  m.transcript,
  m.pipeTable,
];
const text = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 12 })), {
    maxLength: 24,
  })
  .map((parts) => parts.join(''));
const place: fc.Arbitrary<StringPlace> = fc.record({
  role: fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool', 'prompt'),
  lastUser: fc.boolean(),
  partType: fc.constantFrom(null, 'text', 'document', 'file'),
  demonstrationTurn: fc.boolean(),
});

function splitsPair(value: string, at: number): boolean {
  const before = value.charCodeAt(at - 1);
  const after = value.charCodeAt(at);
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
}

describe('every string', () => {
  test('is covered without gap or overlap, surrogate pairs whole, the same way twice', () => {
    fc.assert(
      fc.property(text, place, (given, where) => {
        const parts = detectParts(given, where);
        let at = 0;
        for (const part of parts) {
          assert.equal(part.start, at);
          assert.ok(part.end > at);
          assert.ok(!splitsPair(given, part.end));
          assert.ok(part.detail !== '' && part.detail.length < 120);
          at = part.end;
        }
        assert.equal(at, given.length);
        assert.deepEqual(detectParts(given, where), parts);
      }),
      { numRuns: 250 },
    );
  });

  test('of a system, developer or assistant message is pinned whole', () => {
    fc.assert(
      fc.property(text, fc.constantFrom('system', 'developer', 'assistant'), (given, role) => {
        const parts = detectParts(given, { ...lastUser, role: role as 'system', lastUser: false });
        assert.equal(parts.length, given === '' ? 0 : 1);
        assert.ok(parts.every((part) => part.policy === 'pinned'));
      }),
      { numRuns: 100 },
    );
  });

  test('has no code in a compressible part and no document in a short plain message', () => {
    const parts = detectParts('Could you tell me when the ferry leaves?', lastUser);
    assert.deepEqual(
      parts.map(({ kind, policy, reason }) => ({ kind, policy, reason })),
      [{ kind: 'question', policy: 'pinned', reason: 'question' }],
    );
    for (const part of detectParts(`<file>\n${m.python}</file>`, lastUser)) {
      assert.equal(part.policy, 'pinned');
    }
  });
});

/** Inputs on which a rule that looks ahead or back from every line would read the text over and over. */
const hostile: Record<string, (units: number) => string> = {
  'opening tags': (units) => '<document>\n'.repeat(units / 11),
  'closing tags': (units) => '</document>\n'.repeat(units / 12),
  'tags in mid-sentence': (units) => 'x <document> '.repeat(units / 13),
  'nested tags': (units) => '<doc>\nx\n'.repeat(units / 16) + '</doc>\n'.repeat(units / 16),
  'half tags': (units) => '<a '.repeat(units / 3),
  fences: (units) => '```\n'.repeat(units / 4),
  quotes: (units) => '"""\n'.repeat(units / 4),
  'comment openings': (units) => '/*\n'.repeat(units / 3),
  'opening braces': (units) => '{\n'.repeat(units / 2),
  'unclosed strings': (units) => '{"a\n'.repeat(units / 4),
  'one unclosed string': (units) => `{"a":"${'x'.repeat(units)}`,
  questions: (units) => 'Question: a\n'.repeat(units / 12),
  contexts: (units) => 'Context: a\nQuestion: b\n'.repeat(units / 23),
  announcements: (units) => 'Use the following context below\n\n'.repeat(units / 33),
  'delimiter lines': (units) => 'Context:\n-----\n'.repeat(units / 15),
  examples: (units) => 'Q: a\nA: b\n\n'.repeat(units / 12),
  'numbered lines': (units) => '[1] ab\n'.repeat(units / 7),
  'diff heads': (units) => '--- a\n+++ b\n'.repeat(units / 12),
  'fences beside documents': (units) => '<doc>ab</doc>\n```\nx\n```\n'.repeat(units / 26),
  'fences and numbers in a document': (units) =>
    `<doc>\n${Array.from({ length: units / 24 }, (_, at) => `[${at}] a\n\`\`\`js\nx\n\`\`\`\n`).join('')}</doc>`,
  headings: (units) => '# a\n'.repeat(units / 4),
  'blank lines': (units) => '\n'.repeat(units),
  // a search to the end of the text is fast, so this one must be long to tell
  'lines without any tag': (units) => 'ab cd\n'.repeat(units),
  'one line': (units) => 'a: '.repeat(units / 3),
  requests: (units) => 'What is it?\n\n'.repeat(units / 13),
};

test('hostile strings of 250,000 units and more take a bounded time', { timeout: 120_000 }, () => {
  for (const [name, make] of Object.entries(hostile)) {
    const given = make(250_000);
    const before = process.cpuUsage();
    detectParts(given, lastUser);
    const used = process.cpuUsage(before);
    const seconds = (used.user + used.system) / 1e6;
    // linear rules need well under a second; reading on from every line takes far longer
    assert.ok(seconds < 5, `${name}: ${seconds.toFixed(2)} s of CPU`);
  }
});

for (const label of ['Passage', 'Paragraph', 'Meeting', 'Background', 'Dialogue', 'Review']) {
  test(`examples with a ${label.toLowerCase()} above each question: the last one is the material`, () => {
    for (const [gap, between] of [
      ['\n', '\n\n'],
      ['\n\n', '\n\n'],
      ['\n', '\n'],
    ] as const) {
      const roofs = (who: string, many: number): string =>
        Array.from({ length: many }, (_, at) => `${who} mended the roof of house ${at}.`).join(' ');
      const example = (who: string): string =>
        `${label}: ${roofs(who, 6)}${gap}Question: What did ${who} mend?\nAnswer: Roofs.${between}`;
      const head = `${example('Ana')}${example('Ben')}`;
      const question = `${gap}Question: What did Carl mend?\nAnswer:`;
      const items = `Document [1] ${roofs('Carl', 9)}\n\nDocument [2] ${roofs('Carl', 9)}`;
      const own = `${label}: ${roofs('Carl', 30)}`;
      for (const material of [own, items]) {
        const text = `${head}${material}${question}`;
        const parts = detectParts(text, { ...lastUser, role: 'prompt' });
        const textOf = (kind: string): string =>
          parts
            .filter((part) => part.kind === kind)
            .map(({ start, end }) => text.slice(start, end))
            .join('');
        assert.equal(textOf('demonstration'), head);
        assert.equal(textOf('question').trim(), question.trim());
        assert.equal(textOf('document').includes(roofs('Carl', 9)), true);
        assert.equal(textOf('document').includes('Ana'), false);
      }
    }
  });
}

const talk = Array.from(
  { length: 40 },
  (_, at) => `${['Ana', 'Ben', 'Carl'][at % 3]}: We mended the roof of house ${at} in the rain.`,
).join('\n');
const partsOf = (text: string, kind: string, role: 'user' | 'prompt' = 'user'): string =>
  detectParts(text, { ...lastUser, role })
    .filter((part) => part.kind === kind)
    .map(({ start, end }) => text.slice(start, end))
    .join('');

for (const [name, before, after] of [
  ['a question', '', 'Question: What did Ben say about house 4, and who disagreed?'],
  ['a question and a cue', '', 'Question: What did Ben say about house 4?\nAnswer:'],
  ['a task', '', 'Task: Write the minutes in German and name nobody.'],
  ['a task in front', 'Task: Write the minutes in German.\n\n', ''],
  ['a heading', 'Document [1] ', 'Question: What did Ben say about house 4?\nAnswer:'],
] as const) {
  test(`a transcript ends where ${name} stands`, () => {
    for (const role of ['user', 'prompt'] as const) {
      const text = `${before}${talk}${after === '' ? '' : `\n\n${after}`}`;
      const read = partsOf(text, 'document', role);
      assert.ok(read.includes('house 39'), read.slice(-80));
      assert.ok(read.includes('house 1 '));
      assert.equal(/Question|Answer|Task/.test(read), false, read.slice(-80));
      assert.ok(partsOf(text, 'question', role).includes(after));
    }
  });
}

test('the speakers of a hearing are called by letters', () => {
  const hearing = Array.from(
    { length: 30 },
    (_, at) => `${['Q', 'A'][at % 2]}. ${['Judge', 'Witness'][at % 2]}: The boat left at ${at}.`,
  ).join('\n');
  const text = `Judge: The hearing begins.\n${hearing.replaceAll(/[QA]\. /g, '')}\n\nWho left?`;
  assert.ok(partsOf(text, 'document').includes('left at 29'));
});

test('words that also announce something else make no document', () => {
  for (const text of [
    'Write a polite e-mail to my team.\n\nMeeting: tomorrow at 10 in the small room, with everybody who worked on the roof of the house.\nTone: formal, and never a joke about the rain that we had.\nLength: under 120 words in all, because nobody reads more than that on a Friday.\nNobody may talk to the press about any of this before the council has met.',
    'Minutes: 30\nDays: three in a week\nInjuries: left knee, so no jumps and no running downhill, whatever the plan says about it.\n\nMake me a plan.',
    '## Interview\n\nYou play the interviewer. Never give the answer yourself, and ask one thing at a time. Wait for me to answer before you go on with the next one.',
  ]) {
    assert.equal(partsOf(text, 'document'), '');
  }
});

test('what is told between examples and the real text is no example', () => {
  const example = (who: string): string =>
    `Meeting: ${who} spoke of roofs for an hour, and of boats.\nQuestion: Of what?\nAnswer: Roofs.\n\n`;
  const told = 'Now the real one. Answer in French and never name a house.\n\n';
  const text = `${example('Ana')}${example('Ben')}${told}Meeting: ${'Carl spoke of rain. '.repeat(40)}\nQuestion: Of what?\nAnswer:`;
  assert.equal(partsOf(text, 'demonstration', 'prompt'), `${example('Ana')}${example('Ben')}`);
  assert.equal(partsOf(text, 'document', 'prompt').includes('French'), false);
});

test('instructions under the label of the examples are no example', () => {
  const rules =
    'Note: You work for a bank. Never name a customer. Always answer in French. Do not guess. You must not give advice.\n\nOnly the text counts.\n\n';
  const text = `${rules}Question: Who was it?\nAnswer: Ana.\n\nNote: Ben left early.\n\nQuestion: Who left?\nAnswer: Ben.\n\nNote: Carl came late. ${'It rained. '.repeat(60)}\n\nQuestion: Who came?\nAnswer:`;
  assert.equal(partsOf(text, 'demonstration', 'prompt').includes('bank'), false);
});

test('very many examples are read', () => {
  const text = `${'Question: Of what?\nAnswer: Roofs.\n\n'.repeat(200_000)}Question: And now?\nAnswer:`;
  assert.ok(partsOf(text, 'question', 'prompt').includes('And now?'));
});

test('a labelled question below a long text needs no question mark', () => {
  const long = m.prose3.repeat(3);
  for (const asked of ['Question: who kept the lamp', 'Question: most lamps ever kept']) {
    const text = `${long}\n\n${asked}`;
    assert.equal(partsOf(text, 'question').trim(), asked);
    assert.ok(partsOf(text, 'document').length > 0.9 * long.length);
  }
  assert.equal(partsOf(`${long}\n\nKey: lamp`, 'document'), '');
});
