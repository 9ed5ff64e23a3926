/**
 * llmlingua 0.2.2's `compress_prompt` for `llmlingua` and `longllmlingua`, step by step with the reference's own
 * arithmetic, so that results can be compared on the same weights. Its known defects are part
 * of it; the product's own mode is in `llmlingua.ts` and `longllmlingua.ts` beside this folder.
 */
import { SluiceError } from '../../core/errors.ts';
import type { MethodOptions } from '../types.ts';
import {
  clampedRate,
  referenceContextBudget,
  referenceRank,
  referenceSentenceStage,
  restrictiveSentence,
  targetFromRate,
  tokenLength,
} from './contexts.ts';
import type { Condition, ReferenceModel } from './contexts.ts';
import { referenceItpc, referenceWindows } from './itpc.ts';
import type { ItpcResult } from './itpc.ts';

export interface ReferencePrompt {
  readonly method: 'llmlingua' | 'longllmlingua';
  readonly contexts: readonly string[];
  readonly instruction: string;
  readonly question: string;
  /** Share to keep; used when `targetToken` is null. */
  readonly rate: number;
  /** Tokens of the context, in the scorer's tokens. */
  readonly targetToken: number | null;
  readonly options: MethodOptions;
  /** Sentences of a context; the reference uses NLTK's Punkt. Only asked with `use_sentence_level_filter`. */
  readonly sentencesOf: (context: string, index: number) => readonly string[];
}

export interface ReferenceRun {
  /** Indices of the contexts that stay, in output order. */
  readonly contextsUsed: readonly number[];
  readonly dynamicRatio: readonly number[];
  readonly target: number;
  /** Text after the sentence stage, per used context. */
  readonly contexts: readonly string[];
  /** Null when the token stage is off. */
  readonly tokens: TokenStage | null;
}

export interface TokenStage extends ItpcResult {
  /** Prefix and contexts as they were tokenised together. */
  readonly joined: string;
  /** Tokens and UTF-16 length of the prefix in it; `keptPositions` count from there. */
  readonly start: number;
  readonly startOffset: number;
}

/** Tokens of the sequence that the reference's tokenizers hard-code as the newline that `keep_split` protects. */
const splitTokenId = 13;
const prefixBosTokens = 100;

export async function referenceLlmlingua(
  model: ReferenceModel,
  prompt: ReferencePrompt,
): Promise<ReferenceRun> {
  const { options, question } = prompt;
  const long = prompt.method === 'longllmlingua';
  if (long && question === '')
    throw new SluiceError('REQUEST_INVALID', 'longllmlingua needs a question, found none');
  const given = prompt.contexts.length === 0 ? [' '] : prompt.contexts;
  const asked = options.condition_in_question ?? 'none';
  const condition: Condition = !long ? 'none' : asked === 'none' ? 'after' : asked;
  const lengths = given.map((context) => tokenLength(model, context));
  const target = targetOf(model, { prompt, lengths });
  const coarse = await coarseStage(model, { prompt, given, lengths, target, condition });
  let contexts = coarse.used.map((index) => given[index] ?? '');
  if (options.use_sentence_level_filter === true)
    contexts = await referenceSentenceStage(model, {
      contexts,
      sentencesOf: (context, index) => prompt.sentencesOf(context, coarse.used[index] ?? 0),
      target,
      tokenBudgetRatio: options.token_budget_ratio ?? 1.4,
      question,
      condition,
      longllmlingua: long,
      keepFirst: options.keep_first_sentence ?? 0,
      keepLast: options.keep_last_sentence ?? 0,
      keepNumber: options.keep_sentence_number ?? 0,
      bonus: options.high_priority_bonus ?? 100,
    });
  const tokens =
    options.use_token_level_filter === false
      ? null
      : await tokenStage(model, { prompt, contexts, dynamic: coarse.dynamic, target });
  return { contextsUsed: coarse.used, dynamicRatio: coarse.dynamic, target, contexts, tokens };
}

function targetOf(
  model: ReferenceModel,
  at: { readonly prompt: ReferencePrompt; readonly lengths: readonly number[] },
): number {
  const { prompt, lengths } = at;
  if (prompt.targetToken !== null) return prompt.targetToken;
  return targetFromRate({
    instruction: tokenLength(model, prompt.instruction),
    question: tokenLength(model, prompt.question),
    contexts: lengths,
    rate: prompt.rate,
    concateQuestion: prompt.options.concate_question ?? true,
  });
}

async function coarseStage(
  model: ReferenceModel,
  at: {
    readonly prompt: ReferencePrompt;
    readonly given: readonly string[];
    readonly lengths: readonly number[];
    readonly target: number;
    readonly condition: Condition;
  },
): Promise<{ readonly used: readonly number[]; readonly dynamic: readonly number[] }> {
  const { prompt, given, lengths, target, condition } = at;
  const { options } = prompt;
  if (given.length === 1 || options.use_context_level_filter === false)
    return { used: given.map((_, i) => i), dynamic: given.map(() => 0) };
  const question = prompt.question + restrictiveSentence;
  const { order } = await referenceRank(model, { texts: given, question, condition });
  return referenceContextBudget({
    order,
    lengths,
    target,
    contextBudget: options.context_budget ?? '+100',
    forced: options.force_context_ids ?? [],
    forcedNumber: options.force_context_number ?? null,
    reorder: options.reorder_context ?? 'original',
    dynamicRatio: options.dynamic_context_compression_ratio ?? 0,
  });
}

async function tokenStage(
  model: ReferenceModel,
  at: {
    readonly prompt: ReferencePrompt;
    readonly contexts: readonly string[];
    readonly dynamic: readonly number[];
    readonly target: number;
  },
): Promise<TokenStage> {
  const { prompt, contexts, dynamic, target } = at;
  const { options } = prompt;
  const iterativeSize = options.iterative_size ?? 200;
  const compare = options.condition_compare === true;
  const prefix = compare ? conditionPrefix(model, { prompt, iterativeSize }) : null;
  const start = prefix === null ? 0 : prefixLength(model, `${prefix}\n\n`, contexts[0] ?? '');
  const lengths = contexts.map((context) => model.encode(context).length + 2);
  const tau = target / (lengths.reduce((sum, length) => sum + length, 0) + 1);
  const pieces = lengths.map((tokens, i) => ({ tokens, rate: clampedRate(tau, dynamic[i] ?? 0) }));
  const joined = (prefix === null ? contexts : [prefix, ...contexts]).join('\n\n');
  const result = await referenceItpc({
    ids: model.encode(joined),
    start,
    windows: referenceWindows(pieces, iterativeSize),
    iterativeSize,
    maxPositions: model.maxPositions,
    compare,
    splitId: options.keep_split === true ? splitTokenId : null,
    losses: (ids) => model.losses(ids),
  });
  const startOffset = prefix === null ? 0 : prefix.length + 2;
  return { ...result, joined, start, startOffset };
}

/** The question (and instruction) as condition, cut in its middle when two windows would no longer fit beside it. */
function conditionPrefix(
  model: ReferenceModel,
  at: { readonly prompt: ReferencePrompt; readonly iterativeSize: number },
): string {
  const { prompt, iterativeSize } = at;
  const { question, instruction, options } = prompt;
  const prefix = options.add_instruction === true ? `${question}\n\n${instruction}` : question;
  const room = model.maxPositions - 2 * iterativeSize;
  if (tokenLength(model, `${prefix}\n\n`) <= room) return prefix;
  const ids = model.encode(prefix);
  const tail = Math.max(0, ids.length - room + 2 + prefixBosTokens);
  return model.decode([...ids.slice(0, prefixBosTokens), ...ids.slice(tail)]);
}

/** How many tokens of prefix plus text belong to the prefix: the first cut that decodes to it. */
function prefixLength(model: ReferenceModel, prefix: string, text: string): number {
  const likely = Math.max(model.encode(prefix).length - 3, 1);
  const ids = model.encode(prefix + text.slice(0, 100));
  for (let length = likely; length < ids.length; length++)
    if (model.decode(ids.slice(0, length)) === prefix) return length;
  return Math.max(likely, ids.length - 1);
}
