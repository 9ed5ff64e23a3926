/** Who waits for a turn to ask a server leaves when nobody wants the answer any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Questions } from '../../src/backends/questions.ts';

test('a question that waits ends with its signal, and its place goes to the next one', async () => {
  const questions = new Questions({ atOnce: 1, mayWait: 2, askMs: 10_000 });
  const idle = new AbortController().signal;
  const ends: (() => void)[] = [];
  const held = questions.ask(
    idle,
    () => new Promise<number>((resolve) => ends.push(() => resolve(1))),
  );
  const gone = new AbortController();
  let asked = 0;
  const ask = async (): Promise<number> => {
    asked += 1;
    return 2;
  };
  const leaving = questions.ask(gone.signal, ask);
  const waiting = questions.ask(idle, ask);
  assert.equal(await questions.ask(idle, ask), null, 'two wait already');
  gone.abort();
  assert.equal(await leaving, null, 'it does not wait for the one that is held');
  const last = questions.ask(idle, ask);
  while (ends.length === 0) await new Promise(setImmediate);
  ends[0]?.();
  assert.deepEqual([await held, await waiting, await last], [1, 2, 2]);
  assert.equal(asked, 2);
});
