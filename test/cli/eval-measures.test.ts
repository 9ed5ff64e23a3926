/** The measures of `sluice eval` on small items whose values can be counted by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evidenceKept } from '../../src/cli/eval/evidence.ts';
import { mentionsKept, mentionsOf } from '../../src/cli/eval/mentions.ts';
import type { MentionKind } from '../../src/cli/eval/mentions.ts';
import { containsAnswer, normalise } from '../../src/cli/eval/normalise.ts';
import { itemOf } from '../../src/cli/eval/record.ts';
import { answerSurvives } from '../../src/cli/eval/run.ts';
import { prefixShare, prefixStability } from '../../src/cli/eval/stability.ts';
import { structureValid } from '../../src/cli/eval/structure.ts';
import type { ChatMessage, EvalItem } from '../../src/cli/eval/types.ts';
import type { CompressResult, Segment } from '../../src/index.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

test('normal form: width, case, articles, punctuation, numbers, Chinese', () => {
  const table = [
    ['The  Granite, Lighthouse!', 'granite lighthouse'],
    ['1,250,000 crowns', '1250000 crowns'],
    ['1,25 and 1,2500', '1 25 and 1 2500'],
    ['3.5 km.', '3.5 km'],
    ['50 % of it', '50% of it'],
    ['ＡＢＣ　１２', 'abc 12'],
    ['A', 'a'],
    ['theatre at an anchor', 'theatre at anchor'],
    ['石桥 建于 １６８２ 年。', '石桥建于1682年'],
    ['gift_card-77', 'gift card 77'],
  ] as const;
  for (const [from, to] of table) assert.equal(normalise(from), to, from);
});

test('survival: whole answers only, any one, in one text', () => {
  const survives = (outputs: string[], ...answers: string[]): boolean | null =>
    answerSurvives(answers, outputs);
  assert.equal(survives(['It cost 1,250 crowns.'], '1250'), true);
  assert.equal(survives(['It was built in 2017.'], '17'), false);
  assert.equal(survives(['Seventeen. 17 of them.'], '17'), true);
  assert.equal(survives(['a lighthouse of granite'], 'light'), false);
  assert.equal(survives(['by Ada the Whitlock'], 'Ada Whitlock'), true);
  assert.equal(survives(['by Ada', 'Whitlock'], 'Ada Whitlock'), false);
  assert.equal(survives(['nothing here'], 'something', 'nothing'), true);
  assert.equal(survives(['石桥长四十六米'], '四十六'), true);
  assert.equal(survives(['anything']), null);
  assert.equal(containsAnswer(['abc'], '...'), false);
});

function share(kind: MentionKind, input: string, output: string): number | null {
  return mentionsKept(kind, mentionsOf(kind, input), mentionsOf(kind, output));
}

test('numbers: distinct, canonical, not parts of identifiers', () => {
  const input = 'In 1931 it cost 1,250.50; in 1931, on 2024-05-15, item-77 had 10km, gift_card_88.';
  assert.deepEqual(
    [...mentionsOf('numbers', input).keys()],
    ['1931', '1250.50', '2024-05-15', '10'],
  );
  assert.equal(share('numbers', input, 'in 1931 it cost 1250.50'), 0.5);
  assert.equal(share('numbers', 'in 2017', 'in 20'), 0);
  assert.equal(share('numbers', 'none', 'none'), null);
  assert.deepEqual([...mentionsOf('numbers', '建于1682年').keys()], ['1682']);
});

test('identifiers: digits, underscores and humps; no plain words or plain numbers', () => {
  const text =
    'readFile snake_case Port 1990s 12 ab1 a8447e98-8f42-4bbf 8f42a447-9b1c mid-term HTTP COVID-19';
  assert.deepEqual(
    [...mentionsOf('identifiers', text).keys()],
    ['readFile', 'snake_case', 'ab1', 'a8447e98-8f42-4bbf', '8f42a447-9b1c', 'COVID-19'],
  );
  assert.equal(share('identifiers', 'readFile and readFile and id_7', 'readFile'), 0.5);
});

test('negations: every one counts', () => {
  const input = "It is not open, not today, it never was and doesn't pay. 没有";
  assert.equal(share('negations', input, input), 1);
  assert.equal(share('negations', input, 'not never'), 2 / 5);
  assert.equal(share('negations', input, 'not not not not not not'), 2 / 5);
  assert.equal(share('negations', 'a knot', 'a knot'), null);
});

const segment = (text: string, content: Segment['content'] = 'prose'): Segment => ({
  text,
  content,
  kind: 'document',
  policy: 'compressible',
});

test('validity: JSON, fences, tags, list numbers, order', () => {
  const one = (text: string, output: string, content?: Segment['content']): boolean | null =>
    structureValid([segment(text, content)], [output]);
  assert.equal(one('{"a": 1, "b": 2}', '{"a": 1}', 'json'), true);
  assert.equal(one('{"a": 1, "b": 2}', '{"a": 1', 'json'), false);
  assert.equal(one('{"a": 1, "b": 2}', '', 'json'), false);
  assert.equal(one('{"a": 1}\n{"b": 2}', '{"b": 2}', 'json'), true);
  assert.equal(one('{"a": broken', '{"a"', 'json'), null);
  assert.equal(one('x\n```\ncode\n```\ny', 'x\n```\ny'), false);
  assert.equal(one('x\n```\ncode\n```\ny', '```\n```\ny'), true);
  assert.equal(one('<p>a <b>b</b><br></p>', '<p>a </p>', 'markup'), true);
  assert.equal(one('<p>a <b>b</b><br></p>', '<p>a <b></p>', 'markup'), false);
  assert.equal(one('1. a\n2. b\n3. c', '1. a\n3. c'), true);
  assert.equal(one('just words', 'words'), null);
  assert.equal(one('just words', 'words just'), false);
  assert.equal(structureValid([segment('{"a":1}', 'json'), segment('b')], ['', 'b']), null);
});

test('evidence: kept tokens of the marked ranges', () => {
  const text = 'one two three four';
  const item = {
    ...itemOf('set', { id: 'x', context: text }),
    evidence: [{ segment: 0, start: 4, end: 13 }],
  };
  const keeping = (keep: number[]): CompressResult => ({
    segments: [
      {
        mask: {
          starts: Uint32Array.of(0, 4, 8, 14),
          ends: Uint32Array.of(3, 7, 13, 18),
          keep: Uint8Array.from(keep),
          why: new Uint8Array(4),
          scores: null,
        },
        text: '',
        method: 'head',
        skipped: null,
        tokensBefore: 4,
        tokensAfter: 2,
      },
    ],
    order: [0],
    tokensBefore: 4,
    tokensAfter: 2,
    budgetTokens: 2,
    notes: [],
  });
  // tokens: "one", " two", " thr", "ee", " fou", "r"; the range holds three of them
  const tokenizer = fakeTokenizer();
  const recall = (keep: number[]): number | null =>
    evidenceKept(item, keeping(keep), tokenizer).recall;
  assert.equal(recall([1, 1, 1, 0]), 1);
  assert.equal(recall([1, 0, 0, 1]), 0);
  assert.equal(recall([0, 1, 0, 0]), 1 / 3);
  const none = { recall: null, passages: null };
  assert.deepEqual(evidenceKept({ ...item, evidence: [] }, keeping([1, 1, 1, 1]), tokenizer), none);

  // two passages, of three tokens and of one: the short one counts as much as the long one in `passages` alone
  const two = { ...item, evidence: [...item.evidence, { segment: 0, start: 0, end: 3 }] };
  const kept = (keep: number[]): [number | null, number | null] => {
    const { recall: tokens, passages } = evidenceKept(two, keeping(keep), tokenizer);
    return [tokens, passages];
  };
  assert.deepEqual(kept([1, 0, 0, 0]), [1 / 4, 1 / 2]);
  assert.deepEqual(kept([0, 1, 0, 1]), [1 / 4, 1 / 6]);
  assert.deepEqual(kept([1, 1, 1, 0]), [1, 1]);
  // a passage inside another one: its tokens count once in the recall
  const inside = { ...item, evidence: [...item.evidence, { segment: 0, start: 4, end: 7 }] };
  assert.deepEqual(evidenceKept(inside, keeping([0, 1, 0, 0]), tokenizer), {
    recall: 1 / 3,
    passages: (1 / 3 + 1) / 2,
  });
});

test('records: answers that stand in the text, code points, demonstrations', () => {
  const documents = [
    { title: 'T', text: 'It cost 1,250 crowns.' },
    { title: '', text: 'Nothing.' },
  ];
  const record = { id: 'a', documents, question: 'q', answers: ['1250', 'absent'] };
  const item = itemOf('set', { ...record, meta: { gold_index: 1 } });
  assert.deepEqual(item.answers, ['1250']);
  assert.deepEqual(item.evidence, [{ segment: 1, start: 0, end: 8 }]);
  assert.deepEqual(itemOf('set', { ...record, meta: { answer_in_context: false } }).answers, []);
  assert.deepEqual(itemOf('set', { ...record, meta: { answer_type: 'yesno' } }).answers, []);

  const meeting = { id: 'b', context: '🙂🙂 A: yes', meta: { relevant_char_spans: [[3, 9]] } };
  assert.deepEqual(itemOf('set', meeting).evidence, [{ segment: 0, start: 5, end: 11 }]);

  const examples = Array.from(
    { length: 4 },
    (_, at) => `Q: What is ${at} + ${at}?\nA: It is ${2 * at}.`,
  );
  const shots = {
    id: 'c',
    context: `Add up.\n\n${examples.join('\n\n')}`,
    question: 'What is 9 + 9?',
    meta: { demonstrations: 4 },
  };
  const { detected, segments } = itemOf('set', shots);
  assert.equal(segments.length, 1);
  const droppable = (detected ?? []).filter(({ policy }) => policy === 'droppable');
  assert.equal(droppable.length, 4);
  assert.match(droppable[3]?.text ?? '', /^Q: What is 3/);
  assert.equal(
    (detected ?? [])
      .map(({ text }) => text)
      .join('')
      .includes('9 + 9'),
    false,
  );
});

/** A way of a request that keeps the sentences that share a word with a question. */
function selecting(questionOf: (messages: readonly ChatMessage[]) => string) {
  return async (messages: readonly ChatMessage[]): Promise<readonly ChatMessage[]> => {
    const words = new Set(
      questionOf(messages)
        .toLowerCase()
        .match(/\w{4,}/g),
    );
    return messages.map((message) => ({
      ...message,
      content: String(message.content)
        .split(/(?<=\.) /)
        .filter((sentence) =>
          (sentence.toLowerCase().match(/\w{4,}/g) ?? []).some((w) => words.has(w)),
        )
        .join(' '),
    }));
  };
}

test('prefix stability: 1 when a turn only sees itself, less when the newest question decides, null when nothing shrinks', async () => {
  const item: EvalItem = itemOf('set', {
    id: 'a',
    context: 'The harbour is deep. The weather is bad and prices rise. The lamp is old.',
    question: 'How deep is the harbour?',
  });
  const first = (messages: readonly ChatMessage[]): string =>
    String(messages[0]?.content).split('\n').at(-1) ?? '';
  const newest = (messages: readonly ChatMessage[]): string =>
    String(messages.at(-1)?.content).split('\n').at(-1) ?? '';
  assert.equal(await prefixStability(item, selecting(first)), 1);
  const unstable = await prefixStability(item, selecting(newest));
  assert.ok(unstable !== null && unstable < 1, `${unstable}`);
  assert.equal(await prefixStability(item, async (messages) => messages), null);
});

test('share of the common prefix', () => {
  assert.equal(prefixShare('', 'abc'), 1);
  assert.equal(prefixShare('abc', 'abcd'), 1);
  assert.equal(prefixShare('abcd', 'abxd'), 0.5);
});
