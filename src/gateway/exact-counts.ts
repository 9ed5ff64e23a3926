/** The backend's own token counts of texts, remembered by content. They serve reports; no decision depends on them. */
import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { boundedCache, type BoundedCache } from '../core/bounded-cache.ts';
import type { Backend, CountTokens } from '../backends/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';

/** Texts that the server is asked about for one report. */
const maxTexts = 512;
/** Tokens of the texts, by text. */
export type TextCounts = (text: string) => number;

export interface ExactCounts {
  /** False when the local tokenizer is the backend's own, or the server is not known to count. */
  readonly active: boolean;
  /** Name of what counts, for reports. */
  readonly tokenizer: string;
  /** Counts of all these texts when each of them was counted before; else null. */
  known(texts: readonly string[], model: string | null): TextCounts | null;
  /** Asks the server for what is not known; null when one of them could not be counted. Never rejects. */
  count(texts: readonly string[], model: string | null): Promise<TextCounts | null>;
  /** Ends what runs; those who wait get null. */
  close(): void;
}

export function createExactCounts(options: {
  readonly backend: Backend;
  readonly tokenizer: TextTokenizer;
  readonly cacheEntries: number;
}): ExactCounts {
  return new ServerCounts(options);
}

class ServerCounts implements ExactCounts {
  readonly #backend: Backend;
  readonly #wanted: boolean;
  readonly #cacheEntries: number;
  readonly #closing = new AbortController();
  /** Texts that the server is being asked about, so that nobody asks again meanwhile. */
  readonly #asked = new Map<string, Promise<number | null>>();
  #cache: BoundedCache<number>;
  #cacheOf: CountTokens | null = null;

  constructor(options: {
    readonly backend: Backend;
    readonly tokenizer: TextTokenizer;
    readonly cacheEntries: number;
  }) {
    this.#backend = options.backend;
    this.#wanted = options.tokenizer.estimated;
    this.#cacheEntries = options.cacheEntries;
    this.#cache = boundedCache({ maxEntries: options.cacheEntries });
    // Many reports wait for the same end; how many is bounded where they queue.
    setMaxListeners(0, this.#closing.signal);
  }

  get active(): boolean {
    return this.#source() !== null;
  }

  get tokenizer(): string {
    return `${this.#backend.name}${this.#backend.capabilities.tokenizeRoute ?? ''}`;
  }

  known(texts: readonly string[], model: string | null): TextCounts | null {
    if (this.#source() === null) return null;
    const counts = new Map<string, number>();
    for (const text of texts) {
      const count = this.#cache.get(keyOf(text, model));
      if (count === undefined) return null;
      counts.set(text, count);
    }
    return (text) => counts.get(text) ?? 0;
  }

  async count(texts: readonly string[], model: string | null): Promise<TextCounts | null> {
    const ask = this.#source();
    if (ask === null) return null;
    const distinct = new Set(texts);
    if (distinct.size > maxTexts) return null;
    const told = await Promise.all(this.#asking([...distinct], model, ask));
    const counts = new Map<string, number>();
    for (const { text, count } of told) if (count !== null) counts.set(text, count);
    return counts.size === distinct.size ? (text) => counts.get(text) ?? 0 : null;
  }

  close(): void {
    this.#closing.abort();
  }

  /** Null when nobody counts. Another function than before is another server: what the last one said is forgotten. */
  #source(): CountTokens | null {
    const current = this.#backend.countTokens ?? null;
    if (!this.#wanted || current === null || this.#closing.signal.aborted) return null;
    if (this.#cacheOf !== current) {
      this.#cache = boundedCache({ maxEntries: this.#cacheEntries });
      this.#cacheOf = current;
      this.#asked.clear();
    }
    return current;
  }

  /** What is not known or asked for yet goes to the server as one question: it lets others in between its texts. */
  #asking(
    texts: readonly string[],
    model: string | null,
    ask: CountTokens,
  ): Promise<{ readonly text: string; readonly count: number | null }>[] {
    const keyed = texts.map((text) => ({ text, key: keyOf(text, model) }));
    const isOpen = (key: string): boolean =>
      this.#cache.get(key) === undefined && !this.#asked.has(key);
    const open = keyed.filter(({ key }) => isOpen(key));
    if (open.length > 0) {
      const own = open.map(({ text }) => text);
      const all = ask(own, { model, signal: this.#closing.signal });
      open.forEach(({ key }, at) => this.#asked.set(key, this.#learnt(key, all, { at, ask })));
    }
    return keyed.map(async ({ text, key }) => {
      const known = this.#cache.get(key);
      return { text, count: known ?? (await this.#asked.get(key)) ?? null };
    });
  }

  async #learnt(
    key: string,
    all: Promise<readonly (number | null)[]>,
    { at, ask }: { readonly at: number; readonly ask: CountTokens },
  ): Promise<number | null> {
    const count = (await all)[at] ?? null;
    if (this.#cacheOf !== ask) return null;
    this.#asked.delete(key);
    if (count !== null) this.#cache.set(key, count);
    return count;
  }
}

function keyOf(text: string, model: string | null): string {
  return `${createHash('sha1').update(text).digest('base64')}${model ?? ''}`;
}
