/** Jobs in time slices decide what they decide at once, and leave the event loop its turns. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createCompressor } from '../../src/compress/create.ts';
import type { CompressJob, CompressResult } from '../../src/compress/types.ts';
import type { ContentKind, Policy } from '../../src/core/span.ts';
import type { MethodName } from '../../src/core/method.ts';
import type { TextTokenizer } from '../../src/tokenize/types.ts';
import { loadTokenizer } from '../../src/tokenize/load.ts';
import { noScorers } from '../helpers/fake-scorer.ts';

const tokenizer = loadTokenizer('models/scout');

const words =
  'harbour station opened late winter river council report bridge engine signal north market letter'.split(
    ' ',
  );

/** Deterministic numbers below `below`. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

const pick = numbers(5);
const word = (): string => words[pick(words.length)] ?? '';
const sentence = (): string =>
  `The ${word()} ${word()} ${pick(900)} met the ${word()} of ${word()}, ${word()} ${word()}.`;
const lines = (count: number, line: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => line(at)).join('\n');

/** One text or several of each kind, long enough for several batches of everything. */
const texts: Readonly<Record<string, readonly [ContentKind, readonly string[]]>> = {
  'one document': ['prose', [lines(160, (at) => sentence() + (at % 5 === 4 ? '\n' : ''))]],
  'many documents': ['prose', Array.from({ length: 12 }, () => lines(12, sentence))],
  chat: ['prose', [lines(150, (at) => `${at % 2 ? 'Anna' : 'Bob'}: ${sentence()}`)]],
  chinese: ['prose', [lines(80, () => '委员会星期一开会，讨论车站'.repeat(1 + pick(8)) + '。')]],
  'one line': ['prose', ['word, '.repeat(2_000)]],
  fences: ['prose', [lines(30, (at) => `${sentence()}\n\n\`\`\`\nx = ${at}\n\`\`\`\n`)]],
  log: ['log', [lines(200, (at) => `12:00:${at} ${pick(9) ? 'INFO' : 'ERROR'} ${sentence()}`)]],
  json: [
    'json',
    [
      JSON.stringify(
        Array.from({ length: 90 }, (_, id) => ({ id, name: word(), note: sentence() })),
        null,
        2,
      ),
    ],
  ],
  search: [
    'search',
    [lines(60, (at) => `${at}. ${word()}\nURL: https://x.y/${at}\n${sentence()}\n`)],
  ],
  table: ['table', [lines(200, (at) => `${at},${word()},"${sentence()}"`)]],
  code: ['code', [lines(120, (at) => `// ${sentence()}\nconst ${word()}${at} = call(${at});`)]],
  diff: [
    'diff',
    [
      `--- a/x\n+++ b/x\n${lines(60, (at) => `@@ -${at} +${at} @@\n ${sentence()}\n-${word()}\n+${word()}`)}`,
    ],
  ],
  markup: ['markup', [`<div>${lines(150, () => `<p>${sentence()}</p>`)}</div>`]],
};

interface Case {
  readonly name: string;
  readonly method: MethodName;
  readonly job: CompressJob;
}

function caseOf(name: string, question: string, policy: Policy = 'compressible'): Case {
  const [content, list] = texts[name] ?? ['prose', []];
  const kind = policy === 'droppable' ? 'demonstration' : 'document';
  return {
    name: `${name}, ${question === '' ? 'no question' : 'a question'}, ${policy}`,
    method: 'auto',
    job: {
      segments: list.map((text) => ({ text, kind, content, policy })),
      question,
      instruction: '',
      budget: { type: 'rate', rate: 0.35 },
      survivors: { classes: ['number'], literals: ['council 7'], patterns: [/bridge \d+/gu] },
      options: question === '' ? {} : { fill_partial: true },
      minTokens: 0,
      signal: null,
    },
  };
}

const cases = [
  ...Object.keys(texts).flatMap((name) => [
    caseOf(name, ''),
    caseOf(name, 'When did the harbour station open?'),
  ]),
  caseOf('many documents', 'Which council met?', 'droppable'),
];

function decide({ method, job }: Case, reader: TextTokenizer = tokenizer): Promise<CompressResult> {
  return createCompressor(method, { tokenizer: reader, scorers: noScorers }).compress(job);
}

/** Runs with a clock of its own: one that stands still (nothing is ever interrupted) or one that leaps at every look. */
async function withClock<T>(leap: number, run: () => Promise<T>): Promise<T> {
  let now = 0;
  const clock = mock.method(performance, 'now', () => (now += leap));
  try {
    return await run();
  } finally {
    clock.mock.restore();
  }
}

test('jobs that stop wherever they can, all at once, decide as each does alone in one go', async () => {
  const alone: CompressResult[] = [];
  for (const each of cases) alone.push(await withClock(0, () => decide(each)));
  const together = await withClock(1_000, () => Promise.all(cases.map((each) => decide(each))));
  cases.forEach(({ name }, at) => assert.deepEqual(together[at], alone[at], name));
  assert.ok(alone.every((result) => result.tokensAfter < result.tokensBefore));
});

test('no kind of text is worked on for long without a stop', async () => {
  for (const each of cases) {
    let stops = 0;
    let working = true;
    const count = (): void => {
      stops += 1;
      if (working) setImmediate(count);
    };
    setImmediate(count);
    await withClock(1_000, () => decide(each));
    working = false;
    const length = each.job.segments.reduce((sum, { text }) => sum + text.length, 0);
    assert.ok(stops > length / 2_000, `${each.name}: ${stops} stops in ${length} characters`);
  }
});

test('counts are those of the texts, and whole texts are read once', async () => {
  for (const each of cases) {
    const whole = new Map(each.job.segments.map(({ text }) => [text, 0]));
    const read = (text: string): void => {
      const times = whole.get(text);
      if (times !== undefined) whole.set(text, times + 1);
    };
    const { encodeSteps, countSteps } = tokenizer;
    assert.ok(encodeSteps !== undefined && countSteps !== undefined);
    const result = await decide(each, {
      ...tokenizer,
      encode: () => assert.fail('encoded at once'),
      count: () => assert.fail('counted at once'),
      encodeSteps: (text) => (read(text), encodeSteps(text)),
      countSteps: (text) => (read(text), countSteps(text)),
    });
    result.segments.forEach((segment, at) => {
      const text = each.job.segments[at]?.text ?? '';
      assert.equal(segment.tokensBefore, tokenizer.count(text), each.name);
      assert.equal(segment.tokensAfter, tokenizer.count(segment.text), each.name);
      if (segment.text !== text) assert.equal(whole.get(text), 1, each.name);
    });
  }
});
