/** One request on its way through undici's dispatcher, seen from both sides. */
import type { Dispatcher } from 'undici';
import { SluiceError } from '../core/errors.ts';
import type { ForwardHandle, ForwardHandler } from './types.ts';
import { upstreamError } from './upstream-error.ts';

/** What the backend learns about its server from every exchange. */
export interface ExchangeWatcher {
  /** A response head came: the server is up. */
  onAnswer(): void;
  /** Nobody listens. */
  onRefused(): void;
}

/**
 * Translates undici's callbacks into ours. It uses the callbacks that give raw headers and take a boolean for
 * backpressure: the newer ones parse every header list into an object, which nobody here reads.
 */
export class Exchange implements Dispatcher.DispatchHandler, ForwardHandle {
  readonly #handler: ForwardHandler;
  /** Upstream's name for messages. */
  readonly #target: string;
  readonly #watcher: ExchangeWatcher;
  #abort: ((error?: Error) => void) | null = null;
  #resume: (() => void) | null = null;
  #done = false;

  constructor(handler: ForwardHandler, target: string, watcher: ExchangeWatcher) {
    this.#handler = handler;
    this.#target = target;
    this.#watcher = watcher;
  }

  /** Destroys the upstream's socket now; a request that still waits for a connection is never sent. */
  abort(): void {
    if (this.#done) return;
    this.#done = true;
    this.#abort?.(new SluiceError('ABORTED', 'The caller went away'));
  }

  resume(): void {
    if (!this.#done) this.#resume?.();
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#done) abort(new SluiceError('ABORTED', 'The caller went away'));
    else this.#abort = abort;
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    if (this.#done) return true;
    if (status < 200) {
      this.#handler.onInformation?.(status, decodeHeaders(headers));
      return true;
    }
    this.#resume = resume;
    this.#watcher.onAnswer();
    this.#handler.onHead(status, decodeHeaders(headers), statusText);
    return true;
  }

  onData(chunk: Buffer): boolean {
    return this.#done ? true : this.#handler.onData(chunk);
  }

  onComplete(trailers: readonly (Buffer | string)[] | null): void {
    if (this.#done) return;
    this.#done = true;
    this.#handler.onEnd(trailers === null ? [] : decodeHeaders(trailers));
  }

  onError(error: Error): void {
    if (this.#done) return;
    this.#done = true;
    const failure = upstreamError(error, this.#target);
    if (failure.code === 'UPSTREAM_REFUSED') this.#watcher.onRefused();
    this.#handler.onError(failure);
  }
}

/** Header bytes are latin1 on the wire (RFC 9110 section 5.5), and node:http writes them back as latin1. */
function decodeHeaders(headers: readonly (Buffer | string)[]): string[] {
  return headers.map((header) => (typeof header === 'string' ? header : header.toString('latin1')));
}
