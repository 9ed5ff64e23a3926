/** The composition root: the only place that constructs services and wires them together. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from './backends/types.ts';
import type { Compressor } from './compress/types.ts';
import { compressorSource } from './compressors.ts';
import { parseConfig } from './config/load.ts';
import type { Config } from './config/types.ts';
import { planExtensionSteps } from './context/extension/plan.ts';
import { systemClock } from './core/clock.ts';
import { SluiceError } from './core/errors.ts';
import type { BaselineName, MethodName } from './core/method.ts';
import { createTurns } from './core/turns.ts';
import { createDecisions, policyOf } from './decisions.ts';
import { packageFolder, scoutFolder } from './folders.ts';
import { createGateway } from './gateway/gateway.ts';
import type { CompressTextInput, CompressTextResult, Gateway } from './gateway/types.ts';
import { createServer, type ProxyServer } from './http/server.ts';
import { defectFields } from './observe/defect.ts';
import { modelFolder } from './models.ts';
import { createObserver } from './observe/observer.ts';
import type { Observer } from './observe/types.ts';
import type { ConversationPlan } from './plan-conversation.ts';
import { createPlans, type PlanOptions } from './plans.ts';
import { createScorers, type ScorerPool } from './score/create.ts';
import { createBackends, placementOf, watchReplicas } from './servers.ts';
import { loadTokenizer } from './tokenize/load.ts';
import { version } from './version.ts';
import { longInputTools } from './window-tools.ts';
import type { TextTokenizer } from './tokenize/types.ts';

export { packageFolder, scoutFolder };

export interface Sluice {
  readonly config: Config;
  readonly gateway: Gateway;
  readonly observer: Observer;
  /** Shortens texts under one budget. @throws SluiceError with a code of docs/errors.md */
  compress(input: CompressTextInput): Promise<CompressTextResult>;
  /**
   * What a conversation would cost through this Sluice, turn by turn. Nothing is sent, nothing is remembered, and what
   * is remembered of other conversations plays no part.
   * @param input chat request, its list of messages, or the requests of a conversation in order
   * @throws SluiceError REQUEST_INVALID, ABORTED; QUEUE_FULL when several others are being made
   */
  plan(input: unknown, options?: PlanOptions): Promise<ConversationPlan>;
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
  const { backends, backend, tokenizer } = await backendsOf(config).catch(
    async (error: unknown) => {
      await scorers.close();
      throw error;
    },
  );
  const compressors = compressorSource({ tokenizer, scorers, tier: config.compress.tier });
  const placement = placementOf(config, backends, observer);
  const { ledger, reuse } = await createDecisions(config, { backend, placement, observer });
  const gateway = createGateway({
    config,
    backends,
    placement,
    tokenizer,
    compressors,
    ...longInputTools,
    reuse,
    policy: policyOf(config, tokenizer.id),
    observer,
    clock: systemClock,
    checks: {
      models: async () => ({
        ok: scorers.ready,
        detail: scorers.ready ? 'warm' : 'models are still warming up',
      }),
      backend: () => anyAnswers(backends),
    },
    close: async () => {
      await placement?.close();
      const servers = backends.map((server) => server.close());
      await Promise.all([...servers, scorers.close(), ledger.close()]);
    },
  });
  watchScorers(observer, scorers);
  if (placement !== null) watchReplicas(observer, placement);
  const plan = createPlans(config, { backend, placement, tokenizer, scorers, compressors });
  let server: ProxyServer | null = null;
  return {
    config,
    gateway,
    observer,
    plan,
    compress: (request) => gateway.compressText(request),
    compressor: compressors,
    async listen() {
      await backend.start?.();
      server ??= serverOf(config, { gateway, observer, plan });
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
    keep: modelFolder(config.score.classifier, 'classifier'),
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

function serverOf(
  config: Config,
  { gateway, observer, plan }: Pick<Sluice, 'gateway' | 'observer' | 'plan'>,
): ProxyServer {
  return createServer({
    gateway,
    version,
    plan,
    extend: (input, signal) => createTurns(signal).run(planExtensionSteps(input)),
    openapi: readFileSync(join(packageFolder, 'openapi.yaml'), 'utf8'),
    maxBodyBytes: config.limits.max_body_bytes,
    trustTenantHeader: config.tenant.trust_header,
    affinityHeader: config.reuse.affinity_header,
    metrics: async () => ({
      contentType: observer.metricsType,
      text: await observer.metricsText(),
    }),
    onDefect: (error) => observer.log.error(defectFields(error), 'a defect was worked around'),
  });
}

/** Requests can be served as long as one server answers. */
async function anyAnswers(
  backends: readonly Backend[],
): Promise<{ readonly ok: boolean; readonly detail: string }> {
  const checks = await Promise.all(backends.map((backend) => backend.check(null)));
  return {
    ok: checks.some(({ ok }) => ok),
    detail: checks.map(({ detail }) => detail).join('; '),
  };
}

async function backendsOf(config: Config): Promise<{
  readonly backends: readonly Backend[];
  readonly backend: Backend;
  readonly tokenizer: TextTokenizer;
}> {
  const backends = await createBackends(config);
  try {
    const [backend] = backends;
    if (backend === undefined) throw new SluiceError('INTERNAL', 'There is no backend');
    return { backends, backend, tokenizer: tokenizerFor(backend) };
  } catch (error) {
    await Promise.all(backends.map((backend) => backend.close()));
    throw error;
  }
}

/** The backend's own tokenizer when it is known; else the shipped one, whose counts are marked estimated. */
function tokenizerFor(backend: Backend): TextTokenizer {
  return backend.tokenizer ?? loadTokenizer(scoutFolder, { estimated: true });
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
