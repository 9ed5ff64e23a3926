/** What placement asks of its surroundings: servers as functions, so that it knows no protocol and tests need no socket. */
import type { BackendKind } from '../core/backend-kind.ts';
import type { Clock } from '../core/clock.ts';
import type { PositionScheme } from './position.ts';
import type { RouterOptions } from './router.ts';

/** What is known about a server now; it may be found out, or change, while the process runs. null = not known. */
export interface ReplicaFacts {
  readonly kind: BackendKind;
  /** Label of everything that makes cached KV interchangeable. Equal labels, equal token ids. */
  readonly fingerprint: string;
  /** Tokens of a cache block, as its configuration says; events know better. */
  readonly blockTokens: number | null;
  readonly contextWindow: number | null;
  /** Tokens of KV that fit. */
  readonly capacityTokens: number | null;
  /** Slots of a server that keeps one prompt in each (llama.cpp). */
  readonly slots: number | null;
  /** Where the scheme's frequencies change with the length, entries of one regime are never expected in another. */
  readonly position: PositionScheme | null;
}

/** Token ids of a request's prompt as the server will see it. `exact`: its own chat template and tokenizer. */
export interface PromptTokens {
  readonly tokens: Uint32Array;
  readonly exact: boolean;
}

/** One batch of an engine's KV events: decoded, not interpreted (see kv-events.ts). */
export interface RawKvBatch {
  readonly sequence: number;
  readonly events: readonly unknown[];
}

export interface KvFeedListener {
  onBatch(batch: RawKvBatch): void;
  /** `live`: connected; `lost`: connected before, not now. */
  onState(state: 'live' | 'lost'): void;
}

/** The stream of one cache's events. */
export interface KvFeed {
  /** Connects, and keeps trying; returns what ends it. */
  subscribe(listener: KvFeedListener): () => void;
  /** Batches from a number on that the engine still has, oldest first; null = it cannot be asked. Never rejects. */
  replay(from: number): Promise<readonly RawKvBatch[] | null>;
}

export interface PlacementReplica {
  readonly id: string;
  /** Cheap: asked for every request. */
  readonly facts: () => ReplicaFacts;
  /** null = nobody can tell (now). */
  readonly promptTokens: (
    body: Uint8Array,
    path: string,
    signal: AbortSignal,
  ) => Promise<PromptTokens | null>;
  /** Told how many prompt tokens the server counted for what `promptTokens` gave. */
  readonly confirm?: (told: PromptTokens, promptTokens: number) => void;
  readonly events: KvFeed | null;
  readonly check: (signal: AbortSignal) => Promise<{ readonly ok: boolean }>;
}

export interface PlacementOptions {
  readonly replicas: readonly PlacementReplica[];
  readonly clock: Clock;
  /** Longest wait for token ids before a choice between replicas, in ms. */
  readonly tokenizeMs?: number;
  /** Ids that come later than this are of no use, in ms. */
  readonly lateMs?: number;
  /** `tenant`: prompts of one tenant are cached apart from those of others, where the server can do that. */
  readonly salt?: 'none' | 'tenant';
  /** What salts are derived from; the same in every process that shares the servers. Needed with `salt: 'tenant'`. */
  readonly secret?: string | null;
  /** Adds `id_slot` for servers with slots. */
  readonly pinSlots?: boolean;
  /** Seeds under which vLLM's hashes are tried; null = its default. */
  readonly hashSeeds?: readonly (string | null)[];
  /** Bound of each replica's index. */
  readonly maxIndexBlocks?: number;
  /** Time between looks at a replica that fails or is idle, in ms; 0 = it is never asked. */
  readonly checkMs?: number;
  readonly router?: RouterOptions;
  /** In [0, 1); spreads the checks. */
  readonly random?: () => number;
  /** Told of what was worked around. */
  readonly onDefect?: (error: unknown) => void;
}
