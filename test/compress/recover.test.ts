import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recoverSubsequence } from '../../src/compress/recover.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';

const tokenizer = fakeTokenizer();
const original =
  'The first Nobel Prize in Physics was awarded to Wilhelm Conrad Röntgen in 1901 for the discovery of X-rays. ' +
  'In 1903 Marie Curie shared the prize with Pierre Curie and Henri Becquerel.';
const compressed =
  'first Nobel Physics awarded Wilhelm Röntgen 1901 discovery X-rays. 1903 Marie Curie Becquerel.';
const recover = (response: string, more: object = {}): string =>
  recoverSubsequence({ original, compressed, response, tokenizer, ...more });

test('a phrase of the compressed prompt becomes the stretch it came from', () => {
  assert.equal(recover('Wilhelm Röntgen'), 'Wilhelm Conrad Röntgen');
  assert.equal(recover('It was Wilhelm Röntgen who won'), 'It was Wilhelm Conrad Röntgen who won');
  assert.equal(recover('first Nobel Physics'), 'first Nobel Prize in Physics');
});

test('the longest phrase counts, whatever stands around it', () => {
  assert.equal(recover('Marie Curie'), 'Marie Curie');
  assert.equal(recover('answer:  Röntgen 1901 \n(X)'), 'answer:  Röntgen in 1901 \n(X)');
});

test('words that are not in the compressed prompt are left alone', () => {
  for (const response of ['', ' ', 'Einstein', 'no idea, sorry', 'a  b\n\nc '])
    assert.equal(recover(response), response);
});

test('a poor match replaces nothing, unless it is asked for', () => {
  const own = { original: 'alpha one two three', compressed: 'alpha zeta zeta zeta zeta' };
  const response = 'alpha zeta zeta';
  assert.equal(recover(response, own), response);
  assert.equal(recover(response, { ...own, minimumMatch: 0 }), 'alpha');
});

test('of equally good places the tightest is taken', () => {
  const own = {
    original: 'red very dark old grim blue. Later: red and blue.',
    compressed: 'red blue.',
  };
  assert.equal(recover('red blue.', own), 'red and blue.');
});

test('matches more than ten tokens apart do not count', () => {
  const gap = ' filler'.repeat(8);
  const own = { original: `red${gap} blue`, compressed: 'red blue' };
  assert.equal(recover('red blue', own), 'red blue');
});

test('time is bounded on repetitive text', () => {
  const own = {
    original: 'word '.repeat(4000).trim(),
    compressed: 'word '.repeat(40).trim(),
  };
  const response = 'word '.repeat(400).trim();
  assert.equal(recover(response, own), response);
});
