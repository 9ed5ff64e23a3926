/** Sentence vectors (Reimers and Gurevych 2019), remembered by content. */
import { hash } from 'node:crypto';
import type { BoundedCache } from '../core/bounded-cache.ts';
import { SluiceError } from '../core/errors.ts';
import { openWordIds } from '../tokenize/word-ids.ts';
import { toUnitLength } from './encoder.ts';
import { contentStore } from './once.ts';
import { runEach } from './passes.ts';
import type { ScorerCore } from './scorer-core.ts';
import { evenPieces, inputOf, jobsOf, type Sequence } from './sequences.ts';
import { specialId } from './special-ids.ts';
import type { VectorScorer } from './types.ts';

/** A text on its way: the pieces' vectors are added up, each as often as it has tokens. */
interface Sum {
  readonly key: string;
  readonly vector: Float32Array;
  /** Pieces that are still out. */
  pieces: number;
}

/**
 * The scorer of the role `vectors`; see `VectorScorer` for what its calls mean.
 *
 * Texts longer than the context are read in even pieces and averaged by tokens: cutting them off would make
 * everything behind the cut invisible, and what is asked for may stand anywhere in a long line.
 */
export function createVectorScorer(
  core: ScorerCore,
  options: { readonly dimension: number; readonly cache: BoundedCache<Float32Array> },
): VectorScorer {
  const { dimension, cache } = options;
  const contextLength = core.manifest.context_length;
  const store = contentStore(cache);
  const wordIds = openWordIds(core.folder, core.tokenizer);
  const opening = specialId(core.tokenizer, 'opening');
  const closing = specialId(core.tokenizer, 'closing');

  function* sequences(texts: readonly (readonly [string, string])[]): Generator<Sequence<Sum>> {
    for (const [key, text] of texts) {
      const ids = wordIds(text);
      const pieces = evenPieces(ids.length, contextLength - 2);
      const sum = { key, vector: new Float32Array(dimension), pieces: pieces.length };
      for (const { from, to } of pieces) {
        const piece = [opening, ...ids.subarray(from, to), closing];
        yield { key: sum, ids: piece, weight: to - from, second: 0 };
      }
    }
  }

  return {
    kind: 'vectors',
    id: core.id,
    dimension,
    contextLength,
    async vectors(texts, { signal = null } = {}) {
      const keys = texts.map((text) => hash('sha256', text, 'base64'));
      const items = new Map(keys.map((key, i) => [key, texts[i] ?? '']));
      let fed = 0;
      const values = await store.ask(items, {
        signal,
        async work(wanted, give) {
          fed = wanted.length;
          // one job more than there are workers waits in the queue, so that none of them is idle
          const limits = { parallel: core.parallel + 1, signal };
          await runEach(jobsOf(sequences(wanted)), limits, async (job, pass) => {
            const result = await core.feed(inputOf(job), pass);
            if (result.length !== job.length * dimension)
              throw new SluiceError(
                'SCORER_FAILED',
                `${core.id} does not give ${dimension} numbers`,
              );
            job.forEach(({ key: sum, weight }, row) => {
              addTo(sum.vector, result.subarray(row * dimension, (row + 1) * dimension), weight);
              sum.pieces--;
              if (sum.pieces > 0) return;
              toUnitLength(sum.vector);
              give(sum.key, sum.vector);
            });
          });
        },
      });
      core.hit(items.size - fed);
      return keys.map((key) => values.get(key)?.slice() ?? new Float32Array(dimension));
    },
    get tokensFed() {
      return core.tokensFed();
    },
  };
}

function addTo(sum: Float32Array, vector: Float32Array, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + weight * (vector[i] ?? 0);
}
