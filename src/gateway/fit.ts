/** Texts that are too long for the context window even at the configured rate: how much shorter they have to be. */
import type { Backend } from '../backends/types.ts';
import type { FitReport } from '../core/window-words.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { isCandidate, type DecideSettings } from './decide.ts';
import type { Unit } from './plan.ts';
import { serverScale } from './server-scale.ts';

/** Tokens of a chat template around one message, and around all of them. */
const perMessage = 8;
const around = 16;
/** Room for an answer whose length the client does not limit. */
const usualAnswer = 256;
/** A small vocabulary counts at most so many times the tokens of a large one: only beyond it is a server asked. */
const doubt = 2;

export interface FitRules {
  readonly backend: Pick<Backend, 'capabilities' | 'countTokens'>;
  readonly tokenizer: TextTokenizer;
  /** Context window as the operator says; null = as the backend tells. */
  readonly limitTokens: number | null;
}

/** The request that a unit is part of. */
export interface FitFacts {
  readonly model: string | null;
  /** Messages of the whole request. */
  readonly messages: number;
  /** Answer that the client allows; null = it does not say. */
  readonly maxTokens: number | null;
  /** Local tokens of the units before this one, as they are forwarded. */
  readonly spent: number;
}

/**
 * The target with which the request up to this unit fits the context window together with its answer; null where it
 * does at the configured rate, or nobody knows the window. Depends on what precedes the unit and on the unit alone, and
 * on how long an answer may be. `settings.fitRate` is what is kept at least: whether the target can be met with it is
 * not looked at.
 */
export async function fitOf(
  unit: Unit,
  settings: DecideSettings & { readonly fitRate: number | null },
  facts: FitFacts,
  tools: {
    readonly rules: FitRules;
    readonly countTokens: (text: string) => Promise<number>;
    readonly signal: AbortSignal;
  },
): Promise<FitReport | null> {
  const { backend, tokenizer, limitTokens } = tools.rules;
  const limit = limitTokens ?? backend.capabilities.contextWindow;
  const { fitRate } = settings;
  if (limit === null || fitRate === null || fitRate >= settings.rate) return null;
  const candidates = unit.spans.filter((span) => isCandidate(span, unit, settings));
  const chars = unit.spans.reduce((total, { text }) => total + text.length, 0);
  if (candidates.length === 0 || chars > settings.maxChars) return null;
  let needed = 0;
  for (const span of unit.spans) {
    const tokens = await tools.countTokens(span.text);
    needed += candidates.includes(span) ? tokens * settings.rate : tokens;
  }
  const answer = Math.min(facts.maxTokens ?? usualAnswer, Math.floor(limit / 4));
  const prompt = limit - answer - around - perMessage * facts.messages;
  const room = (scale: number): number => Math.floor(prompt / scale) - facts.spent;
  if (needed <= room(tokenizer.estimated ? doubt : 1)) return null;
  const scale = await serverScale(
    unit.spans.map(({ text }) => text),
    {
      ...tools.rules,
      count: tools.countTokens,
      model: facts.model,
      told: null,
      signal: tools.signal,
    },
  );
  const targetTokens = room(scale);
  // What fills the window already is cut by others; crushing the newest text would not help.
  if (needed <= targetTokens || targetTokens <= 0) return null;
  return { limitTokens: limit, targetTokens, rate: fitRate };
}
