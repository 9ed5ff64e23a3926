/** Parallel windows, structured prompting, requests of their own: parts encoded alone against one masked run. */
import { createRandom } from '../../../src/engine/reference/numbers.ts';
import { joinGroups, joinWindows } from '../../../src/engine/reference/parallel.ts';
import { randomTokens } from '../../../src/engine/reference/stack.ts';
import type { Stack } from '../../../src/engine/reference/stack.ts';
import type { CacheState } from '../../../src/engine/reference/types.ts';
import {
  compare,
  compareWithOutput,
  mapEntries,
  relabel,
  repair,
  rollbackTrial,
  verdictOf,
} from './laboratory.ts';
import type { Make, Trial } from './laboratory.ts';
import { evidence, fullAttention, never } from './specimens.ts';
import type { Bench, Specimen } from './specimens.ts';

/** A window or group: its content is a function of its tag, so that the same tag is the same text everywhere. */
interface Part {
  readonly tag: number;
  readonly length: number;
}

const first: Part = { tag: 1, length: 8 };
const second: Part = { tag: 2, length: 6 };
const third: Part = { tag: 3, length: 8 };
const longer: Part = { tag: 4, length: 11 };

interface Layout {
  readonly parts: readonly Part[];
  /** Where windows start or groups end. */
  readonly align: 'left' | number;
}

function left(...parts: readonly Part[]): Layout {
  return { parts, align: 'left' };
}

function right(end: number, ...parts: readonly Part[]): Layout {
  return { parts, align: end };
}

function textOf(seed: number, { tag, length }: Part): number[] {
  return randomTokens(createRandom(seed * 1000 + tag), length);
}

function startOf({ align }: Layout, part: Part): number {
  return align === 'left' ? 0 : align - part.length;
}

function endOf({ parts, align }: Layout): number {
  return align === 'left' ? Math.max(...parts.map((part) => part.length)) : align;
}

const taskTag = 99;

function task(seed: number, length: number): number[] {
  return textOf(seed, { tag: taskTag, length });
}

/** All parts in one cache under the mask, then the text: what a cold run of the whole layout is. */
function masked(stack: Stack, seed: number, layout: Layout, textLength: number): CacheState {
  let state: CacheState | undefined;
  for (const part of layout.parts) {
    const options = { tag: part.tag, start: startOf(layout, part) };
    const tokens = textOf(seed, part);
    state =
      state === undefined ? stack.prefill(tokens, options) : stack.append(state, tokens, options);
  }
  if (textLength === 0) return state!;
  return stack.append(state!, task(seed, textLength), { start: endOf(layout) });
}

/** A part alone. */
function alone(make: Make, seed: number, layout: Layout, part: Part): CacheState {
  return make(seed).prefill(textOf(seed, part), { tag: part.tag, start: startOf(layout, part) });
}

/** Cached parts side by side, then the text. */
function joined(make: Make, seed: number, layout: Layout, textLength: number): CacheState {
  const parts = layout.parts.map((part) => alone(make, seed, layout, part));
  const state = layout.align === 'left' ? joinWindows(parts) : joinGroups(parts, layout.align);
  return make(seed).append(state, task(seed, textLength));
}

function only(state: CacheState, tag: number): CacheState {
  return mapEntries(state, (entry) => (entry.tag === tag ? entry : null));
}

function same(state: CacheState, reference: CacheState): Trial {
  const verdict = verdictOf(compareWithOutput(state, reference));
  return { stored: verdict, repaired: verdict };
}

interface Swap {
  readonly make: Make;
  /** The stack of the layout that is wanted; differs where the scheme knows the number of parts or another scale. */
  readonly wantedMake?: Make;
  readonly cached: Layout;
  readonly wanted: Layout;
  /** Whose entries are looked at: a part, or the text (0). */
  readonly tag: number;
}

/** Entries of a part or of the text from one layout, wanted in another. */
function swap({ make, wantedMake = make, cached, wanted, tag }: Swap, seed: number): Trial {
  const [stack, cold] = [make(seed), wantedMake(seed)];
  const part = cached.parts.find((one) => one.tag === tag);
  const offset =
    part === undefined
      ? endOf(wanted) - endOf(cached)
      : startOf(wanted, part) - startOf(cached, part);
  const reference = only(masked(cold, seed, wanted, 5), tag);
  const state = mapEntries(only(masked(stack, seed, cached, 5), tag), (entry) =>
    relabel(entry, entry.position + offset),
  );
  const mended = repair(state, reference, { from: stack.mixers, to: cold.mixers });
  return {
    stored: verdictOf(compare(state, reference)),
    repaired: verdictOf(compare(mended, reference)),
  };
}

/** Text grown and text cut, with the same parts in front. */
function textAppend(make: Make, layout: Layout, seed: number): Trial {
  const grown = make(seed).append(joined(make, seed, layout, 4), task(seed, 9).slice(4));
  return same(grown, masked(make(seed), seed, layout, 9));
}

function textRollback(make: Make, layout: Layout, seed: number): Trial {
  const end = endOf(layout);
  const [common, other] = [task(seed, 4), randomTokens(createRandom(seed + 7), 5)];
  const cut = mapEntries(joined(make, seed, layout, 9), (entry) =>
    entry.tag === 0 && entry.position >= end + 4 ? null : entry,
  );
  const branch = make(seed).append({ ...cut, length: end + 4 }, other);
  const base = masked(make(seed), seed, layout, 0);
  const reference = make(seed).append(base, [...common, ...other], { start: end });
  return same(branch, reference);
}

/** Windows with the text behind them, from position 0 each. */
export function windowSpecimen({ make, rescaled = make }: Bench): Specimen {
  const swaps = (more: Omit<Swap, 'make' | 'tag'>) => (seed: number) => [
    swap({ make, tag: 2, ...more }, seed),
  ];
  const pair = left(first, second);
  return {
    // A window more: the cached ones stay, and the text reads them as if all had been run at once.
    append: evidence((seed) => [
      same(
        joined(make, seed, left(first, second, longer), 5),
        masked(make(seed), seed, left(first, second, longer), 5),
      ),
    ]),
    cross: never,
    move: evidence(swaps({ cached: pair, wanted: left(longer, third, second) })),
    rescale: evidence(swaps({ wantedMake: rescaled, cached: pair, wanted: pair })),
    evict: evidence((seed) => [
      ...swaps({ cached: left(longer, second), wanted: left(second) })(seed),
      same(joined(make, seed, left(second), 5), masked(make(seed), seed, left(second), 5)),
    ]),
    rollback: evidence((seed) => [rollbackTrial(make, { seed, head: 6, cut: 4, tail: 3 })]),
  };
}

/** The text behind the windows. */
export function windowTextSpecimen({ make, rescaled = make }: Bench): Specimen {
  const pair = left(first, second);
  const text = (more: Omit<Swap, 'make' | 'tag'>) => (seed: number) => [
    swap({ make, tag: 0, ...more }, seed),
  ];
  const longerFirst = text({ cached: pair, wanted: left(longer, second) });
  return {
    append: evidence(
      (seed) => [textAppend(make, pair, seed)],
      (seed) => [
        ...text({ cached: pair, wanted: left(third, second) })(seed),
        ...longerFirst(seed),
      ],
    ),
    cross: never,
    move: evidence(longerFirst),
    rescale: evidence(text({ wantedMake: rescaled, cached: pair, wanted: pair })),
    evict: evidence(text({ cached: pair, wanted: left(second) })),
    rollback: evidence((seed) => [textRollback(make, pair, seed)]),
  };
}

/** Stack for a number of groups: the number is in the text's logits. */
export type MakeFor = (groups: number) => Make;

export interface GroupBench {
  readonly make: MakeFor;
  readonly rescaled: MakeFor;
}

const end = 12;

/** A group, all of which end at one position. */
export function groupSpecimen({ make, rescaled }: GroupBench): Specimen {
  const pair = right(end, first, second);
  const group = (more: Omit<Swap, 'make' | 'tag'>) => (seed: number) => [
    swap({ make: make(2), wantedMake: make(more.wanted.parts.length), tag: 2, ...more }, seed),
  ];
  return {
    append: evidence(
      (seed) => [
        same(
          joined(make(3), seed, right(end, first, second, longer), 5),
          masked(make(3)(seed), seed, right(end, first, second, longer), 5),
        ),
      ],
      group({ cached: pair, wanted: right(16, first, second, longer) }),
    ),
    cross: never,
    move: evidence(
      group({ cached: pair, wanted: right(end, longer, third, second) }),
      group({ cached: pair, wanted: right(16, longer, third, second) }),
    ),
    rescale: evidence(group({ wantedMake: rescaled(2), cached: pair, wanted: pair })),
    evict: evidence(
      group({ cached: pair, wanted: right(end, second) }),
      group({ cached: pair, wanted: right(second.length, second) }),
    ),
    // A tail of another length: the group starts elsewhere, since its end is fixed.
    rollback: evidence((seed) => [regrow(make(2), seed)]),
  };
}

/** A group of which 6 tokens stay, with 5 others behind them instead of 3. */
function regrow(make: Make, seed: number): Trial {
  const random = createRandom(seed);
  const [common, old, other] = [6, 3, 5].map((count) => randomTokens(random, count));
  const options = { tag: 1 };
  const [stack, cold] = [make(seed), make(seed)];
  const cached = stack.prefill([...common!, ...old!], { ...options, start: end - 9 });
  const reference = cold.prefill([...common!, ...other!], { ...options, start: end - 11 });
  const kept = mapEntries({ ...cached, length: end - 5 }, (entry) =>
    entry.position < end - 3 ? relabel(entry, entry.position - 2) : null,
  );
  const mixers = { from: stack.mixers, to: cold.mixers };
  const grow = (state: CacheState): CacheState => stack.append(state, other!, options);
  const verdict = (state: CacheState): Trial['stored'] =>
    verdictOf(compareWithOutput(grow(state), reference));
  return { stored: verdict(kept), repaired: verdict(repair(kept, reference, mixers)) };
}

/** The exact repair of a group whose common end moved; not a cell of its own. */
export function movedGroup({ make }: GroupBench, seed: number): Trial {
  const swapped = {
    cached: right(end, first, second),
    wanted: right(16, first, second, longer),
    tag: 2,
  };
  return swap({ make: make(2), wantedMake: make(3), ...swapped }, seed);
}

/** The text behind the groups. */
export function groupTextSpecimen({ make, rescaled }: GroupBench): Specimen {
  const pair = right(end, first, second);
  const text = (more: Omit<Swap, 'make' | 'tag'>) => (seed: number) => [
    swap({ make: make(2), wantedMake: make(more.wanted.parts.length), tag: 0, ...more }, seed),
  ];
  const elsewhere = text({ cached: pair, wanted: right(16, first, second, longer) });
  return {
    append: evidence(
      (seed) => [textAppend(make(2), pair, seed)],
      (seed) => [
        ...text({ cached: pair, wanted: right(end, first, third) })(seed),
        ...elsewhere(seed),
      ],
    ),
    cross: never,
    move: evidence(elsewhere),
    rescale: evidence(text({ wantedMake: rescaled(2), cached: pair, wanted: pair })),
    evict: evidence(text({ cached: pair, wanted: right(end, second) })),
    rollback: evidence((seed) => [textRollback(make(2), pair, seed)]),
  };
}

/** Ordinary requests with a common head; "others" are requests that the same process served before. */
export function requestSpecimen(bench: Bench): Specimen {
  const { make } = bench;
  const request = (seed: number, others: readonly number[]): CacheState => {
    const stack = make(seed);
    const head = randomTokens(createRandom(seed), 5);
    for (const other of others)
      stack.prefill([...head, ...textOf(seed, { tag: other, length: 9 })]);
    return stack.prefill([...head, ...textOf(seed, second)]);
  };
  const company = (cached: readonly number[], wanted: readonly number[]) => (seed: number) => [
    same(request(seed, cached), request(seed, wanted)),
  ];
  return {
    ...fullAttention(bench),
    move: evidence(company([1, 3], [4, 3, 1])),
    evict: evidence(company([1, 3], [3])),
  };
}
