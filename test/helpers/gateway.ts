/** A real gateway over a fake backend and a compressor that tests decide. */
import type { Backend, CountTokens } from '../../src/backends/types.ts';
import type { CompressJob, Compressor, SegmentResult } from '../../src/compress/types.ts';
import { parseConfig } from '../../src/config/load.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { Gateway, PrepareInput, Wishes } from '../../src/gateway/types.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createObserver } from '../../src/observe/observer.ts';
import type { Observer } from '../../src/observe/types.ts';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';
import type { Ledger, Placement, Reuse } from '../../src/reuse/types.ts';
import { testReuse } from './reuse.ts';
import { fakeTokenizer as makeTokenizer } from './fake-tokenizer.ts';

const fakeTokenizer = makeTokenizer();

const nothing: Backend = {
  kind: 'embedded',
  name: 'fake:0',
  capabilities: {
    prefixCache: null,
    reportsCachedTokens: null,
    tokenizeRoute: null,
    contextWindow: null,
    refusesLength: null,
    noticesAbort: null,
  },
  fingerprint: 'fake',
  tokenizer: null,
  forward() {
    throw new Error('this backend forwards nothing');
  },
  check: async () => ({ ok: true, detail: 'fake' }),
  close: async () => {},
};

/** Keeps the first half of every segment's words; notes every job it gets. */
export function halvingCompressor(jobs: CompressJob[] = []): Compressor {
  return {
    method: 'extractive',
    id: 'halving@1',
    async compress(job) {
      jobs.push(job);
      job.signal?.throwIfAborted();
      const segments = job.segments.map(({ text }): SegmentResult => {
        const words = text.split(/(?<=\s)/);
        const output = words.slice(0, Math.ceil(words.length / 2)).join('');
        return {
          mask: {
            starts: Uint32Array.of(0, output.length),
            ends: Uint32Array.of(output.length, text.length),
            keep: Uint8Array.of(1, 0),
            why: Uint8Array.of(1, 0),
            scores: null,
          },
          text: output,
          method: 'extractive',
          skipped: null,
          tokensBefore: fakeTokenizer.count(text),
          tokensAfter: fakeTokenizer.count(output),
        };
      });
      const sum = (pick: (result: SegmentResult) => number): number =>
        segments.reduce((total, result) => total + pick(result), 0);
      return {
        segments,
        order: segments.map((_, at) => at),
        tokensBefore: sum((result) => result.tokensBefore),
        tokensAfter: sum((result) => result.tokensAfter),
        budgetTokens: null,
        notes: [],
      };
    },
  };
}

export function testGateway(options: {
  readonly compressor?: Compressor;
  readonly config?: Record<string, unknown>;
  readonly ledger?: Ledger;
  /** Default: one over the ledger. */
  readonly reuse?: Reuse;
  readonly placement?: Placement;
  readonly policy?: string;
  readonly observer?: Observer;
  /** Default: one that forwards nothing. */
  readonly backend?: Backend;
  readonly backends?: readonly Backend[];
  /** Makes the backend one that counts, at `/tokenize`. */
  readonly countTokens?: CountTokens;
}): Gateway {
  const config = parseConfig({ log: { level: 'silent' }, ...options.config });
  const compressor = options.compressor ?? halvingCompressor();
  const { countTokens, backend = nothing } = options;
  return createGateway({
    config,
    backends: options.backends ?? [
      countTokens === undefined
        ? backend
        : {
            ...nothing,
            countTokens,
            capabilities: { ...nothing.capabilities, tokenizeRoute: '/tokenize' },
          },
    ],
    placement: options.placement ?? null,
    tokenizer: fakeTokenizer,
    policy: options.policy ?? 'test',
    compressors: () => compressor,
    reuse:
      options.reuse ??
      testReuse(
        options.ledger ?? createMemoryLedger({ maxBytes: 10_000_000 }),
        config.compress.rate,
      ),
    observer: options.observer ?? createObserver({ level: 'silent' }),
    clock: systemClock,
    checks: {},
    close: async () => {},
  });
}

export function input(body: string | object, wishes: Wishes = {}, tenant = ''): PrepareInput {
  return {
    path: '/v1/chat/completions',
    contentEncoding: null,
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    wishes,
    tenant,
    signal: null,
  };
}

/** A document long enough to be worth compressing; different numbers, different text. */
export function longDocument(seed: number, sentences = 40): string {
  return Array.from(
    { length: sentences },
    (_, at) =>
      `Station ${seed}-${at} lies ${at * 7 + seed} kilometres east of the harbour and opened in ${1900 + at}.`,
  ).join(' ');
}
