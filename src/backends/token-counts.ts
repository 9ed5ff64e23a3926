/** Exact token counts from a server's own tokenize route, bounded in time, size and number. */
import { field, wholeNumber } from './json-fields.ts';
import { Questions, type Answer } from './questions.ts';
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
export type AskTokenize = (body: string, signal: AbortSignal) => Promise<Answer>;

/** Texts that are asked for at once. */
export const askedAtOnce = 2;
const limits = { atOnce: askedAtOnce, mayWait: 256, askMs: 2000 };
/** UTF-16 units of one text. */
const maxChars = 512 * 1024;

/** Null when this kind of server has no tokenize route that is known here. */
export function createTokenCounts(kind: BackendKind, ask: AskTokenize): TokenCounts | null {
  const shape = shapes[kind];
  return shape === undefined ? null : new TokenCounts(shape, ask);
}

export class TokenCounts {
  readonly #shape: TokenizeShape;
  readonly #ask: AskTokenize;
  readonly #questions = new Questions(limits);

  constructor(shape: TokenizeShape, ask: AskTokenize) {
    this.#shape = shape;
    this.#ask = ask;
  }

  /** False after the server has said that it has no such route. */
  get available(): boolean {
    return this.#questions.available;
  }

  /** No more of its texts wait at once than are asked: others get their turn between them. */
  readonly count: CountTokens = async (texts, options) => {
    const counts: (number | null)[] = texts.map(() => null);
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let at = next++; at < texts.length; at = next++) {
        counts[at] = await this.#countOne(texts[at] ?? '', options);
      }
    };
    await Promise.all(Array.from({ length: askedAtOnce }, lane));
    return counts;
  };

  async #countOne(text: string, { model, signal }: CountTokensOptions): Promise<number | null> {
    if (text === '') return 0;
    if (text.length > maxChars) return null;
    return this.#questions.ask(signal, async (limited) => {
      const asked = await this.#post(text, model, limited);
      // A server may not know the model's name and still have the route.
      if (asked.status !== 404 || model === null) return this.#learn(asked);
      const again = await this.#post(text, null, limited);
      if (again.status !== 200) this.#questions.learn(again.status);
      return null;
    });
  }

  #post(text: string, model: string | null, signal: AbortSignal): Promise<Answer> {
    return this.#ask(JSON.stringify(this.#shape.body(text, model)), signal);
  }

  #learn({ status, json }: Answer): number | null {
    return this.#questions.learn(status) ? this.#shape.read(json) : null;
  }
}
