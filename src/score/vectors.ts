/** Sentence vectors (Reimers and Gurevych 2019), remembered by content. */
import { hash } from 'node:crypto';
import type { BoundedCache } from '../core/bounded-cache.ts';
import { SluiceError } from '../core/errors.ts';
import { contentStore } from './once.ts';
import { runEach } from './passes.ts';
import type { ScorerCore } from './scorer-core.ts';
import { evenPieces, inputOf, jobsOf, type Sequence } from './sequences.ts';
import { specialId } from './special-ids.ts';
import type { VectorScorer } from './types.ts';
import { toUnitLength } from './unit-length.ts';

/** A text on its way through the network, in pieces that may come back in any order. */
interface Part {
  readonly key: string;
  /** Where the piece's vector goes. */
  readonly at: number;
  readonly pieces: (Float32Array | null)[];
  /** Tokens of each piece. */
  readonly weights: readonly number[];
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
  const { tokenizer, idsOf } = core.vocabulary;
  const opening = specialId(tokenizer, 'opening');
  const closing = specialId(tokenizer, 'closing');

  function* sequences(texts: readonly (readonly [string, string])[]): Generator<Sequence<Part>> {
    for (const [key, text] of texts) {
      const ids = idsOf(text);
      const borders = evenPieces(ids.length, contextLength - 2);
      const weights = borders.map(({ from, to }) => to - from);
      const pieces = borders.map(() => null);
      for (const [at, { from, to }] of borders.entries()) {
        const piece = [opening, ...ids.subarray(from, to), closing];
        yield { key: { key, at, pieces, weights }, ids: piece, second: 0 };
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
          fed += wanted.length;
          // one job more than there are workers waits in the queue, so that none of them is idle
          const limits = { parallel: core.parallel + 1, signal };
          await runEach(jobsOf(sequences(wanted)), limits, async (job, pass) => {
            const result = await core.feed(inputOf(job), pass);
            if (result.length !== job.length * dimension)
              throw new SluiceError(
                'SCORER_FAILED',
                `${core.id} does not give ${dimension} numbers`,
              );
            job.forEach(({ key: part }, row) => {
              part.pieces[part.at] = result.slice(row * dimension, (row + 1) * dimension);
              const whole = meanOf(part, dimension);
              if (whole !== null) give(part.key, whole);
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

/** Mean of a text's pieces by tokens, scaled to length 1; null while a piece is out. */
function meanOf({ pieces, weights }: Part, dimension: number): Float32Array | null {
  const mean = new Float32Array(dimension);
  for (const [at, piece] of pieces.entries()) {
    if (piece === null) return null;
    const weight = weights[at] ?? 0;
    for (let i = 0; i < dimension; i++) mean[i] = (mean[i] ?? 0) + weight * (piece[i] ?? 0);
  }
  toUnitLength(mean);
  return mean;
}
