/** Keeps one replica's index in step with its engine's events: order, gaps, restarts, and what the blocks are. */
import { createTurns } from '../core/turns.ts';
import { sameBlocks, shapeAfter, type CacheShape } from './cache-shape.ts';
import { judgeSequence, readKvEvent } from './kv-events.ts';
import type { KvFeed, RawKvBatch } from './placement-options.ts';
import type { EventBatch, ReplicaIndex } from './replica-index.ts';
import type { Timeline } from './timeline.ts';

export interface EventReaderDeps {
  readonly feed: KvFeed;
  /** Where everything that happens to the replica stands in line. */
  readonly timeline: Timeline;
  /** What the blocks are taken for until events tell. */
  readonly initial: () => CacheShape;
  readonly seeds: readonly (string | null)[];
  readonly index: () => ReplicaIndex;
  /** Puts an empty index of this shape in place. */
  readonly rebuild: (shape: CacheShape) => void;
  readonly now: () => number;
}

export interface EventReader {
  readonly shape: CacheShape;
  readonly state: 'live' | 'lost' | 'none';
  /** Everything that the engine holds is known, or its reports have agreed with the forecasts for a while. */
  readonly certain: boolean;
  /** Adapters that blocks were stored for; their prompts are cached apart. */
  readonly adapters: ReadonlySet<string>;
  start(): void;
  /** The replica is another one than before. */
  renew(): void;
  /** A forecast meets the engine's report. */
  compared(forecast: number, reported: number): void;
  close(): void;
}

/** Forecasts in a row that must come true before a feed that has missed something is trusted again. */
const trials = 20;
const maxAdapters = 256;

export function createEventReader(deps: EventReaderDeps): EventReader {
  return new Reader(deps);
}

class Reader implements EventReader {
  readonly adapters = new Set<string>();
  shape: CacheShape;
  state: 'live' | 'lost' | 'none' = 'none';
  readonly #deps: EventReaderDeps;
  #expected = 0;
  #doubts = trials;
  #stop: (() => void) | null = null;

  constructor(deps: EventReaderDeps) {
    this.#deps = deps;
    this.shape = deps.initial();
  }

  get certain(): boolean {
    return this.#doubts === 0;
  }

  start(): void {
    const { feed, timeline } = this.#deps;
    this.#stop = feed.subscribe({
      // What finds no room is missing afterwards, and asked for again.
      onBatch: (batch) => void timeline.push(() => this.#take(batch)),
      onState: (state) => {
        this.state = state;
        if (state === 'lost') this.#doubts = trials;
        else timeline.push(() => this.#reload([]));
      },
    });
  }

  renew(): void {
    this.#deps.timeline.push(() => {
      this.#forget();
      return this.#reload([]);
    });
  }

  compared(forecast: number, reported: number): void {
    if (forecast === reported) this.#doubts = Math.max(0, this.#doubts - 1);
    else if (Math.abs(forecast - reported) > this.shape.blockTokens) this.#doubts = trials;
  }

  close(): void {
    this.#stop?.();
    this.#stop = null;
  }

  #take(raw: RawKvBatch): void | Promise<void> {
    const batch = readBatch(raw);
    if (judgeSequence(this.#expected, batch.sequence, 'live').type === 'restart') this.#forget();
    const shape = shapeAfter(this.shape, batch.events, this.#deps.seeds);
    const fits = sameBlocks(shape, this.shape);
    if (batch.sequence === this.#expected && fits) {
      this.shape = shape;
      this.#apply(batch);
      return undefined;
    }
    return batch.sequence === this.#expected && batch.sequence > 0
      ? this.#reload([batch])
      : this.#catchUp(batch);
  }

  /** Asks for what is missing before this batch. */
  async #catchUp(batch: EventBatch): Promise<void> {
    const first = this.#expected;
    const missing = first === batch.sequence ? [] : await this.#deps.feed.replay(first);
    const all = [...(await before(missing ?? [], batch.sequence, first)), batch];
    const shape = this.#shapeAfter(all);
    if (sameBlocks(shape, this.shape)) return this.#applyAll(all);
    if (first > 0) return this.#reload(all);
    this.#become(shape);
    return this.#applyAll(all);
  }

  /** Reads again all that the engine still has, then `tail`. Without a replay what is known stays. */
  async #reload(tail: readonly EventBatch[]): Promise<void> {
    const history = await this.#deps.feed.replay(0);
    const end = tail[0]?.sequence ?? Infinity;
    const all = [...(await before(history ?? [], end, 0)), ...tail];
    if (history === null && tail.length === 0) return;
    this.#become(this.#shapeAfter(all));
    if (history !== null && all.length === 0) this.#doubts = 0;
    await this.#applyAll(all);
  }

  #shapeAfter(batches: readonly EventBatch[]): CacheShape {
    const { seeds } = this.#deps;
    return batches.reduce((shape, { events }) => shapeAfter(shape, events, seeds), this.shape);
  }

  #forget(): void {
    this.#become(this.#deps.initial());
    this.adapters.clear();
  }

  #become(shape: CacheShape): void {
    this.shape = shape;
    this.#deps.rebuild(shape);
    this.#expected = 0;
    this.#doubts = trials;
  }

  async #applyAll(batches: readonly EventBatch[]): Promise<void> {
    const turns = createTurns(null);
    for (const batch of batches) {
      await turns.pause();
      this.#apply(batch);
    }
  }

  #apply(batch: EventBatch): void {
    const { sequence, events } = batch;
    if (sequence < this.#expected) return;
    const index = this.#deps.index();
    if (sequence > this.#expected) {
      index.skipTo(sequence);
      this.#doubts = trials;
    } else if (sequence === 0 || events.some(({ type }) => type === 'cleared')) this.#doubts = 0;
    index.applyBatch(batch, this.#deps.now());
    this.#expected = sequence + 1;
    for (const event of events) {
      if (event.type !== 'stored' || event.lora === null) continue;
      if (this.adapters.size < maxAdapters) this.adapters.add(event.lora);
    }
  }
}

function readBatch({ sequence, events }: RawKvBatch): EventBatch {
  return { sequence, events: events.flatMap((raw) => readKvEvent(raw) ?? []) };
}

async function before(
  batches: readonly RawKvBatch[],
  end: number,
  from: number,
): Promise<readonly EventBatch[]> {
  const wanted = batches
    .filter(({ sequence }) => sequence >= from && sequence < end)
    .toSorted((a, b) => a.sequence - b.sequence);
  const turns = createTurns(null);
  const read: EventBatch[] = [];
  for (const batch of wanted) {
    await turns.pause();
    read.push(readBatch(batch));
  }
  return read;
}
