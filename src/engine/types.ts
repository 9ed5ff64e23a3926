/** The embedded engine: one causal model, explicit KV cache, generation token by token. Plain data in and out. */
import type { TextTokenizer } from '../tokenize/types.ts';

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

/** Position and mask inputs of one step; what a scheme produces (engine.onnx takes them as they are). */
export interface SchemeInputs {
  /** Position of every new token, length T. */
  readonly queryPositions: Float32Array;
  /** Position of every key, length K = past + T. */
  readonly keyPositions: Float32Array;
  /** theta^(-2i/d), length headDim / 2. */
  readonly inverseFrequencies: Float32Array;
  readonly attentionFactor: number;
  /** Added to the scores, row-major T x K; 0 keeps, -1e9 hides. */
  readonly mask: Float32Array;
  /** Second branch: positions used where `select` is 1. */
  readonly queryPositions2: Float32Array;
  readonly keyPositions2: Float32Array;
  /** Row-major T x K, or a single 0 when the branch is not used. */
  readonly select: Float32Array;
}

/** One file per scheme: from model shape, number of cached tokens and number of new ones to inputs. */
export interface PositionScheme {
  readonly name: string;
  inputs(shape: ModelShape, past: number, fresh: number): SchemeInputs;
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

export interface Engine {
  readonly name: string;
  readonly tokenizer: TextTokenizer;
  /** BOS id to put before a prompt, or null. */
  readonly bosId: number | null;
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
  close(): Promise<void>;
}

/** Messages to the worker. */
export type EngineCommand =
  | { readonly type: 'generate'; readonly id: number; readonly request: GenerateRequest }
  | { readonly type: 'abort'; readonly id: number };

/** Messages from the worker. */
export type EngineMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'fatal'; readonly message: string }
  | { readonly type: 'start'; readonly id: number; readonly cachedTokens: number }
  | { readonly type: 'token'; readonly id: number; readonly token: number }
  | { readonly type: 'end'; readonly id: number; readonly reason: GenerateEnd }
  | { readonly type: 'error'; readonly id: number; readonly message: string };

export interface EngineWorkerData {
  readonly modelPath: string;
  readonly shape: ModelShape;
  readonly eosId: number | null;
  readonly threads: number;
  /** Sequences that advance in turn; more wait. */
  readonly slots: number;
  /** Finished sequences whose KV is kept, and the most tokens kept in all. */
  readonly cachedSequences: number;
  readonly cachedTokens: number;
}
