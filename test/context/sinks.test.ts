import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sinkCut, sinkMarker } from '../../src/context/sinks.ts';
import type { SinkOptions, SinkUnit } from '../../src/context/types.ts';

const options: SinkOptions = {
  windowTokens: 1000,
  start: 0.8,
  keep: 0.4,
  firstTurns: 1,
  markerTokens: 20,
};
const system: SinkUnit = { role: 'other', tokens: 50 };

/** A chat as it stands when the user has spoken for the `turns`th time. */
function chat(turns: number, tokens = 20): SinkUnit[] {
  const units: SinkUnit[] = [system];
  for (let turn = 0; turn < turns; turn++) {
    if (turn > 0) units.push({ role: 'assistant', tokens });
    units.push({ role: 'user', tokens });
  }
  return units;
}

const kept = (units: readonly SinkUnit[], cut: { from: number; to: number }): number =>
  [...units.slice(0, cut.from), ...units.slice(cut.to)].reduce((n, { tokens }) => n + tokens, 20);

test('a short conversation is not cut', () => {
  assert.equal(sinkCut(chat(15), options), null);
});

test('a cut keeps the head and ends at a turn, below the lower mark', () => {
  let turns = 1;
  while (sinkCut(chat(turns), options) === null) turns += 1;
  const units = chat(turns);
  const cut = sinkCut(units, options)!;
  assert.equal(cut.cuts, 1);
  assert.equal(cut.from, 3, 'system prompt and the first turn stay');
  assert.equal(units[cut.to]?.role, 'user');
  assert.ok(kept(units, cut) <= 400, String(kept(units, cut)));
  assert.ok(kept(chat(turns - 1), { from: 0, to: 0 }) <= 800);
});

test('between cuts the cut stands still; every longer conversation begins with the same cuts', () => {
  let previous = 0;
  let changes = 0;
  let at = 0;
  for (let turns = 1; turns <= 1000; turns++) {
    const units = chat(turns);
    const cut = sinkCut(units, options);
    assert.ok(kept(units, cut ?? { from: 0, to: 0 }) <= 800, `turn ${turns}`);
    if ((cut?.to ?? 0) !== previous) {
      changes += 1;
      assert.equal(cut?.madeAt, units.length - 1, 'made now');
      assert.ok(turns - at >= 9, 'steps are large');
      at = turns;
    }
    assert.equal(cut?.cuts ?? 0, changes);
    previous = cut?.to ?? 0;
  }
  // 40 tokens a turn, 400 freed in a step: about every eleven turns.
  assert.ok(changes >= 80 && changes <= 100, String(changes));
});

test('calls and results of tools are never parted', () => {
  const units: SinkUnit[] = [system, { role: 'user', tokens: 50 }];
  const parted: number[] = [];
  for (let step = 0; step < 60; step++) {
    units.push({ role: 'assistant', tokens: 20 });
    units.push({ role: 'tool', tokens: 30 }, { role: 'tool', tokens: 10 });
    const cut = sinkCut(units, { ...options, firstTurns: 0 });
    if (cut === null) continue;
    assert.ok(kept(units, cut) <= 800);
    if (units[cut.to]?.role !== 'assistant' || units[cut.to - 1]?.role !== 'tool')
      parted.push(step);
  }
  assert.deepEqual(parted, []);
});

test('a last turn that alone is too long is kept all the same', () => {
  const units: SinkUnit[] = [
    ...chat(3),
    { role: 'assistant', tokens: 5 },
    { role: 'user', tokens: 2000 },
  ];
  const cut = sinkCut(units, options)!;
  assert.equal(cut.to, units.length - 1);
});

test('the marker says what is missing', () => {
  assert.match(sinkMarker({ messages: 12, tokens: 340 }), /12 earlier messages .* 340 tokens/);
  assert.match(sinkMarker({ messages: 1, tokens: 3 }), /1 earlier message of/);
});
