/** JSON: white space first, then array elements and object members, by the text itself and never by re-printing it. */
import { terms } from '../bm25.ts';
import { groupCosts, rankGroups, searchCut } from '../budget.ts';
import { declaredOnly, survivorGroups } from '../guards.ts';
import { maskFromKeep, renderMask, whyCode } from '../mask.ts';
import type { KeepMask } from '../../core/mask.ts';
import type { TextTokenizer } from '../../tokenize/types.ts';
import type { Survivors } from '../types.ts';
import { questionScores, rarityScores } from './lines.ts';
import { scanJson } from './json-scan.ts';
import type { JsonNode, JsonScan } from './json-scan.ts';

export interface JsonInput {
  readonly text: string;
  readonly question: string;
  readonly survivors: Survivors;
  readonly budgetTokens: number;
  readonly tokenizer: TextTokenizer;
}

export interface JsonChoice {
  readonly mask: KeepMask;
  /** The smallest valid text with what must survive is above the budget. */
  readonly belowSurvivors: boolean;
}

/**
 * One JSON value, or several on lines of their own (JSON lines). Within the budget only white space outside strings goes; else the elements and
 * members that are worth least go as well, whole, until it fits. Kept lexemes are byte-exact: numbers, escapes and
 * duplicate keys stay as they are.
 * Nothing is left of a text whose only unit is too long: then only its white space goes. Null when it is no JSON.
 */
export function chooseJson(input: JsonInput): JsonChoice | null {
  const scan = scanJson(input.text);
  if (scan === null) return null;
  const lossless = keepAll(scan);
  const minified = renderMask(input.text, lossless);
  if (input.tokenizer.count(minified) <= input.budgetTokens)
    return { mask: lossless, belowSurvivors: false };
  return chooseNodes(input, scan);
}

function keepAll(scan: JsonScan): KeepMask {
  const keep = scan.blank.map((blank) => 1 - blank);
  for (const root of scan.roots.slice(0, -1)) keep[root.last + 1] = 1; // the line break after it
  const structure = whyCode('structure');
  return maskFromKeep({ groups: scan.groups, keep, why: keep.map(() => structure) });
}

/** Nodes that are taken or left as one: scalars, and containers that are small or rows of an array. */
function chooseNodes(input: JsonInput, scan: JsonScan): JsonChoice {
  const { text, tokenizer, budgetTokens } = input;
  const costs = groupCosts(tokenizer.encode(text), scan.groups).map((cost, i) =>
    scan.blank[i] === 1 ? 0 : cost,
  );
  const sums = prefixSums(costs);
  const costOf = ({ first, last }: JsonNode): number => (sums[last + 1] ?? 0) - (sums[first] ?? 0);
  const units = selectableUnits(scan, costOf, budgetTokens);
  const scores = nodeScores(input, scan, units);
  const order = rankGroups(scores, [], 'score');
  const marked = survivorGroups(text, scan.groups, declaredOnly(input.survivors));
  const fixed = new Set(
    units.filter(({ first, last }) => marked.subarray(first, last + 1).includes(1)),
  );
  const ranked = Array.from(order).flatMap((i) => {
    const unit = units[i];
    return unit === undefined || fixed.has(unit) ? [] : [unit];
  });
  const free = affordable({ fixed, ranked, costOf, costs, budget: budgetTokens });
  const at = (count: number): { mask: KeepMask; tokens: number; kept: number } => {
    const taken = new Set<JsonNode>([...fixed, ...free.slice(0, count)]);
    const mask = nodeMask(scan, taken);
    return { mask, tokens: tokenizer.count(renderMask(text, mask)), kept: taken.size };
  };
  const range = { guess: free.length, most: free.length, budget: budgetTokens };
  const found = searchCut(at, range) ?? at(0);
  if (found.kept === 0) return { mask: keepAll(scan), belowSurvivors: true };
  return { mask: found.mask, belowSurvivors: found.tokens > budgetTokens };
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
function nodeScores(input: JsonInput, scan: JsonScan, units: readonly JsonNode[]): Float64Array {
  const textOf = (node: JsonNode): string =>
    input.text.slice(scan.groups.starts[node.first], scan.groups.ends[node.last]);
  const unitTerms = units.map((node) => terms(`${keysAbove(node, input.text)} ${textOf(node)}`));
  const asked = questionScores(unitTerms, input.question);
  const rare = rarityScores(unitTerms);
  return asked.map((value, i) => {
    const node = units[i];
    const names = node !== undefined && identifier.test(textOf(node)) ? 1 : 0;
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
