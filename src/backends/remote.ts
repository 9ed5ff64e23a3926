/** A server or API behind a URL, reached over kept-alive HTTP/1.1 connections. */
import { Readable } from 'node:stream';
import { Pool, type Dispatcher } from 'undici';
import { SluiceError } from '../core/errors.ts';
import type { ChatTemplate, TextTokenizer } from '../tokenize/types.ts';
import { capabilitiesOf } from './capabilities.ts';
import { detectBackend, type Detected, type ProbeAnswer } from './detect.ts';
import type {
  Backend,
  BackendCapabilities,
  BackendKind,
  CountTokens,
  ForwardHandle,
  ForwardHandler,
  ForwardRequest,
  LengthRefusal,
  PromptTokenSource,
  RawHeaders,
  ServerLimits,
} from './types.ts';
import { Exchange, type ExchangeWatcher } from './exchange.ts';
import { promptsAskedAtOnce } from './prompt-questions.ts';
import { learnLimits, noLimits } from './limits.ts';
import { LoadedModels } from './loaded-models.ts';
import { createPromptTokens } from './prompt-tokens.ts';
import { readLengthRefusal } from './length-refusal.ts';
import type { Answer } from './questions.ts';
import { resetCache } from './reset.ts';
import { askedAtOnce, createTokenCounts, type TokenCounts } from './token-counts.ts';
import { upstreamError } from './upstream-error.ts';

export interface RemoteOptions {
  /** Base URL, http or https; a path in it is put before every request's path. */
  readonly url: string;
  readonly kind: Exclude<BackendKind, 'embedded'> | 'auto';
  /** Milliseconds until a connection must stand. */
  readonly connectMs: number;
  /** Milliseconds from the sent request to the response head. */
  readonly headMs: number;
  /** Milliseconds of silence inside a response body. */
  readonly idleMs: number;
  /** The tokenizer of the server's model when it is known locally. */
  readonly tokenizer: TextTokenizer | null;
  /** Its chat template, where the folder of the tokenizer has one. */
  readonly template?: ChatTemplate | null;
}

/** A probe may take this long; detection as a whole waits for two in a row. */
const probeMs = 1000;
const probeBytes = 1 << 20;
/** Answers to questions beside the requests; token ids may come as text, a few bytes each. */
const answerBytes = 16 << 20;
/** Least time between two attempts to find out what the server is. */
const detectAgainMs = 10_000;

/**
 * Asks the server what it is (when `kind` is `auto`) and returns its adapter; a server that is down does not stop this:
 * it counts as `openai` until a later request finds it up.
 *
 * @throws SluiceError CONFIG_INVALID when the URL is none
 */
export async function createRemoteBackend(options: RemoteOptions): Promise<Backend> {
  const backend = new RemoteBackend(options, parseBase(options.url));
  await backend.detect();
  return backend;
}

interface Base {
  readonly origin: string;
  readonly host: string;
  /** Path prefix without a trailing slash; usually empty. */
  readonly prefix: string;
}

function parseBase(url: string): Base {
  if (!URL.canParse(url)) {
    throw new SluiceError('CONFIG_INVALID', `Upstream '${url}' is not a URL`);
  }
  const parsed = new URL(url);
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new SluiceError('CONFIG_INVALID', `Upstream '${url}' is neither http nor https`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new SluiceError(
      'CONFIG_INVALID',
      `Upstream ${parsed.host} has credentials in its URL; clients send their own authorization`,
    );
  }
  return {
    origin: parsed.origin,
    host: parsed.host,
    prefix: parsed.pathname.replace(/\/+$/, ''),
  };
}

class RemoteBackend implements Backend {
  readonly fingerprint: string;
  readonly tokenizer: TextTokenizer | null;
  readonly #pool: Pool;
  readonly #base: Base;
  readonly #automatic: boolean;
  readonly #connectMs: number;
  #kind: BackendKind;
  #capabilities: BackendCapabilities;
  #limits: ServerLimits = noLimits;
  #known = false;
  #nextDetection = 0;
  /** null = the server has one model. */
  #loaded: LoadedModels | null = null;
  readonly #watcher: ExchangeWatcher = {
    onAnswer: () => {
      this.#answered();
      void this.#learnWindows();
    },
    // What comes up next at this address may be another server.
    onRefused: () => {
      this.#known = false;
    },
  };
  #counts: TokenCounts | null;
  readonly #template: ChatTemplate | null;
  #promptTokens: PromptTokenSource;
  /** Connections for questions alone, opened when first needed: they never stand in a request's way. */
  #askingPool: Pool | null = null;

  constructor(options: RemoteOptions, base: Base) {
    this.#base = base;
    this.tokenizer = options.tokenizer;
    this.#automatic = options.kind === 'auto';
    this.#connectMs = options.connectMs;
    this.#kind = options.kind === 'auto' ? 'openai' : options.kind;
    this.#capabilities = capabilitiesOf(this.#kind);
    this.#template = options.template ?? null;
    this.#counts = this.#createCounts();
    this.#promptTokens = this.#createPromptTokens();
    // Only what the operator wrote: the same after a restart and while the server is down.
    this.fingerprint = `remote:${base.origin}${base.prefix}`;
    // One request per connection: an LLM answer takes seconds, and a request behind another must never wait or be
    // sent a second time. Connections are as many as there are requests in flight.
    this.#pool = new Pool(base.origin, {
      connections: null,
      pipelining: 1,
      connect: { timeout: options.connectMs },
      headersTimeout: options.headMs,
      bodyTimeout: options.idleMs,
      maxHeaderSize: 65_536,
    });
  }

  get kind(): BackendKind {
    return this.#kind;
  }

  get name(): string {
    return `${this.#kind}@${this.#base.host}`;
  }

  get capabilities(): BackendCapabilities {
    return this.#capabilities;
  }

  get limits(): ServerLimits {
    return this.#limits;
  }

  contextWindowOf(model: string | null): number | null {
    return this.#loaded === null ? this.#capabilities.contextWindow : this.#loaded.windowOf(model);
  }

  get countTokens(): CountTokens | null {
    return this.#counts?.available === true ? this.#counts.count : null;
  }

  get promptTokens(): PromptTokenSource {
    return this.#promptTokens;
  }

  forward(request: ForwardRequest, handler: ForwardHandler): ForwardHandle {
    const exchange = new Exchange(handler, this.#base.host, this.#watcher);
    this.#pool.dispatch(
      {
        method: request.method,
        path: this.#base.prefix === '' ? request.path : this.#base.prefix + request.path,
        headers: headerList(request.headers),
        body: bodyOf(request),
      },
      exchange,
    );
    return exchange;
  }

  async check(signal: AbortSignal | null): Promise<{ ok: boolean; detail: string }> {
    try {
      const { statusCode, body } = await this.#get('/v1/models', signal);
      await body.dump();
      this.#answered();
      const detail = `${this.name} answered ${statusCode}`;
      return { ok: statusCode < 500, detail };
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      return { ok: false, detail: upstreamError(cause, this.#base.host).message };
    }
  }

  resetCache(signal: AbortSignal): Promise<boolean> {
    const ask = (route: string, body: string, until: AbortSignal): Promise<Answer> =>
      this.ask(route, body, until);
    return resetCache({ kind: this.#kind, slots: this.#limits.slots, ask }, signal);
  }

  refusedLength(status: number, body: Uint8Array): LengthRefusal | null {
    const refusal = readLengthRefusal(status, body);
    const limit = refusal?.limit ?? null;
    if (limit === null) return refusal;
    this.#loaded?.refused(limit);
    const known = this.#capabilities.contextWindow;
    if (limit < (known ?? Infinity)) {
      this.#capabilities = { ...this.#capabilities, contextWindow: limit };
    }
    return refusal;
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#askingPool?.destroy()]);
  }

  /** Fills kind and capabilities from the server's answers; leaves them alone when there are none. */
  async detect(): Promise<void> {
    this.#nextDetection = performance.now() + detectAgainMs;
    const detected = await detectBackend((path) => this.#probe(path));
    if (detected === null) return;
    this.#known = true;
    // `openai` says only that nothing was recognised: a server that still loads its model answers so too.
    if (this.#automatic && detected.kind !== 'openai') this.#kind = detected.kind;
    const ask = (): Promise<ServerLimits> => learnLimits(this.#kind, (path) => this.#probe(path));
    const limits = await ask();
    this.#limits = {
      ...limits,
      contextWindow: contextOf(detected, this.#kind) ?? limits.contextWindow,
    };
    this.#capabilities = capabilitiesOf(this.#kind, this.#limits.contextWindow);
    const { modelWindows } = limits;
    this.#loaded = modelWindows === null ? null : new LoadedModels(ask, modelWindows);
    // What the last server refused this one may do.
    this.#counts = this.#createCounts();
    this.#promptTokens = this.#createPromptTokens();
  }

  /** The server is up: a good time to find out what it is, if that failed before or it was down meanwhile. */
  #answered(): void {
    if (!this.#known && performance.now() >= this.#nextDetection) void this.detect();
  }

  async #learnWindows(): Promise<void> {
    const loaded = this.#loaded;
    // Another server may have come meanwhile.
    if (loaded === null || !(await loaded.answered()) || loaded !== this.#loaded) return;
    const contextWindow = loaded.windowOf(null);
    this.#capabilities = { ...this.#capabilities, contextWindow };
  }

  #createCounts(): TokenCounts | null {
    const route = this.#capabilities.tokenizeRoute;
    if (route === null) return null;
    return createTokenCounts(this.#kind, (body, signal) => this.ask(route, body, signal));
  }

  #createPromptTokens(): PromptTokenSource {
    return createPromptTokens({
      kind: this.#kind,
      ask: (route, body, signal) => this.ask(route, body, signal),
      tokenizer: this.tokenizer,
      template: this.#template,
    });
  }

  /** Clients' credentials are not ours to use: a server that wants some answers 401, and is not asked again. */
  async ask(route: string, body: string, signal: AbortSignal): Promise<Answer> {
    this.#askingPool ??= new Pool(this.#base.origin, {
      connections: askedAtOnce + promptsAskedAtOnce,
      pipelining: 1,
      connect: { timeout: this.#connectMs },
    });
    const answer = await this.#askingPool.request({
      method: 'POST',
      path: this.#base.prefix + route,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body,
      signal,
    });
    const text = await boundedText(answer.body, answerBytes);
    return { status: answer.statusCode, json: parseJson(text) };
  }

  #get(path: string, signal: AbortSignal | null): Promise<Dispatcher.ResponseData> {
    return this.#pool.request({
      method: 'GET',
      path: this.#base.prefix + path,
      headers: { accept: 'application/json' },
      headersTimeout: probeMs,
      bodyTimeout: probeMs,
      signal,
    });
  }

  async #probe(path: string): Promise<ProbeAnswer | null> {
    try {
      const signal = AbortSignal.timeout(probeMs);
      const { statusCode, headers, body } = await this.#get(path, signal);
      const { server } = headers;
      const length = Number(headers['content-length'] ?? 0);
      const text = length > probeBytes ? '' : await body.text();
      if (length > probeBytes) body.destroy();
      return {
        status: statusCode,
        server: typeof server === 'string' ? server : null,
        text,
        json: parseJson(text),
      };
    } catch {
      // No answer is an answer here: the caller tries the next route, and check() names the reason.
      return null;
    }
  }
}

/** The body as text; empty, and its connection closed, when it is longer than `limit` bytes. */
async function boundedText(body: Readable, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    // Leaving the loop destroys the stream.
    if (bytes > limit) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function contextOf(detected: Detected, kind: BackendKind): number | null {
  return detected.kind === kind ? detected.contextWindow : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function headerList(headers: RawHeaders): string[] {
  return Array.isArray(headers) ? headers : [...headers];
}

function bodyOf(request: ForwardRequest): Uint8Array | Readable | null {
  const { body } = request;
  if (body === null || body instanceof Uint8Array || body instanceof Readable) return body;
  throw new SluiceError('INTERNAL', 'A request body must be bytes or a Readable');
}
