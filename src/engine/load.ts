/** Main side of the embedded engine: starts the worker, hands it requests, bounds the queue. */
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { SluiceError } from '../core/errors.ts';
import { chatStops, renderChat, type ChatMessage } from './chat.ts';
import type { ModelManifest } from '../score/types.ts';
import { siblingModule, startModuleWorker } from '../score/worker-thread.ts';
import { loadTokenizer } from '../tokenize/load.ts';
import { readEngineModel } from './model.ts';
import type { SchemeConfig } from './schemes/create.ts';
import type {
  Engine,
  EngineCommand,
  EngineMessage,
  EngineWorkerData,
  GenerateEvents,
  GenerateRequest,
} from './types.ts';

export interface LoadEngineOptions {
  /** Folder with manifest.json, tokenizer.json and engine.onnx. */
  readonly folder: string;
  readonly threads: number;
  /** Requests that may run or wait. */
  readonly queue: number;
  /** LM-Infinite when left out: plain attention inside the trained length, bounded beyond it. */
  readonly scheme?: SchemeConfig;
  /** Tokens whose KV may exist at once, running and remembered ones together; four longest sequences. */
  readonly kvTokens?: number;
}

/** Prompt and output together; far beyond the trained length, because the scheme caps distances. */
const contextLimit = 8192;

/** Longest wait for the worker's end; a step is over long before. */
const closeMs = 10_000;

/**
 * Reads what the folder says. The worker, its threads and its memory come with `start` or the first generation: whoever
 * only compresses never pays for them.
 * @throws SluiceError MODEL_INVALID when a file is missing
 */
export async function loadEngine(options: LoadEngineOptions): Promise<Engine> {
  const { manifest, modelPath, shape, weights } = readEngineModel(options.folder);
  const data: EngineWorkerData = {
    modelPath,
    shape,
    eosId: manifest.eos_token_id,
    threads: options.threads,
    slots: 4,
    scheme: options.scheme ?? { type: 'lm-infinite' },
    kvTokens: options.kvTokens ?? 4 * contextLimit,
    fingerprint: weights,
  };
  return new WorkerEngine(data, manifest, options);
}

function notStarted(message: string, cause?: unknown): SluiceError {
  const text = `The embedded engine did not start: ${message}`;
  return new SluiceError('MODEL_INVALID', text, { cause });
}

interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

class WorkerEngine implements Engine {
  readonly name: string;
  readonly tokenizer: Engine['tokenizer'];
  readonly chatStops = chatStops;
  readonly #begin: readonly number[];
  readonly contextLimit = contextLimit;
  readonly fingerprint: string;
  readonly #data: EngineWorkerData;
  readonly #queue: number;
  readonly #running = new Map<number, GenerateEvents>();
  /** Saving and restoring of prefixes. */
  readonly #files = new Map<number, Settle<number>>();
  #closing: Promise<void> | null = null;
  #worker: Worker | null = null;
  #started: Promise<void> | null = null;
  /** Settles `#started`; null when nobody waits for it. */
  #starting: Settle<void> | null = null;
  #nextId = 1;
  #broken: Error | null = null;
  #exited = false;

  constructor(data: EngineWorkerData, manifest: ModelManifest, options: LoadEngineOptions) {
    this.name = manifest.name;
    this.tokenizer = loadTokenizer(options.folder);
    this.#begin = manifest.bos_token_id === null ? [] : [manifest.bos_token_id];
    const weights = manifest.files['engine.onnx']?.sha256 ?? '';
    this.fingerprint = `${manifest.name}@${manifest.version}:${weights.slice(0, 16)}:${this.tokenizer.id}`;
    this.#data = data;
    this.#queue = options.queue;
  }

  textIds(text: string): Uint32Array {
    return Uint32Array.from([...this.#begin, ...this.tokenizer.encode(text).ids]);
  }

  chatIds(messages: readonly ChatMessage[]): Uint32Array {
    return this.textIds(renderChat(messages));
  }

  get failure(): string | null {
    return this.#broken?.message ?? null;
  }

  start(): Promise<void> {
    this.#started ??= new Promise((resolve, reject) => {
      if (this.#broken === null) {
        this.#starting = { resolve, reject };
        this.#open();
      } else reject(this.#broken);
    });
    return this.#started;
  }

  generate(request: GenerateRequest, events: GenerateEvents): () => void {
    if (this.#broken !== null) throw this.#stoppedBy(this.#broken);
    if (this.#running.size >= this.#queue) {
      throw new SluiceError(
        'QUEUE_FULL',
        `The embedded engine already has ${this.#running.size} requests`,
      );
    }
    const id = this.#newId();
    this.#running.set(id, events);
    this.#post({ type: 'generate', id, request });
    return () => {
      if (this.#forget(id)) this.#post({ type: 'abort', id });
    };
  }

  savePrefix(ids: Uint32Array, path: string): Promise<number> {
    return this.#file((id) => ({ type: 'save', id, ids, path }));
  }

  restorePrefix(path: string): Promise<number> {
    return this.#file((id) => ({ type: 'restore', id, path }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#fail(new SluiceError('ABORTED', 'The embedded engine was closed'));
    const worker = this.#worker;
    if (worker === null || this.#exited) return;
    worker.ref();
    // Ending a thread inside a native computation takes the process with it: the worker ends itself, between steps.
    const late = setTimeout(() => void worker.terminate(), closeMs);
    worker.postMessage({ type: 'close' } satisfies EngineCommand);
    await once(worker, 'exit');
    clearTimeout(late);
  }

  #file(command: (id: number) => EngineCommand): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== null) return reject(this.#stoppedBy(this.#broken));
      const id = this.#newId();
      this.#files.set(id, { resolve, reject });
      this.#post(command(id));
    });
  }

  #newId(): number {
    // When it fails, it is the request that hears of it. What is posted meanwhile waits for the worker.
    this.start().catch(() => undefined);
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  #stoppedBy(cause: Error): SluiceError {
    return new SluiceError('SCORER_FAILED', 'The embedded engine has stopped', { cause });
  }

  #open(): void {
    const worker = startModuleWorker(siblingModule('worker', import.meta.url), this.#data);
    this.#worker = worker;
    worker.on('message', (message: EngineMessage) => this.#receive(message));
    worker.on('error', (error: Error) =>
      this.#fail(this.#starting === null ? error : notStarted(error.message, error)),
    );
    worker.on('exit', () => {
      this.#exited = true;
      this.#fail(new SluiceError('SCORER_FAILED', 'The worker has exited'));
    });
  }

  #ready(): void {
    this.#starting?.resolve();
    this.#starting = null;
    this.#restUnlessBusy();
  }

  /** An idle engine never keeps a process alive; a starting one and a running request do. */
  #restUnlessBusy(): void {
    const idle = this.#running.size + this.#files.size === 0;
    if (idle && this.#starting === null) this.#worker?.unref();
  }

  #forget(id: number): boolean {
    const known = this.#running.delete(id);
    this.#restUnlessBusy();
    return known;
  }

  #post(command: EngineCommand): void {
    if (command.type !== 'abort') this.#worker?.ref();
    this.#worker?.postMessage(command);
  }

  #receive(message: EngineMessage): void {
    if (message.type === 'ready') return this.#ready();
    if (message.type === 'fatal') {
      this.#fail(notStarted(message.message));
      void this.#worker?.terminate();
      return;
    }
    if (this.#files.has(message.id)) return this.#fileDone(message);
    const events = this.#running.get(message.id);
    if (events === undefined) return;
    switch (message.type) {
      case 'start':
        return events.onStart(message.cachedTokens);
      case 'token':
        return events.onToken(message.token);
      case 'end':
        this.#forget(message.id);
        return events.onEnd(message.reason);
      case 'error':
        this.#forget(message.id);
        return events.onError(failed(message));
      case 'done':
    }
  }

  #fileDone(message: Extract<EngineMessage, { readonly id: number }>): void {
    const waiting = this.#files.get(message.id);
    this.#files.delete(message.id);
    if (message.type === 'done') waiting?.resolve(message.tokens);
    if (message.type === 'error') waiting?.reject(failed(message));
    this.#restUnlessBusy();
  }

  #fail(error: Error): void {
    this.#broken ??= error;
    this.#starting?.reject(error);
    this.#starting = null;
    for (const events of this.#running.values()) events.onError(error);
    this.#running.clear();
    for (const waiting of this.#files.values()) waiting.reject(error);
    this.#files.clear();
  }
}

function failed({ code, message }: Extract<EngineMessage, { type: 'error' }>): SluiceError {
  return new SluiceError(code, `The embedded engine failed: ${message}`);
}
