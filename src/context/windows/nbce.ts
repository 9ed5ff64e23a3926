/**
 * NBCE over HTTP: one step asks every window, and the request without text, for one token with the likeliest ones
 * beside it. Every prompt is the one before with one token more, so that servers with a prefix cache compute one token;
 * where tokens are paid for, every step is paid for in full, which is why a cap ends it.
 */
import { isWithin, sumOfTokens, type TokenSum } from '../../core/spending.ts';
import { TooLong } from '../../core/too-long.ts';
import { defaultPooling, poolStep, type Distribution } from './pooling.ts';
import type { Ask, AskOptions, WindowAnswer, WindowJob, WindowPrompt } from './types.ts';

/** Likeliest tokens asked for; OpenAI's chat route allows 20, vLLM by default as well. */
const topTokens = 20;

export interface PoolingCalls {
  readonly ask: Ask;
  /** By everything so far. */
  readonly spent: () => TokenSum;
  /** A window's distribution was taken. */
  readonly spoke: (window: number) => void;
  /** A window's request failed; it is not asked again. */
  readonly failed: (window: number, error: unknown) => void;
  /** The answer ends here, and not because the model ended it. */
  readonly cut: (note: string) => void;
  readonly note: (note: string) => void;
}

/** One step's answers: of the request without text, and of every window; null = none. */
interface Step {
  readonly bare: WindowAnswer | null;
  readonly windows: readonly (WindowAnswer | null)[];
}

/**
 * The text of the answer, token by token. A window that fails is left out from then on.
 * @throws TooLong for the longest window, and what the first request threw when none was answered, before the first
 *   token; ABORTED
 */
export async function* poolingAnswer(job: WindowJob, calls: PoolingCalls): AsyncGenerator<string> {
  const { spoke, cut, note } = calls;
  const asking = new PooledAsking(job, calls);
  let text = '';
  let previous: number | null = null;
  for (let length = 0; length < job.maxTokens; length++) {
    const withStep = sumOfTokens(calls.spent(), asking.cost(length));
    if (!isWithin(job.cap, withStep)) return cut(`stopped-by-cap;tokens=${length}`);
    const answers = await asking.step(text);
    const pooled = poolStep(
      {
        windows: answers.windows.map(distributionOf),
        bare: distributionOf(answers.bare),
        previous,
      },
      defaultPooling,
    );
    if (pooled === null) {
      if (length === 0) note('no-probabilities');
      else cut(`stopped-by-failure;tokens=${length}`);
      return;
    }
    previous = pooled.window;
    spoke(pooled.window);
    if (ends(answers.windows[pooled.window] ?? null, pooled.token)) return;
    text += pooled.token;
    yield pooled.token;
  }
}

/** Who is asked in a step, and who has dropped out. */
class PooledAsking {
  readonly #job: WindowJob;
  readonly #calls: PoolingCalls;
  readonly #dropped = new Set<number>();
  #bare = true;

  constructor(job: WindowJob, calls: PoolingCalls) {
    this.#job = job;
    this.#calls = calls;
  }

  /** Tokens of a step, behind an answer of so many. */
  cost(answered: number): TokenSum {
    const prompts = this.#windows().map((window) => this.#job.windows[window]?.tokens ?? 0);
    if (this.#bare) prompts.push(this.#job.frameTokens);
    return sumOfTokens(...prompts.map((prompt) => ({ prompt: prompt + answered, answer: 1 })));
  }

  async step(text: string): Promise<Step> {
    const windows: (WindowAnswer | null)[] = this.#job.windows.map(() => null);
    let bare: WindowAnswer | null = null;
    let first: unknown = null;
    const fail = (error: unknown): void => {
      this.#job.signal.throwIfAborted();
      first ??= error;
    };
    const askBare = async (): Promise<void> => {
      try {
        bare = await this.#ask({ type: 'bare', continuation: text });
      } catch (error) {
        fail(error);
        this.#bare = false;
        this.#calls.note('without-bare-request');
      }
    };
    const askWindow = async (window: number): Promise<void> => {
      try {
        windows[window] = await this.#ask({ type: 'window', window, continuation: text });
      } catch (error) {
        fail(error);
        // Before anything was said the text can still be cut again.
        if (text === '' && error instanceof TooLong) throw error;
        this.#dropped.add(window);
        this.#calls.failed(window, error);
      }
    };
    const [leader, ...followers] = this.#windows();
    // Alone in the first step, so that the others find what they share in the cache.
    const alone = text === '' && leader !== undefined;
    if (alone) await askWindow(leader);
    const rest = (alone ? followers : this.#windows()).map((window) => () => askWindow(window));
    await inGroups(this.#bare ? [askBare, ...rest] : rest, this.#job);
    if (text === '' && windows.every((answer) => answer === null)) throw first;
    return { bare, windows };
  }

  #ask(prompt: WindowPrompt): Promise<WindowAnswer> {
    return this.#calls.ask(prompt, oneToken);
  }

  /** Those that still answer, the longest one first: what is too long is found out before anything was answered. */
  #windows(): readonly number[] {
    const { windows } = this.#job;
    return windows
      .map((_, at) => at)
      .filter((at) => !this.#dropped.has(at))
      .sort((a, b) => (windows[b]?.tokens ?? 0) - (windows[a]?.tokens ?? 0) || a - b);
  }
}

const oneToken: AskOptions = { maxTokens: 1, top: topTokens };

/** Some at once; a group ends before the next one starts. */
async function inGroups(
  asks: readonly (() => Promise<void>)[],
  { concurrency, signal }: Pick<WindowJob, 'concurrency' | 'signal'>,
): Promise<void> {
  for (let at = 0; at < asks.length; at += concurrency) {
    signal.throwIfAborted();
    await Promise.all(asks.slice(at, at + concurrency).map((ask) => ask()));
  }
}

function distributionOf(answer: WindowAnswer | null): Distribution {
  const token = answer?.tokens?.[0];
  if (token === undefined) return new Map();
  const listed = new Map(token.top.map((entry) => [entry.text, entry.logProbability]));
  if (listed.size === 0) listed.set(token.text, token.logProbability);
  return listed;
}

/** The model would end here: the token it chose is one that leaves no text, and pooling chose the same. */
function ends(answer: WindowAnswer | null, token: string): boolean {
  if (answer === null) return true;
  const chosen = answer.tokens?.[0]?.text;
  return token === '' || (answer.text === '' && answer.ended && chosen === token);
}
