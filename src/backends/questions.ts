/** Asking a server beside the requests that it serves: few at once, not for long, and not after it has refused. */

/** One answer. Asking rejects when there is none. */
export interface Answer {
  readonly status: number;
  /** Parsed body, or undefined when it was no JSON. */
  readonly json: unknown;
}

/** POSTs JSON to a route below the server's base URL. */
export type Ask = (route: string, body: string, signal: AbortSignal) => Promise<Answer>;

export interface QuestionLimits {
  /** Questions at once, over all callers: a server that also generates must not notice. */
  readonly atOnce: number;
  /** Questions that may wait; what comes later is not asked. */
  readonly mayWait: number;
  /** Milliseconds for one answer. */
  readonly askMs: number;
}

/** Milliseconds without questions after one that failed. */
const pauseMs = 10_000;
/** No such route, or not for us: the next detection may find another server. */
const absent: ReadonlySet<number> = new Set([401, 403, 404, 405, 501]);

export class Questions {
  readonly #limits: QuestionLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #refused = false;
  #pausedUntil = 0;

  constructor(limits: QuestionLimits) {
    this.#limits = limits;
  }

  /** False after the server has said that it has no such route. */
  get available(): boolean {
    return !this.#refused;
  }

  /**
   * Runs `question` when its turn comes. null = it was not asked, or it failed, or it says null. Never rejects.
   * @param signal Ends what still waits or runs
   */
  async ask<T>(
    signal: AbortSignal,
    question: (signal: AbortSignal) => Promise<T | null>,
  ): Promise<T | null> {
    if (!(await this.#enter(signal))) return null;
    try {
      if (!this.#mayAsk(signal)) return null;
      const limit = AbortSignal.timeout(this.#limits.askMs);
      return await question(AbortSignal.any([signal, limit]));
    } catch {
      if (!signal.aborted) this.#pausedUntil = performance.now() + pauseMs;
      return null;
    } finally {
      this.#leave();
    }
  }

  /** Learns from an answer's status. @returns whether the answer is one */
  learn(status: number): boolean {
    if (absent.has(status)) this.#refused = true;
    else if (status === 429 || status >= 500) this.#pausedUntil = performance.now() + pauseMs;
    return status === 200;
  }

  #mayAsk(signal: AbortSignal): boolean {
    return !this.#refused && !signal.aborted && performance.now() >= this.#pausedUntil;
  }

  /** False = too many wait already, or who waits is gone. */
  async #enter(signal: AbortSignal): Promise<boolean> {
    if (this.#running < this.#limits.atOnce) {
      this.#running += 1;
      return true;
    }
    if (this.#waiting.length >= this.#limits.mayWait) return false;
    if (signal.aborted) return false;
    return new Promise<boolean>((resolve) => {
      const enter = (): void => {
        signal.removeEventListener('abort', leave);
        resolve(true);
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        resolve(false);
      };
      this.#waiting.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Hands the place to who waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}
