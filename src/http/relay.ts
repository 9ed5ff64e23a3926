/** One response on its way from the upstream to the client: bytes untouched, both ends watched. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SluiceError } from '../core/errors.ts';
import type { Usage } from '../core/report.ts';
import type { Gateway, Outcome } from '../gateway/types.ts';
import { readUsage } from '../wire/usage.ts';
import { sendDialectError } from './dialect-error.ts';
import { forwardedResponseHeaders, type RawHeaders } from './headers.ts';
import { createSample, type Sample } from './sample.ts';

type Forward = Gateway['backend']['forward'];
type ForwardRequest = Parameters<Forward>[0];
type ForwardHandler = Parameters<Forward>[1];
type ForwardHandle = ReturnType<Forward>;

export interface RelayOptions {
  readonly backend: Gateway['backend'];
  readonly request: ForwardRequest;
  readonly response: ServerResponse<IncomingMessage>;
  /** `x-sluice-*` fields to append to the response head; asked for when it comes. */
  readonly extraHeaders: () => RawHeaders;
  /** The answer's first byte came. */
  readonly answering: () => void;
  /** The backend could not be reached and nothing was sent: the same request for another one, or null. */
  readonly elsewhere: () => Pick<
    RelayOptions,
    'backend' | 'request' | 'extraHeaders' | 'answering' | 'elsewhere'
  > | null;
  /** Look for `usage` in the response. */
  readonly readUsage: boolean;
  /** Called once, whatever happens. */
  readonly settle: (outcome: Outcome) => void;
}

/**
 * Forwards one request and streams the answer back.
 *
 * - slow client: the upstream is paused until the client's socket has drained
 * - client gone, before the head or later: the upstream's socket is destroyed at once
 * - upstream fails before its head: an error in the dialect's shape
 * - upstream fails later: what has arrived is flushed and the client's connection is broken, never ended cleanly
 */
export function relay(options: RelayOptions): void {
  new Relay(options).start();
}

class Relay implements ForwardHandler {
  #options: RelayOptions;
  readonly #response: ServerResponse<IncomingMessage>;
  #handle: ForwardHandle | null = null;
  #sample: Sample | null = null;
  #status: number | null = null;
  #forwardedAt = 0;
  #upstreamMs: number | null = null;
  #wrote = false;
  #watchesDrain = false;
  #settled = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#response = options.response;
  }

  start(): void {
    this.#response.once('close', () => this.#onClientClose());
    this.#forward();
  }

  #forward(): void {
    const { backend, request } = this.#options;
    this.#forwardedAt = performance.now();
    const handle = backend.forward(request, this);
    this.#handle = handle;
    if (this.#response.destroyed) handle.abort();
  }

  onInformation(status: number, headers: RawHeaders): void {
    // RFC 9110 section 15.2: interim answers are forwarded. node:http can write two of them.
    if (status === 102) this.#response.writeProcessing();
    if (status !== 103) return;
    const link = valuesOf(headers, 'link');
    if (link.length > 0) this.#response.writeEarlyHints({ link });
  }

  onHead(status: number, headers: RawHeaders, statusText: string): void {
    this.#status = status;
    this.#upstreamMs = performance.now() - this.#forwardedAt;
    const fields = forwardedResponseHeaders(headers);
    if (this.#options.readUsage && status === 200 && !has(fields, 'content-encoding')) {
      this.#sample = createSample();
    }
    for (const value of this.#options.extraHeaders()) fields.push(value);
    if (isReasonPhrase(statusText)) this.#response.writeHead(status, statusText, fields);
    else this.#response.writeHead(status, fields);
    // Head and first bytes that arrive together leave together; a head that comes alone is not held back.
    process.nextTick(flushHead, this);
  }

  /** Sends the head when no byte of the body came with it. */
  flushHead(): void {
    if (!this.#wrote && !this.#response.writableEnded) this.#response.flushHeaders();
  }

  onData(chunk: Buffer): boolean {
    if (!this.#wrote) {
      this.#wrote = true;
      this.#options.answering();
    }
    this.#sample?.add(chunk);
    if (this.#response.write(chunk)) return true;
    if (!this.#watchesDrain) {
      this.#watchesDrain = true;
      this.#response.on('drain', () => this.#handle?.resume());
    }
    return false;
  }

  onEnd(trailers: RawHeaders): void {
    if (trailers.length > 0) this.#response.addTrailers(pairs(forwardedResponseHeaders(trailers)));
    // Settled first: a client that has the whole answer may ask for the report at once.
    this.#settle({ status: this.#status, usage: this.#usage(), error: null });
    this.#response.end();
  }

  onError(error: Error): void {
    const failure = SluiceError.isInstance(error)
      ? error
      : new SluiceError('INTERNAL', 'The backend failed without a reason', { cause: error });
    if (this.#status === null && !this.#settled && nothingWasSent(failure)) {
      const next = this.#options.elsewhere();
      if (next !== null) {
        this.#options = { ...this.#options, ...next };
        this.#forward();
        return;
      }
    }
    this.#settle({ status: this.#status, usage: null, error: failure.code });
    if (this.#status === null && !this.#response.headersSent) {
      sendDialectError(this.#response, failure, this.#options.extraHeaders());
    } else breakConnection(this.#response);
  }

  #onClientClose(): void {
    if (this.#settled) return;
    this.#handle?.abort();
    this.#settle({ status: this.#status, usage: null, error: 'ABORTED' });
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#options.settle({ ...outcome, upstreamMs: this.#upstreamMs });
  }

  #usage(): Usage | null {
    if (this.#sample === null) return null;
    const { head, tail } = this.#sample.take();
    return readUsage(head, tail);
  }
}

/** Only then may a request be tried elsewhere: its connection never came to be. */
function nothingWasSent(failure: SluiceError): boolean {
  const { cause, code } = failure;
  if (code === 'UPSTREAM_REFUSED') return true;
  const reason: unknown = cause instanceof Error && 'code' in cause ? cause.code : null;
  return reason === 'UND_ERR_CONNECT_TIMEOUT' || reason === 'ETIMEDOUT';
}

function flushHead(relaying: Relay): void {
  relaying.flushHead();
}

/**
 * Ends the connection without ending the message: what was written is flushed, then the socket closes with the chunked
 * framing or the announced length unfulfilled. An HTTP/1.0 client without a length only notices a reset.
 */
function breakConnection(response: ServerResponse<IncomingMessage>): void {
  const { socket, req } = response;
  if (socket === null || socket.destroyed) return;
  if (req.httpVersionMinor === 0 && req.httpVersionMajor === 1) socket.resetAndDestroy();
  else socket.destroySoon();
}

/** Characters that node:http takes in a status line (RFC 9112 section 4). */
function isReasonPhrase(text: string): boolean {
  return text !== '' && !/[^\t\x20-\x7e\x80-\xff]/.test(text);
}

function has(fields: RawHeaders, wanted: string): boolean {
  return valuesOf(fields, wanted).length > 0;
}

function valuesOf(fields: RawHeaders, wanted: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? '';
    if (name.length === wanted.length && name.toLowerCase() === wanted) {
      values.push(fields[at + 1] ?? '');
    }
  }
  return values;
}

function pairs(fields: RawHeaders): [string, string][] {
  const list: [string, string][] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    list.push([fields[at] ?? '', fields[at + 1] ?? '']);
  }
  return list;
}
