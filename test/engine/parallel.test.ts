/** Parallel windows, structured prompting and NBCE: vectors, reference, and independence of order. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answerWithContexts, poolContexts } from '../../src/engine/nbce.ts';
import { openGroups, openParallelWindows } from '../../src/engine/parallel.ts';
import { blockTokens } from '../../src/engine/kv/blocks.ts';
import type { Sequence } from '../../src/engine/kv/sequence.ts';
import { plainRotary } from '../../src/engine/reference/frequencies.ts';
import { softmax } from '../../src/engine/reference/numbers.ts';
import { partsApart, rescaledSelf } from '../../src/engine/reference/parallel.ts';
import { fixed } from '../../src/engine/reference/rope.ts';
import { EngineRuntime } from '../../src/engine/runtime.ts';
import type { SchemeConfig } from '../../src/engine/schemes/create.ts';
import { structured, windowPositions } from '../../src/engine/schemes/parallel.ts';
import { openSession, type OrtSession } from '../../src/score/session.ts';
import {
  emptyOracle,
  modelPath,
  oracle,
  randomIds,
  readModel,
  relativeError,
  shape,
} from './oracle.ts';
import type { OracleState } from './oracle.ts';

const llama = readModel();
const plain = fixed(plainRotary(shape.headDim, shape.ropeBase));
let session: OrtSession;
before(async () => void (session = await openSession(modelPath, { threads: 1 })));
after(() => session.release());

function runtimeOf(scheme: SchemeConfig): EngineRuntime {
  return new EngineRuntime(session, {
    shape,
    scheme,
    kvTokens: 1024,
    fingerprint: 'test',
    chunk: 7,
  });
}

/** Parts one after the other in one state, each starting where `origin` says. */
function encodedParts(
  parts: readonly number[][],
  origin: (part: readonly number[]) => number,
): OracleState {
  let layers: OracleState['layers'] = emptyOracle.layers;
  for (const [i, part] of parts.entries()) {
    const { state } = oracle(llama, plain, part, { start: origin(part), tag: i + 1 });
    layers = layers.map((entries, layer) => [...entries, ...(state.layers[layer] ?? [])]);
  }
  return { length: Math.max(...parts.map((part) => part.length)), layers };
}

/** The same instruction in front of every window: longer than a page, which they share. */
const instruction = randomIds(8, 34);
const parts = [
  [...instruction, ...randomIds(1, 12)],
  [...instruction, ...randomIds(2, 9)],
  [...instruction, ...randomIds(3, 5)],
];
const longest = 46;
const text = randomIds(4, 6);

test('windows: positions of the paper', () => {
  const expected = [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7, 8];
  assert.deepEqual(windowPositions(8, { task: 2, windows: 3 }), expected);
});

/** Keys and values of the first tokens, page by page. */
function kvOf(sequence: Sequence, tokens: number): Float32Array[] {
  const rows = shape.layers * shape.kvHeads;
  return sequence.blocks.flatMap((block, at) => {
    if (block === null) return [];
    const count = Math.min(blockTokens, tokens - at * blockTokens);
    return [block.keys, block.values].flatMap((numbers) =>
      Array.from({ length: rows }, (_, row) => {
        const from = row * blockTokens * shape.headDim;
        return numbers.slice(from, from + Math.max(0, count) * shape.headDim);
      }),
    );
  });
}

test('windows equal the reference, in any order, and their KV is the same', async () => {
  const state = encodedParts(parts, () => 0);
  const expected =
    oracle(llama, { ...plain, visible: partsApart }, text, { state }).logits[0] ?? [];
  for (const order of [
    [0, 1, 2],
    [2, 0, 1],
    [1, 2, 0],
  ]) {
    const runtime = runtimeOf({ type: 'default' });
    const chosen = order.map((i) => parts[i] ?? []);
    const sequence = await openParallelWindows(runtime, { parts: chosen, text });
    const logits = await runtime.read(sequence);
    assert.ok(relativeError(logits, expected) < 1e-4, String(relativeError(logits, expected)));
    for (const part of parts) {
      const found = runtime.open([...part, 9]);
      assert.equal(found.length, part.length, 'the window is found as an ordinary prefix');
      const alone = runtimeOf({ type: 'default' });
      const again = alone.open(part);
      await alone.read(again);
      // Shared beginnings move the borders of chunks, which moves the last bits.
      const expectedKv = kvOf(again, part.length);
      for (const [i, numbers] of kvOf(found, part.length).entries()) {
        const error = relativeError(numbers, Float64Array.from(expectedKv[i] ?? []));
        assert.ok(error < 2e-6, `part of KV ${i}: ${error}`);
      }
      runtime.release(found);
    }
    runtime.release(sequence);
    assert.equal(runtime.pool.used, 0);
  }
});

test('a window that grows later is not seen growing', async () => {
  const runtime = runtimeOf({ type: 'default' });
  const window = runtime.open(parts[0] ?? []);
  await runtime.read(window);
  const behind = runtime.openBehind([window], { tokens: text, origin: longest });
  const copy = runtime.openBehind([window], { tokens: text, origin: longest });
  const expected = await runtime.read(copy);
  window.tokens.push(...randomIds(9, 4));
  await runtime.read(window);
  assert.deepEqual(await runtime.read(behind), expected);
});

test('text in another regime than its windows is refused', async () => {
  const runtime = new EngineRuntime(session, {
    shape: { ...shape, trainedLength: 48 },
    scheme: { type: 'ntk-stepped' },
    kvTokens: 1024,
    fingerprint: 'test',
  });
  await assert.rejects(openParallelWindows(runtime, { parts, text }), {
    code: 'REQUEST_INVALID',
    message: /two regimes .* the text needs 96, its parts have 48/,
  });
  const fits = await openParallelWindows(runtime, { parts, text: text.slice(0, 2) });
  await runtime.read(fits);
  fits.tokens.push(9);
  await assert.rejects(runtime.read(fits), { code: 'REQUEST_INVALID', message: /two regimes/ });
});

test('structured prompting: the vector of rescaled attention', () => {
  const { inputs } = structured({ groups: 2 }, shape);
  // two groups of three, then two tokens of the text; the last one asks
  const { mask } = inputs({
    past: Int32Array.of(0, 1, 2, 0, 1, 2, 3),
    pastParts: Uint16Array.of(1, 1, 1, 2, 2, 2, 0),
    start: 4,
    fresh: 1,
    dropped: 0,
  });
  const logits = [0.2, 1, -0.3, 0.5, 0.1, 0.9, 0.4, 0.8];
  const weights = softmax(logits.map((logit, i) => logit + (mask[i] ?? 0)));
  const expected = [0.070484, 0.156866, 0.042751, 0.095144, 0.063777, 0.141938, 0.172179, 0.256861];
  for (const [i, weight] of weights.entries()) {
    assert.ok(Math.abs(weight - (expected[i] ?? 0)) < 1e-6, `${i}: ${weight}`);
  }
});

test('structured prompting equals the reference', async () => {
  const state = encodedParts(parts, (part) => longest - part.length);
  const scheme = rescaledSelf(plain, parts.length);
  const expected = oracle(llama, scheme, text, { state }).logits[0] ?? [];
  const runtime = runtimeOf({ type: 'structured', groups: parts.length });
  const sequence = await openGroups(runtime, { parts, text });
  const logits = await runtime.read(sequence);
  assert.ok(relativeError(logits, expected) < 1e-4, String(relativeError(logits, expected)));
  const unscaled = runtimeOf({ type: 'default' });
  const other = await unscaled.read(await openGroups(unscaled, { parts, text }));
  assert.ok(relativeError(other, expected) > 1e-3, 'without rescaling it is something else');
});

function probabilities(logits: Float32Array): number[] {
  return softmax([...logits]);
}

test('NBCE: entropies, choice and pooled distribution of the vectors', () => {
  const without = Float32Array.of(1, 1, 0.5);
  const contexts = [Float32Array.of(2, 0.5, 0), Float32Array.of(0.2, 0.1, 3)];
  const near = (found: readonly number[], expected: readonly number[]): void => {
    for (const [i, value] of found.entries()) {
      assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 2e-6, `${found} against ${expected}`);
    }
  };
  const confident = poolContexts(without, contexts, { pool: 'confident', previous: null });
  near(confident.entropies, [0.75198, 0.405197]);
  assert.equal(confident.chosen, 1);
  near(probabilities(confident.logits), [0.025376, 0.022394, 0.95223]);
  const bayes = poolContexts(without, contexts, { pool: 'mean', beta: 1, previous: null });
  near(probabilities(bayes.logits), [0.205289, 0.041447, 0.753264]);
  assert.equal(bayes.chosen, null);
  const held = poolContexts(without, contexts, { pool: 'confident', previous: 0, eta: 0.4 });
  assert.equal(held.chosen, 0, 'hysteresis keeps the context of the token before');
  const narrow = poolContexts(without, contexts, { pool: 'confident', previous: null, topP: 0.5 });
  near(probabilities(narrow.logits), [0, 0, 1]);
});

test('NBCE: rows in one batch give the tokens that rows computed alone give', async () => {
  const runtime = runtimeOf({ type: 'default' });
  const request = {
    contexts: parts,
    text,
    prefix: [1],
    maxTokens: 5,
    eosId: null,
    temperature: 0,
    seed: 1,
    pool: 'confident',
  } as const;
  const { tokens, chosen } = await answerWithContexts(runtime, request);
  const alone = runtimeOf({ type: 'default' });
  const expected: number[] = [];
  let previous: number | null = null;
  for (const step of chosen) {
    const rows: Float32Array[] = [];
    for (const context of [[], ...parts]) {
      const sequence = alone.open([1, ...context, ...text, ...expected]);
      rows.push(await alone.read(sequence));
      alone.release(sequence);
    }
    const [without = new Float32Array(0), ...contexts] = rows;
    const pooled = poolContexts(without, contexts, { pool: 'confident', previous });
    assert.equal(pooled.chosen, step);
    previous = pooled.chosen;
    expected.push(pooled.logits.indexOf(Math.max(...pooled.logits)));
  }
  assert.deepEqual(tokens, expected);
  assert.equal(runtime.pool.used, 0);
});
