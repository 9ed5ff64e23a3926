/**
 * The contiguous past that the graph wants, made of pages. A page keeps its place from step to step, new tokens are
 * written behind the old ones of their page, and a dropped page leaves its place to the next: attention does not care
 * for order, so a step copies fresh tokens only. Places without a token are hidden by the mask.
 */
import { emptySlot } from '../schemes/types.ts';
import { blockTokens } from './blocks.ts';
import type { Block, KvLayout } from './blocks.ts';
import { liveBlocks } from './sequence.ts';
import type { PartBlock, Sequence } from './sequence.ts';

interface Place {
  readonly block: Block;
  readonly part: number;
  readonly version: number;
  /** Tokens of the page that are copied. */
  filled: number;
}

/** What the graph's past inputs are made of: layers x B x heads x slots x headDim, keys and values. */
export interface StagedPast {
  readonly keys: Float32Array;
  readonly values: Float32Array;
  /** Places for tokens per sequence. */
  readonly slots: number;
}

export interface StagingShape extends KvLayout {
  readonly layers: number;
}

export class Staging {
  readonly #shape: StagingShape;
  #keys = new Float32Array(0);
  #values = new Float32Array(0);
  /** One list of places per sequence of the batch. */
  #rows: (Place | null)[][] = [];
  #places = 0;

  constructor(shape: StagingShape) {
    this.#shape = shape;
  }

  /** Brings the past of every sequence up to date. */
  sync(batch: readonly Sequence[]): StagedPast {
    const wanted = batch.map(liveBlocks);
    this.#resize(batch.length, Math.max(...wanted.map((blocks) => blocks.length)));
    for (const [row, blocks] of wanted.entries()) this.#syncRow(row, blocks);
    const size = this.#rowSize() * batch.length;
    return {
      keys: this.#keys.subarray(0, size),
      values: this.#values.subarray(0, size),
      slots: this.#places * blockTokens,
    };
  }

  /** Position of the token in every slot of a row, and the part it belongs to (null when there are no parts). */
  view(
    row: number,
    sequence: Sequence,
    sinks: number,
  ): { readonly past: Int32Array; readonly pastParts: Uint16Array | null } {
    const past = new Int32Array(this.#places * blockTokens).fill(emptySlot);
    const pastParts = sequence.parts.length === 0 ? null : new Uint16Array(past.length);
    const gone = sequence.origin + sinks;
    const kept = gone + sequence.dropped;
    for (const [at, place] of (this.#rows[row] ?? []).entries()) {
      if (place === null) continue;
      const { part } = place;
      for (let i = 0; i < place.filled; i += 1) {
        const position = place.block.start + i;
        if (part === 0 && position >= gone && position < kept) continue;
        past[at * blockTokens + i] = position;
        if (pastParts !== null) pastParts[at * blockTokens + i] = part;
      }
    }
    return { past, pastParts };
  }

  #rowSize(): number {
    return this.#shape.rows * this.#places * blockTokens * this.#shape.headDim;
  }

  /** Room for `needed` pages per row; another shape moves every token, so there is some to spare. */
  #resize(rows: number, needed: number): void {
    const spare = this.#places >= needed && this.#places <= 2 * needed + 4;
    if (rows === this.#rows.length && spare) return;
    if (!spare) this.#places = needed === 0 ? 0 : needed + Math.max(1, needed >> 4);
    const size = this.#rowSize() * rows;
    if (this.#keys.length < size) {
      this.#keys = new Float32Array(size);
      this.#values = new Float32Array(size);
    }
    this.#rows = Array.from({ length: rows }, () =>
      Array.from({ length: this.#places }, () => null),
    );
  }

  #syncRow(row: number, blocks: readonly PartBlock[]): void {
    const places = this.#rows[row] ?? [];
    const missing = new Map<string, PartBlock>();
    for (const entry of blocks) missing.set(nameOf(entry), entry);
    for (const [at, place] of places.entries()) {
      if (place === null) continue;
      const name = `${place.version}:${place.part}`;
      if (missing.has(name)) {
        missing.delete(name);
        if (place.filled < place.block.count) this.#copy(row, at, place);
      } else places[at] = null;
    }
    let at = 0;
    for (const { block, part } of missing.values()) {
      while (places[at] !== null) at += 1;
      const place = { block, part, version: block.version, filled: 0 };
      places[at] = place;
      this.#copy(row, at, place);
    }
  }

  #copy(batchRow: number, at: number, place: Place): void {
    const { block, filled } = place;
    const { layers, rows, headDim } = this.#shape;
    const heads = rows / layers;
    const [from, to] = [filled * headDim, block.count * headDim];
    for (let row = 0; row < rows; row += 1) {
      const [layer, head] = [Math.floor(row / heads), row % heads];
      const source = row * blockTokens * headDim;
      const targetRow = (layer * this.#rows.length + batchRow) * heads + head;
      const target = (targetRow * this.#places + at) * blockTokens * headDim + from;
      this.#keys.set(block.keys.subarray(source + from, source + to), target);
      this.#values.set(block.values.subarray(source + from, source + to), target);
    }
    place.filled = block.count;
  }
}

/** A page has a version of its own for every use of its memory; a part holds it once. */
function nameOf({ block, part }: PartBlock): string {
  return `${block.version}:${part}`;
}
