/**
 * Sequences on one session under one scheme: prefixes found among pages, prompts read in chunks, several sequences
 * decoded in one pass, the middle dropped where the scheme bounds KV, recomputation when a sequence leaves its regime.
 */
import { SluiceError } from '../core/errors.ts';
import type { OrtSession } from '../score/session.ts';
import { BlockPool, blockKey, blockTokens, copyTokens } from './kv/blocks.ts';
import type { Block } from './kv/blocks.ts';
import { dropMiddle, liveBlocks, newSequence, releaseAll } from './kv/sequence.ts';
import type { PartBlock, Sequence } from './kv/sequence.ts';
import { Staging } from './kv/staging.ts';
import { createScheme } from './schemes/create.ts';
import type { SchemeConfig } from './schemes/create.ts';
import type { PositionScheme } from './schemes/types.ts';
import { createStepper } from './step.ts';
import type { StepOutput, Stepper } from './step.ts';
import type { ModelShape } from './types.ts';

/** Prompt tokens per step: short enough that an abort takes effect soon. */
export const prefillChunk = 128;

export interface RuntimeOptions {
  readonly shape: ModelShape;
  readonly scheme: SchemeConfig;
  /** Tokens whose KV may exist at once, rounded up to whole pages. */
  readonly kvTokens: number;
  /** Names the weights; what saved prefixes belong to. */
  readonly fingerprint: string;
  /** Most prompt tokens of one step; `prefillChunk`. */
  readonly chunk?: number;
}

export interface ReadOptions {
  /** Ends between two steps. */
  readonly signal?: AbortSignal;
  /** Receives the logits of every token of a chunk, in order; without it only the last ones are computed. */
  onLogits?(logits: Float32Array, tokens: number): void;
}

export class EngineRuntime {
  readonly shape: ModelShape;
  readonly scheme: PositionScheme;
  readonly fingerprint: string;
  readonly pool: BlockPool;
  readonly #stepper: Stepper;
  readonly #chunk: number;
  /** Single sequences that read, and batches that decode, each with their own past. */
  readonly #reading: Staging;
  readonly #decoding: Staging;

  constructor(session: OrtSession, options: RuntimeOptions) {
    const { shape } = options;
    this.shape = shape;
    this.scheme = createScheme(options.scheme, shape);
    this.fingerprint = options.fingerprint;
    const layout = { rows: shape.layers * shape.kvHeads, headDim: shape.headDim };
    this.pool = new BlockPool(layout, Math.ceil(options.kvTokens / blockTokens));
    this.#stepper = createStepper(session, shape);
    this.#chunk = Math.min(
      options.chunk ?? prefillChunk,
      this.scheme.retention?.maxFresh ?? Infinity,
    );
    this.#reading = new Staging({ ...layout, layers: shape.layers });
    this.#decoding = new Staging({ ...layout, layers: shape.layers });
  }

  /** A sequence of at least one token; as much of it as is cached has KV already, but for the last token. */
  open(tokens: ArrayLike<number>, options: { readonly origin?: number } = {}): Sequence {
    const sequence = newSequence(Array.from(tokens), options);
    this.#settle(sequence);
    return sequence;
  }

  /**
   * Text behind parts that were encoded alone (parallel windows, groups of structured prompting); all their tokens
   * are visible, and the text starts at `origin`. The parts may be extended or released afterwards.
   * @throws SluiceError REQUEST_INVALID when the text is in another regime than a part
   */
  openBehind(
    windows: readonly Sequence[],
    { tokens, origin }: { readonly tokens: ArrayLike<number>; readonly origin: number },
  ): Sequence {
    const regime = this.scheme.regime(origin + tokens.length);
    const other = windows.find((window) => window.regime !== regime);
    if (other !== undefined) throw this.#mixed(regime, other.regime);
    const parts = windows.flatMap((window, i) =>
      liveBlocks(window).map(({ block }): PartBlock => ({
        block: this.#share(block),
        part: i + 1,
      })),
    );
    const sequence = newSequence(Array.from(tokens), { origin, parts });
    this.#settle(sequence);
    return sequence;
  }

  /** Another sequence with the same tokens; full pages are shared, the last one is copied. */
  fork(sequence: Sequence): Sequence {
    const parts = sequence.parts.map(({ block, part }) => ({ block: this.pool.hold(block), part }));
    const twin = newSequence(sequence.tokens, { origin: sequence.origin, parts });
    const { length, dropped, regime, chain } = sequence;
    Object.assign(twin, { length, dropped, regime, chain });
    for (const block of sequence.blocks) twin.blocks.push(block && this.#share(block));
    return twin;
  }

  /** Gives the pages back; those that later prompts may begin with stay findable. */
  release(sequence: Sequence): void {
    const last = sequence.blocks.at(-1) ?? null;
    const partial = last !== null && last.count > 0 && last.count < blockTokens;
    if (partial && sequence.chain !== null) this.pool.publish(last, sequence.chain);
    releaseAll(sequence, this.pool);
  }

  /**
   * Computes all pending tokens in chunks.
   * @returns logits after the last token
   * @throws what the signal was aborted with
   */
  async read(sequence: Sequence, { signal, onLogits }: ReadOptions = {}): Promise<Float32Array> {
    let logits: Float32Array = new Float32Array(0);
    while (sequence.length < sequence.tokens.length) {
      signal?.throwIfAborted();
      const before = sequence.length;
      logits = await this.readChunk(sequence, onLogits === undefined ? 'last' : 'all');
      onLogits?.(logits, sequence.length - before);
    }
    return logits.slice(-this.shape.vocabularySize);
  }

  /** Computes up to one chunk of pending tokens. */
  async readChunk(sequence: Sequence, logits: 'all' | 'last' = 'last'): Promise<Float32Array> {
    this.#settle(sequence);
    const fresh = Math.min(this.#chunk, sequence.tokens.length - sequence.length);
    return this.#step([sequence], { fresh, logits, staging: this.#reading });
  }

  /**
   * Computes the one pending token of every sequence, in one pass per regime.
   * @returns logits of every sequence, in order
   * @throws RangeError for a sequence that `canDecode` refuses: `read` takes it
   */
  async decode(batch: readonly Sequence[]): Promise<Float32Array[]> {
    if (!batch.every((sequence) => this.canDecode(sequence))) {
      throw new RangeError(
        'Decoding takes sequences with one pending token and the regime they had',
      );
    }
    const result = new Map<Sequence, Float32Array>();
    const size = this.shape.vocabularySize;
    for (const regime of new Set(batch.map((sequence) => sequence.regime))) {
      const group = batch.filter((sequence) => sequence.regime === regime);
      const logits = await this.#step(group, { fresh: 1, logits: 'last', staging: this.#decoding });
      for (const [row, sequence] of group.entries()) {
        result.set(sequence, logits.subarray(row * size, (row + 1) * size));
      }
    }
    return batch.map((sequence) => result.get(sequence) ?? new Float32Array(0));
  }

  /** True when `decode` can take the sequence: one pending token, and no change of regime with it. */
  canDecode(sequence: Sequence): boolean {
    const { tokens, length, regime, origin } = sequence;
    return tokens.length - length === 1 && this.scheme.regime(origin + tokens.length) === regime;
  }

  /** Most pages that a sequence of `tokens` tokens holds at any time. */
  pagesFor(tokens: number): number {
    const { retention } = this.scheme;
    const kept =
      retention === null
        ? tokens
        : retention.sinks + retention.recent(1) + this.#chunk + 2 * blockTokens;
    return Math.ceil(Math.min(tokens, kept) / blockTokens) + 1;
  }

  /** Root under which pages are findable: everything their KV depends on beside the tokens. */
  rootOf({ regime, origin }: Pick<Sequence, 'regime' | 'origin'>): string {
    return `${this.fingerprint}|${this.scheme.name}|${regime}|${origin}`;
  }

  /** Puts the sequence into the regime that its tokens ask for: what was computed under another one is dropped. */
  #settle(sequence: Sequence): void {
    const regime = this.scheme.regime(sequence.origin + sequence.tokens.length);
    if (sequence.regime === regime) return;
    if (sequence.parts.length > 0 && sequence.regime !== 0) {
      throw this.#mixed(regime, sequence.regime);
    }
    for (const block of sequence.blocks.splice(0)) if (block !== null) this.pool.release(block);
    Object.assign(sequence, { regime, length: 0, dropped: 0, chain: null });
    // What follows parts depends on them, and keys name only what precedes in the same sequence.
    if (sequence.parts.length === 0) this.#findPrefix(sequence);
  }

  #mixed(text: number, parts: number): SluiceError {
    const found = `the text needs ${text}, its parts have ${parts}`;
    return new SluiceError('REQUEST_INVALID', `KV of two regimes of ${this.scheme.name}: ${found}`);
  }

  #findPrefix(sequence: Sequence): void {
    const ids = Uint32Array.from(sequence.tokens.slice(0, -1));
    const keys = [this.rootOf(sequence)];
    const pages: (Block | undefined)[] = [];
    for (let from = 0; from + blockTokens <= ids.length; from += blockTokens) {
      const key = blockKey(keys.at(-1) ?? '', ids.subarray(from, from + blockTokens));
      keys.push(key);
      pages.push(this.pool.find(key));
    }
    let full = pages.length;
    while (full > 0 && !this.#suffices(pages, full)) full -= 1;
    const first = this.#firstNeeded(full);
    for (const [i, page] of pages.slice(0, full).entries()) {
      const needed = i >= first || i < this.#sinkPages();
      sequence.blocks.push(needed && page !== undefined ? this.pool.hold(page) : null);
    }
    sequence.chain = keys[full] ?? null;
    sequence.length = full * blockTokens;
    const rest = ids.subarray(sequence.length);
    const found = this.pool.closest(sequence.chain ?? '', rest);
    if (found !== null && this.pool.hasRoom) {
      // Held, so that making room for the copy does not take it.
      this.pool.hold(found.block);
      sequence.blocks.push(this.#copyOf(found.block, found.shared));
      this.pool.release(found.block);
      sequence.length += found.shared;
    }
    const { retention } = this.scheme;
    if (retention?.exact === true) {
      const kept = retention.recent(1) + retention.sinks;
      sequence.dropped = Math.max(0, full * blockTokens - kept);
    }
  }

  #sinkPages(): number {
    return Math.ceil((this.scheme.retention?.sinks ?? 0) / blockTokens);
  }

  /** First page behind the sinks that a sequence of `full` pages needs. */
  #firstNeeded(full: number): number {
    const { retention } = this.scheme;
    if (retention === null || !retention.exact) return 0;
    return Math.max(0, Math.floor((full * blockTokens - retention.recent(1)) / blockTokens));
  }

  #suffices(pages: readonly (Block | undefined)[], full: number): boolean {
    const sinks = pages.slice(0, Math.min(full, this.#sinkPages()));
    return [...sinks, ...pages.slice(this.#firstNeeded(full), full)].every(Boolean);
  }

  /** A full page never changes; the last one of a sequence may grow. */
  #share(block: Block): Block {
    return block.count === blockTokens ? this.pool.hold(block) : this.#copyOf(block, block.count);
  }

  #copyOf(block: Block, count: number): Block {
    const copy = this.pool.take(block.start);
    copyTokens(block, copy, { count, layout: this.pool.layout });
    return copy;
  }

  async #step(
    batch: readonly Sequence[],
    {
      fresh,
      logits,
      staging,
    }: { readonly fresh: number; readonly logits: 'all' | 'last'; readonly staging: Staging },
  ): Promise<Float32Array> {
    const { retention } = this.scheme;
    if (retention !== null) {
      for (const sequence of batch) dropMiddle(sequence, { retention, fresh, pool: this.pool });
    }
    const past = staging.sync(batch);
    const ids = batch.map(({ tokens, length }) => tokens.slice(length, length + fresh));
    const inputs = batch.map((sequence, row) =>
      this.scheme.inputs({
        ...staging.view(row, sequence, retention?.sinks ?? 0),
        start: sequence.origin + sequence.length,
        fresh,
        dropped: sequence.dropped,
      }),
    );
    const rotary = this.scheme.rotary(batch[0]?.regime ?? 0);
    const output = await this.#stepper({ ids, past, inputs, rotary, logits });
    for (const [row, sequence] of batch.entries()) {
      this.#store(sequence, output, { row, batch: batch.length, slots: past.slots, fresh });
    }
    return output.logits;
  }

  /** Takes the KV of the new tokens out of the graph's output into pages. */
  #store(
    sequence: Sequence,
    { keys, values }: StepOutput,
    at: {
      readonly row: number;
      readonly batch: number;
      readonly slots: number;
      readonly fresh: number;
    },
  ): void {
    const { layers, kvHeads, headDim } = this.shape;
    let taken = 0;
    while (taken < at.fresh) {
      const block = this.#tail(sequence);
      const count = Math.min(blockTokens - block.count, at.fresh - taken);
      for (let row = 0; row < layers * kvHeads; row += 1) {
        const [layer, head] = [Math.floor(row / kvHeads), row % kvHeads];
        const outputRow = (layer * at.batch + at.row) * kvHeads + head;
        const from = (outputRow * (at.slots + at.fresh) + at.slots + taken) * headDim;
        const to = (row * blockTokens + block.count) * headDim;
        block.keys.set(keys.subarray(from, from + count * headDim), to);
        block.values.set(values.subarray(from, from + count * headDim), to);
      }
      const tokens = sequence.tokens.slice(sequence.length, sequence.length + count);
      block.ids.set(tokens, block.count);
      block.count += count;
      sequence.length += count;
      taken += count;
      if (block.count === blockTokens && sequence.chain !== null) {
        this.pool.publish(block, sequence.chain);
        sequence.chain = blockKey(sequence.chain, block.ids);
      }
    }
  }

  /** The page that takes the next token. */
  #tail(sequence: Sequence): Block {
    const last = sequence.blocks.at(-1);
    if (last !== undefined && last !== null && last.count < blockTokens) return last;
    const block = this.pool.take(sequence.origin + sequence.length);
    sequence.blocks.push(block);
    return block;
  }
}
