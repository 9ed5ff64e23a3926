/** A GGUF file as the embedded engine, run by llama.cpp inside this process. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { SluiceError } from '../../core/errors.ts';
import { chatTemplateOf } from '../../tokenize/chat-template.ts';
import type { TextTokenizer } from '../../tokenize/types.ts';
import { renderChat, chatStops, type ChatMessage } from '../chat.ts';
import { commonPrefix } from '../kv/blocks.ts';
import type { GenerateEnd, GenerateEvents, GenerateRequest, TextEngine } from '../types.ts';
import {
  openLlama,
  type Llama,
  type LlamaContext,
  type LlamaLibrary,
  type LlamaModel,
  type LlamaSequence,
} from './library.ts';
import { ggufTokenizer } from './tokenizer.ts';

export interface LoadGgufOptions {
  /** The `.gguf` file. */
  readonly file: string;
  readonly threads: number;
  /** Requests that may run or wait. */
  readonly queue: number;
  /** Where node-llama-cpp comes from; left out = the installed package. */
  readonly library?: () => Promise<LlamaLibrary>;
}

/** Sequences that generate at the same time, each with its own KV. */
const slots = 2;
/** Prompt and answer together; a longer trained length is not used, for the memory that it would take. */
const maxContext = 8192;

/**
 * Reads the file's header and vocabulary; its weights come with `start` or the first generation.
 * @throws SluiceError MODEL_INVALID when node-llama-cpp is missing or cannot read the file
 */
export async function loadGguf(options: LoadGgufOptions): Promise<TextEngine> {
  const fingerprint = fingerprintOf(options.file);
  const llama = await openLlama(options.library);
  const vocabulary = await loadModel(llama, options.file, true);
  return new GgufEngine(llama, vocabulary, { ...options, fingerprint });
}

/** Size and first megabyte, which holds the header: enough to tell files apart, and quick for large ones. */
function fingerprintOf(file: string): string {
  try {
    const { size } = statSync(file);
    const head = Buffer.alloc(Math.min(size, 1 << 20));
    const handle = openSync(file, 'r');
    readSync(handle, head);
    closeSync(handle);
    const digest = createHash('sha256').update(head).digest('hex').slice(0, 16);
    return `${basename(file)}:${size}:${digest}`;
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `${file} cannot be read`, { cause });
  }
}

async function loadModel(llama: Llama, modelPath: string, vocabOnly: boolean): Promise<LlamaModel> {
  return await llama.loadModel({ modelPath, vocabOnly }).catch((cause: unknown) => {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new SluiceError('MODEL_INVALID', `${modelPath} cannot be loaded: ${found}`, { cause });
  });
}

interface Waiting {
  readonly request: GenerateRequest;
  readonly events: GenerateEvents;
  aborted: boolean;
}

class GgufEngine implements TextEngine {
  readonly name: string;
  readonly tokenizer: TextTokenizer;
  readonly contextLimit: number;
  readonly fingerprint: string;
  readonly chatStops: readonly string[];
  failure: string | null = null;
  readonly #llama: Llama;
  readonly #vocabulary: LlamaModel;
  readonly #options: LoadGgufOptions;
  readonly #template: ReturnType<typeof chatTemplateOf>;
  /** Bounded by `options.queue`, together with what runs. */
  readonly #waiting: Waiting[] = [];
  readonly #idle: LlamaSequence[] = [];
  readonly #running = new Set<Promise<void>>();
  #started: Promise<void> | null = null;
  #closed = false;

  constructor(
    llama: Llama,
    vocabulary: LlamaModel,
    options: LoadGgufOptions & { readonly fingerprint: string },
  ) {
    this.#llama = llama;
    this.#vocabulary = vocabulary;
    this.#options = options;
    this.fingerprint = options.fingerprint;
    this.name = basename(options.file, '.gguf');
    const size = vocabularySize(vocabulary);
    this.tokenizer = ggufTokenizer(vocabulary, `gguf:${options.fingerprint}`, size);
    this.contextLimit = Math.min(maxContext, trainedLength(vocabulary));
    const source = metadataText(vocabulary, 'tokenizer', 'chat_template');
    // The text of the begin mark is put in front as a token, where the vocabulary wants one.
    this.#template =
      source === null ? null : chatTemplateOf(source, { bos_token: '', eos_token: '' });
    this.chatStops = this.#template === null ? chatStops : [];
  }

  textIds(text: string): Uint32Array {
    return Uint32Array.from([...this.#begin(), ...this.tokenizer.encode(text).ids]);
  }

  chatIds(messages: readonly ChatMessage[]): Uint32Array {
    if (this.#template === null) return this.textIds(renderChat(messages));
    const { text } = this.#template.render({
      messages,
      tools: null,
      addGenerationPrompt: true,
      variables: {},
    });
    return Uint32Array.from([...this.#begin(), ...this.#vocabulary.tokenize(text, true)]);
  }

  start(): Promise<void> {
    this.#started ??= this.#open().catch((error: unknown) => {
      this.failure = error instanceof Error ? error.message : String(error);
      throw error;
    });
    return this.#started;
  }

  generate(request: GenerateRequest, events: GenerateEvents): () => void {
    if (this.#closed) throw new SluiceError('SCORER_FAILED', 'The embedded engine has stopped');
    const asked = this.#running.size + this.#waiting.length;
    if (asked >= this.#options.queue) {
      throw new SluiceError('QUEUE_FULL', `The embedded engine already has ${asked} requests`);
    }
    const waiting: Waiting = { request, events, aborted: false };
    this.#waiting.push(waiting);
    this.start().then(
      () => this.#next(),
      (error: unknown) => this.#refuse(error),
    );
    return () => {
      waiting.aborted = true;
      const at = this.#waiting.indexOf(waiting);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      events.onEnd('aborted');
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#refuse(closed());
    // They end with their next token; the library must not be taken away from under them.
    await Promise.all(this.#running);
    await this.#llama.dispose();
  }

  #begin(): readonly number[] {
    const { bos, shouldPrependBosToken } = this.#vocabulary.tokens;
    return shouldPrependBosToken && bos !== null ? [bos] : [];
  }

  async #open(): Promise<void> {
    const model = await loadModel(this.#llama, this.#options.file, false);
    const context: LlamaContext = await model.createContext({
      sequences: slots,
      contextSize: this.contextLimit,
      threads: this.#options.threads,
    });
    for (let slot = 0; slot < slots; slot += 1) this.#idle.push(context.getSequence());
  }

  #refuse(error: unknown): void {
    const told = error instanceof Error ? error : new Error(String(error));
    for (const { events } of this.#waiting.splice(0)) events.onError(told);
  }

  #next(): void {
    const waiting = this.#waiting[0];
    if (waiting === undefined || this.#idle.length === 0) return;
    this.#waiting.shift();
    const sequence = this.#take(waiting.request.promptIds);
    // Free before it is told: what is asked next may go on with this very sequence.
    const release = (): void => {
      this.#running.delete(run);
      this.#idle.push(sequence);
      this.#next();
    };
    const run: Promise<void> = this.#run(waiting, sequence).then(
      (reason) => {
        release();
        waiting.events.onEnd(reason);
      },
      (error: unknown) => {
        release();
        waiting.events.onError(error instanceof Error ? error : new Error(String(error)));
      },
    );
    this.#running.add(run);
  }

  /** The idle sequence that holds most of the prompt, if that is half of it at least; else the one unused for longest. */
  #take(prompt: Uint32Array): LlamaSequence {
    const held = this.#idle.map((sequence) => commonPrefix(sequence.contextTokens, prompt));
    const most = Math.max(...held);
    const [sequence] = this.#idle.splice(2 * most >= prompt.length ? held.indexOf(most) : 0, 1);
    if (sequence === undefined) throw new SluiceError('INTERNAL', 'No sequence is idle');
    return sequence;
  }

  async #run(waiting: Waiting, sequence: LlamaSequence): Promise<GenerateEnd> {
    const { request, events } = waiting;
    const { promptIds, maxTokens, temperature, topP, seed } = request;
    // The last prompt token is always computed: what follows it is what was asked for.
    await sequence.adaptStateToTokens(Array.from(promptIds.subarray(0, -1)), false);
    const cached = sequence.contextTokens.length;
    events.onStart(cached);
    const options = { temperature, topP, topK: 0, minP: 0, seed, yieldEogToken: true };
    let generated = 0;
    for await (const token of sequence.evaluate(Array.from(promptIds.subarray(cached)), options)) {
      if (this.#closed) throw closed();
      if (waiting.aborted) return 'aborted';
      if (this.#vocabulary.isEogToken(token)) return 'stop';
      generated += 1;
      events.onToken(token);
      if (generated >= maxTokens) return 'length';
    }
    return 'stop';
  }
}

function closed(): SluiceError {
  return new SluiceError('ABORTED', 'The embedded engine was closed');
}

/** A value of the file's metadata, which is a tree of records. */
function metadataOf(model: LlamaModel, ...path: readonly string[]): unknown {
  let value: unknown = model.fileInfo.metadata;
  for (const name of path) {
    value =
      typeof value === 'object' && value !== null
        ? Object.getOwnPropertyDescriptor(value, name)?.value
        : undefined;
  }
  return value;
}

function metadataText(model: LlamaModel, ...path: readonly string[]): string | null {
  const value = metadataOf(model, ...path);
  return typeof value === 'string' ? value : null;
}

/** A file that does not say what it was trained for is taken to bear the most that is used. */
function trainedLength(model: LlamaModel): number {
  const architecture = metadataText(model, 'general', 'architecture') ?? '';
  const length = metadataOf(model, architecture, 'context_length');
  return typeof length === 'number' && length > 0 ? length : maxContext;
}

function vocabularySize(model: LlamaModel): number {
  const tokens = metadataOf(model, 'tokenizer', 'ggml', 'tokens');
  return Array.isArray(tokens) ? tokens.length : Number.MAX_SAFE_INTEGER;
}
