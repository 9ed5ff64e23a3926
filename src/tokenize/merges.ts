/**
 * Byte-level BPE merging over integers (Sennrich et al. 2016): of all neighbouring pairs in a piece the one learned
 * first is joined, leftmost first, until none is left. Quadratic in the length of a piece, and faster than a heap
 * for the short pieces that text consists of; the caller takes the library's heap for long ones.
 */

export interface MergeTable {
  /** Token ids of a piece given as bytes. */
  merge(bytes: Uint8Array): number[];
}

/** Pairs are kept in an open-addressing table of integers: a `Map` of number keys costs several times as much. */
interface PairTable {
  readonly mask: number;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly rank: Int32Array;
  readonly joined: Int32Array;
}

const EMPTY = -1;

function slotOf(table: PairTable, left: number, right: number): number {
  const { mask } = table;
  let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) & mask;
  while (table.left[slot] !== EMPTY && (table.left[slot] !== left || table.right[slot] !== right))
    slot = (slot + 1) & mask;
  return slot;
}

/** Splits `a b` of older files; newer ones hold pairs. */
function pairOf(merge: unknown): readonly [string, string] | null {
  const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
  if (!Array.isArray(parts) || parts.length !== 2) return null;
  const [left, right]: unknown[] = parts;
  return typeof left === 'string' && typeof right === 'string' ? [left, right] : null;
}

/**
 * Builds the table of a model, or null when it cannot be used: a byte, a part or a result is missing from the
 * vocabulary, so that only the library's own merging over strings is right.
 *
 * @param signs The sign that stands for each byte in vocabulary entries.
 */
export function mergeTable(
  merges: unknown,
  vocabulary: ReadonlyMap<string, number>,
  signs: readonly string[],
): MergeTable | null {
  if (!Array.isArray(merges)) return null;
  const bytes = Int32Array.from(signs, (sign) => vocabulary.get(sign) ?? EMPTY);
  if (bytes.length !== 256 || bytes.includes(EMPTY)) return null;
  const size = 2 ** Math.ceil(Math.log2(Math.max(16, merges.length * 2.5)));
  const table: PairTable = {
    mask: size - 1,
    left: new Int32Array(size).fill(EMPTY),
    right: new Int32Array(size),
    rank: new Int32Array(size),
    joined: new Int32Array(size),
  };
  for (const [rank, entry] of merges.entries()) {
    const pair = pairOf(entry);
    if (pair === null) return null;
    const [left, right, joined] = [...pair, pair[0] + pair[1]].map((token) =>
      vocabulary.get(token),
    );
    if (left === undefined || right === undefined || joined === undefined) return null;
    const slot = slotOf(table, left, right);
    if (table.left[slot] !== EMPTY) continue;
    table.left[slot] = left;
    table.right[slot] = right;
    table.rank[slot] = rank;
    table.joined[slot] = joined;
  }
  let scratch = scratchFor(128);
  return {
    merge(piece) {
      if (piece.length > scratch.ids.length) scratch = scratchFor(piece.length);
      for (let i = 0; i < piece.length; i++) scratch.ids[i] = bytes[piece[i] ?? 0] ?? 0;
      const length = mergeBytes(table, scratch, piece.length);
      return Array.from(scratch.ids.subarray(0, length));
    },
  };
}

/** Room to work in, used again for every piece: merging makes no garbage. */
interface Scratch {
  readonly ids: Int32Array;
  /** Slot of the pair (i, i+1), or EMPTY: looked up again only where a merge has changed a neighbour. */
  readonly slots: Int32Array;
}

function scratchFor(length: number): Scratch {
  return { ids: new Int32Array(length), slots: new Int32Array(length) };
}

/** Merges the first `count` ids in place; returns how many are left. */
function mergeBytes(table: PairTable, { ids, slots }: Scratch, count: number): number {
  let length = count;
  const slotAt = (i: number): number =>
    i + 1 < length ? pairSlot(table, ids[i] ?? 0, ids[i + 1] ?? 0) : EMPTY;
  for (let i = 0; i < length; i++) slots[i] = slotAt(i);
  for (;;) {
    let best = EMPTY;
    let bestRank = Infinity;
    for (let i = 0; i < length - 1; i++) {
      const slot = slots[i] ?? EMPTY;
      if (slot === EMPTY) continue;
      const rank = table.rank[slot] ?? 0;
      if (rank < bestRank) [best, bestRank] = [i, rank];
    }
    if (best === EMPTY) return length;
    ids[best] = table.joined[slots[best] ?? 0] ?? 0;
    ids.copyWithin(best + 1, best + 2, length);
    slots.copyWithin(best + 1, best + 2, length);
    length--;
    slots[best] = slotAt(best);
    if (best > 0) slots[best - 1] = slotAt(best - 1);
  }
}

function pairSlot(table: PairTable, left: number, right: number): number {
  const slot = slotOf(table, left, right);
  return table.left[slot] === EMPTY ? EMPTY : slot;
}
