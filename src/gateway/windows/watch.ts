/** An answer on its way that may turn out to be a refusal of the prompt's length. */
import type { ForwardHandler, LengthRefusal, RawHeaders } from '../../backends/types.ts';

/** Statuses under which servers refuse a prompt's length. */
const held: ReadonlySet<number> = new Set([400, 413, 422]);
/** Longer answers are no refusals of a length. */
const maxHeldBytes = 64 * 1024;

export interface Refused {
  readonly refusal: LengthRefusal;
  /** Delivers the refusal after all. */
  readonly deliver: () => void;
}

export interface WatchOptions {
  readonly read: (status: number, body: Uint8Array) => LengthRefusal | null;
  /** Instead of the refusal; everything else passes as it comes. */
  readonly onRefused: (refused: Refused) => void;
}

/** A handler that passes everything on to `handler`, but for a refusal. */
export function watchRefusals(handler: ForwardHandler, options: WatchOptions): ForwardHandler {
  return new Watcher(handler, options);
}

class Watcher implements ForwardHandler {
  readonly #handler: ForwardHandler;
  readonly #options: WatchOptions;
  #head: { readonly status: number; readonly headers: RawHeaders; readonly text: string } | null =
    null;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(handler: ForwardHandler, options: WatchOptions) {
    this.#handler = handler;
    this.#options = options;
  }

  onInformation(status: number, headers: RawHeaders): void {
    this.#handler.onInformation?.(status, headers);
  }

  onHead(status: number, headers: RawHeaders, statusText: string): void {
    if (held.has(status)) this.#head = { status, headers, text: statusText };
    else this.#handler.onHead(status, headers, statusText);
  }

  onData(chunk: Buffer): boolean {
    if (this.#head === null) return this.#handler.onData(chunk);
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    return this.#bytes > maxHeldBytes ? this.#release() : true;
  }

  onEnd(trailers: RawHeaders): void {
    const head = this.#head;
    const body = Buffer.concat(this.#chunks);
    const refusal = head === null ? null : this.#options.read(head.status, body);
    const deliver = (): void => {
      this.#release();
      this.#handler.onEnd(trailers);
    };
    if (refusal === null) deliver();
    else this.#options.onRefused({ refusal, deliver });
  }

  onError(error: Error): void {
    this.#release();
    this.#handler.onError(error);
  }

  #release(): boolean {
    const head = this.#head;
    if (head === null) return true;
    this.#head = null;
    this.#handler.onHead(head.status, head.headers, head.text);
    const body = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return body.length === 0 || this.#handler.onData(body);
  }
}
