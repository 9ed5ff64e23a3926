/** What is remembered of conversations, and where, as configured. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Backend } from './backends/types.ts';
import type { Config } from './config/types.ts';
import { systemClock } from './core/clock.ts';
import { defectFields } from './observe/defect.ts';
import type { Observer } from './observe/types.ts';
import { createMemoryLedger } from './reuse/memory-ledger.ts';
import { createReuse } from './reuse/reuse.ts';
import { createDiskLedger } from './reuse/stores/disk.ts';
import { createRedisLedger } from './reuse/stores/redis.ts';
import type { StoredLedger, StoreStats } from './reuse/stores/types.ts';
import type { Ledger, Placement, Reuse } from './reuse/types.ts';
import { createPositions } from './servers.ts';
import { version } from './version.ts';

/** Milliseconds that a call of the store may take before a request goes on without it. */
const storeMs = 500;
const weekSeconds = 604_800;

export interface Decisions {
  readonly ledger: Ledger;
  readonly reuse: Reuse;
}

export interface DecisionDeps {
  /** What is asked of the server that the prompts are for. */
  readonly backend: Pick<Backend, 'kind' | 'fingerprint' | 'capabilities'>;
  /** Measures its speed; null = nobody does. */
  readonly placement: Placement | null;
  readonly observer: Observer;
}

/** A store that cannot be used is a warning, never an error: requests go on without it. */
export async function createDecisions(config: Config, deps: DecisionDeps): Promise<Decisions> {
  const { backend, placement, observer } = deps;
  const ledger = await createLedger(config, observer);
  const position = createPositions(config);
  const { cache_seconds: cacheSeconds, max_conversations: maxConversations } = config.reuse;
  const reuse = createReuse({
    ledger,
    clock: systemClock,
    backend: () => backend.kind,
    fingerprint: backend.fingerprint,
    position: () => position(backend),
    limitTokens: () => backend.capabilities.contextWindow,
    rate: config.compress.rate,
    always: config.compress.when === 'always',
    maxConversations,
    ttlMs: cacheSeconds === null ? null : cacheSeconds * 1000,
    prefillRate: () => prefillRateOf(placement),
    storeMs,
    onFailure: (error) => observer.log.error(defectFields(error), 'the store of decisions failed'),
  });
  observer.counter(
    'sluice_store_errors_total',
    'Calls of the store of decisions that failed or came too late',
    () => reuse.totals().storeErrors,
  );
  observer.gauge(
    'sluice_conversations',
    'Conversations whose lessons are remembered',
    () => reuse.totals().conversations,
  );
  observer.counter(
    'sluice_stopped_conversations_total',
    'Conversations that are not compressed any more because it cost more than it saved',
    () => reuse.totals().stoppedSessions,
  );
  return { ledger, reuse };
}

async function createLedger(config: Config, observer: Observer): Promise<Ledger> {
  const { reuse, limits, state_dir: stateDir } = config;
  const onWarning = (message: string): void => observer.log.warn({}, message);
  const { max_conversations: maxConversations } = reuse;
  if (reuse.store === 'memory') {
    return createMemoryLedger({ maxBytes: limits.decisions_bytes });
  }
  const cacheBytes = limits.decisions_bytes;
  const ledger: StoredLedger =
    reuse.store === 'redis' && reuse.redis_url !== null
      ? await createRedisLedger({
          url: reuse.redis_url,
          prefix: reuse.redis_prefix,
          ttlSeconds: reuse.ttl_seconds ?? weekSeconds,
          timeoutMs: storeMs / 2,
          cacheBytes,
          onWarning,
        })
      : await createDiskLedger({
          folder: join(stateDir, 'decisions'),
          maxBytes: reuse.store_bytes,
          maxConversations,
          cacheBytes,
          onWarning,
        });
  watchStore(observer, ledger);
  return ledger;
}

function watchStore(observer: Observer, ledger: StoredLedger): void {
  observer.gauge(
    'sluice_store_available',
    '1 = decisions reach their store, 0 = they are in this process alone',
    () => Number(ledger.stats().available),
  );
  observer.gauge(
    'sluice_store_pending',
    'Decisions that wait to be written to the store',
    () => ledger.stats().pending,
  );
  const size = (name: string, help: string, read: (stats: StoreStats) => number | null): void =>
    observer.gauges(`sluice_store_${name}`, help, 'store', () => {
      const stats = ledger.stats();
      return [[stats.kind, read(stats)]];
    });
  size('decisions', 'Decisions in the store', ({ decisions }) => decisions);
  size('bytes', 'Bytes that the store takes', ({ bytes }) => bytes);
  observer.counter(
    'sluice_store_fallbacks_total',
    'Calls that were answered by this process alone, because the store could not be asked',
    () => ledger.stats().fallbacks,
  );
  observer.counter(
    'sluice_store_conflicts_total',
    'Times that another process had decided the same text differently while the store was away',
    () => ledger.stats().conflicts,
  );
}

/** The fastest server's measured speed: compressing must pay even there. null = not measured. */
export function prefillRateOf(placement: Placement | null): number | null {
  const rates = (placement?.state() ?? []).flatMap(
    ({ prefillTokensPerSecond }) => prefillTokensPerSecond ?? [],
  );
  return rates.length === 0 ? null : Math.max(...rates);
}

/** Label of what decides how a text is shortened. With another one, conversations start anew: one miss each. */
export function policyOf(config: Config, tokenizer: string): string {
  const {
    method,
    tier,
    rate,
    min_tokens: minTokens,
    survivors,
    plain_text: plain,
  } = config.compress;
  const { model, classifier, vectors, table, pairs } = config.score;
  const models = { model, classifier, vectors, table, pairs };
  const { fit_rate: fitRate, limit_tokens: limit } = config.windows;
  return createHash('sha256')
    .update(
      JSON.stringify([
        version,
        tokenizer,
        method,
        tier,
        rate,
        minTokens,
        survivors,
        plain,
        models,
        fitRate,
        limit,
      ]),
    )
    .digest('base64url')
    .slice(0, 16);
}
