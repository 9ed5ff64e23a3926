/** The servers behind this Sluice, and who chooses among them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEmbeddedBackend } from './backends/embedded.ts';
import { createKvEventFeed } from './backends/kv-event-feed.ts';
import { createRemoteBackend } from './backends/remote.ts';
import type { Backend } from './backends/types.ts';
import type { Config } from './config/types.ts';
import { systemClock } from './core/clock.ts';
import { scoutFolder } from './folders.ts';
import { defectFields } from './observe/defect.ts';
import type { Observer } from './observe/types.ts';
import { positionOf, type PositionScheme } from './reuse/position.ts';
import { createPlacement } from './reuse/placement.ts';
import type { KvFeed, PlacementReplica } from './reuse/placement-options.ts';
import { secretIn } from './reuse/salt.ts';
import type { Placement } from './reuse/types.ts';
import { loadChatTemplate } from './tokenize/chat-template.ts';
import { loadTokenizer } from './tokenize/load.ts';

/** One backend for each upstream, or the embedded one. @throws SluiceError MODEL_INVALID */
export async function createBackends(config: Config): Promise<readonly Backend[]> {
  const { upstream, backend: kind, limits } = config;
  if (upstream.length === 0 || kind === 'embedded') return [await embeddedBackend(config)];
  const { tokenizer: folder } = config;
  const tokenizer = folder === null ? null : loadTokenizer(folder);
  const template = folder === null ? null : loadChatTemplate(folder);
  return Promise.all(
    upstream.map((url) =>
      createRemoteBackend({
        url,
        kind,
        connectMs: limits.connect_ms,
        headMs: limits.upstream_head_ms,
        idleMs: limits.upstream_idle_ms,
        tokenizer,
        template,
      }),
    ),
  );
}

function embeddedBackend(config: Config): Promise<Backend> {
  return createEmbeddedBackend({
    folder: config.embedded.model ?? scoutFolder,
    threads: config.score.threads,
    maxTokens: config.embedded.max_tokens,
    queue: config.embedded.queue,
    maxBodyBytes: config.limits.max_body_bytes,
  });
}

/** null = there is nothing to choose and nothing to watch: the embedded backend answers. */
export function placementOf(
  config: Config,
  backends: readonly Backend[],
  observer: Observer,
): Placement | null {
  const { reuse, upstream } = config;
  if (upstream.length === 0) return null;
  const position = createPositions(config);
  return createPlacement({
    replicas: backends.map((backend, at) => replicaOf(backend, feedOf(config, at), position)),
    clock: systemClock,
    salt: reuse.salt,
    secret: reuse.salt === 'tenant' ? (reuse.salt_secret ?? secretIn(config.state_dir)) : null,
    pinSlots: reuse.pin_slots,
    onDefect: (error) =>
      observer.log.error(defectFields(error), 'placement worked around a defect'),
  });
}

/** What is known of each replica, as metrics. */
export function watchReplicas(observer: Observer, placement: Placement): void {
  type State = ReturnType<Placement['state']>[number];
  const gauge = (name: string, help: string, read: (state: State) => number | null): void =>
    observer.gauges(`sluice_replica_${name}`, help, 'replica', () =>
      placement.state().map((state) => [state.id, read(state)]),
    );
  gauge('healthy', '1 = it answers', ({ healthy }) => Number(healthy));
  gauge('draining', '1 = it gets nothing new', ({ draining }) => Number(draining));
  gauge('running', 'Requests on their way', ({ running }) => running);
  gauge('queued_tokens', 'Prompt tokens that wait there', ({ queuedTokens }) => queuedTokens);
  gauge(
    'prefill_tokens_per_second',
    'Prompt tokens that it computes in a second, as measured',
    ({ prefillTokensPerSecond }) => prefillTokensPerSecond,
  );
  gauge(
    'index_blocks',
    'Cache blocks that it is believed to hold',
    ({ indexBlocks }) => indexBlocks,
  );
  gauge(
    'events_live',
    '1 = its cache events arrive, 0 = they did; absent = it has none',
    (state) => (state.feed === 'none' ? null : Number(state.feed === 'live')),
  );
}

function replicaOf(
  backend: Backend,
  events: KvFeed | null,
  position: (backend: Backend) => PositionScheme | null,
): PlacementReplica {
  return {
    id: backend.name,
    facts: () => ({
      kind: backend.kind,
      // All upstreams serve one model: what one of them says about a prompt's ids holds for those like it.
      fingerprint: backend.kind,
      blockTokens: backend.limits?.blockTokens ?? null,
      contextWindow: backend.capabilities.contextWindow,
      capacityTokens: backend.limits?.capacityTokens ?? null,
      slots: backend.limits?.slots ?? null,
      position: position(backend),
    }),
    promptTokens: async (body, path, signal) =>
      (await backend.promptTokens?.of(body, path, signal)) ?? null,
    confirm: (told, promptTokens) => backend.promptTokens?.confirm(told, promptTokens),
    events,
    check: (signal) => backend.check(signal),
  };
}

/**
 * Position scheme of a served model, where the folder of its tokenizer has its `config.json`; null = not known. The
 * server's kind and limit count as well, and may be found out late.
 */
export function createPositions(
  config: Config,
): (backend: Pick<Backend, 'kind' | 'capabilities'>) => PositionScheme | null {
  const model = config.tokenizer === null ? null : modelConfig(config.tokenizer);
  if (model === null) return () => null;
  const known = new Map<string, PositionScheme>();
  return ({ kind, capabilities }) => {
    const maxLength = capabilities.contextWindow;
    const key = `${kind} ${maxLength}`;
    const server = kind === 'tgi' ? 'transformers' : serverKinds.find((name) => name === kind);
    const position =
      known.get(key) ?? positionOf(model, { kind: server ?? 'other', version: null, maxLength });
    // A server changes once or twice, when it is found out.
    if (known.size < 100) known.set(key, position);
    return position;
  };
}

const serverKinds = ['vllm', 'sglang', 'llamacpp', 'ollama'] as const;

function modelConfig(folder: string): unknown {
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    return value;
  } catch {
    return null;
  }
}

function feedOf({ reuse }: Config, at: number): KvFeed | null {
  const endpoint = named(reuse.events[at]);
  if (endpoint === null) return null;
  return createKvEventFeed({ endpoint, replayEndpoint: named(reuse.event_replays[at]) });
}

function named(endpoint: string | undefined): string | null {
  return endpoint === undefined || endpoint === 'none' ? null : endpoint;
}
