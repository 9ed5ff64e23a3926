/** What an index of one replica's cache is set up with, and what it is made of. */
import type { BlockSet } from './block-set.ts';
import type { EngineNames } from './engine-names.ts';
import type { BlockStored } from './kv-events.ts';

/**
 * Layers that cache alike.
 * - `full`: a hit needs every block from the start
 * - `sliding`: a hit needs the blocks that the last `windowTokens - 1` tokens lie in
 * - `recurrent`: a hit needs the state saved at exactly that boundary
 */
export type LayerGroup =
  | { readonly kind: 'full' }
  | { readonly kind: 'sliding'; readonly windowTokens: number }
  | { readonly kind: 'recurrent' };

export interface ReplicaIndexOptions {
  readonly blockTokens: number;
  /** At least one; their order is the engine's `group_idx`. */
  readonly groups: readonly LayerGroup[];
  /** Bound per group: the replica's real capacity, so that old blocks leave here when they leave there. */
  readonly maxBlocks: number;
  /** `events`: what was forwarded counts for `speculativeMs` (or until recorded again) if the engine does not confirm it. */
  readonly feed: 'events' | 'estimated';
  /**
   * `chain`: our own names; events are translated by their token ids and parents. `engine`: chains are made with the
   * engine's own hashes (see vllm-hash.ts), so that events name blocks directly, also for who came late and for
   * layers whose cache lacks the parent block. Those hashes know salt and adapter only: one index a process (each
   * data-parallel rank is one), and only for schemes with one regime.
   */
  readonly names: 'chain' | 'engine';
  readonly speculativeMs: number;
  /** Age in ms after which a block without the engine's word counts as gone; null = eviction by count only. */
  readonly expiryMs: number | null;
  /**
   * Domain and extras of the blocks of an event (`names: 'chain'` only); null = not ours. The domain counts for first
   * blocks, later ones have it from their parent. Without this function no event can be matched with a chain.
   */
  readonly eventDomain?: (event: BlockStored) => {
    readonly domain: Uint8Array;
    readonly extra?: (block: number) => string | null;
  } | null;
}

/** The blocks of the layers that cache alike. */
export interface GroupState {
  readonly group: LayerGroup;
  readonly blocks: BlockSet;
  readonly engine: EngineNames;
}

export interface At {
  readonly options: ReplicaIndexOptions;
  readonly now: number;
}
