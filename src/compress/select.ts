/** Selection of whole units (sentences, lines, turns) from several segments under one budget. */
import type { Steps } from '../core/steps.ts';
import type { Encoding, TextTokenizer } from '../tokenize/types.ts';
import { wordGroups } from '../tokenize/groups.ts';
import { countInSteps } from '../tokenize/in-steps.ts';
import { costSteps, rankGroups } from './budget.ts';
import { maskFromKeep, renderSteps, whyCode } from './mask.ts';
import type { GroupRanges } from './mask.ts';
import type { KeepMask } from '../core/mask.ts';

/** One segment with its units. */
export interface UnitSegment {
  readonly text: string;
  /** Of `text`, by the choice's tokenizer. */
  readonly encoding: Encoding;
  readonly units: GroupRanges;
  /** Worth of each unit; comparable across the segments of a pool. */
  readonly scores: ArrayLike<number>;
  /** Code of `whyCode` for units that stay whatever they cost, 0 for the others. */
  readonly forced: Uint8Array;
  /**
   * For each unit the unit (a heading, which may have one itself) that should come along if it fits, or -1. Units that
   * others name here are never taken alone.
   */
  readonly companions?: Int32Array;
}

export interface PoolChoice {
  readonly segments: readonly UnitSegment[];
  readonly budgetTokens: number;
  readonly tokenizer: TextTokenizer;
  /**
   * Fill what is left with the beginning of the next unit, cut between words, where this says that the rest of the
   * unit may go; null = whole units only.
   */
  readonly cutAway: ((rest: string) => boolean) | null;
}

export interface PoolResult {
  /** One per segment. */
  readonly masks: readonly KeepMask[];
  /** What each mask renders to, counted. */
  readonly rendered: readonly RenderedText[];
  readonly tokens: number;
  /** The forced units alone are above the budget. */
  readonly belowSurvivors: boolean;
}

/** The text that a mask stands for and its exact number of tokens. */
export interface RenderedText {
  readonly text: string;
  readonly tokens: number;
}

interface Unit {
  readonly segment: number;
  readonly unit: number;
  readonly cost: number;
}

/** How many units are tried one by one against an exact count when filling up, */
const fillTries = 48;
/** and how many UTF-16 units of text may be counted again for it: a long text needs no last word. */
const fillUnits = 2_000_000;

/**
 * Takes units in rank order while they fit, passing over those that do not; then counts the rendered text and drops or
 * adds units until it is within the budget. What is left is smaller than every unit that could still be tried.
 */
export function* selectSteps(choice: PoolChoice): Steps<PoolResult> {
  const costs: Float64Array[] = [];
  for (const { encoding, units } of choice.segments) costs.push(yield* costSteps(encoding, units));
  const pool = new Pool(choice, costs);
  const ranked = pool.ranking();
  let left = choice.budgetTokens - pool.forcedCost;
  for (const [i, unit] of ranked.entries()) {
    if (i % unitStride === 0) yield;
    const cost = unit.cost + pool.companionCost(unit);
    if (cost <= left) {
      left -= cost;
      pool.take(unit, true);
    } else if (unit.cost <= left) {
      left -= unit.cost;
      pool.take(unit, false);
    }
  }
  yield* pool.dropUntilFits(ranked);
  yield* pool.fill(ranked);
  const slack = choice.budgetTokens - (yield* pool.tokens());
  if (choice.cutAway !== null && slack > 0) yield* pool.cutIn(ranked, choice.cutAway);
  const tokens = yield* pool.tokens();
  return {
    masks: choice.segments.map((_, i) => pool.mask(i)),
    rendered: yield* pool.rendered(),
    tokens,
    belowSurvivors: tokens > choice.budgetTokens,
  };
}

/** Units looked at between two places to stop. */
const unitStride = 256;

/** The state of one selection: kept units per segment and the exact token count of each segment's rendering. */
class Pool {
  readonly forcedCost: number;
  readonly #choice: PoolChoice;
  readonly #keep: Uint8Array[];
  readonly #costs: readonly Float64Array[];
  /** Null = not rendered since its units changed. */
  readonly #rendered: (RenderedText | null)[];
  /** The one unit that is kept in part: where it is cut. */
  #cut: { segment: number; unit: number; at: number } | null = null;

  constructor(choice: PoolChoice, costs: readonly Float64Array[]) {
    this.#choice = choice;
    this.#keep = choice.segments.map(({ forced }) => forced.map((code) => (code > 0 ? 1 : 0)));
    this.#costs = costs;
    this.#rendered = choice.segments.map(() => null);
    this.forcedCost = this.#costs.reduce(
      (sum, costs, i) =>
        sum + costs.reduce((n, cost, u) => n + cost * (this.#keep[i]?.[u] ?? 0), 0),
      0,
    );
  }

  /** All units that may be taken, best first. */
  ranking(): Unit[] {
    const units: Unit[] = [];
    const scores: number[] = [];
    this.#choice.segments.forEach((segment, s) => {
      const headings = new Set(segment.companions);
      for (let u = 0; u < segment.units.starts.length; u++) {
        if (segment.forced[u] !== 0 || headings.has(u)) continue;
        units.push({ segment: s, unit: u, cost: this.#costs[s]?.[u] ?? 0 });
        scores.push(segment.scores[u] ?? 0);
      }
    });
    const order = rankGroups(scores, [], 'score');
    return Array.from(order).flatMap((i) => units[i] ?? []);
  }

  /** The units that should come along and are not kept yet. */
  #companions({ segment, unit }: Unit): number[] {
    const all: number[] = [];
    const of = this.#choice.segments[segment]?.companions;
    for (let next = of?.[unit] ?? -1; next >= 0; next = of?.[next] ?? -1)
      if (this.#keep[segment]?.[next] === 0) all.push(next);
    return all;
  }

  companionCost(unit: Unit): number {
    return this.#companions(unit).reduce(
      (sum, other) => sum + (this.#costs[unit.segment]?.[other] ?? 0),
      0,
    );
  }

  take(unit: Unit, withCompanions: boolean): void {
    if (withCompanions)
      for (const other of this.#companions(unit)) this.#set(unit.segment, other, 1);
    this.#set(unit.segment, unit.unit, 1);
  }

  #set(segment: number, unit: number, value: 0 | 1): void {
    const keep = this.#keep[segment];
    if (keep === undefined) return;
    keep[unit] = value;
    this.#rendered[segment] = null;
  }

  #isKept({ segment, unit }: Unit): boolean {
    return this.#keep[segment]?.[unit] === 1;
  }

  /** Takes a unit out, and the headings that nothing under them needs any more. */
  #release({ segment, unit }: Unit): void {
    this.#set(segment, unit, 0);
    const { companions, forced } = this.#choice.segments[segment] ?? {};
    for (let next = companions?.[unit] ?? -1; next >= 0; next = companions?.[next] ?? -1) {
      const needed = companions?.some((other, u) => other === next && this.#keep[segment]?.[u]);
      if (needed || forced?.[next]) return;
      this.#set(segment, next, 0);
    }
  }

  /** Lets go of the last in rank, as many at a time as the excess should need: every count reads the text again. */
  *dropUntilFits(ranked: readonly Unit[]): Steps<void> {
    let last = ranked.length - 1;
    for (;;) {
      let excess = (yield* this.tokens()) - this.#choice.budgetTokens;
      if (excess <= 0 || last < 0) return;
      for (; excess > 0 && last >= 0; last--) {
        const unit = ranked[last];
        if (unit === undefined || !this.#isKept(unit)) continue;
        this.#release(unit);
        excess -= unit.cost;
      }
    }
  }

  *fill(ranked: readonly Unit[]): Steps<void> {
    const { budgetTokens } = this.#choice;
    const length = (segment: number): number => this.#choice.segments[segment]?.text.length ?? 0;
    let tries = fillTries;
    let units = fillUnits;
    let used = yield* this.tokens();
    for (const unit of ranked) {
      if (used >= budgetTokens) return;
      if (this.#isKept(unit) || unit.cost > budgetTokens - used + 1) continue;
      units -= length(unit.segment);
      if (tries-- === 0 || units < 0) return;
      const before = this.#rendered[unit.segment] ?? null;
      this.take(unit, false);
      const now = yield* this.tokens();
      if (now <= budgetTokens) used = now;
      else {
        this.#set(unit.segment, unit.unit, 0);
        this.#rendered[unit.segment] = before;
      }
    }
  }

  /** Adds the beginning of the best unit that is not kept, as many words as fit. */
  *cutIn(ranked: readonly Unit[], mayGo: (rest: string) => boolean): Steps<void> {
    const next = ranked.find((unit) => !this.#isKept(unit));
    const segment = this.#choice.segments[next?.segment ?? -1];
    if (next === undefined || segment === undefined) return;
    const start = segment.units.starts[next.unit] ?? 0;
    const text = segment.text.slice(start, segment.units.ends[next.unit]);
    const words = wordGroups(text);
    this.#set(next.segment, next.unit, 1);
    let low = 0;
    let high = words.ends.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      this.#cutAt(next, start + (words.ends[middle - 1] ?? 0));
      if ((yield* this.tokens()) <= this.#choice.budgetTokens) low = middle;
      else high = middle - 1;
    }
    const at = words.ends[low - 1] ?? 0;
    if (low > 0 && mayGo(text.slice(at))) this.#cutAt(next, start + at);
    else {
      this.#cut = null;
      this.#set(next.segment, next.unit, 0);
    }
  }

  #cutAt({ segment, unit }: Unit, at: number): void {
    this.#cut = { segment, unit, at };
    this.#rendered[segment] = null;
  }

  *tokens(): Steps<number> {
    const all = yield* this.rendered();
    return all.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  /** Renders and counts what has changed. */
  *rendered(): Steps<RenderedText[]> {
    const all: RenderedText[] = [];
    for (const [i, segment] of this.#choice.segments.entries()) {
      let known = this.#rendered[i] ?? null;
      if (known === null) {
        const text = yield* renderSteps(segment.text, this.mask(i));
        known = { text, tokens: yield* countInSteps(this.#choice.tokenizer, text) };
        this.#rendered[i] = known;
      }
      all.push(known);
    }
    return all;
  }

  mask(index: number): KeepMask {
    const segment = this.#choice.segments[index];
    const keep = this.#keep[index];
    if (segment === undefined || keep === undefined)
      return maskFromKeep({ groups: emptyGroups, keep: new Uint8Array(0) });
    const headings = new Set(segment.companions);
    const why = segment.forced.map((code, u) => {
      if (keep[u] === 0) return 0;
      return code || whyCode(headings.has(u) ? 'structure' : 'score');
    });
    const parts = { groups: segment.units, keep, why, scores: segment.scores };
    const cut = this.#cut?.segment === index ? this.#cut : null;
    return cut === null ? maskFromKeep(parts) : splitUnit(maskFromKeep(parts), cut);
  }
}

const emptyGroups: GroupRanges = { starts: new Uint32Array(0), ends: new Uint32Array(0) };

/** Splits a kept unit in two: up to `at` kept, the rest dropped. */
function splitUnit(mask: KeepMask, cut: { unit: number; at: number }): KeepMask {
  if (cut.at >= (mask.ends[cut.unit] ?? 0)) return mask;
  const after = cut.unit + 1;
  const insert = <T extends number>(values: Iterable<T>, value: T): T[] => {
    const all = [...values];
    all.splice(after, 0, value);
    return all;
  };
  const ends = insert(mask.ends, mask.ends[cut.unit] ?? 0);
  ends[cut.unit] = cut.at;
  return {
    starts: Uint32Array.from(insert(mask.starts, cut.at)),
    ends: Uint32Array.from(ends),
    keep: Uint8Array.from(insert(mask.keep, 0)),
    why: Uint8Array.from(insert(mask.why, 0)),
    scores: mask.scores && Float32Array.from(insert(mask.scores, mask.scores[cut.unit] ?? 0)),
  };
}
