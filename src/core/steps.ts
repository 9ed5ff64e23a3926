/**
 * Long synchronous work that may be interrupted: a generator that yields where the event loop could turn. Driven to its
 * end at once (`runSteps`) or in time slices (`createTurns`) it does the same and returns the same.
 */

/** Work that returns a `T`; every `yield` is a place to stop for a while. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Does all of the work now. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Amount of work (in UTF-16 units of text, or what takes as long) between two places to stop; well below 1 ms. */
const stride = 4_096;

/** `Array.map` with places to stop; `size` says how much text an item stands for (left out = one unit each). */
export function* mapSteps<T, R>(
  items: readonly T[],
  change: (item: T, index: number) => R,
  size?: (item: T) => number,
): Steps<R[]> {
  const results: R[] = [];
  let done = 0;
  for (const [index, item] of items.entries()) {
    done += size === undefined ? 1 : 1 + size(item);
    if (done > stride) {
      yield;
      done = 0;
    }
    results.push(change(item, index));
  }
  return results;
}
