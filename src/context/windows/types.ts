/**
 * Windows: a text that does not fit is read in pieces, each by a request of its own. Everything here is pure but for
 * the calls that the caller hands in.
 */
import type { SpendingCap, TokenSum } from '../../core/spending.ts';
import type { WindowState, WindowStrategy } from '../../core/window-words.ts';

/** A document, with what stands around it in the request (`<document>`, `Document [3]`), which every piece repeats. */
export interface Material {
  readonly lead: string;
  readonly text: string;
  readonly trail: string;
  /** Blank characters between it and the next one. */
  readonly separator: string;
}

/** A piece of a material's text: UTF-16 offsets, half open. */
export interface Piece {
  readonly material: number;
  readonly start: number;
  readonly end: number;
}

export interface TextWindow {
  readonly pieces: readonly Piece[];
  /** Tokens of the pieces and of what stands around them. */
  readonly tokens: number;
}

export interface SplitOptions {
  /** Most tokens of one window. */
  readonly budget: number;
  /** Split evenly into about so many windows; null = as few as the budget allows. */
  readonly windows: number | null;
  readonly count: (text: string) => number;
}

/** One token of an answer, with what else the model thought of. */
export interface AnswerToken {
  readonly text: string;
  /** Nats. */
  readonly logProbability: number;
  /** The likeliest tokens at this place, itself among them or not; empty = not told. */
  readonly top: readonly { readonly text: string; readonly logProbability: number }[];
}

export interface WindowAnswer {
  readonly text: string;
  /** The model ended by itself or at a stop string; false = it was cut off. */
  readonly ended: boolean;
  /** null = the backend tells no probabilities. */
  readonly tokens: readonly AnswerToken[] | null;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly cachedTokens: number | null;
}

/**
 * What is asked.
 * - `window`: the client's request with the text of one window in place of all of it
 * - `bare`: the client's request without any of the text
 * - `record`: the text of one window inside the instruction to write a record
 * - `text`: a text of ours, beside the client's instructions
 */
export type WindowPrompt =
  | { readonly type: 'window'; readonly window: number; readonly continuation?: string }
  | { readonly type: 'bare'; readonly continuation?: string }
  | { readonly type: 'record'; readonly window: number }
  | { readonly type: 'text'; readonly text: string };

export interface AskOptions {
  readonly maxTokens: number;
  /** Likeliest tokens wanted at each place; null = no probabilities wanted. */
  readonly top: number | null;
}

/** One request to the backend. Rejects when it fails; a refusal of its length with `TooLong`. */
export type Ask = (prompt: WindowPrompt, options: AskOptions) => Promise<WindowAnswer>;

export interface WindowJob {
  readonly strategy: WindowStrategy;
  /** Tokens (of the whole prompt) and relevance of the windows that may be asked. */
  readonly windows: readonly { readonly tokens: number; readonly relevance: number }[];
  readonly question: string;
  /** Tokens of a prompt without any of the text. */
  readonly frameTokens: number;
  /** Requests at once, at least 1. */
  readonly concurrency: number;
  /** Tokens of an answer that a window is asked for, and of a record. */
  readonly answerTokens: number;
  readonly recordTokens: number;
  /** Local tokens that all records together may have in one prompt. */
  readonly roomTokens: number;
  /** Most tokens of the final answer, for strategies that write it themselves. */
  readonly maxTokens: number;
  /** What requests may come to in all; a strategy that needs more stops. */
  readonly cap: SpendingCap;
  /** Local tokens. */
  readonly count: (text: string) => number;
  /** Tokens of the server for a local one. */
  readonly scale: number;
  /** Ends what runs. */
  readonly signal: AbortSignal;
}

/** What became of one window. */
export interface WindowOutcome {
  readonly state: WindowState;
  readonly confidence: number | null;
  readonly error: string | null;
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
}

/** The last stage: a request whose answer is the answer, or an answer that is made here piece by piece. */
export type FinalStage =
  | {
      readonly type: 'prompt';
      readonly prompt: WindowPrompt;
      /** For a server that refused its length: another one of at most so many tokens as counted here. */
      readonly within?: (tokens: number) => WindowPrompt;
    }
  | { readonly type: 'pieces'; readonly pieces: AsyncIterable<string> };

export interface WindowRun {
  readonly final: FinalStage;
  readonly outcomes: readonly WindowOutcome[];
  readonly calls: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  /** Of all of them, counted here where the server does not tell. */
  readonly spent: TokenSum;
  /** An answer that is made here ended before the model ended it. */
  readonly cutOff: boolean;
  readonly notes: readonly string[];
}

/** What the gateway needs of all this; made by the composition root. */
export interface WindowTools {
  /** Windows in the order of the text; none is empty, and together they hold all of it. */
  split(materials: readonly Material[], options: SplitOptions): readonly TextWindow[];
  /** Text of a window as it stands in a prompt. */
  render(materials: readonly Material[], pieces: readonly Piece[]): string;
  /** How relevant texts are for a question, one number each; higher is better. */
  relevance(texts: readonly string[], question: string): readonly number[];
  /** The instruction to write a record about a text, in two parts: what stands before the text, and after it. */
  recordPrompt(question: string): { readonly before: string; readonly after: string };
  /** @throws what the first call throws when every call failed */
  run(job: WindowJob, ask: Ask): Promise<WindowRun>;
}
