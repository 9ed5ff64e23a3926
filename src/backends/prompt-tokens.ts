/**
 * The token ids of a request's prompt as its server sees them: rendered and encoded here where the model's template and
 * tokenizer are known, else asked of the server. What is made here counts as exact only for kinds of request for which
 * the server, or the usage that it reported, has agreed.
 */
import { boundedCache } from '../core/bounded-cache.ts';
import { createTurns, type Turns } from '../core/turns.ts';
import { readPrompt } from './prompt-body.ts';
import { candidatesOf, shapeOf, type Candidate, type LocalModel } from './prompt-candidates.ts';
import { createPromptQuestions, type AskPrompt } from './prompt-questions.ts';
import type { Ask } from './questions.ts';
import type { PromptTokens, PromptTokenSource } from './types.ts';

export interface PromptTokensOptions extends LocalModel {
  /** Asks the server; null = it cannot be asked. */
  readonly ask: Ask | null;
  readonly now?: () => Date;
}

/** What is known about requests of one shape. */
interface Verdict {
  /** Which candidate is right, as far as known; -1 = none of them. */
  candidate: number;
  /** The server or its usage has agreed with it. */
  sure: boolean;
  /** What the server says of its prompts is not what it counts. */
  askedWrong: boolean;
}

/** Shapes of requests that are remembered. */
const maxShapes = 1000;
/** The time of day is part of a dated prompt's shape: a server's midnight is ours, give or take half hours. */
const halfHourMs = 1_800_000;

export function createPromptTokens(options: PromptTokensOptions): PromptTokenSource {
  return new PromptTokensOf(options);
}

class PromptTokensOf implements PromptTokenSource {
  readonly #options: PromptTokensOptions;
  readonly #askPrompt: AskPrompt | null;
  readonly #verdicts = boundedCache<Verdict>({ maxEntries: maxShapes });
  /** Where results came from; candidate -1 = from the server. */
  readonly #origins = new WeakMap<PromptTokens, { verdict: Verdict; candidate: number }>();

  constructor(options: PromptTokensOptions) {
    this.#options = options;
    this.#askPrompt =
      options.ask === null ? null : createPromptQuestions(options.kind, options.ask);
  }

  async of(body: Uint8Array, path: string, signal: AbortSignal): Promise<PromptTokens | null> {
    try {
      return await this.#find(body, path, signal);
    } catch {
      // A template that refuses the request, or a caller that went away.
      return null;
    }
  }

  confirm(result: PromptTokens, reported: number): void {
    const origin = this.#origins.get(result);
    if (origin === undefined) return;
    const { verdict, candidate } = origin;
    const right = result.tokens.length === reported;
    if (candidate < 0) {
      verdict.askedWrong = !right;
    } else if (candidate === verdict.candidate) {
      if (!right) verdict.candidate = verdict.sure ? -1 : candidate + 1;
      verdict.sure = right;
    }
  }

  async #find(body: Uint8Array, path: string, signal: AbortSignal): Promise<PromptTokens | null> {
    const prompt = readPrompt(body, path);
    if (prompt === null) return null;
    if (prompt.type === 'ids') return { tokens: prompt.ids, exact: true };
    const turns = createTurns(signal);
    await turns.pause();
    const candidates = candidatesOf(prompt, this.#options);
    const verdict = this.#verdictOf(shapeOf(prompt, this.#clockOf(candidates)));
    await turns.pause();
    const known = candidates[verdict.candidate];
    if (known !== undefined && verdict.sure) {
      return this.#result(await this.#encode(known, turns), verdict, verdict.candidate);
    }
    const asked = (await this.#askPrompt?.(prompt, body, signal)) ?? null;
    if (asked !== null) {
      await this.#compare(candidates, verdict, { asked, turns });
      return this.#result(asked, verdict, -1);
    }
    if (known === undefined) return null;
    return this.#result(await this.#encode(known, turns), verdict, verdict.candidate);
  }

  #result(tokens: Uint32Array, verdict: Verdict, candidate: number): PromptTokens {
    const exact = candidate < 0 ? !verdict.askedWrong : verdict.sure;
    const result = { tokens, exact };
    this.#origins.set(result, { verdict, candidate });
    return result;
  }

  /** Looks for the candidate that gives what the server says. */
  async #compare(
    candidates: readonly Candidate[],
    verdict: Verdict,
    { asked, turns }: { readonly asked: Uint32Array; readonly turns: Turns },
  ): Promise<void> {
    for (const [at, candidate] of candidates.entries()) {
      if (Buffer.compare(bytesOf(await this.#encode(candidate, turns)), bytesOf(asked)) !== 0)
        continue;
      verdict.candidate = at;
      verdict.sure = !verdict.askedWrong;
      return;
    }
    verdict.candidate = -1;
  }

  #verdictOf(shape: string): Verdict {
    const known = this.#verdicts.get(shape);
    if (known !== undefined) return known;
    const verdict = { candidate: 0, sure: false, askedWrong: false };
    this.#verdicts.set(shape, verdict);
    return verdict;
  }

  /** The time of day where the prompt depends on it, else empty. */
  #clockOf(candidates: readonly Candidate[]): string {
    const read = candidates[0]?.render().clock ?? [];
    if (read.length === 0) return '';
    const now = this.#options.now?.() ?? new Date();
    return [Math.floor(now.getTime() / halfHourMs), ...read].join('\n');
  }

  async #encode({ render, edges }: Candidate, turns: Turns): Promise<Uint32Array> {
    const encoder = this.#options.tokenizer?.prompts;
    if (encoder === undefined) return new Uint32Array();
    const ids = await turns.run(encoder.encodeSteps(render().text));
    const { before, after } = (edges ? encoder.edges : null) ?? { before: [], after: [] };
    if (before.length + after.length === 0) return ids;
    return Uint32Array.of(...before, ...ids, ...after);
  }
}

function bytesOf(ids: Uint32Array): Uint8Array {
  return new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
}
