/** For every executed row of the validity table: the layers, and the experiments that decide its cells. */
import type { Operation, Verdict } from '../../../src/reuse/validity.ts';
import {
  appendTrial,
  editTrial,
  moveTrial,
  rescaleTrial,
  rollbackTrial,
  slideTrial,
  worstTrial,
} from './laboratory.ts';
import type { Make, Trial } from './laboratory.ts';
import type { ExtendOptions } from '../../../src/engine/reference/stack.ts';
import type { Entry } from '../../../src/engine/reference/types.ts';

/** What an experiment found out about one cell. */
export interface Evidence extends Trial {
  /** `stored` where the cell's condition does not hold; null where it has none. */
  readonly otherwise: Verdict | null;
}

export type Experiment = (seed: number) => Evidence;
export type Specimen = Readonly<Record<Operation, Experiment>>;

/** Nothing to run: the operation does not exist for the scheme. */
export const never: Experiment = () => ({ stored: 'none', repaired: 'none', otherwise: null });

/** One or more trials that must hold together, and those where the condition is broken. */
export function evidence(
  held: (seed: number) => readonly Trial[],
  broken?: (seed: number) => readonly Trial[],
): Experiment {
  return (seed) => ({
    ...worstTrial(held(seed)),
    otherwise: broken === undefined ? null : worstTrial(broken(seed)).stored,
  });
}

/** Runs once per seed; several cells rest on the same trials. */
export function once(
  trials: (seed: number) => readonly Trial[],
): (seed: number) => readonly Trial[] {
  const known = new Map<number, readonly Trial[]>();
  return (seed) => {
    const found = known.get(seed) ?? trials(seed);
    known.set(seed, found);
    return found;
  };
}

export interface Bench {
  readonly make: Make;
  /** Same weights, another factor, base or table. */
  readonly rescaled?: Make;
  /** Options of the calls that fill the cache. */
  readonly cached?: ExtendOptions;
}

/** Lengths around an original length of 16, all below, all above and across. */
const below = [10, 5] as const;
const exactly = [10, 6] as const;
const above = [18, 4] as const;
const across = [12, 8] as const;

type Growing = readonly [head: number, tail: number];

export function grow(
  bench: Bench,
  sizes: readonly Growing[],
  step?: number,
): (seed: number) => Trial[] {
  const { make, cached = {} } = bench;
  return (seed) =>
    sizes.map(([head, tail]) =>
      appendTrial(make, { seed, head, tail, cached, ...(step !== undefined && { step }) }),
    );
}

export function moves(
  bench: Bench,
  sizes: readonly (readonly [number, number, number])[],
): (seed: number) => Trial[] {
  const { make, cached = {} } = bench;
  return (seed) =>
    sizes.map(([before, after, chunk]) => moveTrial(make, { seed, before, after, chunk, cached }));
}

export function edits(bench: Bench): (seed: number) => Trial[] {
  const { make, cached = {} } = bench;
  return (seed) => [
    editTrial(make, { seed, head: 4, dropped: 4, rest: 6, cached }),
    editTrial(make, { seed, head: 3, dropped: 5, rest: 10, cached }),
  ];
}

export function rescales({ make, rescaled }: Bench): (seed: number) => Trial[] {
  if (rescaled === undefined) throw new Error('No other scale to compare with');
  return (seed) => [rescaleTrial(make, rescaled, seed)];
}

type Branching = readonly [head: number, cut: number, tail: number];

export function branches(
  bench: Bench,
  sizes: readonly Branching[],
  saved = false,
): (seed: number) => Trial[] {
  const { make, cached = {} } = bench;
  return (seed) =>
    sizes.map(([head, cut, tail]) => rollbackTrial(make, { seed, head, cut, tail, cached, saved }));
}

/** Schemes that keep one entry per token and hide none. */
export function fullAttention(bench: Bench): Specimen {
  return {
    append: evidence(grow(bench, [below, exactly, above])),
    cross: evidence(grow(bench, [across])),
    move: evidence(
      moves(bench, [
        [3, 6, 7],
        [4, 7, 10],
      ]),
    ),
    rescale: bench.rescaled === undefined ? never : evidence(rescales(bench)),
    evict: evidence(edits(bench)),
    rollback: evidence(
      branches(bench, [
        [7, 5, 4],
        [18, 6, 3],
      ]),
    ),
  };
}

export interface Bounds {
  readonly inside: readonly Growing[];
  readonly outside: readonly Growing[];
  readonly across: readonly Growing[];
  readonly branchInside: readonly Branching[];
  readonly branchOutside: readonly Branching[];
}

/** Schemes whose frequencies follow a length: the same, inside and outside of what one set of them reaches. */
export function lengthBound(bench: Bench, bounds: Bounds): Specimen {
  return {
    ...fullAttention(bench),
    append: evidence(grow(bench, bounds.inside), grow(bench, bounds.outside)),
    cross: evidence(grow(bench, bounds.across)),
    rollback: evidence(branches(bench, bounds.branchInside), branches(bench, bounds.branchOutside)),
  };
}

/** One state per layer. */
export function recurrence(bench: Bench): Specimen {
  // A state that was saved later than the common text: all that is left when none was saved at it.
  const late = once(branches(bench, [[10, 4, 5]]));
  return {
    append: evidence(grow(bench, [below, above]), late),
    cross: evidence(grow(bench, [across]), branches(bench, [[12, 2, 8]])),
    move: evidence(moves(bench, [[3, 6, 7]])),
    rescale: bench.rescaled === undefined ? never : evidence(rescales(bench)),
    evict: evidence(edits(bench)),
    rollback: evidence(branches(bench, [[10, 4, 5]], true), late),
  };
}

export interface Hiding extends Bench {
  /** May this entry of a text of `length` tokens go, because no later token sees it? */
  readonly hidden: (entry: Entry, layer: number, length: number) => boolean;
  /** A position that the tokens of the tail see; the last but one of the head when left out. */
  readonly needed?: number;
  /** Head, tail: what is hidden at the head's end, and what follows. */
  readonly growth: Growing;
  /** A branch that needs entries which were hidden at the end. */
  readonly branch: Branching;
}

/** Schemes whose mask hides entries for good. */
export function hiding(bench: Hiding): Specimen {
  const { make, hidden, growth, branch, needed = growth[0] - 2 } = bench;
  const slide = (keep: (entry: Entry, layer: number, length: number) => boolean) =>
    once((seed: number) => {
      const [head, tail] = growth;
      return [
        slideTrial(make, { seed, head, tail, keep: (entry, layer) => keep(entry, layer, head) }),
      ];
    });
  const resident = slide((entry, layer, length) => !hidden(entry, layer, length));
  // One that is still seen is gone as well.
  const gap = slide(
    (entry, layer, length) => !hidden(entry, layer, length) && entry.position !== needed,
  );
  const [head, cut, tail] = branch;
  return {
    append: evidence((seed) => [...grow(bench, [below, above])(seed), ...resident(seed)], gap),
    cross: evidence((seed) => [...grow(bench, [across])(seed), ...resident(seed)], gap),
    move: evidence(moves(bench, [[3, 6, 7]])),
    rescale: bench.rescaled === undefined ? never : evidence(rescales(bench)),
    evict: evidence(resident, edits(bench)),
    rollback: evidence(branches(bench, [branch]), (seed) => [
      rollbackTrial(make, {
        seed,
        head,
        cut,
        tail,
        keep: (entry, layer) => !hidden(entry, layer, head + cut),
      }),
    ]),
  };
}
