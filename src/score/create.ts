/** Opens the scorers: tokenizers and caches here, models in worker threads. */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type BoundedCache, boundedCache } from '../core/bounded-cache.ts';
import { SluiceError } from '../core/errors.ts';
import { loadTokenizer } from '../tokenize/load.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { createKeepScorer } from './keep.ts';
import { readManifest, scorerFile } from './manifest.ts';
import type { ModelFile, ModelRole } from './model.ts';
import { createWorkerPool, type PoolStats, type WorkerPool } from './pool.ts';
import { createSurprisalScorer } from './surprisal.ts';
import type { ModelManifest, ScoreOptions, ScorerSet } from './types.ts';
import { siblingModule } from './worker-thread.ts';

export interface CreateScorersOptions {
  /** Folder of the causal model, or null for none. */
  readonly surprisal: string | null;
  /** Folder of the token classifier, or null for none. */
  readonly keep: string | null;
  /** Worker threads; lowered to the cores. */
  readonly workers: number;
  /** Intra-op threads of each worker; lowered so that workers x threads <= cores. */
  readonly threads: number;
  /** Chunks that may wait before requests are refused with QUEUE_FULL. */
  readonly queue: number;
  /** Chunk results that are remembered. */
  readonly cacheEntries: number;
  /** Runs one pass through every model before the pool counts as ready; default true. */
  readonly warmUp?: boolean;
}

export interface ScorerStats extends PoolStats {
  /** Tokens that went through a network (context and special tokens included). */
  readonly tokensFed: number;
  /** Chunks scored by a network, and chunks answered from the cache. */
  readonly chunks: number;
  readonly cacheHits: number;
}

export interface ScorerPool extends ScorerSet {
  /** True when every worker is warm. */
  readonly ready: boolean;
  stats(): ScorerStats;
  /** Ends the workers; pending calls are rejected. */
  close(): Promise<void>;
}

/** What a scorer needs to run: the model's place, and passes through the pool that are cached by content. */
export interface ScorerCore {
  readonly id: string;
  readonly manifest: ModelManifest;
  readonly tokenizer: TextTokenizer;
  /** Chunks of one request that may be in the pool at once. */
  readonly parallel: number;
  /** One forward pass over exactly these ids. */
  pass(ids: Uint32Array, options: PassOptions): Promise<Float32Array>;
  readonly tokensFed: () => number;
}

export interface PassOptions extends ScoreOptions {
  /** True for the later chunks of a request. */
  readonly admitted?: boolean;
}

interface Installed {
  readonly manifest: ModelManifest;
  readonly tokenizer: TextTokenizer;
  readonly file: ModelFile;
  readonly id: string;
}

const expectedKind: Record<ModelRole, ModelManifest['kind']> = {
  surprisal: 'causal-lm',
  keep: 'token-classifier',
};

/**
 * Opens the models named and warms them up; resolves when they are ready.
 * @throws SluiceError MODEL_INVALID for a folder, manifest or graph that cannot be used
 */
export async function createScorers(options: CreateScorersOptions): Promise<ScorerPool> {
  const surprisal = install(options.surprisal, 'surprisal');
  const keep = install(options.keep, 'keep');
  const models = [surprisal, keep].flatMap((model) => (model === null ? [] : [model.file]));
  const cores = availableParallelism();
  const workers = Math.max(1, Math.min(options.workers, cores));
  const threads = Math.max(1, Math.min(options.threads, Math.floor(cores / workers)));
  const pool =
    models.length === 0
      ? null
      : await createWorkerPool({
          entry: siblingModule('worker', import.meta.url),
          setup: { models, threads, warmUp: options.warmUp ?? true },
          workers,
          queue: options.queue,
        });
  const cache = boundedCache<Float32Array>({ maxEntries: Math.max(1, options.cacheEntries) });
  const counts = { tokensFed: 0, chunks: 0, cacheHits: 0 };
  const coreOf = (model: Installed): ScorerCore | null =>
    pool === null ? null : scorerCore({ model, pool, cache, counts, parallel: workers });
  const surprisalCore = surprisal === null ? null : coreOf(surprisal);
  const keepCore = keep === null ? null : coreOf(keep);
  return {
    surprisal: surprisalCore === null ? null : createSurprisalScorer(surprisalCore),
    keep: keepCore === null ? null : createKeepScorer(keepCore),
    vectors: null,
    table: null,
    pairs: null,
    get ready() {
      return pool?.ready ?? true;
    },
    stats: () => ({
      ...(pool?.stats() ?? { queued: 0, running: 0, workers: 0, crashes: 0 }),
      ...counts,
    }),
    close: async () => pool?.close(),
  };
}

function install(folder: string | null, role: ModelRole): Installed | null {
  if (folder === null) return null;
  const manifest = readManifest(folder);
  if (manifest.kind !== expectedKind[role])
    throw new SluiceError(
      'MODEL_INVALID',
      `${folder} is a ${manifest.kind}; the ${role} scorer needs a ${expectedKind[role]}`,
    );
  const file = scorerFile(manifest);
  const hash = manifest.files[file]?.sha256.slice(0, 12) ?? '';
  return {
    manifest,
    tokenizer: loadTokenizer(folder),
    file: { role, path: join(folder, file) },
    id: `${manifest.name}@${manifest.version}:${hash}`,
  };
}

interface Counts {
  tokensFed: number;
  chunks: number;
  cacheHits: number;
}

interface CoreParts {
  readonly model: Installed;
  readonly pool: WorkerPool;
  readonly cache: BoundedCache<Float32Array>;
  readonly counts: Counts;
  readonly parallel: number;
}

function scorerCore({ model, pool, cache, counts, parallel }: CoreParts): ScorerCore {
  const { id, manifest, tokenizer, file } = model;
  let fed = 0;
  return {
    id,
    manifest,
    tokenizer,
    parallel,
    tokensFed: () => fed,
    async pass(ids, { signal = null, admitted = false }) {
      if (ids.length === 0) return new Float32Array(0);
      if (ids.length > manifest.context_length)
        throw new SluiceError(
          'INTERNAL',
          `${ids.length} tokens do not fit the ${manifest.context_length} positions of ${id}`,
        );
      const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
      const key = `${id} ${createHash('sha256').update(bytes).digest('base64')}`;
      const known = cache.get(key);
      if (known !== undefined) {
        counts.cacheHits++;
        return known.slice();
      }
      const values = await pool.run(file.role, ids, { signal, admitted });
      counts.chunks++;
      counts.tokensFed += ids.length;
      fed += ids.length;
      cache.set(key, values);
      return values.slice();
    },
  };
}
