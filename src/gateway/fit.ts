/** Texts that are too long for the context window as they would be forwarded: how much shorter they have to be. */
import type { Backend } from '../backends/types.ts';
import type { FitReport } from '../core/window-words.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { contextWindowOf } from './context-window.ts';
import { candidatesOf, type DecideSettings } from './decide.ts';
import type { Unit } from './plan.ts';
import { createServerScale, type ServerScale } from './server-scale.ts';
import { around, perMessage, usualAnswer } from './template-tokens.ts';

/** An answer whose length the client does not limit gets at most this share of the window. */
const usualShare = 0.25;
/** A longer answer than this share of the window leaves nothing to ask about. */
const longestAnswer = 0.75;
/** Part of the window that is kept free where something has to go anyway: what follows should fit as well. */
const reserve = 0.125;
/** A small vocabulary counts at most so many times the tokens of a large one: only beyond it is a server asked. */
const doubt = 2;

export interface FitRules {
  readonly backend: Pick<Backend, 'capabilities' | 'contextWindowOf'>;
  readonly scale: ServerScale;
  readonly tokenizer: Pick<TextTokenizer, 'estimated'>;
  /** Context window as the operator says; null = as the backend tells. */
  readonly limitTokens: number | null;
  /** Share of the window from which on sinks leave out turns, and what they leave; null = they do not. */
  readonly sinks: { readonly start: number; readonly keep: number } | null;
}

/** @param options.waitMs how long a server is waited for, milliseconds */
export function createFitRules(
  options: Omit<FitRules, 'scale'> & {
    readonly backend: Pick<Backend, 'countTokens'>;
    readonly waitMs: number;
  },
): FitRules {
  return { ...options, scale: createServerScale(options) };
}

/** What stands before a unit, and what the request wants. */
export interface FitFacts {
  readonly model: string | null;
  /** Messages up to and including the unit's. */
  readonly messages: number;
  /** Turns may follow, and should fit as well. */
  readonly followed: boolean;
  /** Answer that the client allows; null = it does not say. */
  readonly maxTokens: number | null;
  /** Local tokens of the units before this one, as they are forwarded; null = not all of them are counted. */
  readonly spent: number | null;
}

/**
 * The target with which the request up to this unit fits the context window beside its answer. null = it fits as it
 * is going to be forwarded, or keeping `settings.fitRate` of it does not help, or nobody knows. Depends on what precedes
 * the unit and on the unit alone, on the length of answer that the request allows, and on how the server counts.
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
  const { rules, countTokens, signal } = tools;
  const { fitRate } = settings;
  const limit = contextWindowOf(rules.backend, facts.model, rules.limitTokens);
  if (limit === null || fitRate === null || facts.spent === null) return null;
  const text = await sizeOf(unit, settings, countTokens);
  if (text === null) return null;
  const least = text.fixed + Math.ceil(text.compressible * fitRate);
  const wanted = text.fixed + forwardedOf(text, settings);
  if (least >= wanted) return null;
  const { maxTokens, messages } = facts;
  const answer =
    maxTokens === null
      ? Math.min(usualAnswer, limit * usualShare)
      : Math.min(maxTokens, limit * longestAnswer);
  const prompt = limit - answer - around - perMessage * messages;
  const room = (scale: number): number =>
    Math.floor(prompt / scale) -
    standing(facts.spent ?? 0, wanted, { limit: limit / scale, rules });
  if (wanted <= room(rules.tokenizer.estimated ? doubt : 1)) return null;
  const texts = unit.spans.map((span) => span.text);
  const scale = await rules.scale(texts, { count: countTokens, model: facts.model, signal });
  const most = room(scale);
  if (wanted <= most || least > most) return null;
  const kept = facts.followed ? Math.floor((limit * reserve) / scale) : 0;
  const targetTokens = Math.max(least, most - kept);
  return { limitTokens: limit, targetTokens, rate: fitRate };
}

interface Size {
  readonly compressible: number;
  readonly fixed: number;
}

/** null = nothing can be shortened, or there is too much text for that. */
async function sizeOf(
  unit: Unit,
  settings: DecideSettings,
  countTokens: (text: string) => Promise<number>,
): Promise<Size | null> {
  const candidates = new Set(candidatesOf(unit, settings));
  const chars = unit.spans.reduce((total, { text }) => total + text.length, 0);
  if (candidates.size === 0 || chars > settings.maxChars) return null;
  let compressible = 0;
  let fixed = 0;
  for (const span of unit.spans) {
    const tokens = await countTokens(span.text);
    if (candidates.has(span)) compressible += tokens;
    else fixed += tokens;
  }
  return { compressible, fixed };
}

/** What would be forwarded of the compressible text without any of this. */
function forwardedOf({ compressible, fixed }: Size, settings: DecideSettings): number {
  const { pays, rate, targetTokens } = settings;
  if (!pays) return compressible;
  const byRate = Math.ceil(compressible * rate);
  if (targetTokens === null) return byRate;
  return Math.max(byRate, Math.min(compressible, targetTokens - fixed));
}

/** What still stands of the units before this one: sinks leave out what comes near the window. */
function standing(
  spent: number,
  wanted: number,
  { limit, rules: { sinks } }: { readonly limit: number; readonly rules: FitRules },
): number {
  const cut = sinks !== null && spent + wanted > sinks.start * limit;
  return cut ? Math.min(spent, Math.floor(sinks.keep * limit)) : spent;
}
