/** The coarse stages of llmlingua 0.2.2 with its variable semantics; for comparison only. */
import { applyContextBudget, mean } from './numbers.ts';
import { SluiceError } from '../../core/errors.ts';

/** The fixed statement that LongLLMLingua puts after the question when it ranks documents (paper, section 4.1). */
export const restrictiveSentence =
  ' We can get the answer to this question in the given documents.';

/** What the reference asks of the causal model. */
export interface ReferenceModel {
  readonly maxPositions: number;
  readonly bosId: number | null;
  /** Ids without special tokens. */
  encode(text: string): Uint32Array;
  decode(ids: ArrayLike<number>): string;
  /** `losses(ids)[k]` = surprisal of `ids[k + 1]`. */
  losses(ids: Uint32Array): Promise<Float32Array>;
}

/** Number of tokens with the BOS that the reference's tokenizer puts in front. */
export function tokenLength(model: ReferenceModel, text: string): number {
  return model.encode(text).length + (model.bosId === null ? 0 : 1);
}

/** Losses of a text after BOS, cut at the model's positions. */
export async function textLosses(model: ReferenceModel, text: string): Promise<Float32Array> {
  const plain = model.encode(text);
  const ids = model.bosId === null ? plain : Uint32Array.of(model.bosId, ...plain);
  return model.losses(ids.slice(0, model.maxPositions));
}

export type Condition = 'none' | 'before' | 'after';

/** Mean loss of the text, of the text after the question (`before`), or of the question after the text (`after`). */
export async function conditionLoss(
  model: ReferenceModel,
  at: { readonly text: string; readonly question: string; readonly condition: Condition },
): Promise<number> {
  const { text, question, condition } = at;
  if (condition === 'none') return mean(await textLosses(model, text));
  const [first, second] = condition === 'before' ? [question, text] : [text, question];
  const losses = await textLosses(model, first + second);
  return mean(losses.subarray(tokenLength(model, first) - 1));
}

/** Indices of the texts, best first: highest loss first without a condition, lowest first with one. */
export async function referenceRank(
  model: ReferenceModel,
  at: {
    readonly texts: readonly string[];
    readonly question: string;
    readonly condition: Condition;
  },
): Promise<{ readonly order: number[]; readonly scores: number[] }> {
  const scores: number[] = [];
  for (const text of at.texts)
    scores.push(
      await conditionLoss(model, { text, question: at.question, condition: at.condition }),
    );
  return { order: sortedIndices(scores, at.condition === 'none' ? -1 : 1), scores };
}

function sortedIndices(scores: readonly number[], direction: 1 | -1): number[] {
  return scores
    .map((_, i) => i)
    .sort((a, b) => direction * ((scores[a] ?? 0) - (scores[b] ?? 0)) || a - b);
}

/** Best at both ends: places 0, 2, 4 ... of the order, then ... 5, 3, 1. */
export function twoStage(order: readonly number[]): number[] {
  return [
    ...order.filter((_, place) => place % 2 === 0),
    ...order.filter((_, place) => place % 2 === 1).reverse(),
  ];
}

/** Additions to the rate in rank order: delta, delta - 2 delta / (n - 1), ..., -delta; 0 for one document. */
export function dynamicRatios(count: number, delta: number): number[] {
  if (count <= 1) return count === 1 ? [0] : [];
  const step = Math.abs(delta) / (count - 1);
  return Array.from({ length: count }, (_, rank) => (count - 1 - 2 * rank) * step);
}

/** The same as the paper writes it (LongLLMLingua, equation 5): (1 - 2 rank / n) delta. */
export function dynamicRatiosPaper(count: number, delta: number): number[] {
  return Array.from({ length: count }, (_, rank) => (1 - (2 * rank) / count) * delta);
}

/** Rate of a document: base plus its addition, in [0, 1]. */
export function clampedRate(base: number, addition: number): number {
  return Math.max(Math.min(1, base + addition), 0);
}

/** Tokens of the context when a rate is asked for; may be negative. */
export function targetFromRate(lengths: {
  readonly instruction: number;
  readonly question: number;
  readonly contexts: readonly number[];
  readonly rate: number;
  readonly concateQuestion?: boolean;
}): number {
  const { instruction, question, contexts, rate, concateQuestion = true } = lengths;
  const all = contexts.reduce((sum, length) => sum + length, instruction + question);
  return all * rate - instruction - (concateQuestion ? question : 0);
}

export interface ContextBudgetInput {
  /** Best first. */
  readonly order: readonly number[];
  /** Tokens per context. */
  readonly lengths: readonly number[];
  readonly target: number;
  readonly contextBudget: string;
  readonly forced: readonly number[];
  readonly forcedNumber: number | null;
  readonly reorder: 'original' | 'sort' | 'two_stage';
  readonly dynamicRatio: number;
}

/**
 * Contexts that stay, in output order, with their rate additions. The context that overflows the budget is kept;
 * forced ones come first and are charged only when the walk meets them; the number is looked at against an always
 * empty list, so that only 0 has an effect.
 */
export function referenceContextBudget(input: ContextBudgetInput): {
  readonly used: number[];
  readonly dynamic: number[];
} {
  const base = input.target < 0 ? 100 : input.target;
  let left = applyContextBudget(base, input.contextBudget);
  if (left === null)
    throw new SluiceError(
      'REQUEST_INVALID',
      `context_budget must be a sign (+ - * /) and a number, found ${JSON.stringify(input.contextBudget)}`,
    );
  const used = [...input.forced];
  for (const index of input.order) {
    left -= input.lengths[index] ?? 0;
    if (!used.includes(index)) used.push(index);
    if (left < 0 || (input.forcedNumber !== null && input.forcedNumber <= 0)) break;
  }
  const ranked = [...used];
  if (input.reorder === 'original') used.sort((a, b) => a - b);
  const placed = input.reorder === 'two_stage' ? twoStage(used) : used;
  const additions =
    input.dynamicRatio > 0 ? dynamicRatios(ranked.length, input.dynamicRatio) : ranked.map(() => 0);
  return { used: placed, dynamic: placed.map((index) => additions[ranked.indexOf(index)] ?? 0) };
}

export interface SentenceStageInput {
  readonly contexts: readonly string[];
  /** Sentences of one context; joined they must give the context again. */
  readonly sentencesOf: (context: string, index: number) => readonly string[];
  readonly target: number;
  readonly tokenBudgetRatio: number;
  readonly question: string;
  readonly condition: Condition;
  readonly longllmlingua: boolean;
  readonly keepFirst: number;
  readonly keepLast: number;
  readonly keepNumber: number;
  readonly bonus: number;
}

/** Contexts with their unkept sentences left out. Under an ascending order the bonus pushes a sentence back. */
export async function referenceSentenceStage(
  model: ReferenceModel,
  input: SentenceStageInput,
): Promise<string[]> {
  const split = input.contexts.map((context, index) => input.sentencesOf(context, index));
  const all = split.flat();
  if (all.length === 1) return [...input.contexts];
  const order = await sentenceOrder(model, { input, split, all });
  let left = (input.target < 0 ? 100 : input.target) * input.tokenBudgetRatio;
  const kept = new Set<number>();
  for (const index of order) {
    left -= tokenLength(model, all[index] ?? '');
    kept.add(index);
    if (left < 0) break;
  }
  let first = 0;
  return split.map((sentences) => {
    const from = first;
    first += sentences.length;
    return sentences.filter((_, i) => kept.has(from + i)).join('');
  });
}

async function sentenceOrder(
  model: ReferenceModel,
  at: {
    readonly input: SentenceStageInput;
    readonly split: readonly (readonly string[])[];
    readonly all: readonly string[];
  },
): Promise<number[]> {
  const { input, split, all } = at;
  const { condition } = input;
  if (!input.longllmlingua) {
    const question = input.question + restrictiveSentence;
    return (await referenceRank(model, { texts: all, question, condition })).order;
  }
  const { scores } = await referenceRank(model, {
    texts: all,
    question: input.question,
    condition,
  });
  const add = (index: number): void => void (scores[index] = (scores[index] ?? 0) + input.bonus);
  for (let i = 0; i < Math.min(input.keepFirst, all.length); i++) add(i);
  for (let i = Math.max(0, all.length - input.keepLast); i < all.length; i++) add(i);
  let first = 0;
  for (const sentences of split) {
    const own = sentences.map((_, i) => first + i);
    first += sentences.length;
    own.sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0) || a - b);
    for (const index of own.slice(0, input.keepNumber)) add(index);
  }
  return sortedIndices(scores, condition === 'none' ? -1 : 1);
}
