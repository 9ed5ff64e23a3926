/** Recomputes every block hash that an engine's events show. */
import { createKvEventFeed } from '../../src/backends/kv-event-feed.ts';
import { readKvEvent, type BlockStored, type EngineHash } from '../../src/reuse/kv-events.ts';
import { eventHash, vllmBlockHashes } from '../../src/reuse/vllm-hash.ts';
import type { Engine } from './engines.ts';

export interface HashCheck {
  readonly blocks: number;
  readonly equal: number;
  /** Blocks whose parent was not seen. */
  readonly orphans: number;
}

const nameOf = ({ high, low }: EngineHash): bigint =>
  (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

export function watchHashes(engine: Engine): { close(): Promise<HashCheck> } {
  if (engine.events === null) throw new Error('this engine publishes no events');
  const feed = createKvEventFeed({
    endpoint: engine.events.endpoint,
    replayEndpoint: engine.events.replay,
  });
  /** Tokens from the start of the prompt up to the end of each block, and its salt. */
  const prefixes = new Map<
    bigint,
    { readonly tokens: readonly number[]; readonly salt: unknown }
  >();
  let [blocks, equal, orphans] = [0, 0, 0];
  let next = 0;
  const check = (event: BlockStored): void => {
    const parent = event.parent === null ? null : prefixes.get(nameOf(event.parent));
    blocks += event.hashes.length;
    if (parent === undefined) {
      orphans += event.hashes.length;
      return;
    }
    const salt = parent?.salt ?? event.extraKeys?.[0]?.[0] ?? null;
    const tokens = [...(parent?.tokens ?? []), ...event.tokens];
    const digests = vllmBlockHashes(Uint32Array.from(tokens), {
      blockTokens: event.blockTokens,
      seed: null,
      extra: (block) => (block === 0 && typeof salt === 'string' ? [['cache_salt', salt]] : null),
    });
    const first = (parent?.tokens.length ?? 0) / event.blockTokens;
    event.hashes.forEach((hash, at) => {
      const block = first + at;
      const digest = digests.subarray(block * 32, (block + 1) * 32);
      if (eventHash(digest) === nameOf(hash)) equal += 1;
      prefixes.set(nameOf(hash), {
        tokens: tokens.slice(0, (block + 1) * event.blockTokens),
        salt,
      });
    });
  };
  const take = (batch: {
    readonly sequence: number;
    readonly events: readonly unknown[];
  }): void => {
    if (batch.sequence < next) return;
    next = batch.sequence + 1;
    for (const raw of batch.events) {
      const event = readKvEvent(raw);
      if (event?.type === 'stored') check(event);
    }
  };
  const end = feed.subscribe({ onBatch: take, onState: () => undefined });
  return {
    async close() {
      end();
      return { blocks, equal, orphans };
    },
  };
}
