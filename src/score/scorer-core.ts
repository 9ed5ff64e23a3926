/** What every scorer is built on: its model's place, and passes through the pool. */
import { hash } from 'node:crypto';
import type { BoundedCache } from '../core/bounded-cache.ts';
import { SluiceError } from '../core/errors.ts';
import type { ModelFile, ModelInput } from './model.ts';
import type { WorkerPool } from './pool.ts';
import type { ModelManifest, ScoreOptions } from './types.ts';
import type { Vocabulary } from './vocabulary.ts';

/** A model folder that was read; its graph is opened in the workers. */
export interface Installed {
  readonly folder: string;
  readonly manifest: ModelManifest;
  readonly vocabulary: Vocabulary;
  readonly file: ModelFile;
  readonly id: string;
}

export interface PassOptions extends ScoreOptions {
  /** True for the later chunks of a request. */
  readonly admitted?: boolean;
}

export interface ScorerCore {
  readonly id: string;
  readonly folder: string;
  readonly manifest: ModelManifest;
  readonly vocabulary: Vocabulary;
  /** Chunks of one request that may be in the pool at once. */
  readonly parallel: number;
  /** One forward pass over exactly these ids, remembered by content. */
  pass(ids: Uint32Array, options: PassOptions): Promise<Float32Array>;
  /** Runs sequences through the network; nothing is remembered. */
  feed(input: ModelInput, options: PassOptions): Promise<Float32Array>;
  /** Counts answers that came from a cache. */
  hit(count: number): void;
  readonly tokensFed: () => number;
}

/** Sums over all scorers of a set. */
export interface Counts {
  tokensFed: number;
  chunks: number;
  cacheHits: number;
}

export interface CoreParts {
  readonly model: Installed;
  readonly pool: WorkerPool;
  readonly cache: BoundedCache<Float32Array>;
  readonly counts: Counts;
  readonly parallel: number;
}

export function createScorerCore(parts: CoreParts): ScorerCore {
  const { model, pool, cache, counts, parallel } = parts;
  const { id, folder, manifest, vocabulary, file } = model;
  let fed = 0;
  const feed: ScorerCore['feed'] = async (input, { signal = null, admitted = false }) => {
    const values = await pool.run(file.role, input, { signal, admitted });
    counts.chunks++;
    counts.tokensFed += input.ids.length;
    fed += input.ids.length;
    return values;
  };
  return {
    id,
    folder,
    manifest,
    vocabulary,
    parallel,
    feed,
    hit: (count) => void (counts.cacheHits += count),
    tokensFed: () => fed,
    async pass(ids, options) {
      if (ids.length === 0) return new Float32Array(0);
      if (ids.length > manifest.context_length)
        throw new SluiceError(
          'INTERNAL',
          `${ids.length} tokens do not fit the ${manifest.context_length} positions of ${id}`,
        );
      const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
      const key = `${id} ${hash('sha256', bytes, 'base64')}`;
      const known = cache.get(key);
      if (known !== undefined) {
        counts.cacheHits++;
        return known.slice();
      }
      const values = await feed({ ids, lengths: null, seconds: null }, options);
      cache.set(key, values);
      return values.slice();
    },
  };
}
