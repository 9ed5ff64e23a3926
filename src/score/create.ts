/** Opens the scorers: tokenizers and caches here, models in worker threads. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { boundedCache } from '../core/bounded-cache.ts';
import { SluiceError } from '../core/errors.ts';
import { createKeepScorer } from './keep.ts';
import {
  dimensionOf,
  maxBatchOf,
  modelId,
  poolingOf,
  readManifest,
  scorerFile,
} from './manifest.ts';
import type { ModelRole } from './model.ts';
import { createPairScorer } from './pairs.ts';
import { createWorkerPool, type PoolStats, type WorkerPool } from './pool.ts';
import { createScorerCore, type Installed, type ScorerCore } from './scorer-core.ts';
import { createSurprisalScorer } from './surprisal.ts';
import { openTokenTable, warmUpTable } from './table.ts';
import { type Vocabulary, vocabularySource } from './vocabulary.ts';
import type { ModelManifest, ScorerSet, TokenTable, VectorScorer } from './types.ts';
import { createVectorScorer } from './vectors.ts';
import { siblingModule } from './worker-thread.ts';

export interface CreateScorersOptions {
  /** Folder of the causal model, or null for none. */
  readonly surprisal: string | null;
  /** Folder of the token classifier, or null for none. */
  readonly keep: string | null;
  /** Folder of the sentence encoder; left out or null = none. */
  readonly vectors?: string | null;
  /** Folder of the token table; left out or null = none. */
  readonly table?: string | null;
  /** Folder of the cross-encoder; left out or null = none. */
  readonly pairs?: string | null;
  /** Worker threads; lowered to the cores. */
  readonly workers: number;
  /** Intra-op threads of each worker; lowered so that workers x threads <= cores. */
  readonly threads: number;
  /** Chunks that may wait before requests are refused with QUEUE_FULL. */
  readonly queue: number;
  /** Chunk results that are remembered. */
  readonly cacheEntries: number;
  /** Memory for sentence vectors that are remembered, bytes; default 64 MiB (43,000 vectors of 384 numbers). */
  readonly vectorBytes?: number;
  /** Runs one pass through every model before the pool counts as ready; default true. */
  readonly warmUp?: boolean;
}

export interface ScorerStats extends PoolStats {
  /** Tokens that went through a network (context and special tokens included). */
  readonly tokensFed: number;
  /** Chunks scored by a network, and chunks (or texts) answered from a cache. */
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

/** The scorer that a model is for. */
export function roleOf({ kind }: ModelManifest): ModelRole | 'table' {
  switch (kind) {
    case 'causal-lm':
      return 'surprisal';
    case 'token-classifier':
      return 'keep';
    case 'sentence-encoder':
      return 'vectors';
    case 'cross-encoder':
      return 'pairs';
    case 'token-table':
      return 'table';
  }
}

const VECTOR_BYTES = 64 * 1024 * 1024;
/** Bytes of a cache entry besides its vector: key, links, typed array. */
const ENTRY_BYTES = 256;
/** Pair scores that are remembered, some 200 bytes each. */
const PAIR_ENTRIES = 65_536;

/**
 * Opens the models named and warms them up; resolves when they are ready.
 * @throws SluiceError MODEL_INVALID for a folder, manifest or graph that cannot be used
 */
export async function createScorers(options: CreateScorersOptions): Promise<ScorerPool> {
  const vocabularyOf = vocabularySource();
  const models = {
    surprisal: install(options.surprisal, 'surprisal', vocabularyOf),
    keep: install(options.keep, 'keep', vocabularyOf),
    vectors: install(options.vectors ?? null, 'vectors', vocabularyOf),
    pairs: install(options.pairs ?? null, 'pairs', vocabularyOf),
  };
  const table = openTable(options.table ?? null, vocabularyOf, options.warmUp ?? true);
  const { pool, workers } = await openPool(Object.values(models), options);
  const counts = { tokensFed: 0, chunks: 0, cacheHits: 0 };
  const cache = boundedCache<Float32Array>({ maxEntries: Math.max(1, options.cacheEntries) });
  const coreOf = (model: Installed | null): ScorerCore | null =>
    pool === null || model === null
      ? null
      : createScorerCore({ model, pool, cache, counts, parallel: workers });
  return {
    surprisal: given(coreOf(models.surprisal), createSurprisalScorer),
    keep: given(coreOf(models.keep), createKeepScorer),
    vectors: given(coreOf(models.vectors), (core) =>
      openVectors(core, options.vectorBytes ?? VECTOR_BYTES),
    ),
    table,
    pairs: given(coreOf(models.pairs), (core) =>
      createPairScorer(core, boundedCache<number>({ maxEntries: PAIR_ENTRIES })),
    ),
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

function openVectors(core: ScorerCore, bytes: number): VectorScorer {
  const dimension = dimensionOf(core.folder, core.manifest);
  const size = dimension * Float32Array.BYTES_PER_ELEMENT + ENTRY_BYTES;
  const maxEntries = Math.max(1, Math.floor(bytes / size));
  return createVectorScorer(core, { dimension, cache: boundedCache({ maxEntries }) });
}

function given<T, R>(value: T | null, make: (value: T) => R): R | null {
  return value === null ? null : make(value);
}

async function openPool(
  installed: readonly (Installed | null)[],
  options: CreateScorersOptions,
): Promise<{ readonly pool: WorkerPool | null; readonly workers: number }> {
  const models = installed.flatMap((model) => (model === null ? [] : [model.file]));
  const cores = availableParallelism();
  const workers = Math.max(1, Math.min(options.workers, cores));
  if (models.length === 0) return { pool: null, workers };
  const threads = Math.max(1, Math.min(options.threads, Math.floor(cores / workers)));
  const pool = await createWorkerPool({
    entry: siblingModule('worker', import.meta.url),
    setup: { models, threads, warmUp: options.warmUp ?? true },
    workers,
    queue: options.queue,
  });
  return { pool, workers };
}

function manifestFor(folder: string, role: ModelRole | 'table'): ModelManifest {
  const manifest = readManifest(folder);
  if (roleOf(manifest) === role) return manifest;
  throw new SluiceError(
    'MODEL_INVALID',
    `${folder} is a ${manifest.kind}, which is not a model for the role ${role}`,
  );
}

type VocabularyOf = (folder: string, manifest: ModelManifest) => Vocabulary;

function install(
  folder: string | null,
  role: ModelRole,
  vocabularyOf: VocabularyOf,
): Installed | null {
  if (folder === null) return null;
  const manifest = manifestFor(folder, role);
  const name = scorerFile(manifest);
  const file = {
    role,
    path: join(folder, name),
    maxBatch: maxBatchOf(manifest),
    contextLength: manifest.context_length,
    pooling: poolingOf(manifest),
  };
  const id = modelId(manifest, name);
  return { folder, manifest, vocabulary: vocabularyOf(folder, manifest), file, id };
}

function openTable(
  folder: string | null,
  vocabularyOf: VocabularyOf,
  warmUp: boolean,
): TokenTable | null {
  if (folder === null) return null;
  const manifest = manifestFor(folder, 'table');
  const vocabulary = vocabularyOf(folder, manifest);
  const table = openTokenTable(folder, manifest, vocabulary);
  if (warmUp) warmUpTable(table, vocabulary);
  return table;
}
