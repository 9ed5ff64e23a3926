/** The composition root: the only place that constructs services and wires them together. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEmbeddedBackend } from './backends/embedded.ts';
import { createRemoteBackend } from './backends/remote.ts';
import type { Backend } from './backends/types.ts';
import { createCompressor } from './compress/create.ts';
import type { Compressor, CompressorDeps } from './compress/types.ts';
import { parseConfig } from './config/load.ts';
import type { Config } from './config/types.ts';
import { systemClock } from './core/clock.ts';
import type { BaselineName, MethodName } from './core/method.ts';
import { createGateway } from './gateway/gateway.ts';
import type { CompressTextInput, CompressTextResult, Gateway } from './gateway/types.ts';
import { createServer, type ProxyServer } from './http/server.ts';
import { defectFields } from './observe/defect.ts';
import { modelFolder } from './models.ts';
import { createObserver } from './observe/observer.ts';
import type { Observer } from './observe/types.ts';
import { createMemoryLedger } from './reuse/memory-ledger.ts';
import { createReuse } from './reuse/reuse.ts';
import type { Ledger, Reuse } from './reuse/types.ts';
import { createScorers, type ScorerPool } from './score/create.ts';
import { loadTokenizer } from './tokenize/load.ts';
import { version } from './version.ts';
import type { TextTokenizer } from './tokenize/types.ts';

/** Folder of the package: models/, openapi.yaml and package.json lie there, in a checkout and when installed. */
export const packageFolder: string = fileURLToPath(new URL('..', import.meta.url));

/** Folder of the shipped causal model. */
export const scoutFolder: string = join(packageFolder, 'models', 'scout');

export interface Sluice {
  readonly config: Config;
  readonly gateway: Gateway;
  readonly observer: Observer;
  /** Shortens texts under one budget. @throws SluiceError with a code of docs/errors.md */
  compress(input: CompressTextInput): Promise<CompressTextResult>;
  /** The compressor of a method or baseline, over the same tokenizer and scorers. */
  compressor(method: MethodName | BaselineName): Compressor;
  /** Starts the proxy on the configured host and port, with its backend loaded. @throws SluiceError MODEL_INVALID */
  listen(): Promise<{ readonly host: string; readonly port: number; readonly url: string }>;
  /** Stops accepting, waits for running requests, frees workers and sockets. */
  close(): Promise<void>;
}

/**
 * Wires everything from a configuration (the same keys as the file; unknown keys are errors).
 * @throws SluiceError CONFIG_INVALID, MODEL_INVALID
 */
export async function createSluice(input: unknown = {}): Promise<Sluice> {
  const config = parseConfig(input);
  const observer = createObserver({ ...config.log, version });
  const scorers = await scorersOf(config);
  const { backend, tokenizer } = await backendOf(config).catch(async (error: unknown) => {
    await scorers.close();
    throw error;
  });
  const compressors = compressorSource({ tokenizer, scorers, tier: config.compress.tier });
  const ledger = createMemoryLedger({ maxBytes: config.limits.decisions_bytes });
  const gateway = createGateway({
    config,
    backends: [backend],
    placement: null,
    tokenizer,
    compressors,
    reuse: reuseOf(config, { backend, ledger, observer }),
    observer,
    clock: systemClock,
    checks: {
      models: async () => ({
        ok: scorers.ready,
        detail: scorers.ready ? 'warm' : 'models are still warming up',
      }),
      backend: () => backend.check(null),
    },
    close: async () => {
      await Promise.all([backend.close(), scorers.close(), ledger.close()]);
    },
  });
  watchScorers(observer, scorers);
  let server: ProxyServer | null = null;
  return {
    config,
    gateway,
    observer,
    compress: (request) => gateway.compressText(request),
    compressor: compressors,
    async listen() {
      await backend.start?.();
      server ??= serverOf(gateway, observer, config);
      return server.listen(config.host, config.port);
    },
    async close() {
      await server?.close();
      await gateway.close();
      observer.close();
    },
  };
}

function scorersOf(config: Config): Promise<ScorerPool> {
  return createScorers({
    surprisal: config.score.model ?? scoutFolder,
    keep: config.score.classifier,
    vectors: modelFolder(config.score.vectors, 'vectors'),
    table: modelFolder(config.score.table, 'table'),
    pairs: modelFolder(config.score.pairs, 'pairs'),
    workers: config.score.workers,
    threads: config.score.threads,
    queue: config.score.queue,
    cacheEntries: config.score.cache_entries,
    vectorBytes: config.score.vector_bytes,
  });
}

function reuseOf(
  config: Config,
  deps: { readonly backend: Backend; readonly ledger: Ledger; readonly observer: Observer },
): Reuse {
  const { backend, ledger, observer } = deps;
  return createReuse({
    ledger,
    clock: systemClock,
    backend: backend.kind,
    fingerprint: backend.fingerprint,
    position: null,
    limitTokens: backend.capabilities.contextWindow,
    rate: config.compress.rate,
    maxConversations: 100_000,
    ttlMs: null,
    prefillRate: () => null,
    storeMs: 500,
    onFailure: (error) => observer.log.error(defectFields(error), 'the store of decisions failed'),
  });
}

function serverOf(gateway: Gateway, observer: Observer, config: Config): ProxyServer {
  return createServer({
    gateway,
    version,
    openapi: readFileSync(join(packageFolder, 'openapi.yaml'), 'utf8'),
    maxBodyBytes: config.limits.max_body_bytes,
    trustTenantHeader: config.tenant.trust_header,
    metrics: async () => ({
      contentType: observer.metricsType,
      text: await observer.metricsText(),
    }),
    onDefect: (error) => observer.log.error(defectFields(error), 'a defect was worked around'),
  });
}

async function backendOf(
  config: Config,
): Promise<{ readonly backend: Backend; readonly tokenizer: TextTokenizer }> {
  const backend = await createBackend(config);
  try {
    return { backend, tokenizer: tokenizerFor(backend) };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

function createBackend(config: Config): Promise<Backend> {
  const [url] = config.upstream;
  if (url === undefined || config.backend === 'embedded') {
    return createEmbeddedBackend({
      folder: config.embedded.model ?? scoutFolder,
      threads: config.score.threads,
      maxTokens: config.embedded.max_tokens,
      queue: config.embedded.queue,
      maxBodyBytes: config.limits.max_body_bytes,
    });
  }
  return createRemoteBackend({
    url,
    kind: config.backend,
    connectMs: config.limits.connect_ms,
    headMs: config.limits.upstream_head_ms,
    idleMs: config.limits.upstream_idle_ms,
    tokenizer: config.tokenizer === null ? null : loadTokenizer(config.tokenizer),
  });
}

/** The backend's own tokenizer when it is known; else the shipped one, whose counts are marked estimated. */
function tokenizerFor(backend: Backend): TextTokenizer {
  return backend.tokenizer ?? loadTokenizer(scoutFolder, { estimated: true });
}

/** One compressor per method, made when first asked for. */
function compressorSource(deps: CompressorDeps): (method: MethodName | BaselineName) => Compressor {
  const made = new Map<MethodName | BaselineName, Compressor>();
  return (method) => {
    const known = made.get(method);
    if (known !== undefined) return known;
    const compressor = createCompressor(method, deps);
    made.set(method, compressor);
    return compressor;
  };
}

function watchScorers(observer: Observer, scorers: ScorerPool): void {
  observer.gauge(
    'sluice_scorer_queue',
    'Chunks waiting for a scorer worker',
    () => scorers.stats().queued,
  );
  observer.counter(
    'sluice_scorer_tokens_total',
    'Tokens that went through the scorers',
    () => scorers.stats().tokensFed,
  );
  observer.counter(
    'sluice_scorer_crashes_total',
    'Scorer workers that died',
    () => scorers.stats().crashes,
  );
}
