/** Sentence vectors, token table and pair scores against PyTorch and NumPy; batches, pieces, caches, cancelling. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createScorers } from '../../src/score/create.ts';
import { readManifest } from '../../src/score/manifest.ts';
import type { PairScorer, TokenTable, VectorScorer } from '../../src/score/types.ts';
import { fixtures, prose, withScorers } from './helpers.ts';

const tinyEncoder = join(fixtures, 'tiny-encoder');
const tinyCross = join(fixtures, 'tiny-cross');
const tinyTable = join(fixtures, 'tiny-table');

interface Row {
  readonly question: string;
  readonly text: string;
  readonly score: number;
  readonly vector: readonly number[];
}

const rowsOf = (folder: string): Row[] =>
  JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Row[];

function assertNear(found: ArrayLike<number>, wanted: readonly number[], what: string): void {
  assert.equal(found.length, wanted.length, what);
  for (const [i, value] of wanted.entries())
    assert.ok(Math.abs(value - found[i]!) <= 1e-4, `${what}: ${found[i]} at ${i}, not ${value}`);
}

const models = { surprisal: null, vectors: tinyEncoder, table: tinyTable, pairs: tinyCross };

async function withVectors(
  use: (vectors: VectorScorer, stats: () => { tokensFed: number }) => Promise<void>,
  options: { workers?: number; vectorBytes?: number; queue?: number; vectors?: string } = {},
): Promise<void> {
  await withScorers({ surprisal: null, vectors: tinyEncoder, ...options }, async (pool) => {
    assert.ok(pool.vectors !== null);
    await use(pool.vectors, pool.stats);
  });
}

test('vectors equal what PyTorch computes: means of hidden states, long texts as means of their pieces', async () => {
  await withVectors(async (scorer) => {
    const rows = rowsOf(tinyEncoder);
    assert.equal(scorer.dimension, 16);
    assert.equal(scorer.contextLength, 192);
    const vectors = await scorer.vectors(rows.map(({ text }) => text));
    for (const [i, row] of rows.entries()) assertNear(vectors[i]!, row.vector, row.text);
    // the last text does not fit into one pass: its pieces have special tokens of their own
    assert.ok(scorer.tokensFed > 192 + 2 * rows.length);
  });
});

test('a vector does not depend on the texts beside it, nor on how many workers there are', async () => {
  const texts = Array.from({ length: 60 }, (_, i) => prose(1 + (i % 9), 1 + i));
  texts.push(prose(700, 7), prose(500, 8));
  // a manifest that allows batches, as the shipped encoders have it
  const folder = mkdtempSync(join(tmpdir(), 'sluice-encoder-'));
  cpSync(tinyEncoder, folder, { recursive: true });
  const manifest = { ...readManifest(folder), max_batch: 16 };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
  const alone: Float32Array[] = [];
  try {
    await withVectors(async (scorer) => {
      for (const text of texts) alone.push(...(await scorer.vectors([text])));
    });
    for (const workers of [1, 2])
      await withVectors(
        async (scorer) => {
          const together = await Promise.all([
            scorer.vectors(texts),
            scorer.vectors([...texts].reverse()),
          ]);
          assert.deepEqual(together[0], alone);
          assert.deepEqual([...together[1]].reverse(), alone);
        },
        { workers, vectors: folder },
      );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('vectors have length 1; a text without tokens has the zero vector', async () => {
  await withVectors(async (scorer) => {
    const [some, none, blank] = await scorer.vectors(['the report', '', ' \n ']);
    const length = Math.hypot(...some!);
    assert.ok(Math.abs(length - 1) < 1e-6);
    assert.ok(none!.every((value) => value === 0) && blank!.every((value) => value === 0));
    assert.deepEqual(await scorer.vectors([]), []);
  });
});

test('equal texts go through the network once, whether asked later, beside each other or at the same time', async () => {
  await withVectors(async (scorer) => {
    const [first, twin] = await scorer.vectors(['the committee met', 'the committee met']);
    assert.deepEqual(first, twin);
    const fed = scorer.tokensFed;
    first!.fill(0);
    assert.deepEqual((await scorer.vectors(['the committee met']))[0], twin);
    assert.equal(scorer.tokensFed, fed);
    const texts = ['the budget', 'a small town by the river'];
    const [a, b] = await Promise.all([scorer.vectors(texts), scorer.vectors(texts)]);
    assert.deepEqual(a, b);
    const once = scorer.tokensFed - fed;
    await scorer.vectors(['old woman who kept three cats']);
    const more = scorer.tokensFed;
    await scorer.vectors([...texts].reverse());
    assert.equal(scorer.tokensFed, more);
    assert.ok(once < 30, `${once} tokens for two short texts`);
  });
});

test('the memory for vectors is bounded', async () => {
  await withVectors(
    async (scorer) => {
      await scorer.vectors(['one', 'two', 'three', 'four']);
      const fed = scorer.tokensFed;
      await scorer.vectors(['one', 'two', 'three', 'four']);
      assert.ok(scorer.tokensFed > fed);
      const again = scorer.tokensFed;
      await scorer.vectors(['five']);
      const five = scorer.tokensFed;
      assert.ok(five > again);
      await scorer.vectors(['five']);
      assert.equal(scorer.tokensFed, five);
    },
    // 16 numbers and what an entry costs besides: two fit
    { vectorBytes: 700 },
  );
});

test('when the caller that asked first goes away, the one that waits gets its vectors all the same', async () => {
  await withVectors(async (scorer) => {
    const text = prose(20_000);
    const alone = await scorer.vectors([prose(30, 5)]);
    const client = new AbortController();
    const leaving = scorer.vectors([text], { signal: client.signal });
    const staying = scorer.vectors([text, prose(30, 5)]);
    client.abort();
    await assert.rejects(leaving, { code: 'ABORTED' });
    const [long, short] = await staying;
    assert.ok(Math.abs(Math.hypot(...long!) - 1) < 1e-6);
    assert.deepEqual(short, alone[0]);
  });
});

test('a caller that goes away leaves the queue, also while it waits for another one', async () => {
  await withScorers({ surprisal: null, vectors: tinyEncoder }, async (pool) => {
    const vectors = pool.vectors!;
    const client = new AbortController();
    const text = prose(20_000);
    const first = vectors.vectors([text]);
    const second = vectors.vectors([text], { signal: client.signal });
    client.abort();
    await assert.rejects(second, { code: 'ABORTED' });
    assert.equal((await first).length, 1);
    const gone = new AbortController();
    const third = vectors.vectors([prose(20_000, 3)], { signal: gone.signal });
    gone.abort();
    await assert.rejects(third, { code: 'ABORTED' });
    assert.equal(pool.stats().queued, 0);
  });
});

test('closing while the network computes ends the workers and leaves the process alive', async () => {
  for (let round = 0; round < 8; round++) {
    let scoring: Promise<unknown> = Promise.resolve();
    await withScorers({ surprisal: null, vectors: tinyEncoder, workers: 2 }, async (pool) => {
      scoring = assert.rejects(pool.vectors!.vectors([prose(3000)]), { code: 'SCORER_FAILED' });
      await new Promise((resolve) => setTimeout(resolve, round));
    });
    await scoring;
  }
});

test('a full queue refuses a new request and lets the jobs of an old one wait', async () => {
  await withVectors(
    async (scorer) => {
      const results = await Promise.allSettled(
        Array.from({ length: 6 }, (_, i) => scorer.vectors([prose(3000, i + 1)])),
      );
      const refused = results.filter((result) => result.status === 'rejected');
      assert.ok(refused.length > 0 && refused.length < 6, `${refused.length} of 6 refused`);
      for (const { reason } of refused)
        assert.equal((reason as { code: string }).code, 'QUEUE_FULL');
    },
    { queue: 1 },
  );
});

async function withTable(use: (table: TokenTable) => void): Promise<void> {
  await withScorers({ surprisal: null, table: tinyTable }, async ({ table }) => use(table!));
}

test('table scores equal weighted late interaction as NumPy computes it', async () => {
  await withTable((table) => {
    for (const row of rowsOf(tinyTable)) {
      assertNear(table.scores(row.question, [row.text]), [row.score], row.text);
      assertNear(table.vectors([row.text])[0]!, row.vector, row.text);
    }
  });
});

test('table scores: many texts at once, repeated words, and nothing to ask', async () => {
  await withTable((table) => {
    const rows = rowsOf(tinyTable);
    const question = 'Who met, who met in March?';
    const texts = rows.map(({ text }) => text);
    const one = texts.map((text) => table.scores(question, [text])[0]!);
    assert.deepEqual([...table.scores(question, texts)], one);
    assert.deepEqual(
      [...table.scores('', texts)],
      texts.map(() => 0),
    );
    assert.deepEqual([...table.scores(question, [])], []);
    // asked for in parts, and after another question
    table.scores('What was agreed?', texts);
    assert.deepEqual(
      [...table.scores(question, texts.slice(0, 2)), ...table.scores(question, texts.slice(2))],
      one,
    );
    // a text that holds the whole question has cosine 1 for each of its words
    assert.ok(Math.abs(table.scores(question, [`so: ${question}`])[0]! - 1) < 1e-6);
  });
});

async function withPairs(use: (pairs: PairScorer) => Promise<void>): Promise<void> {
  await withScorers({ surprisal: null, pairs: tinyCross }, async ({ pairs }) => use(pairs!));
}

test('pair scores equal what PyTorch computes from both texts with their types', async () => {
  await withPairs(async (scorer) => {
    for (const row of rowsOf(tinyCross))
      assertNear(await scorer.scores(row.question, [row.text]), [row.score], row.text);
  });
});

test('pair scores are remembered by question and text', async () => {
  await withPairs(async (scorer) => {
    const texts = rowsOf(tinyCross).map(({ text }) => text);
    const first = await scorer.scores('Who met?', texts);
    const fed = scorer.tokensFed;
    assert.deepEqual(await scorer.scores('Who met?', texts), first);
    assert.equal(scorer.tokensFed, fed);
    assert.notDeepEqual(await scorer.scores('What was agreed?', texts), first);
    assert.ok(scorer.tokensFed > fed);
  });
});

test('a text that does not fit beside the question has the score of its best piece', async () => {
  await withScorers(models, async ({ pairs, table }) => {
    const scorer = pairs!;
    const question = 'Who met?';
    // words of one token each, so that the pieces can be cut here as well
    const words = prose(1200)
      .split(/\W+/)
      .filter((word) => table!.encode(word).length === 1);
    const room = scorer.contextLength - table!.encode(question).length - 3;
    const count = Math.ceil(words.length / room);
    assert.ok(count >= 2, `${words.length} words`);
    const pieces = Array.from({ length: count }, (_, i) =>
      words
        .slice(Math.floor((i * words.length) / count), Math.floor(((i + 1) * words.length) / count))
        .join(' '),
    );
    const best = Math.max(...(await scorer.scores(question, pieces)));
    assert.equal((await scorer.scores(question, [words.join(' ')]))[0], best);
    // a question longer than the context leaves half of it to the text
    const asked = await scorer.scores(prose(900), ['the report', prose(600)]);
    assert.ok(asked.every(Number.isFinite));
  });
});

test('all roles share one pool of workers', async () => {
  await withScorers(models, async (pool) => {
    const [vectors, scores] = await Promise.all([
      pool.vectors!.vectors(['the report']),
      pool.pairs!.scores('Who?', ['the report']),
    ]);
    assert.equal(vectors.length, 1);
    assert.equal(scores.length, 1);
    assert.equal(pool.stats().tokensFed, pool.vectors!.tokensFed + pool.pairs!.tokensFed);
    assert.equal(new Set([pool.vectors!.id, pool.pairs!.id, pool.table!.id]).size, 3);
  });
});

test('folders of the wrong kind are refused by role', async () => {
  const options = {
    surprisal: null,
    keep: null,
    workers: 1,
    threads: 1,
    queue: 1,
    cacheEntries: 1,
  };
  const wrong = [
    [{ vectors: tinyCross }, /cross-encoder, which is not a model for the role vectors/],
    [{ pairs: tinyEncoder }, /sentence-encoder, which is not a model for the role pairs/],
    [{ table: tinyEncoder }, /sentence-encoder, which is not a model for the role table/],
  ] as const;
  for (const [folders, message] of wrong)
    await assert.rejects(createScorers({ ...options, ...folders }), {
      code: 'MODEL_INVALID',
      message,
    });
});

test('a table whose files do not fit its manifest is refused', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-table-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(tinyTable, folder, { recursive: true });
  writeFileSync(join(folder, 'weights.f32'), 'short');
  const options = {
    surprisal: null,
    keep: null,
    workers: 1,
    threads: 1,
    queue: 1,
    cacheEntries: 1,
  };
  await assert.rejects(createScorers({ ...options, table: folder }), {
    code: 'MODEL_INVALID',
    message: /weights\.f32 has 5 bytes; \d+ are needed/,
  });
});
