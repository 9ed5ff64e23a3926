/** One replica with all that is followed about it: its index, its engine's events, its slots. */
import { createAnswerBook, type AnswerBook } from './answers.ts';
import type { BackendKind } from '../core/backend-kind.ts';
import type { CacheShape } from './cache-shape.ts';
import { createEventReader, type EventReader } from './event-reader.ts';
import { lifetimeMs } from './lifetime.ts';
import type { PlacementReplica, ReplicaFacts } from './placement-options.ts';
import { eventOrigin } from './prompt-chains.ts';
import { layerGroups } from './regime.ts';
import type { ReplicaIndex, ReplicaIndexOptions } from './replica-index.ts';
import { saltedKinds } from './salt.ts';
import { createSlotBook, type SlotBook } from './slots.ts';
import { createTimeline, type Timeline } from './timeline.ts';

export interface StationDeps {
  readonly replica: PlacementReplica;
  readonly salted: boolean;
  /** Conversations get slots of their own. */
  readonly pinned: boolean;
  readonly seeds: readonly (string | null)[];
  readonly maxIndexBlocks: number;
  readonly index: () => ReplicaIndex;
  readonly rebuild: (options: ReplicaIndexOptions) => void;
  readonly now: () => number;
  readonly onDefect: (error: unknown) => void;
}

export interface Station {
  readonly replica: PlacementReplica;
  readonly timeline: Timeline;
  readonly reader: EventReader | null;
  /** How long its answers were. */
  readonly answers: AnswerBook;
  /** The index is told by the engine, now. */
  readonly live: boolean;
  readonly shape: CacheShape;
  /** The server may hold what an earlier process sent it, of which the index knows nothing. */
  readonly mayHoldMore: boolean;
  indexOptions(): ReplicaIndexOptions;
  /** Follows what has become known about the server; true = its cache is another one than before. */
  refresh(): boolean;
  readonly facts: ReplicaFacts;
  slots(): SlotBook | null;
  close(): void;
}

/** Events and prompts that may wait for one prompt's ids. */
const maxWaiting = 4096;
/** Blocks that were forwarded count as long, in ms, until the engine has had time to say so. */
const speculativeMs = 2000;

/** What a server was sent this long ago, in ms, before this process began, is not expected there any more. */
const earlierMs = 20 * 60_000;

/** Granularity of reuse where nothing better is known: vLLM's default block, else single tokens. */
const defaultBlocks: Readonly<Record<BackendKind, number>> = {
  vllm: 16,
  sglang: 1,
  llamacpp: 1,
  ollama: 1,
  tgi: 1,
  openai: 128,
  anthropic: 1,
  embedded: 1,
};

export function createStation(deps: StationDeps): Station {
  return new ReplicaStation(deps);
}

class ReplicaStation implements Station {
  readonly replica: PlacementReplica;
  readonly timeline: Timeline;
  readonly reader: EventReader | null;
  readonly answers = createAnswerBook();
  facts: ReplicaFacts;
  #slots: { readonly count: number; readonly book: SlotBook } | null = null;
  readonly #deps: StationDeps;
  readonly #since: number;

  constructor(deps: StationDeps) {
    this.#deps = deps;
    this.#since = deps.now();
    this.replica = deps.replica;
    this.facts = deps.replica.facts();
    this.timeline = createTimeline({ maxWaiting, onDefect: deps.onDefect });
    const { events } = deps.replica;
    this.reader =
      events === null
        ? null
        : createEventReader({
            feed: events,
            timeline: this.timeline,
            initial: () => initialShape(this.facts, true),
            seeds: deps.seeds,
            index: deps.index,
            rebuild: () => deps.rebuild(this.indexOptions()),
            now: deps.now,
          });
  }

  get live(): boolean {
    return this.reader?.state === 'live' && eventsTell(this.facts, this.#deps.salted);
  }

  get shape(): CacheShape {
    return this.reader?.shape ?? initialShape(this.facts, false);
  }

  get mayHoldMore(): boolean {
    // A slot that this process has not filled is one that it has not chosen.
    if (this.live || (this.#deps.pinned && this.slots() !== null)) return false;
    return this.#deps.now() - this.#since < earlierMs;
  }

  indexOptions(): ReplicaIndexOptions {
    const { blockTokens, groups, names } = this.shape;
    const { maxIndexBlocks } = this.#deps;
    const { kind, fingerprint, capacityTokens } = this.facts;
    const room = capacityTokens === null ? maxIndexBlocks : Math.ceil(capacityTokens / blockTokens);
    const isLive = (): boolean => this.live;
    return {
      blockTokens,
      groups,
      names,
      // An engine that tells frees its blocks itself; before it has, the index may hold a few more than it.
      maxBlocks: this.reader === null ? Math.min(room, maxIndexBlocks) : maxIndexBlocks,
      // As things stand whenever it is asked.
      get feed() {
        return isLive() ? 'events' : 'estimated';
      },
      speculativeMs,
      expiryMs: lifetimeMs[kind],
      eventDomain: (event) => eventOrigin(event, fingerprint),
    };
  }

  refresh(): boolean {
    const before = this.facts;
    this.facts = this.replica.facts();
    const { kind, fingerprint, blockTokens } = this.facts;
    const other = kind !== before.kind || fingerprint !== before.fingerprint;
    // Learned after the first requests; what events have shown counts more.
    const resized = blockTokens !== before.blockTokens && !this.live;
    const { blockTokens: wanted } = initialShape(this.facts, this.reader !== null);
    if (!other && !(resized && wanted !== this.shape.blockTokens)) {
      return false;
    }
    if (this.reader === null) this.#deps.rebuild(this.indexOptions());
    else this.reader.renew();
    return true;
  }

  slots(): SlotBook | null {
    const count = this.facts.slots ?? 0;
    if (count < 1) return null;
    if (this.#slots?.count !== count) this.#slots = { count, book: createSlotBook(count) };
    return this.#slots.book;
  }

  close(): void {
    this.reader?.close();
    this.timeline.close();
  }
}

/** Until events say otherwise: every layer keeps everything, and vLLM hashes its blocks as vllm-hash.ts does. */
function initialShape(facts: ReplicaFacts, told: boolean): CacheShape {
  return {
    blockTokens: facts.blockTokens ?? defaultBlocks[facts.kind],
    // An engine that tells events says of which groups its cache is.
    groups: layerGroups(told ? null : facts.position),
    names: facts.kind === 'vllm' ? 'engine' : 'chain',
    seed: null,
    verified: false,
  };
}

/** Events do not show in which regime a block was computed; SGLang's not even the salt. */
function eventsTell({ kind, position }: ReplicaFacts, salted: boolean): boolean {
  if (salted && saltedKinds.includes(kind) && kind !== 'vllm') return false;
  return position === null || position.switch === 'static';
}
