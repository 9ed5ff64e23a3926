/** Inputs that are longer than the model's window, in the words of configuration, headers and reports. */
import type { TextPlace } from './text-place.ts';

/**
 * - `select`: the window that is most relevant and whose answer is surest answers the request
 * - `vote`: every window answers; equal answers are added up
 * - `reduce`: every window gives a record of evidence; the records together are answered
 * - `nbce`: naive Bayes over the windows, token by token; needs log probabilities, and completions
 */
export const windowStrategies = ['select', 'vote', 'reduce', 'nbce'] as const;
export type WindowStrategy = (typeof windowStrategies)[number];

/**
 * - `question-first`: what all windows have in common stands first, so that they share it in the cache
 * - `text-first`: the text stands first, so that another question about it shares it
 */
export type WindowLayout = 'question-first' | 'text-first';

/**
 * Why a request was answered from windows.
 * - `too-long`: counted, and longer than the model's window
 * - `refused`: the backend said so
 * - `asked`: the client wanted it
 */
export type WindowCause = 'too-long' | 'refused' | 'asked';

/**
 * - `chosen`: its answer, or one made of it, is the answer
 * - `answered`: it has said something
 * - `no-information`: it says that it holds nothing for the question
 * - `failed`: its request failed
 * - `left-out`: it was not asked: there were more windows than allowed
 */
export type WindowState = 'chosen' | 'answered' | 'no-information' | 'failed' | 'left-out';

export interface WindowReport {
  /** Where its text stands in the forwarded text. */
  readonly places: readonly TextPlace[];
  /** Tokens of its text. */
  readonly tokens: number;
  /** For the question, higher is better; comparable inside one request only. */
  readonly relevance: number;
  /** Share of 1 that the model gave its answer, or 0 to 1 as it said itself; null = not known. */
  readonly confidence: number | null;
  readonly state: WindowState;
  /** Error code of ours or HTTP status, where it failed. */
  readonly error: string | null;
  /** As the backend reported them; null = it does not tell. */
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
}

export interface WindowsReport {
  readonly cause: WindowCause;
  readonly strategy: WindowStrategy;
  readonly layout: WindowLayout;
  /** Context window of the backend in tokens, as believed. */
  readonly limitTokens: number | null;
  /** Tokens that every window's prompt begins with, counted here. */
  readonly sharedTokens: number;
  readonly windows: readonly WindowReport[];
  /** Requests that the backend got for this one, the final one included. */
  readonly calls: number;
  /** Sums over those that reported it, without the final one, whose usage is the answer's own. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  /**
   * Of the same requests at the configured prices, as if the provider had no cache; null = no prices. Counted here
   * where the backend does not tell.
   */
  readonly cost: number | null;
  /** What was done otherwise than asked, and why; no prompt text. */
  readonly notes: readonly string[];
}

/** Why texts were shortened further than the configured rate. */
export interface FitReport {
  /** Context window of the backend, as believed. */
  readonly limitTokens: number;
  /** Tokens, as counted here, that the newest text was to have at most. */
  readonly targetTokens: number;
  /** Share of the compressible tokens that was kept at least. */
  readonly rate: number;
}

/** Turns of a conversation that were left out so that the rest fits. */
export interface SinksReport {
  readonly turns: number;
  readonly messages: number;
  /** Tokens of their text. */
  readonly tokens: number;
  /** The messages, by their index in the request: from the first up to, not including, the last. */
  readonly from: number;
  readonly to: number;
  /** Cuts so far in this conversation; 0 = none. */
  readonly cuts: number;
  /** This request is the first one with this cut. */
  readonly fresh: boolean;
}
