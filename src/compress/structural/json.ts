/** JSON: white space first, then array elements and object members, by the text itself and never by re-printing it. */
import { mapSteps, type Steps } from '../../core/steps.ts';
import { countInSteps } from '../../tokenize/in-steps.ts';
import { terms } from '../bm25.ts';
import { costSteps, rankGroups, searchCutSteps } from '../budget.ts';
import { declaredOnly, survivorSteps } from '../guards.ts';
import { maskFromKeep, renderSteps, whyCode } from '../mask.ts';
import type { KeepMask } from '../../core/mask.ts';
import type { Encoding, TextTokenizer } from '../../tokenize/types.ts';
import type { Survivors } from '../types.ts';
import { questionScores, rarityScores } from './lines.ts';
import type { RenderedText } from '../select.ts';
import { scanSteps } from './json-scan.ts';
import type { JsonNode, JsonScan } from './json-scan.ts';

export interface JsonInput {
  readonly text: string;
  /** Of `text`. */
  readonly encoding: Encoding;
  readonly question: string;
  readonly survivors: Survivors;
  readonly budgetTokens: number;
  readonly tokenizer: TextTokenizer;
}

export interface JsonChoice {
  readonly mask: KeepMask;
  readonly rendered: RenderedText;
  /** The smallest valid text with what must survive is above the budget. */
  readonly belowSurvivors: boolean;
}

/**
 * One JSON value, or several on lines of their own (JSON lines). Within the budget only white space outside strings goes; else the elements and
 * members that are worth least go as well, whole, until it fits. Kept lexemes are byte-exact: numbers, escapes and
 * duplicate keys stay as they are.
 * Nothing is left of a text whose only unit is too long: then only its white space goes. Null when it is no JSON.
 */
export function* chooseJson(input: JsonInput): Steps<JsonChoice | null> {
  const scan = yield* scanSteps(input.text);
  if (scan === null) return null;
  const lossless = keepAll(scan);
  const minified = yield* renderCounted(input, lossless);
  if (minified.tokens <= input.budgetTokens)
    return { mask: lossless, rendered: minified, belowSurvivors: false };
  return yield* chooseNodes(input, scan, { mask: lossless, rendered: minified });
}

function* renderCounted({ text, tokenizer }: JsonInput, mask: KeepMask): Steps<RenderedText> {
  yield;
  const rendered = yield* renderSteps(text, mask);
  return { text: rendered, tokens: yield* countInSteps(tokenizer, rendered) };
}

function keepAll(scan: JsonScan): KeepMask {
  const keep = scan.blank.map((blank) => 1 - blank);
  for (const root of scan.roots.slice(0, -1)) keep[root.last + 1] = 1; // the line break after it
  const structure = whyCode('structure');
  return maskFromKeep({ groups: scan.groups, keep, why: keep.map(() => structure) });
}

/** Nodes that are taken or left as one: scalars, and containers that are small or rows of an array. */
function* chooseNodes(
  input: JsonInput,
  scan: JsonScan,
  lossless: Omit<JsonChoice, 'belowSurvivors'>,
): Steps<JsonChoice> {
  const { text, encoding, budgetTokens } = input;
  const costs = (yield* costSteps(encoding, scan.groups)).map((cost, i) =>
    scan.blank[i] === 1 ? 0 : cost,
  );
  const sums = prefixSums(costs);
  const costOf = ({ first, last }: JsonNode): number => (sums[last + 1] ?? 0) - (sums[first] ?? 0);
  const units = selectableUnits(scan, costOf, budgetTokens);
  yield;
  const scores = yield* nodeScores(input, scan, units);
  const order = rankGroups(scores, [], 'score');
  const marked = yield* survivorSteps(text, scan.groups, declaredOnly(input.survivors));
  const fixed = new Set(
    units.filter(({ first, last }) => marked.subarray(first, last + 1).includes(1)),
  );
  const ranked = Array.from(order).flatMap((i) => {
    const unit = units[i];
    return unit === undefined || fixed.has(unit) ? [] : [unit];
  });
  const free = affordable({ fixed, ranked, costOf, costs, budget: budgetTokens });
  const at = function* (count: number): Steps<NodeTrial> {
    yield;
    const taken = new Set<JsonNode>([...fixed, ...free.slice(0, count)]);
    const mask = nodeMask(scan, taken);
    const rendered = yield* renderCounted(input, mask);
    return { mask, rendered, tokens: rendered.tokens, kept: taken.size };
  };
  const range = { guess: free.length, most: free.length, budget: budgetTokens };
  const found = (yield* searchCutSteps(at, range)) ?? (yield* at(0));
  if (found.kept === 0) return { ...lossless, belowSurvivors: true };
  const { mask, rendered, tokens } = found;
  return { mask, rendered, belowSurvivors: tokens > budgetTokens };
}

interface NodeTrial {
  readonly mask: KeepMask;
  readonly rendered: RenderedText;
  readonly tokens: number;
  /** Number of nodes that stay. */
  readonly kept: number;
}

function prefixSums(values: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (let i = 0; i < values.length; i++) sums[i + 1] = (sums[i] ?? 0) + (values[i] ?? 0);
  return sums;
}

/** Nodes in rank order as far as they fit with the brackets and keys above them, passing over those that do not. */
function affordable(choice: {
  fixed: ReadonlySet<JsonNode>;
  ranked: readonly JsonNode[];
  costOf: (node: JsonNode) => number;
  costs: Float64Array;
  budget: number;
}): JsonNode[] {
  const { fixed, ranked, costOf, costs } = choice;
  const opened = new Set<JsonNode>();
  const price = (node: JsonNode): number => {
    let cost = costOf(node) + (node.comma >= 0 ? (costs[node.comma] ?? 0) : 0);
    for (let up = node.parent; up !== null && !opened.has(up); up = up.parent)
      cost += up.syntax.reduce((sum, group) => sum + (costs[group] ?? 0), 0);
    return cost;
  };
  let left = choice.budget;
  const take = (node: JsonNode): void => {
    left -= price(node);
    for (let up = node.parent; up !== null; up = up.parent) opened.add(up);
  };
  fixed.forEach(take);
  return ranked.filter((node) => {
    const fits = price(node) <= left;
    if (fits) take(node);
    return fits;
  });
}

/**
 * Containers above this many tokens are looked into; a row of an array of objects stays whole up to sixteen
 * times it; but never above a third of the budget, or one row would leave no room for others. */
const wholeTokens = 24;

function selectableUnits(
  scan: JsonScan,
  costOf: (node: JsonNode) => number,
  budget: number,
): JsonNode[] {
  const units: JsonNode[] = [];
  const visit = (node: JsonNode): void => {
    const row = node.parent?.kind === 'array' && node.parent.children.length >= 3;
    const limit = Math.min(budget / 3, wholeTokens * (row ? 16 : 1));
    const whole = node.children.length === 0 || costOf(node) <= limit;
    if (whole && node.parent !== null) units.push(node);
    else node.children.forEach(visit);
  };
  if (scan.roots.length > 1) return [...scan.roots];
  scan.roots.forEach(visit);
  return units;
}

/** Letters and digits in one word: ids, codes, dates with names. What a reader cannot guess and later calls need. */
const identifier = /"[^"\s]{0,64}?(?:\p{L}[^"\s]{0,64}?\p{N}|\p{N}[^"\s]{0,64}?\p{L})/u;

/** Words of the keys above and of the node itself against the question, how rare the words are, identifiers first. */
function* nodeScores(
  input: JsonInput,
  scan: JsonScan,
  units: readonly JsonNode[],
): Steps<Float64Array> {
  const textOf = (node: JsonNode): string =>
    input.text.slice(scan.groups.starts[node.first], scan.groups.ends[node.last]);
  const length = (node: JsonNode): number => 64 + textOf(node).length;
  const unitTerms = yield* mapSteps(
    units,
    (node) => terms(`${keysAbove(node, input.text)} ${textOf(node)}`),
    length,
  );
  const asked = yield* questionScores(unitTerms, input.question);
  const rare = yield* rarityScores(unitTerms);
  const named = yield* mapSteps(units, (node) => identifier.test(textOf(node)), length);
  return asked.map((value, i) => {
    const names = named[i] === true ? 1 : 0;
    return 1.5 * value + 0.5 * (rare[i] ?? 0) + 2 * names + 0.5 / (1 + i);
  });
}

function keysAbove(node: JsonNode, text: string): string {
  const keys: string[] = [];
  for (let up = node.parent; up !== null; up = up.parent)
    if (up.key !== null) keys.push(text.slice(up.key.start, up.key.end));
  return keys.join(' ');
}

/** Keeps the taken nodes, everything above them, and the commas between what stays of each container. */
function nodeMask(scan: JsonScan, taken: ReadonlySet<JsonNode>): KeepMask {
  const keep = new Uint8Array(scan.groups.starts.length);
  const why = new Uint8Array(keep.length).fill(whyCode('structure'));
  const score = whyCode('score');
  const visit = (node: JsonNode): boolean => {
    if (taken.has(node)) {
      for (let i = node.first; i <= node.last; i++) {
        keep[i] = 1 - (scan.blank[i] ?? 0);
        if (keep[i] === 1) why[i] = score;
      }
      return true;
    }
    const kept = node.children.filter(visit);
    const stays = new Set(kept);
    if (kept.length === 0 && node.parent !== null) return false;
    for (const group of node.syntax) keep[group] = 1;
    node.children.forEach((child) => {
      const more = stays.has(child) && kept.at(-1) !== child;
      if (child.comma >= 0) keep[child.comma] = more ? 1 : 0;
    });
    return true;
  };
  const roots = scan.roots.filter(
    (root) => (scan.roots.length === 1 || taken.has(root)) && visit(root),
  );
  for (const root of roots.slice(0, -1)) keep[root.last + 1] = 1; // the line break after it
  return maskFromKeep({ groups: scan.groups, keep, why });
}
