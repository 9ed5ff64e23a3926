/** Long jobs share the main thread: the event loop turns between their pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCompressor } from '../../src/compress/create.ts';
import type { CompressJob } from '../../src/compress/types.ts';
import { createTurns } from '../../src/compress/turns.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { fakeTokenizer } from '../helpers/fake-tokenizer.ts';
import { longDocument } from '../helpers/gateway.ts';
import { noScorers } from '../helpers/fake-scorer.ts';

const compressor = createCompressor('auto', {
  tokenizer: fakeTokenizer(),
  scorers: noScorers,
});

function job(documents: number, signal: AbortSignal): CompressJob {
  return {
    segments: Array.from({ length: documents }, (_, at) => ({
      text: longDocument(at, 1000),
      kind: 'document',
      content: 'prose',
      policy: 'compressible',
    })),
    question: 'When did station 1-3 open?',
    instruction: '',
    budget: { type: 'rate', rate: 0.3 },
    survivors: { classes: [], literals: [], patterns: [] },
    options: {},
    minTokens: 0,
    signal,
  };
}

test('a long job is given up when its signal fires meanwhile', async () => {
  const gone = new AbortController();
  setImmediate(() => gone.abort());
  await assert.rejects(
    compressor.compress(job(4, gone.signal)),
    (error) => SluiceError.isInstance(error) && error.code === 'ABORTED',
  );
});

test('a job below one turn of text is done in one go, with the same result', async () => {
  const never = new AbortController();
  let turned = false;
  setImmediate(() => (turned = true));
  const short = { ...job(1, never.signal) };
  const segments = short.segments.map((segment) => ({ ...segment, text: longDocument(1, 40) }));
  await compressor.compress({ ...short, segments });
  assert.equal(turned, false);
});

test('turns come by the amount of text, and not before the first piece', async () => {
  const turns = createTurns(null);
  let turned = 0;
  const count = (): void => {
    turned += 1;
    setImmediate(count).unref();
  };
  setImmediate(count).unref();
  await turns.before(1_000_000);
  assert.equal(turned, 0);
  await turns.before(10);
  assert.equal(turned, 1);
  await turns.before(10);
  assert.equal(turned, 1);
  await turns.before(100_000);
  assert.equal(turned, 2);
});
