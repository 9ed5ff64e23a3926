/** Relevance of texts to a question under a cross-encoder (Nogueira and Cho 2019), remembered by content. */
import { hash } from 'node:crypto';
import type { BoundedCache } from '../core/bounded-cache.ts';
import { contentStore } from './once.ts';
import { runEach } from './passes.ts';
import type { ScorerCore } from './scorer-core.ts';
import { evenPieces, inputOf, jobsOf, type Sequence } from './sequences.ts';
import { separatorOf, specialId } from './special-ids.ts';
import type { PairScorer } from './types.ts';

/** A text on its way: the best of its pieces counts (MaxP, Dai and Callan 2019). */
interface Best {
  readonly key: string;
  score: number;
  /** Pieces that are still out. */
  pieces: number;
}

/** The scorer of the role `pairs`; see `PairScorer` for what its calls mean. */
export function createPairScorer(core: ScorerCore, cache: BoundedCache<number>): PairScorer {
  const contextLength = core.manifest.context_length;
  const store = contentStore(cache);
  const { tokenizer, idsOf } = core.vocabulary;
  const opening = specialId(tokenizer, 'opening');
  const closing = specialId(tokenizer, 'closing');
  const separator = separatorOf(tokenizer);

  /** The question takes at most half of the context; of a longer one the end is kept, where it usually asks. */
  function leadOf(question: string): number[] {
    const room = Math.floor(contextLength / 2) - 1 - separator.length;
    const ids = idsOf(question);
    return [opening, ...ids.subarray(Math.max(0, ids.length - room)), ...separator];
  }

  function* sequences(
    lead: readonly number[],
    texts: readonly (readonly [string, string])[],
  ): Generator<Sequence<Best>> {
    const room = contextLength - lead.length - 1;
    for (const [key, text] of texts) {
      const ids = idsOf(text);
      const pieces = evenPieces(ids.length, room);
      const best = { key, score: -Infinity, pieces: pieces.length };
      for (const { from, to } of pieces) {
        const whole = [...lead, ...ids.subarray(from, to), closing];
        yield { key: best, ids: whole, second: lead.length };
      }
    }
  }

  return {
    kind: 'pairs',
    id: core.id,
    contextLength,
    async scores(question, texts, { signal = null } = {}) {
      const about = hash('sha256', question, 'base64');
      const keys = texts.map((text) => hash('sha256', `${about}${text}`, 'base64'));
      const items = new Map(keys.map((key, i) => [key, texts[i] ?? '']));
      let fed = 0;
      const values = await store.ask(items, {
        signal,
        async work(wanted, give) {
          fed += wanted.length;
          const jobs = jobsOf(sequences(leadOf(question), wanted));
          await runEach(jobs, { parallel: core.parallel + 1, signal }, async (job, pass) => {
            const result = await core.feed(inputOf(job), pass);
            job.forEach(({ key: best }, row) => {
              best.score = Math.max(best.score, result[row] ?? -Infinity);
              best.pieces--;
              if (best.pieces === 0) give(best.key, best.score);
            });
          });
        },
      });
      core.hit(items.size - fed);
      return Float32Array.from(keys, (key) => values.get(key) ?? 0);
    },
    get tokensFed() {
      return core.tokensFed();
    },
  };
}
