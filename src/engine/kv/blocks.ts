/**
 * Pages of KV with reference counts. A page holds the keys (before rotation) and values of up to `blockTokens` tokens
 * in all layers. Pages that nobody refers to stay findable by what they hold until their memory is needed.
 */
import { createHash } from 'node:crypto';
import { SluiceError } from '../../core/errors.ts';

/** Tokens of a page: short enough to share much, long enough that copies are few. */
export const blockTokens = 32;

/** Numbers of KV per token: `rows` (layers x KV heads) times `headDim`, once for keys and once for values. */
export interface KvLayout {
  readonly rows: number;
  readonly headDim: number;
}

export interface Block {
  /** Row-major rows x blockTokens x headDim. */
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly ids: Uint32Array;
  /** Tokens held, 0 .. blockTokens. */
  count: number;
  /** Position of the first one. */
  start: number;
  references: number;
  /** Another number for every use of this memory. */
  version: number;
  /** What precedes it: a root, or the key of the page before. Null = not findable. */
  parent: string | null;
}

/** Names a page by everything that its KV depends on. */
export function blockKey(parent: string, ids: Uint32Array): string {
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return createHash('sha256').update(parent).update(bytes).digest('base64');
}

export class BlockPool {
  readonly layout: KvLayout;
  /** Most pages that exist at once. */
  readonly capacity: number;
  readonly #free: Block[] = [];
  /** Findable pages without references, least recently used first. */
  readonly #idle = new Set<Block>();
  /** Full pages by key. */
  readonly #full = new Map<string, Block>();
  /** Findable pages by what precedes them. */
  readonly #children = new Map<string, Set<Block>>();
  #made = 0;
  #versions = 0;

  constructor(layout: KvLayout, capacity: number) {
    this.layout = layout;
    this.capacity = capacity;
  }

  /** Pages with references. */
  get used(): number {
    return this.#made - this.#free.length - this.#idle.size;
  }

  /** Could two pages be taken now? */
  get hasRoom(): boolean {
    return this.used + 2 <= this.capacity;
  }

  /** Pages whose memory exists. */
  get allocated(): number {
    return this.#made;
  }

  /**
   * An empty page with one reference; the least recently used idle one makes room.
   * @throws SluiceError QUEUE_FULL when all pages are in use
   */
  take(start: number): Block {
    const block = this.#free.pop() ?? this.#make() ?? this.#evict();
    if (block === undefined) {
      const tokens = this.capacity * blockTokens;
      throw new SluiceError('QUEUE_FULL', `The engine's KV memory of ${tokens} tokens is in use`);
    }
    this.#versions += 1;
    block.version = this.#versions;
    block.count = 0;
    block.start = start;
    block.references = 1;
    return block;
  }

  /** One more reference. */
  hold(block: Block): Block {
    this.#idle.delete(block);
    block.references += 1;
    return block;
  }

  release(block: Block): void {
    block.references -= 1;
    if (block.references > 0) return;
    if (block.parent === null) this.#free.push(block);
    else this.#idle.add(block);
  }

  /** Makes a page findable behind `parent`; one that holds no more than another is not. */
  publish(block: Block, parent: string): void {
    const siblings = this.#children.get(parent) ?? new Set();
    const ids = heldIds(block);
    for (const other of siblings) if (commonPrefix(heldIds(other), ids) === ids.length) return;
    for (const other of siblings) {
      if (other.references === 0 && commonPrefix(heldIds(other), ids) === other.count) {
        this.#idle.delete(other);
        this.#hide(other);
        this.#free.push(other);
      }
    }
    block.parent = parent;
    this.#children.set(parent, siblings.add(block));
    if (block.count === blockTokens) this.#full.set(blockKey(parent, ids), block);
  }

  /** A full page, without a reference to it. */
  find(key: string): Block | undefined {
    return this.#full.get(key);
  }

  /** The page behind `parent` that shares the longest beginning with `ids`, and how long that is. */
  closest(
    parent: string,
    ids: Uint32Array,
  ): { readonly block: Block; readonly shared: number } | null {
    let best: { readonly block: Block; readonly shared: number } | null = null;
    for (const block of this.#children.get(parent) ?? []) {
      const shared = commonPrefix(heldIds(block), ids);
      if (shared > (best?.shared ?? 0)) best = { block, shared };
    }
    return best;
  }

  #make(): Block | undefined {
    if (this.#made >= this.capacity) return undefined;
    this.#made += 1;
    const size = this.layout.rows * blockTokens * this.layout.headDim;
    return {
      keys: new Float32Array(size),
      values: new Float32Array(size),
      ids: new Uint32Array(blockTokens),
      count: 0,
      start: 0,
      references: 0,
      version: 0,
      parent: null,
    };
  }

  #evict(): Block | undefined {
    const [oldest] = this.#idle;
    if (oldest === undefined) return undefined;
    this.#idle.delete(oldest);
    this.#hide(oldest);
    return oldest;
  }

  #hide(block: Block): void {
    const { parent } = block;
    if (parent === null) return;
    const siblings = this.#children.get(parent);
    siblings?.delete(block);
    if (siblings?.size === 0) this.#children.delete(parent);
    if (block.count === blockTokens) this.#full.delete(blockKey(parent, block.ids));
    block.parent = null;
  }
}

function heldIds({ ids, count }: Block): Uint32Array {
  return ids.subarray(0, count);
}

/** Values that both begin with. */
export function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const limit = Math.min(a.length, b.length);
  let at = 0;
  while (at < limit && a[at] === b[at]) at += 1;
  return at;
}

/** Copies the first `count` tokens of a page into another one. */
export function copyTokens(
  from: Block,
  to: Block,
  { count, layout }: { readonly count: number; readonly layout: KvLayout },
): void {
  const stride = blockTokens * layout.headDim;
  const length = count * layout.headDim;
  for (let row = 0; row < layout.rows; row += 1) {
    const at = row * stride;
    to.keys.set(from.keys.subarray(at, at + length), at);
    to.values.set(from.values.subarray(at, at + length), at);
  }
  to.ids.set(from.ids.subarray(0, count));
  to.count = count;
}
