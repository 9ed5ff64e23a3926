/** Exact token counts from a server's own tokenize route, bounded in time, size and number. */
import type { BackendKind, CountTokens, CountTokensOptions } from './types.ts';

/** How one kind of server is asked for the tokens of a text, and where its answer has their number. */
interface TokenizeShape {
  readonly body: (text: string, model: string | null) => unknown;
  readonly read: (json: unknown) => number | null;
}

/**
 * - vllm: `{model?, prompt, add_special_tokens}` -> `{count, max_model_len, tokens}`
 * - llamacpp: `{content, add_special}` -> `{tokens}`
 *
 * Special tokens written out in a text count as what the server takes them for in a prompt; none are added.
 */
const shapes: Partial<Readonly<Record<BackendKind, TokenizeShape>>> = {
  vllm: {
    body: (prompt, model) => ({
      ...(model === null ? {} : { model }),
      prompt,
      add_special_tokens: false,
    }),
    read: (json) => wholeNumber(field(json, 'count')),
  },
  llamacpp: {
    body: (content) => ({ content, add_special: false }),
    read(json) {
      const tokens = field(json, 'tokens');
      return Array.isArray(tokens) ? tokens.length : null;
    },
  },
};

/** POSTs JSON to the server's tokenize route. Rejects when there is no answer. */
export type AskTokenize = (
  body: string,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly json: unknown }>;

/** Texts that are asked for at once, over all callers: a server that also generates must not notice. */
export const askedAtOnce = 2;
/** Texts that may wait; what comes later is not counted. */
const mayWait = 256;
/** UTF-16 units of one text. */
const maxChars = 512 * 1024;
const askMs = 2000;
/** Time without questions after one that failed, milliseconds. */
const pauseMs = 10_000;
/** No such route, or not for us: the next detection may find another server. */
const absent: ReadonlySet<number> = new Set([401, 403, 404, 405, 501]);

/** Null when this kind of server has no tokenize route that is known here. */
export function createTokenCounts(kind: BackendKind, ask: AskTokenize): TokenCounts | null {
  const shape = shapes[kind];
  return shape === undefined ? null : new TokenCounts(shape, ask);
}

export class TokenCounts {
  readonly #shape: TokenizeShape;
  readonly #ask: AskTokenize;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #absent = false;
  #pausedUntil = 0;

  constructor(shape: TokenizeShape, ask: AskTokenize) {
    this.#shape = shape;
    this.#ask = ask;
  }

  /** False after the server has said that it has no such route. */
  get available(): boolean {
    return !this.#absent;
  }

  readonly count: CountTokens = (texts, options) =>
    Promise.all(texts.map((text) => this.#countOne(text, options)));

  async #countOne(text: string, options: CountTokensOptions): Promise<number | null> {
    if (text === '') return 0;
    if (text.length > maxChars || !(await this.#enter())) return null;
    try {
      if (!this.#mayAsk(options)) return null;
      const asked = await this.#post(text, options.model, options.signal);
      // A server may not know the model's name and still have the route.
      if (asked.status !== 404 || options.model === null) return this.#learn(asked);
      const again = await this.#post(text, null, options.signal);
      if (absent.has(again.status)) this.#absent = true;
      return null;
    } catch {
      if (!options.signal.aborted) this.#pausedUntil = performance.now() + pauseMs;
      return null;
    } finally {
      this.#leave();
    }
  }

  #mayAsk({ signal }: CountTokensOptions): boolean {
    return !this.#absent && !signal.aborted && performance.now() >= this.#pausedUntil;
  }

  #post(
    text: string,
    model: string | null,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly json: unknown }> {
    const body = JSON.stringify(this.#shape.body(text, model));
    return this.#ask(body, AbortSignal.any([signal, AbortSignal.timeout(askMs)]));
  }

  #learn({ status, json }: { readonly status: number; readonly json: unknown }): number | null {
    if (status === 200) return this.#shape.read(json);
    if (absent.has(status)) this.#absent = true;
    else if (status === 429 || status >= 500) this.#pausedUntil = performance.now() + pauseMs;
    return null;
  }

  /** False = too many wait already. */
  async #enter(): Promise<boolean> {
    if (this.#running < askedAtOnce) {
      this.#running += 1;
      return true;
    }
    if (this.#waiting.length >= mayWait) return false;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return true;
  }

  /** Hands the place to who waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !(name in value)) return undefined;
  return Reflect.get(value, name);
}

function wholeNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : null;
}
