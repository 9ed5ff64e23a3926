/** One contract for every server or API behind Sluice, remote or embedded. Bytes in, bytes out. */
import type { BackendKind } from '../core/backend-kind.ts';
import type { Usage } from '../core/report.ts';
import type { TextTokenizer } from '../tokenize/types.ts';

export type { BackendKind };

/** What shared code may ask about; it never branches on `kind`. null = not known. */
export interface BackendCapabilities {
  /** Caches prompt prefixes on its own. */
  readonly prefixCache: boolean | null;
  /** Reports cached tokens in usage. */
  readonly reportsCachedTokens: boolean | null;
  /** Offers a tokenize route. */
  readonly tokenizeRoute: string | null;
  /** Context window in tokens. */
  readonly contextWindow: number | null;
  /** Answers a prompt that is too long with an error; false = cuts it and answers what is left. */
  readonly refusesLength: boolean | null;
  /** Notices that a non-streaming client went away (llama.cpp does not always). */
  readonly noticesAbort: boolean | null;
}

/** What a server's configuration says about its cache; null = not known. */
export interface ServerLimits {
  /** Tokens of a cache block: reuse comes in whole ones. */
  readonly blockTokens: number | null;
  /** Tokens of KV that fit. */
  readonly capacityTokens: number | null;
  /** Slots of a server that keeps one prompt in each. */
  readonly slots: number | null;
  /** Of several models the shortest. */
  readonly contextWindow: number | null;
  /** Of each model that was loaded when it was asked, by its name; null = the server has one model. */
  readonly modelWindows: ReadonlyMap<string, number> | null;
}

/** A prompt was refused because of its length; tokens as the server counts, null = it did not tell. */
export interface LengthRefusal {
  /** Context window. */
  readonly limit: number | null;
  readonly prompt: number | null;
}

/** Raw header list as node:http and undici use it: name, value, name, value, ... */
export type RawHeaders = readonly string[];

export interface ForwardRequest {
  readonly method: string;
  /** Path with query, as the client sent it. */
  readonly path: string;
  /** End-to-end headers only; hop-by-hop and `x-sluice-*` are already removed, content-length is set. */
  readonly headers: RawHeaders;
  /** Whole body, or a stream of unknown length that is forwarded as it comes, or null. */
  readonly body: Uint8Array | NodeJS.ReadableStream | null;
}

/** Callbacks in the order head, data*, end | error. After `onError` or `abort()` nothing else is called. */
export interface ForwardHandler {
  /** An interim answer (1xx) before the head; may come several times. */
  onInformation?(status: number, headers: RawHeaders): void;
  onHead(status: number, headers: RawHeaders, statusText: string): void;
  /** Return false to pause; `resume` of the handle continues. */
  onData(chunk: Buffer): boolean;
  onEnd(trailers: RawHeaders): void;
  onError(error: Error): void;
}

export interface ForwardHandle {
  /** Closes the upstream request now. */
  abort(): void;
  resume(): void;
}

export interface CountTokensOptions {
  /** Model that the request names; null = the server's own. */
  readonly model: string | null;
  /** Ends what still waits or runs; those texts are not counted. */
  readonly signal: AbortSignal;
}

/** Tokens of each text by the server's own tokenizer, without special tokens added; null = not counted. Never rejects. */
export type CountTokens = (
  texts: readonly string[],
  options: CountTokensOptions,
) => Promise<readonly (number | null)[]>;

/** Token ids of a prompt. `exact`: what the server itself makes of it; else as near as can be told. */
export interface PromptTokens {
  readonly tokens: Uint32Array;
  readonly exact: boolean;
}

export interface PromptTokenSource {
  /**
   * Tokens of the prompt in the final bytes of a forwarded body. May ask the server: give it little time. null = not
   * known (images, a template that refuses, no template and a server that does not tell). Never rejects.
   * @param path Path of the request, without query
   */
  of(body: Uint8Array, path: string, signal: AbortSignal): Promise<PromptTokens | null>;
  /**
   * Tells how many prompt tokens the server reported for a result of `of`: that is how it is known which requests are
   * exact where the server cannot be asked, and which are not where it says one thing and counts another.
   */
  confirm(result: PromptTokens, reported: number): void;
}

export interface Backend {
  readonly kind: BackendKind;
  /** Label for headers and metrics: kind and host:port, no credentials. */
  readonly name: string;
  readonly capabilities: BackendCapabilities;
  /** Everything that makes cached KV interchangeable, as far as the server tells; part of decision keys. */
  readonly fingerprint: string;
  /** The backend's own tokenizer when it is known. */
  readonly tokenizer: TextTokenizer | null;
  /** Asks the server to count; left out or null = it is not known to do that. Takes time: only a request that would not fit may wait for it. */
  readonly countTokens?: CountTokens | null;
  /**
   * Context window of the model that a request names, where each has its own; null = not known. Left out = the
   * capabilities tell it.
   */
  contextWindowOf?(model: string | null): number | null;
  /** As found out last; left out = nothing is known. */
  readonly limits?: ServerLimits;
  /** Empties the prompt cache, where the server can do that and it is allowed; says whether it was done. Never rejects. */
  resetCache?(signal: AbortSignal): Promise<boolean>;
  /**
   * Reads an answer that may refuse a prompt's length, and learns from it: a limit below the known one is believed from
   * then on. null = it refuses something else. Left out = refusals are not known here. Never throws.
   */
  refusedLength?(status: number, body: Uint8Array): LengthRefusal | null;
  /** Tells the tokens of prompts; left out = it cannot. */
  readonly promptTokens?: PromptTokenSource;
  /** Does ahead of the first request what takes long, and says whether it worked; left out = nothing does. */
  start?(): Promise<void>;
  /** Sends once; never repeats a request whose bytes may have left. */
  forward(request: ForwardRequest, handler: ForwardHandler): ForwardHandle;
  /** Answers whether requests can be served now; `detail` says what was found. */
  check(signal: AbortSignal | null): Promise<{ readonly ok: boolean; readonly detail: string }>;
  close(): Promise<void>;
}

/** Reads usage from the head and tail of a response without parsing what lies between. */
export type UsageReader = (head: Uint8Array, tail: Uint8Array) => Usage | null;
