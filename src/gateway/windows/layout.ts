/** How a request is cut into windows: what stands first, how much fits, which windows are asked. */
import { createHash } from 'node:crypto';
import type { BoundedCache } from '../../core/bounded-cache.ts';
import { SluiceError } from '../../core/errors.ts';
import {
  answerTokensLeft,
  promptTokensLeft,
  sumOfTokens,
  takeWithin,
  type SpendingCap,
  type TokenSum,
} from '../../core/spending.ts';
import type { WindowLayout, WindowStrategy } from '../../core/window-words.ts';
import type { TextWindow, WindowTools } from '../../context/windows/types.ts';
import type { Config } from '../../config/types.ts';
import { around, perMessage, usualAnswer } from '../template-tokens.ts';
import { demandOf, leadingQuestion } from './bodies.ts';
import type { WindowRequest } from './request.ts';

/** Windows of fewer tokens than this are not worth a request. */
const leastWindow = 48;
/** Budgets go in such steps, so that questions of about the same length cut a text alike. */
const step = 32;
/** A question shorter than a few cache blocks is not worth moving. */
const worthMoving = 48;

export interface Rules {
  readonly config: Config['windows'];
  readonly tools: WindowTools;
  /** The local tokenizer. */
  readonly count: (text: string) => number;
  /** Tokens of the backend for one of the local tokenizer's. */
  readonly scale: number;
  /** Context window of the backend. */
  readonly limit: number;
  readonly strategy: WindowStrategy;
  readonly layout: WindowLayout;
  /** Windows wanted by the client; null = as few as possible. */
  readonly wanted: number | null;
}

export interface Cut {
  readonly windows: readonly (TextWindow & { readonly relevance: number })[];
  /** Indexes of the windows that are asked, in the order of the text; the others are left out. */
  readonly asked: readonly number[];
  /** Tokens that the prompts of all windows begin with. */
  readonly sharedTokens: number;
  /** Tokens that a prompt of records may have, records included. */
  readonly roomTokens: number;
  readonly recordTokens: number;
  /** Tokens that the final answer can have, at least. */
  readonly answerTokens: number;
  /** Of these, what the caps were reckoned with. */
  readonly reservedTokens: number;
  /** Tokens of the client's request without any of the text, as believed. */
  readonly frameTokens: number;
  /** Tokens of the request about one window without its text, as believed. */
  readonly besideTokens: number;
  /** Tokens of the longest prompt of a window, as believed. */
  readonly longestTokens: number;
}

/** Prices of the configuration are those of a million tokens. */
export function capOf(config: Config['windows']): SpendingCap {
  const { input_price: input, output_price: output } = config;
  const known = input !== null && output !== null;
  return {
    tokens: config.max_total_tokens,
    cost: config.max_cost,
    prices: known ? { input: input / 1e6, output: output / 1e6 } : null,
  };
}

/** What stands around the text, in tokens of the server. */
interface Around {
  /** Of the client's own request without the text. */
  readonly frame: number;
  /** Of a request about one window, without its text. */
  readonly beside: number;
  /** Of a prompt of records, without them. */
  readonly system: number;
  readonly shared: number;
  /** Answer that is reserved for the last stage. */
  readonly answer: number;
  readonly recordTokens: number;
  /** Left for the text of a window. */
  readonly room: number;
}

/** @throws SluiceError WINDOW_TOO_SMALL when frame or caps leave no room for text */
export function cutWindows(request: WindowRequest, rules: Rules): Cut {
  const { config, tools, limit, scale, wanted, strategy } = rules;
  const { materials } = request;
  const { frame, beside, system, shared, answer, recordTokens, room } = aroundText(request, rules);
  const own = {
    prompt: beside,
    answer: strategy === 'reduce' ? recordTokens : config.answer_tokens,
  };
  // Where no window has information, one answers by itself.
  const last = { prompt: Math.max(beside, frame), answer };
  const cap = capOf(config);
  const most = Math.min(room, paidTokens(cap, sumOfTokens(own, last)));
  const budget = Math.floor(Math.max(leastWindow, most - (most % step)) / scale);
  const windows = split(request, rules, Math.max(1, budget));
  const texts = windows.map(({ pieces }) => tools.render(materials, pieces));
  const relevance = tools.relevance(texts, leadingQuestion(request));
  const scored = windows.map((window, at) => ({ ...window, relevance: relevance[at] ?? 0 }));
  const tokensOf = (window: TextWindow): number => Math.ceil(window.tokens * scale);
  const longest = Math.max(0, ...windows.map(tokensOf));
  // Of too many windows the most relevant ones.
  const { taken, spent } = takeWithin(
    scored.toSorted((a, b) => b.relevance - a.relevance),
    (window) => sumOfTokens(own, { prompt: tokensOf(window), answer: 0 }),
    {
      cap,
      spent: { prompt: Math.min(limit - answer, longest + last.prompt), answer },
      most: Math.min(config.max_windows, wanted ?? config.max_windows),
    },
  );
  const longer = Math.min(limit - frame - longest, answer + answerTokensLeft(cap, spent));
  return {
    windows: scored,
    asked: scored.flatMap((window, at) => (taken.includes(window) ? [at] : [])),
    sharedTokens: shared,
    frameTokens: frame,
    besideTokens: beside,
    longestTokens: longest + beside,
    roomTokens: Math.floor((limit - system - answer) / scale),
    recordTokens,
    reservedTokens: answer,
    answerTokens: strategy === 'reduce' ? answer : Math.max(answer, Math.floor(longer)),
  };
}

function aroundText(request: WindowRequest, rules: Rules): Around {
  const { config, tools, count, limit, scale, strategy } = rules;
  const tokens = (texts: readonly string[]): number =>
    Math.ceil(texts.reduce((sum, text) => sum + count(text), 0) * scale);
  const overhead = around + perMessage * request.messages;
  const moved = rules.layout === 'question-first';
  const ahead = moved ? tokens([leadingQuestion(request)]) : 0;
  const tails = tokens(request.regions.map(({ tail }) => tail));
  const frame = tokens(request.frame) + ahead + tails + overhead;
  const recordTokens = Math.min(config.record_tokens, Math.floor(limit / 4));
  const answer = Math.min(request.maxTokens ?? usualAnswer, Math.floor(limit / 4));
  const system = tokens(request.system) + overhead;
  const { before, after } = tools.recordPrompt(demandOf(request));
  const instruction = tokens([before, after]);
  const forAnswer = limit - frame - Math.max(answer, Math.min(config.answer_tokens, limit / 4));
  const forRecord = limit - system - instruction - recordTokens;
  const reduces = strategy === 'reduce';
  const room = Math.floor(reduces ? Math.min(forAnswer, forRecord) : forAnswer);
  if (room < leastWindow) {
    const message = `A window of ${limit} tokens has ${Math.max(0, room)} left for text beside the ${frame} tokens around it and the answer; at least ${leastWindow} are needed`;
    throw new SluiceError('WINDOW_TOO_SMALL', message);
  }
  const inFront = reduces ? system : tokens(request.ahead);
  return {
    frame,
    beside: reduces ? instruction + system : frame,
    system,
    // What stands in front of the first document, and in front of that what is put there.
    shared: inFront + (moved ? (reduces ? instruction : ahead) : 0),
    answer,
    recordTokens,
    room,
  };
}

/**
 * Tokens of text that the caps allow one window: the last stage reads as much again.
 * @param beside of a window's request and of the last one, without the text
 */
function paidTokens(cap: SpendingCap, beside: TokenSum): number {
  const paid = Math.floor(promptTokensLeft(cap, beside) / 2);
  if (paid >= leastWindow) return paid;
  const names = [`windows.max_total_tokens (${cap.tokens})`];
  if (cap.cost !== null) names.push(`windows.max_cost (${cap.cost})`);
  const others = beside.prompt + beside.answer;
  const message = `${names.join(' and ')} leave ${Math.max(0, paid)} tokens for the text of a window beside ${others} around it and the answer; at least ${leastWindow} are needed`;
  throw new SluiceError('WINDOW_TOO_SMALL', message);
}

function split(request: WindowRequest, rules: Rules, budget: number): readonly TextWindow[] {
  const { tools, count, wanted } = rules;
  try {
    return tools.split(request.materials, { budget, windows: wanted, count });
  } catch (error) {
    if (!SluiceError.isInstance(error)) throw error;
    throw new SluiceError('WINDOW_TOO_SMALL', error.message, { cause: error });
  }
}

/**
 * What repeats decides: a text that was read in windows before will be asked about again, so it goes first; else what
 * all windows of this request have in common does, where that is more than a few cache blocks.
 * @param seen texts that were read in windows before
 */
export function layoutFor(
  request: WindowRequest,
  options: {
    readonly configured: WindowLayout | 'auto';
    readonly strategy: WindowStrategy;
    readonly tenant: string;
    readonly seen: BoundedCache<true>;
    readonly count: (text: string) => number;
  },
): WindowLayout {
  const { configured, strategy, seen, count } = options;
  const hash = createHash('sha256').update(`${options.tenant}\n`);
  for (const { text } of request.materials) hash.update(text).update('\0');
  const key = hash.digest('base64url');
  const repeats = seen.get(key) === true;
  seen.set(key, true);
  if (configured !== 'auto') return configured;
  if (repeats) return 'text-first';
  const moved = strategy === 'reduce' ? worthMoving : count(leadingQuestion(request));
  return moved >= worthMoving ? 'question-first' : 'text-first';
}
