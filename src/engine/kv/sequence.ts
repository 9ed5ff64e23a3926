/** One sequence over pages: its tokens, how many of them have KV, and what of that is still kept. */
import type { Retention } from '../schemes/types.ts';
import { blockTokens } from './blocks.ts';
import type { Block, BlockPool } from './blocks.ts';

/** A page of another sequence that this one sees as a part of its input (a window, a group). */
export interface PartBlock {
  readonly block: Block;
  /** From 1; 0 = the text itself. */
  readonly part: number;
}

export interface Sequence {
  /** All tokens; those from `length` on have no KV yet. */
  readonly tokens: number[];
  /** Position of the first token: 0, or behind the parts. */
  readonly origin: number;
  /** Pages in front, encoded alone. */
  readonly parts: readonly PartBlock[];
  /** Page i holds tokens i * blockTokens and following; null once dropped. */
  readonly blocks: (Block | null)[];
  /** Tokens with KV. */
  length: number;
  /** Tokens behind the sinks whose KV is gone. */
  dropped: number;
  /** The scheme's regime that the KV was computed under. */
  regime: number;
  /** Key of the last findable page, or the root; null when later pages must not be found. */
  chain: string | null;
}

export function newSequence(
  tokens: readonly number[],
  { origin = 0, parts = [] }: { readonly origin?: number; readonly parts?: readonly PartBlock[] },
): Sequence {
  return {
    tokens: [...tokens],
    origin,
    parts,
    blocks: [],
    length: 0,
    dropped: 0,
    regime: 0,
    chain: null,
  };
}

/**
 * Pages that exist, parts first; the text's own are part 0. A page is there as often as parts hold it: windows that
 * begin alike share pages, and each of them counts.
 */
export function liveBlocks(sequence: Sequence): PartBlock[] {
  const own = sequence.blocks.filter((block) => block !== null);
  return [...sequence.parts, ...own.map((block) => ({ block, part: 0 }))];
}

/** Drops what the scheme does not keep before `fresh` more tokens; whole pages go back to the pool. */
export function dropMiddle(
  sequence: Sequence,
  { retention, fresh, pool }: { retention: Retention; fresh: number; pool: BlockPool },
): void {
  const { sinks } = retention;
  const from = sequence.length - retention.recent(fresh);
  const dropped = Math.max(sequence.dropped, from - sinks);
  if (dropped <= sequence.dropped) return;
  const first = Math.ceil(sinks / blockTokens);
  const last = Math.floor((sinks + dropped) / blockTokens);
  for (
    let at = Math.max(first, Math.floor((sinks + sequence.dropped) / blockTokens));
    at < last;
    at += 1
  ) {
    const block = sequence.blocks[at];
    if (block === null || block === undefined) continue;
    pool.release(block);
    sequence.blocks[at] = null;
  }
  sequence.dropped = dropped;
  // Later tokens depend on when things were dropped, not on the text alone.
  if (!retention.exact) sequence.chain = null;
}

/** Gives all pages back; the last ones are forgotten first. */
export function releaseAll(sequence: Sequence, pool: BlockPool): void {
  for (const block of sequence.blocks.splice(0).reverse()) if (block !== null) pool.release(block);
  for (const { block } of sequence.parts) pool.release(block);
  sequence.length = 0;
  sequence.dropped = 0;
  sequence.chain = null;
}
