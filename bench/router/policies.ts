/** Routers to compare: ours and restatements of the ones in the field. All see the same replicas. */
import type { Chain } from '../../src/reuse/chain.ts';
import { createReplicaIndex } from '../../src/reuse/replica-index.ts';
import {
  chooseReplica,
  decayed,
  defaultRouterOptions,
  type RouterOptions,
} from '../../src/reuse/router.ts';
import {
  traceBlockTokens,
  type Hardware,
  type Load,
  type Served,
  type SimulatedReplica,
  type TraceRequest,
} from './simulation.ts';

export interface Policy {
  readonly name: string;
  choose(request: TraceRequest, replicas: readonly SimulatedReplica[]): number;
  /** Told what the replica reported afterwards. */
  served?(request: TraceRequest, replica: number, outcome: Served): void;
}

export function roundRobin(): Policy {
  let next = 0;
  return {
    name: 'round-robin',
    choose: (_, replicas) => {
      next += 1;
      return (next - 1) % replicas.length;
    },
  };
}

/** Fewest unfinished requests; ties go to the smaller index. */
export function leastLoad(): Policy {
  return {
    name: 'least-load',
    choose: (request, replicas) => indexOfLeast(replicas.map((r) => r.load(request.at).running)),
  };
}

/** 128 points a replica on a ring of 32 bits. */
export function consistentHash(): Policy {
  let ring: readonly (readonly [number, number])[] = [];
  return {
    name: 'consistent-hash (session)',
    choose(request, replicas) {
      if (ring.length === 0) {
        ring = replicas
          .flatMap((_, at) =>
            Array.from({ length: 128 }, (__, point) => [mix(at * 128 + point + 1), at] as const),
          )
          .toSorted((a, b) => a[0] - b[0]);
      }
      const key = mix(request.session + 1_000_003);
      return (ring.find(([point]) => point >= key) ?? ring[0])?.[1] ?? 0;
    },
  };
}

/**
 * The approximate radix router of the SGLang gateway: best match above a share, else the smallest tree; shortest queue
 * when unbalanced by a number of requests and a ratio. Both sets of published defaults are run. Trees are bounded by leaf
 * eviction, oldest first; the bound here is the replica's capacity, which favours it (its default is far larger).
 */
export function radix(hardware: Hardware, replicas: number, defaults: 'cli' | 'library'): Policy {
  const [threshold, absolute, relative] = defaults === 'cli' ? [0.3, 64, 1.5] : [0.5, 32, 1.1];
  const trees = Array.from({ length: replicas }, () => new Map<number, true>());
  const matched = (tree: ReadonlyMap<number, true>, blocks: readonly number[]): number => {
    let held = 0;
    while (held < blocks.length && tree.has(blocks[held] ?? -1)) held += 1;
    return held;
  };
  const remember = (tree: Map<number, true>, blocks: readonly number[]): void => {
    for (const block of blocks.toReversed()) {
      tree.delete(block);
      tree.set(block, true);
    }
    for (const block of tree.keys()) {
      if (tree.size <= hardware.cacheBlocks) break;
      tree.delete(block);
    }
  };
  return {
    name: `approximate radix (${defaults})`,
    choose(request, all) {
      const running = all.map((replica) => replica.load(request.at).running);
      const most = Math.max(...running);
      const fewest = Math.min(...running);
      let chosen: number;
      if (most - fewest > absolute && most > relative * fewest) {
        chosen = indexOfLeast(running);
      } else {
        const matches = trees.map((tree) => matched(tree, request.blocks));
        const best = indexOfLeast(matches.map((held) => -held));
        const share = (matches[best] ?? 0) / request.blocks.length;
        chosen = share > threshold ? best : indexOfLeast(trees.map((tree) => tree.size));
      }
      const tree = trees[chosen];
      if (tree !== undefined) remember(tree, request.blocks);
      return chosen;
    },
  };
}

/**
 * The cost of Dynamo's KV router at temperature 0 with an exact index: prefill blocks (queued and new, less the
 * overlap) plus blocks of running requests, both with weight 1.
 */
export function dynamoLike(): Policy {
  return {
    name: 'dynamo-like cost',
    choose(request, replicas) {
      const costs = replicas.map((replica) => {
        const load = replica.load(request.at);
        const overlap = replica.heldBlocks(request) * traceBlockTokens;
        const prefill = (load.queuedTokens + request.tokens - overlap) / traceBlockTokens;
        return prefill + (load.activeTokens + request.tokens) / traceBlockTokens;
      });
      return indexOfLeast(costs);
    },
  };
}

const halfLifeMs = 600_000;

/** Sluice without any feed from the engines: its own index, bounded like the replicas, corrected by reported hits. */
export function sluice(
  hardware: Hardware,
  replicas: number,
  options: Partial<RouterOptions> = {},
): Policy {
  const indexes = Array.from({ length: replicas }, () =>
    createReplicaIndex({
      blockTokens: traceBlockTokens,
      groups: [{ kind: 'full' }],
      maxBlocks: hardware.cacheBlocks,
      feed: 'estimated',
      names: 'chain',
      speculativeMs: 2000,
      expiryMs: null,
    }),
  );
  const constants: RouterOptions = {
    ...defaultRouterOptions,
    defaultPrefillRate: hardware.prefillRate,
    ...options,
  };
  const recent = indexes.map(() => ({ tokens: 0, at: 0 }));
  // The conversation's replica: where the deepest known block of the prompt went last (the first block is
  // what all conversations share).
  const lastReplica = new Map<number, number>();
  return {
    name: 'sluice',
    choose(request, all) {
      const now = request.at * 1000;
      const chain = traceChain(request);
      const matches = indexes.map((index) => index.match(chain, now));
      const views = all.map((replica, at) => {
        const load: Load = replica.load(request.at);
        const match = matches[at];
        return {
          id: String(at),
          eligible: true,
          hitTokens: Math.min(match?.tokens ?? 0, request.tokens - 1),
          creditTokens: Math.min(match?.credit ?? 0, request.tokens - 1),
          prefillRate: null,
          ...load,
          capacityTokens: hardware.cacheBlocks * traceBlockTokens,
          recentTokens: decayed(recent[at]?.tokens ?? 0, recent[at]?.at ?? 0, now, halfLifeMs),
        };
      });
      const known = request.blocks.findLastIndex((block) => lastReplica.has(block));
      const previous = known > 0 ? lastReplica.get(request.blocks[known] ?? -1) : undefined;
      const route = chooseReplica(
        {
          promptTokens: request.tokens,
          previous: previous === undefined ? null : String(previous),
        },
        views,
        constants,
      );
      const chosen = route?.replica ?? 0;
      const view = views[chosen];
      if (view !== undefined) {
        recent[chosen] = { tokens: view.recentTokens + request.tokens - view.hitTokens, at: now };
      }
      for (const block of request.blocks) lastReplica.set(block, chosen);
      indexes[chosen]?.record(chain, now);
      return chosen;
    },
  };
}

/** The ids of a trace as block names; the trace's last, incomplete block counts like a full one. */
export function traceChain(request: TraceRequest): Chain {
  const words = new Uint32Array(request.blocks.length * 4);
  for (const [at, id] of request.blocks.entries()) {
    for (let word = 0; word < 4; word += 1) words[at * 4 + word] = mix(id * 4 + word + 7);
  }
  const tokens = request.blocks.length * traceBlockTokens + 1;
  return { blockTokens: traceBlockTokens, tokens, words, exact: true };
}

function indexOfLeast(values: readonly number[]): number {
  let best = 0;
  for (const [at, value] of values.entries()) if (value < (values[best] ?? Infinity)) best = at;
  return best;
}

/** Finaliser of MurmurHash3 (public domain): spreads small integers over 32 bits, one to one. */
function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
