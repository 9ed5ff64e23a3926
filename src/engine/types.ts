/** The embedded engine: one causal model, explicit KV cache, generation token by token. Plain data in and out. */
import type { ErrorCode } from '../core/errors.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import type { ChatMessage } from './chat.ts';
import type { RuntimeOptions } from './runtime.ts';

/** Sizes that the graph inputs need; from the model's manifest. */
export interface ModelShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly heads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  /** RoPE base theta. */
  readonly ropeBase: number;
  /** Longest distance between positions that was trained. */
  readonly trainedLength: number;
}

export interface GenerateRequest {
  readonly promptIds: Uint32Array;
  /** Most tokens to generate, at least 1. */
  readonly maxTokens: number;
  /** 0 = greedy. */
  readonly temperature: number;
  /** Nucleus, (0, 1]. */
  readonly topP: number;
  /** Same seed, same request: same tokens. */
  readonly seed: number;
}

export type GenerateEnd = 'stop' | 'length' | 'aborted';

export interface GenerateEvents {
  /** Prompt read; `cachedTokens` of it came from the prefix cache. */
  onStart(cachedTokens: number): void;
  onToken(id: number): void;
  onEnd(reason: GenerateEnd): void;
  onError(error: Error): void;
}

/** What generates text from a prompt. */
export interface TextEngine {
  readonly name: string;
  readonly tokenizer: TextTokenizer;
  /** A plain prompt, with the model's begin mark. */
  textIds(text: string): Uint32Array;
  /** A chat as the model reads it, up to the answer that it is to write. @throws Error what the chat template refuses */
  chatIds(messages: readonly ChatMessage[]): Uint32Array;
  /** Texts that end an answer of a chat besides the model's own end mark. */
  readonly chatStops: readonly string[];
  /** Prompt and output together. */
  readonly contextLimit: number;
  /** Names weights and tokenizer. */
  readonly fingerprint: string;
  /** Why nothing can be generated any more, or null. */
  readonly failure: string | null;
  /** Opens the model in its worker; without it the first generation does. @throws SluiceError MODEL_INVALID */
  start(): Promise<void>;
  /** Starts a generation; the returned function aborts it and frees its slot. @throws SluiceError QUEUE_FULL */
  generate(request: GenerateRequest, events: GenerateEvents): () => void;
  /** Running requests fail with ABORTED. */
  close(): Promise<void>;
}

/** The engine that runs our own graphs. */
export interface Engine extends TextEngine {
  /**
   * Computes the KV of a prompt (as far as it is not cached) and writes it to a file.
   * @returns tokens written
   * @throws SluiceError REQUEST_INVALID when the scheme's KV depends on more than the tokens
   */
  savePrefix(ids: Uint32Array, path: string): Promise<number>;
  /**
   * Takes back what `savePrefix` wrote: prompts that begin with it reuse it.
   * @returns tokens restored
   * @throws SluiceError REQUEST_INVALID when the file is damaged or of another model or scheme
   */
  restorePrefix(path: string): Promise<number>;
}

/** Messages to the worker. */
export type EngineCommand =
  | { readonly type: 'generate'; readonly id: number; readonly request: GenerateRequest }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'save'; readonly id: number; readonly ids: Uint32Array; readonly path: string }
  | { readonly type: 'restore'; readonly id: number; readonly path: string }
  | { readonly type: 'close' };

/** Messages from the worker. */
export type EngineMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'fatal'; readonly message: string }
  | { readonly type: 'start'; readonly id: number; readonly cachedTokens: number }
  | { readonly type: 'token'; readonly id: number; readonly token: number }
  | { readonly type: 'end'; readonly id: number; readonly reason: GenerateEnd }
  | { readonly type: 'done'; readonly id: number; readonly tokens: number }
  | {
      readonly type: 'error';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
    };

export interface EngineWorkerData extends RuntimeOptions {
  readonly modelPath: string;
  readonly eosId: number | null;
  readonly threads: number;
  /** Sequences that advance together; more wait. */
  readonly slots: number;
}
