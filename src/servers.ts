/** The servers behind this Sluice, and who chooses among them. */
import { createEmbeddedBackend } from './backends/embedded.ts';
import { createKvEventFeed } from './backends/kv-event-feed.ts';
import { createRemoteBackend } from './backends/remote.ts';
import type { Backend } from './backends/types.ts';
import type { Config } from './config/types.ts';
import { systemClock } from './core/clock.ts';
import { scoutFolder } from './folders.ts';
import { defectFields } from './observe/defect.ts';
import type { Observer } from './observe/types.ts';
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
  return createPlacement({
    replicas: backends.map((backend, at) => replicaOf(backend, feedOf(config, at))),
    clock: systemClock,
    salt: reuse.salt,
    secret: reuse.salt === 'tenant' ? (reuse.salt_secret ?? secretIn(config.state_dir)) : null,
    pinSlots: reuse.pin_slots,
    onDefect: (error) =>
      observer.log.error(defectFields(error), 'placement worked around a defect'),
  });
}

function replicaOf(backend: Backend, events: KvFeed | null): PlacementReplica {
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
      position: null,
    }),
    promptTokens: async (body, path, signal) =>
      (await backend.promptTokens?.of(body, path, signal)) ?? null,
    confirm: (told, promptTokens) => backend.promptTokens?.confirm(told, promptTokens),
    events,
    check: (signal) => backend.check(signal),
  };
}

function feedOf({ reuse }: Config, at: number): KvFeed | null {
  const endpoint = named(reuse.events[at]);
  if (endpoint === null) return null;
  return createKvEventFeed({ endpoint, replayEndpoint: named(reuse.event_replays[at]) });
}

function named(endpoint: string | undefined): string | null {
  return endpoint === undefined || endpoint === 'none' ? null : endpoint;
}
