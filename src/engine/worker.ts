/** The engine's worker thread: prompts in chunks, decoding in batches, commands heard between steps. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { SluiceError } from '../core/errors.ts';
import { openSession } from '../score/session.ts';
import type { Sequence } from './kv/sequence.ts';
import { EngineRuntime } from './runtime.ts';
import { createRandom, sample } from './sampler.ts';
import { restorePrefix, savePrefix } from './save.ts';
import type { EngineCommand, EngineMessage, EngineWorkerData, GenerateRequest } from './types.ts';

interface Job {
  readonly id: number;
  readonly request: GenerateRequest;
}

interface Running extends Job {
  readonly random: () => number;
  readonly sequence: Sequence;
  /** Pages that it may come to hold. */
  readonly reserved: number;
  generated: number;
  /** Heard of during a step; acted on after it. */
  aborted: boolean;
}

type FileCommand = Extract<EngineCommand, { readonly path: string }>;

function isWorkerData(value: unknown): value is EngineWorkerData {
  return typeof value === 'object' && value !== null && 'modelPath' in value && 'shape' in value;
}

async function main(): Promise<void> {
  const port = parentPort;
  const data: unknown = workerData;
  if (port === null || !isWorkerData(data)) return;
  const send = (message: EngineMessage): void => port.postMessage(message);
  const session = await openSession(data.modelPath, { threads: data.threads }).catch(
    (error: unknown) => {
      send({ type: 'fatal', message: error instanceof Error ? error.message : 'cannot open' });
      return null;
    },
  );
  if (session === null) return;
  const loop = new Loop(new EngineRuntime(session, data), data, send);
  port.on('message', (command: EngineCommand) => {
    if (command.type !== 'close') return loop.accept(command);
    // The thread ends by itself once its port is closed: never in the middle of a step.
    port.close();
    void loop.stop().then(() => session.release());
  });
  send({ type: 'ready' });
}

class Loop {
  readonly #runtime: EngineRuntime;
  readonly #data: EngineWorkerData;
  readonly #send: (message: EngineMessage) => void;
  /** Both bounded by the main side, which counts what it has sent. */
  readonly #waiting: Job[] = [];
  readonly #files: FileCommand[] = [];
  readonly #active: Running[] = [];
  #turns: Promise<void> = Promise.resolve();
  #running = false;
  #stopped = false;

  constructor(
    runtime: EngineRuntime,
    data: EngineWorkerData,
    send: (message: EngineMessage) => void,
  ) {
    this.#runtime = runtime;
    this.#data = data;
    this.#send = send;
  }

  accept(command: Exclude<EngineCommand, { readonly type: 'close' }>): void {
    if (command.type === 'abort') return this.#abort(command.id);
    if (command.type === 'generate') this.#waiting.push(command);
    else this.#files.push(command);
    if (!this.#running) this.#turns = this.#run();
  }

  /** Resolves when no step is running any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#turns;
  }

  #abort(id: number): void {
    const waiting = this.#waiting.findIndex((job) => job.id === id);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    const active = this.#active.find((running) => running.id === id);
    if (active !== undefined) active.aborted = true;
    if (waiting >= 0 || active !== undefined) this.#send({ type: 'end', id, reason: 'aborted' });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (!this.#stopped && this.#files.length + this.#waiting.length + this.#active.length > 0) {
      const file = this.#files.shift();
      if (file !== undefined) await this.#onFile(file);
      this.#admit();
      await this.#turn();
    }
    this.#running = false;
  }

  #admit(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || this.#active.length >= this.#data.slots) return;
      const { promptIds, maxTokens, seed } = next.request;
      const reserved = this.#runtime.pagesFor(promptIds.length + maxTokens);
      const { capacity } = this.#runtime.pool;
      if (this.#active.length > 0 && this.#reserved() + reserved > capacity) return;
      this.#waiting.shift();
      try {
        if (reserved > capacity) throw tooLong(reserved, capacity);
        const sequence = this.#runtime.open(promptIds);
        const random = createRandom(seed);
        this.#active.push({ ...next, random, sequence, reserved, generated: 0, aborted: false });
        this.#send({ type: 'start', id: next.id, cachedTokens: sequence.length });
      } catch (error) {
        this.#send({ type: 'error', id: next.id, ...described(error) });
      }
    }
  }

  #reserved(): number {
    return this.#active.reduce((sum, running) => sum + running.reserved, 0);
  }

  /** One chunk for everyone who still reads, then one token for everyone who writes. */
  async #turn(): Promise<void> {
    for (const running of this.#active.slice()) {
      if (!this.#goesOn(running) || this.#runtime.canDecode(running.sequence)) continue;
      await this.#guarded([running], async () => [await this.#runtime.readChunk(running.sequence)]);
      await this.#listen();
    }
    const writing = this.#active.filter(
      (running) => this.#goesOn(running) && this.#runtime.canDecode(running.sequence),
    );
    if (writing.length > 0) {
      const sequences = writing.map(({ sequence }) => sequence);
      await this.#guarded(writing, () => this.#runtime.decode(sequences));
    }
    await this.#listen();
  }

  #goesOn(running: Running): boolean {
    return !this.#stopped && !running.aborted && this.#active.includes(running);
  }

  /** One turn of the event loop, so that aborts are heard between steps. */
  async #listen(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    for (const running of this.#active.filter(({ aborted }) => aborted)) this.#remove(running);
  }

  /** Runs one step; its logits choose tokens, its error ends all who took part. */
  async #guarded(group: readonly Running[], step: () => Promise<Float32Array[]>): Promise<void> {
    try {
      const logits = await step();
      for (const [row, running] of group.entries()) {
        const { tokens, length } = running.sequence;
        const own = logits[row];
        if (own !== undefined && length === tokens.length) this.#choose(running, own);
      }
    } catch (error) {
      for (const running of group) {
        this.#remove(running);
        this.#send({ type: 'error', id: running.id, ...described(error) });
      }
    }
  }

  #choose(running: Running, logits: Float32Array): void {
    const { request, id } = running;
    if (running.aborted) return;
    const token = sample(logits, request, running.random);
    if (token === this.#data.eosId) return this.#finish(running, 'stop');
    running.sequence.tokens.push(token);
    running.generated += 1;
    this.#send({ type: 'token', id, token });
    if (running.generated >= request.maxTokens) this.#finish(running, 'length');
  }

  #finish(running: Running, reason: 'stop' | 'length'): void {
    this.#remove(running);
    this.#send({ type: 'end', id: running.id, reason });
  }

  #remove(running: Running): void {
    const at = this.#active.indexOf(running);
    if (at < 0) return;
    this.#active.splice(at, 1);
    this.#runtime.release(running.sequence);
  }

  async #onFile(command: FileCommand): Promise<void> {
    try {
      const tokens =
        command.type === 'save' ? await this.#save(command) : await this.#restore(command.path);
      this.#send({ type: 'done', id: command.id, tokens });
    } catch (error) {
      this.#send({ type: 'error', id: command.id, ...described(error) });
    }
  }

  async #save({ ids, path }: Extract<FileCommand, { readonly type: 'save' }>): Promise<number> {
    const needed = this.#runtime.pagesFor(ids.length);
    const free = this.#runtime.pool.capacity - this.#reserved();
    if (needed > free) {
      throw new SluiceError('QUEUE_FULL', `Saving needs ${needed} KV pages; ${free} are free`);
    }
    const sequence = this.#runtime.open(ids);
    try {
      await this.#runtime.read(sequence);
      await writeFile(`${path}.part`, savePrefix(this.#runtime, sequence));
      await rename(`${path}.part`, path);
      return sequence.length;
    } finally {
      this.#runtime.release(sequence);
    }
  }

  async #restore(path: string): Promise<number> {
    const sequence = restorePrefix(this.#runtime, await readFile(path));
    this.#runtime.release(sequence);
    return sequence.tokens.length;
  }
}

function tooLong(pages: number, capacity: number): SluiceError {
  return new SluiceError('REQUEST_INVALID', `The request needs ${pages} KV pages of ${capacity}`);
}

function described(
  error: unknown,
): Pick<Extract<EngineMessage, { type: 'error' }>, 'code' | 'message'> {
  const message = error instanceof Error ? error.message : String(error);
  return { code: SluiceError.isInstance(error) ? error.code : 'SCORER_FAILED', message };
}

await main();
