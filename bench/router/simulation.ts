/** Replicas that compute prompts one after the other and cache blocks of 512 tokens, least recently used out first. */

/** One request of a trace. `blocks`: one id per 512 tokens; equal ids mean equal prefixes. */
export interface TraceRequest {
  readonly at: number;
  readonly tokens: number;
  readonly outputTokens: number;
  readonly blocks: readonly number[];
  /** Conversation: requests that share more than the first block with an earlier one continue its session. */
  readonly session: number;
}

export const traceBlockTokens = 512;

export interface Hardware {
  /** Prompt tokens a second that one replica computes. */
  readonly prefillRate: number;
  /** Seconds a generated token. */
  readonly decodeSeconds: number;
  /** Seconds of any answer besides computing the prompt. */
  readonly overheadSeconds: number;
  /** Blocks of prefix cache a replica. */
  readonly cacheBlocks: number;
}

/** What happened to one request. Times in seconds since the start of the trace. */
export interface Served {
  readonly hitBlocks: number;
  readonly uncachedTokens: number;
  readonly prefillEnd: number;
  readonly decodeEnd: number;
}

export interface Load {
  /** Requests not yet finished. */
  readonly running: number;
  /** Uncached tokens whose prompt computation has not ended. */
  readonly queuedTokens: number;
  /** Prompt tokens of unfinished requests. */
  readonly activeTokens: number;
}

export interface SimulatedReplica {
  serve(request: TraceRequest): Served;
  /** Blocks of the request's prefix that it holds now (an oracle; routers without events must not look). */
  heldBlocks(request: TraceRequest): number;
  load(now: number): Load;
}

interface Job {
  readonly served: Served;
  readonly tokens: number;
}

/** First come, first served: what a request finds in the cache is what all earlier ones left. */
export function createSimulatedReplica(hardware: Hardware): SimulatedReplica {
  const cache = new Map<number, true>();
  let jobs: Job[] = [];
  let busyUntil = 0;
  const heldBlocks = ({ blocks }: TraceRequest): number => {
    let held = 0;
    while (held < blocks.length && cache.has(blocks[held] ?? -1)) held += 1;
    return held;
  };
  return {
    heldBlocks,
    serve(request) {
      const hitBlocks = heldBlocks(request);
      const hit = Math.min(hitBlocks * traceBlockTokens, request.tokens - 1);
      const uncachedTokens = request.tokens - hit;
      const start = Math.max(request.at, busyUntil);
      busyUntil = start + uncachedTokens / hardware.prefillRate;
      const prefillEnd = busyUntil + hardware.overheadSeconds;
      const decodeEnd = prefillEnd + request.outputTokens * hardware.decodeSeconds;
      // The head of a prompt is the last to be evicted.
      for (const block of request.blocks.toReversed()) {
        cache.delete(block);
        cache.set(block, true);
      }
      for (const block of cache.keys()) {
        if (cache.size <= hardware.cacheBlocks) break;
        cache.delete(block);
      }
      const served = { hitBlocks, uncachedTokens, prefillEnd, decodeEnd };
      jobs.push({ served, tokens: request.tokens });
      return served;
    },
    load(now) {
      jobs = jobs.filter(({ served }) => served.decodeEnd > now);
      const queued = jobs.filter(({ served }) => served.prefillEnd > now);
      return {
        running: jobs.length,
        queuedTokens: queued.reduce((sum, { served }) => sum + served.uncachedTokens, 0),
        activeTokens: jobs.reduce((sum, { tokens }) => sum + tokens, 0),
      };
    },
  };
}
