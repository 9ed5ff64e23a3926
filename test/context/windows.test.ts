import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { poolStep } from '../../src/context/windows/pooling.ts';
import {
  groupRecords,
  parseRecord,
  showRecords,
  surestRecords,
} from '../../src/context/windows/records.ts';
import { pickWindow } from '../../src/context/windows/select.ts';
import { renderWindow, splitWindows } from '../../src/context/windows/split.ts';
import type { Material } from '../../src/context/windows/types.ts';
import {
  confidenceOf,
  countVotes,
  normaliseAnswer,
  saysNothing,
} from '../../src/context/windows/vote.ts';

const count = (text: string): number => text.match(/\S+/g)?.length ?? 0;
const material = (text: string, lead = '', trail = ''): Material => ({
  lead,
  text,
  trail,
  separator: '\n\n',
});
const sentences = (n: number, name = 'Station'): string =>
  Array.from({ length: n }, (_, at) => `${name} ${at} opened in ${1900 + at}. `)
    .join('')
    .trim();

test('documents that fit are never cut, and stay in order', () => {
  const materials = [3, 4, 5, 6, 2].map((n) => material(sentences(n), '<d> ', ' </d>'));
  const windows = splitWindows(materials, { budget: 60, windows: null, count });
  for (const { pieces, tokens } of windows) {
    assert.ok(tokens <= 60);
    for (const { material: at, start, end } of pieces) {
      assert.deepEqual([start, end], [0, materials[at]?.text.length]);
    }
  }
  assert.deepEqual(
    windows.flatMap(({ pieces }) => pieces.map((piece) => piece.material)),
    [0, 1, 2, 3, 4],
  );
});

test('a long document is cut between sentences, and framed in every window', () => {
  const materials = [material(sentences(40), '<d> ', ' </d>')];
  const windows = splitWindows(materials, { budget: 50, windows: null, count });
  assert.ok(windows.length >= 4);
  for (const { pieces } of windows) {
    const text = renderWindow(materials, pieces);
    assert.match(text, /^<d> Station \d+ opened .*\. <\/d>$/s);
    assert.ok(count(text) <= 50);
  }
});

test('the last window is not left tiny', () => {
  const materials = [material(sentences(21))];
  const sizes = splitWindows(materials, { budget: 50, windows: null, count }).map(
    ({ tokens }) => tokens,
  );
  assert.ok(Math.min(...sizes) * 2.5 > Math.max(...sizes), sizes.join(' '));
});

test('thousands of short documents and one line without borders are split without counting them over and over', () => {
  let counted = 0;
  const counting = (text: string): number => {
    counted += text.length;
    return Math.ceil(text.length / 4);
  };
  const many = Array.from({ length: 5000 }, (_, at) => material(`Item ${at}.`));
  const windows = splitWindows(many, { budget: 10_000, windows: null, count: counting });
  assert.equal(windows.length, 2);
  const sizes = windows.map(({ tokens }) => tokens);
  assert.ok(sizes.every((tokens) => tokens <= 10_000));
  assert.ok(sizes[1]! * 2.1 >= sizes[0]!, sizes.join(' '));
  counted = 0;
  const line = material('x'.repeat(200_000));
  const parts = splitWindows([line], { budget: 500, windows: null, count: counting });
  assert.ok(parts.length >= 100);
  assert.ok(counted < 20 * line.text.length, `${counted}`);
});

test('so many windows, evenly, and no more than that where the budget allows it', () => {
  const materials = [40, 7, 13, 22].map((n) => material(sentences(n), '<d> ', ' </d>'));
  for (const wanted of [1, 2, 3, 4, 5, 8]) {
    const windows = splitWindows(materials, { budget: 1000, windows: wanted, count });
    assert.ok(windows.length <= wanted && windows.length >= Math.min(wanted, 2), `${wanted}`);
    const sizes = windows.map(({ tokens }) => tokens);
    assert.ok(Math.max(...sizes) <= 2.2 * Math.min(...sizes) || wanted === 1, sizes.join(' '));
  }
  const tight = splitWindows(materials, { budget: 100, windows: 2, count });
  assert.ok(tight.length > 2 && tight.every(({ tokens }) => tokens <= 100));
});

test('all text is in exactly one window, whatever the text is', () => {
  const words = fc.array(fc.string({ minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 60,
  });
  fc.assert(
    fc.property(
      fc.array(words, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 8, max: 80 }),
      (texts, budget) => {
        const materials = texts.map((list) => material(list.join(' '), 'a ', ' z'));
        const windows = splitWindows(materials, { budget, windows: null, count });
        const places = materials.map(() => 0);
        for (const { pieces } of windows)
          for (const { material: at, start, end } of pieces) {
            assert.equal(start, places[at]);
            assert.ok(end > start);
            places[at] = end;
          }
        for (const [at, { text }] of materials.entries())
          if (text.trim() !== '') assert.equal(places[at], text.length);
      },
    ),
  );
});

test('a window without room beside the frame is an error that says so', () => {
  const materials = [material(sentences(9), 'one two three four five six ', '')];
  assert.throws(
    () => splitWindows(materials, { budget: 5, windows: null, count }),
    /BUDGET_IMPOSSIBLE|no room for text/,
  );
});

test('equal answers add up; a plain no is an answer', () => {
  assert.equal(normaliseAnswer(' The 1,250 metres. '), '1250 metres');
  const verdict = countVotes([
    { window: 0, text: 'Paris', weight: 0.5 },
    { window: 1, text: 'Rome', weight: 0.6 },
    { window: 2, text: 'paris.', weight: 0.3 },
  ]);
  assert.deepEqual([verdict?.window, verdict?.votes], [0, 2]);
  assert.equal(countVotes([{ window: 0, text: ' ', weight: 1 }]), null);
  for (const text of [
    '',
    'I do not know.',
    'Not mentioned in the text',
    'The text does not mention it.',
  ])
    assert.ok(saysNothing(text), text);
  for (const text of ['No', 'No, it was 1931.', 'Nobody Knows is a song by Toni Braxton', '1874'])
    assert.ok(!saysNothing(text), text);
});

test('confidence is the geometric mean of probabilities', () => {
  const token = (p: number) => ({ text: 'x', logProbability: Math.log(p), top: [] });
  assert.ok(Math.abs(confidenceOf([token(0.5), token(0.125)])! - 0.25) < 1e-12);
  assert.equal(confidenceOf(null), null);
});

test('selection weighs relevance and confidence', () => {
  const pick = (list: [number, number | null][]) =>
    pickWindow(list.map(([relevance, confidence], window) => ({ window, relevance, confidence })));
  assert.equal(
    pick([
      [1, 0.9],
      [5, 0.9],
      [2, 0.9],
    ]),
    1,
  );
  assert.equal(
    pick([
      [1, 0.1],
      [1, 0.9],
      [1, 0.2],
    ]),
    1,
  );
  assert.equal(
    pick([
      [1, null],
      [3, null],
    ]),
    1,
  );
});

test('NBCE: the published vectors', () => {
  const named = (values: readonly number[]) =>
    new Map(values.map((value, at) => [String(at), value]));
  const pooled = poolStep(
    {
      windows: [named([2, 0.5, 0]), named([0.2, 0.1, 3])],
      bare: named([1, 1, 0.5]),
      previous: null,
    },
    { beta: 0.25, hysteresis: 0.1, topP: 1 },
  )!;
  assert.equal(pooled.window, 1);
  const near = (a: number | undefined, b: number) =>
    assert.ok(Math.abs((a ?? 9) - b) < 1e-5, `${a}`);
  near(pooled.entropies[0], 0.75198);
  near(pooled.entropies[1], 0.405197);
  near(Math.exp(pooled.distribution.get('0')!), 0.025376);
  near(Math.exp(pooled.distribution.get('1')!), 0.022394);
  near(Math.exp(pooled.distribution.get('2')!), 0.95223);
  assert.equal(pooled.token, '2');
});

test('NBCE: the window that spoke keeps speaking when it is about as sure', () => {
  const sure = new Map([
    ['a', -0.1],
    ['b', -2.4],
  ]);
  const surer = new Map([
    ['c', -0.09],
    ['b', -2.5],
  ]);
  const step = (previous: number | null) =>
    poolStep({ windows: [sure, surer], bare: new Map(), previous })?.window;
  assert.equal(step(null), 1);
  assert.equal(step(0), 0);
  assert.equal(poolStep({ windows: [new Map()], bare: new Map(), previous: null }), null);
});

test('records are read as models write them', () => {
  const record = parseRecord(
    '**Extracted Information:** It opened in 1931.\nRationale: stated.\nAnswer: 1931\nConfidence Score: 4.5 out of 5',
    '3',
  );
  assert.deepEqual(record, {
    label: '3',
    information: 'It opened in 1931.',
    rationale: 'stated.',
    answer: '1931',
    confidence: 4.5,
  });
  assert.equal(parseRecord('[NO INFORMATION]', '1'), null);
  assert.equal(
    parseRecord('Extracted Information: [NO INFORMATION]\nAnswer: No information', '1'),
    null,
  );
  assert.equal(parseRecord('It opened in 1931.', '1')?.information, 'It opened in 1931.');
  assert.equal(parseRecord('Confidence: 9\nAnswer: x', '1')?.confidence, 5);
});

test('records are grouped to fit, or the surest are kept', () => {
  const records = [1, 5, 2, 4].map((confidence, at) => ({
    label: String(at + 1),
    information: 'one two three four five',
    rationale: '',
    answer: '',
    confidence,
  }));
  const one = count(showRecords(records.slice(0, 1)));
  assert.deepEqual(
    groupRecords(records, 2 * one, count)?.map((group) => group.length),
    [2, 2],
  );
  assert.equal(groupRecords(records, one - 1, count), null);
  const { kept, dropped } = surestRecords(records, 2 * one, count);
  assert.deepEqual(
    kept.map(({ label }) => label),
    ['2', '4'],
  );
  assert.equal(dropped, 2);
});
