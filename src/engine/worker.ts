/** The engine's worker thread: one session, several sequences in turn, aborts between steps. */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { openSession } from '../score/session.ts';
import { createStepper, type Stepper } from './step.ts';
import { PrefixCache, emptyState, prefixOf, type KvState } from './kv-state.ts';
import { createRandom, sample } from './sampler.ts';
import type { EngineCommand, EngineMessage, EngineWorkerData, GenerateRequest } from './types.ts';

/** Prompt tokens per step: short enough that an abort takes effect soon. */
const prefillChunk = 128;

interface Sequence {
  readonly id: number;
  readonly request: GenerateRequest;
  readonly random: () => number;
  state: KvState;
  started: boolean;
  generated: number;
  /** Sampled, sent, not yet in the KV state. */
  pending: number | null;
}

function isWorkerData(value: unknown): value is EngineWorkerData {
  return typeof value === 'object' && value !== null && 'modelPath' in value && 'shape' in value;
}

async function main(): Promise<void> {
  const port = parentPort;
  const data: unknown = workerData;
  if (port === null || !isWorkerData(data)) return;
  const send = (message: EngineMessage): void => port.postMessage(message);
  const session = await openSession(join(data.modelPath), { threads: data.threads }).catch(
    (error: unknown) => {
      send({ type: 'fatal', message: error instanceof Error ? error.message : 'cannot open' });
      return null;
    },
  );
  if (session === null) return;
  const loop = new Loop(createStepper(session, data.shape), data, send);
  port.on('message', (command: EngineCommand) => loop.accept(command));
  send({ type: 'ready' });
}

class Loop {
  readonly #stepper: Stepper;
  readonly #data: EngineWorkerData;
  readonly #send: (message: EngineMessage) => void;
  readonly #cache: PrefixCache;
  /** Bounded by the main side, which counts what it has sent. */
  readonly #waiting: { id: number; request: GenerateRequest }[] = [];
  readonly #active: Sequence[] = [];
  #running = false;

  constructor(stepper: Stepper, data: EngineWorkerData, send: (message: EngineMessage) => void) {
    this.#stepper = stepper;
    this.#data = data;
    this.#send = send;
    this.#cache = new PrefixCache(data.cachedSequences, data.cachedTokens);
  }

  accept(command: EngineCommand): void {
    if (command.type === 'abort') return this.#abort(command.id);
    this.#waiting.push({ id: command.id, request: command.request });
    if (!this.#running) void this.#run();
  }

  #abort(id: number): void {
    const waiting = this.#waiting.findIndex((entry) => entry.id === id);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    const active = this.#active.findIndex((entry) => entry.id === id);
    const [sequence] = active >= 0 ? this.#active.splice(active, 1) : [];
    if (sequence !== undefined) this.#cache.add(sequence.state);
    if (waiting >= 0 || active >= 0) this.#send({ type: 'end', id, reason: 'aborted' });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length + this.#active.length > 0) {
      this.#admit();
      for (const sequence of this.#active.slice()) {
        if (this.#active.includes(sequence)) await this.#advance(sequence);
        // One turn of the event loop, so that aborts are heard between steps.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    this.#running = false;
  }

  #admit(): void {
    while (this.#active.length < this.#data.slots) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const { promptIds, seed } = next.request;
      // The last prompt token is always computed: its logits choose the first new token.
      const found = this.#cache.longest(promptIds.subarray(0, promptIds.length - 1));
      this.#active.push({
        ...next,
        random: createRandom(seed),
        state:
          found.shared === 0 ? emptyState : prefixOf(found.state, found.shared, this.#data.shape),
        started: false,
        generated: 0,
        pending: null,
      });
    }
  }

  async #advance(sequence: Sequence): Promise<void> {
    try {
      if (!sequence.started) {
        sequence.started = true;
        this.#send({ type: 'start', id: sequence.id, cachedTokens: sequence.state.length });
      }
      const logits = await this.#step(sequence);
      if (logits !== null) this.#choose(sequence, logits);
    } catch (error) {
      this.#remove(sequence);
      const message = error instanceof Error ? error.message : String(error);
      this.#send({ type: 'error', id: sequence.id, message });
    }
  }

  /** One chunk of the prompt, or the pending token; logits once the prompt is read. */
  async #step(sequence: Sequence): Promise<Float32Array | null> {
    const { promptIds } = sequence.request;
    const { length } = sequence.state;
    const fresh =
      sequence.pending === null
        ? promptIds.subarray(length, Math.min(promptIds.length, length + prefillChunk))
        : Uint32Array.of(sequence.pending);
    const { logits, state } = await this.#stepper(sequence.state, fresh);
    sequence.state = state;
    return state.length < promptIds.length ? null : logits;
  }

  #choose(sequence: Sequence, logits: Float32Array): void {
    const { request } = sequence;
    const token = sample(logits, request, sequence.random);
    if (token === this.#data.eosId) return this.#finish(sequence, 'stop');
    sequence.pending = token;
    sequence.generated += 1;
    this.#send({ type: 'token', id: sequence.id, token });
    if (sequence.generated >= request.maxTokens) this.#finish(sequence, 'length');
  }

  #finish(sequence: Sequence, reason: 'stop' | 'length'): void {
    this.#remove(sequence);
    this.#cache.add(sequence.state);
    this.#send({ type: 'end', id: sequence.id, reason });
  }

  #remove(sequence: Sequence): void {
    const at = this.#active.indexOf(sequence);
    if (at >= 0) this.#active.splice(at, 1);
  }
}

await main();
