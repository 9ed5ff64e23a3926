/** What the embedded backend writes to: a forward handle over a handler, with pause, resume and abort. */
import type { ForwardHandle, ForwardHandler } from './types.ts';

/** Output that respects pause and abort: nothing is handed over while paused, nothing after the end. */
export class Output implements ForwardHandle {
  readonly #handler: ForwardHandler;
  readonly #waiting: Buffer[] = [];
  #paused = false;
  #state: 'open' | 'ending' | 'closed' = 'open';
  onAbort: () => void = () => {};

  constructor(handler: ForwardHandler) {
    this.#handler = handler;
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  head(status: number, type: string): void {
    if (this.closed) return;
    this.#handler.onHead(status, ['content-type', type], status === 200 ? 'OK' : '');
  }

  write(text: string): void {
    if (this.closed || text === '') return;
    // Bounded by the longest possible answer: generation ends at the context limit.
    if (this.#paused) this.#waiting.push(Buffer.from(text));
    else this.#paused = !this.#handler.onData(Buffer.from(text));
  }

  end(): void {
    if (this.closed) return;
    this.#state = 'ending';
    this.#drain();
  }

  fail(error: Error): void {
    if (this.closed) return;
    this.#state = 'closed';
    this.#handler.onError(error);
  }

  abort(): void {
    if (this.closed) return;
    this.#state = 'closed';
    this.#waiting.length = 0;
    this.onAbort();
  }

  resume(): void {
    this.#paused = false;
    this.#drain();
  }

  #drain(): void {
    while (!this.#paused && !this.closed) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#paused = !this.#handler.onData(next);
    }
    if (this.#state === 'ending' && this.#waiting.length === 0 && !this.#paused) {
      this.#state = 'closed';
      this.#handler.onEnd([]);
    }
  }
}
