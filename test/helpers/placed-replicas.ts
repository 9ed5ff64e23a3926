/** Replicas for placement: simulated engines behind the functions that placement is given, with feeds that can fail. */
import { createPlacement } from '../../src/reuse/placement.ts';
import type {
  KvFeedListener,
  PlacementOptions,
  PlacementReplica,
  PromptTokens,
  RawKvBatch,
  ReplicaFacts,
} from '../../src/reuse/placement-options.ts';
import type { Placed, Placement, PlacementRequest } from '../../src/reuse/types.ts';
import { vllmBlockHashes } from '../../src/reuse/vllm-hash.ts';
import { createSimulatedBackend, type SimulatedBackend } from './simulated-backend.ts';

export interface FakeReplica {
  readonly replica: PlacementReplica;
  readonly backend: SimulatedBackend;
  /** What the server is; change it to another one. */
  facts: ReplicaFacts;
  /** Answers the look; null = nobody listens. */
  up: boolean;
  readonly looks: { count: number };
  /** How ids are told; replace it to make it slow or silent. */
  tell: (body: Uint8Array, signal: AbortSignal) => Promise<PromptTokens | null>;
  readonly feed: {
    listener: KvFeedListener | null;
    /** Batches are held back instead of delivered. */
    held: RawKvBatch[] | null;
    replays: number[];
    canReplay: boolean;
    /** Oldest batch that a replay still has. */
    oldest: number;
  };
  /** Computes a prompt as the engine would, and publishes what happened. @returns reported cached tokens */
  serve(tokens: Uint32Array, salt?: string | null, answer?: Uint32Array): number;
}

export interface FakeReplicaOptions {
  readonly id: string;
  readonly blockTokens?: number;
  readonly capacityBlocks?: number;
  readonly events?: 'map' | 'array' | null;
  /** `vllm`: hashes that can be recomputed. */
  readonly hashes?: 'vllm' | 'secret';
  readonly seed?: string | null;
  readonly facts?: Partial<ReplicaFacts>;
}

export function fakeReplica(options: FakeReplicaOptions): FakeReplica {
  const { id, blockTokens = 16, events = 'map', seed = null } = options;
  const backend = createSimulatedBackend({
    blockTokens,
    groups: [{ kind: 'full' }],
    capacityBlocks: options.capacityBlocks ?? 4000,
    regimeOf: () => '',
    events,
    ...(options.hashes === 'secret'
      ? {}
      : {
          hashesOf: (tokens: Uint32Array, salt: string | null) =>
            hashes(tokens, salt, { blockTokens, seed }),
        }),
  });
  const fake: FakeReplica = {
    backend,
    up: true,
    looks: { count: 0 },
    facts: {
      kind: 'vllm',
      fingerprint: 'one',
      blockTokens: null,
      contextWindow: null,
      capacityTokens: null,
      slots: null,
      position: null,
      ...options.facts,
    },
    tell: async (body) => ({ tokens: tokensIn(body), exact: true }),
    feed: { listener: null, held: null, replays: [], canReplay: true, oldest: 0 },
    serve(tokens, salt = null, answer = new Uint32Array(0)) {
      const { cachedTokens, batch } = backend.serve({ tokens, salt, answer });
      if (batch === null) return cachedTokens;
      if (fake.feed.held === null) fake.feed.listener?.onBatch(batch);
      else fake.feed.held.push(batch);
      return cachedTokens;
    },
    replica: {
      id,
      facts: () => fake.facts,
      promptTokens: (body, _path, signal) => fake.tell(body, signal),
      check: async () => {
        fake.looks.count += 1;
        return { ok: fake.up };
      },
      events:
        events === null
          ? null
          : {
              subscribe(listener) {
                fake.feed.listener = listener;
                listener.onState('live');
                return () => {
                  fake.feed.listener = null;
                };
              },
              replay: async (from) => {
                fake.feed.replays.push(from);
                if (!fake.feed.canReplay) return null;
                return backend
                  .replay(0)
                  .filter(({ sequence }) => sequence >= Math.max(from, fake.feed.oldest));
              },
            },
    },
  };
  return fake;
}

function hashes(
  tokens: Uint32Array,
  salt: string | null,
  { blockTokens, seed }: { blockTokens: number; seed: string | null },
): readonly bigint[] {
  const extra = (block: number) => (block === 0 && salt !== null ? [['cache_salt', salt]] : null);
  const digests = Buffer.from(vllmBlockHashes(tokens, { blockTokens, seed, extra }));
  return Array.from({ length: digests.length / 32 }, (_, at) =>
    digests.readBigUInt64BE(at * 32 + 24),
  );
}

/** A request body whose prompt's ids can be read back. */
export function bodyOf(tokens: Uint32Array): Uint8Array {
  return Buffer.from(JSON.stringify({ prompt: Array.from(tokens), stream: true }));
}

export function tokensIn(body: Uint8Array): Uint32Array {
  const { prompt } = JSON.parse(Buffer.from(body).toString()) as { prompt: number[] };
  return Uint32Array.from(prompt);
}

export interface TestClock {
  readonly now: () => number;
  readonly monotonic: () => number;
  wait(ms: number): void;
}

export function testClock(): TestClock {
  let at = 1_000_000;
  return { now: () => at, monotonic: () => at, wait: (ms) => void (at += ms) };
}

export function placementOver(
  fakes: readonly FakeReplica[],
  clock: TestClock,
  options: Partial<PlacementOptions> = {},
): Placement {
  return createPlacement({
    replicas: fakes.map(({ replica }) => replica),
    clock,
    checkMs: 0,
    onDefect: (error) => {
      throw error;
    },
    ...options,
  });
}

export function requestOf(
  tokens: Uint32Array,
  facts: Partial<PlacementRequest> = {},
): PlacementRequest {
  return {
    path: '/v1/completions',
    body: bodyOf(tokens),
    tenant: 'default',
    model: 'm',
    previous: null,
    reusableTokens: null,
    signal: null,
    ...facts,
  };
}

/** Lets everything run that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}

export const sure = (placed: Placed | null): Placed => {
  if (placed === null) throw new Error('no replica was chosen');
  return placed;
};

/** A prompt of `length` tokens that shares nothing with those of other seeds. */
export function prompt(seed: number, length: number): Uint32Array {
  return Uint32Array.from(
    { length },
    (_, at) => (seed * 7919 + at * 31 + ((seed * at) % 97)) % 50_000,
  );
}
