// Sluice as it is served, without the models: with compression off nothing of theirs is reached. `off` as the second
// argument switches it off by configuration; otherwise the client's header does.
import { createRemoteBackend } from '../dist/backends/remote.js';
import { letHeapGrow } from '../dist/cli/heap.js';
import { parseConfig } from '../dist/config/load.js';
import { systemClock } from '../dist/core/clock.js';
import { createGateway } from '../dist/gateway/gateway.js';
import { createServer } from '../dist/http/server.js';
import { createObserver } from '../dist/observe/observer.js';
import { createMemoryLedger } from '../dist/reuse/memory-ledger.js';
import { createReuse } from '../dist/reuse/reuse.js';

letHeapGrow();
const [, , upstream, mode] = process.argv;
const config = parseConfig({
  upstream: [upstream],
  backend: 'openai',
  log: { level: 'silent' },
  compress: { enabled: mode !== 'off' },
});
const { limits } = config;
const backend = await createRemoteBackend({
  url: upstream,
  kind: 'openai',
  connectMs: limits.connect_ms,
  headMs: limits.upstream_head_ms,
  idleMs: limits.upstream_idle_ms,
  tokenizer: null,
});
const observer = createObserver(config.log);
const unreachable = () => {
  throw new Error('compression is off in this bench');
};
const gateway = createGateway({
  config,
  backends: [backend],
  placement: null,
  tokenizer: {
    id: 'none',
    estimated: true,
    vocabularySize: 0,
    encode: unreachable,
    count: unreachable,
    decode: unreachable,
    specialId: unreachable,
  },
  compressors: unreachable,
  policy: '',
  reuse: createReuse({
    ledger: createMemoryLedger({ maxBytes: limits.decisions_bytes }),
    clock: systemClock,
    backend: () => backend.kind,
    fingerprint: backend.fingerprint,
    position: () => null,
    limitTokens: () => null,
    rate: config.compress.rate,
    always: false,
    maxConversations: 1000,
    ttlMs: null,
    prefillRate: () => null,
    storeMs: 500,
    onFailure: unreachable,
  }),
  observer,
  clock: systemClock,
  checks: {},
  close: async () => undefined,
});
const server = createServer({
  gateway,
  version: 'bench',
  openapi: '',
  maxBodyBytes: limits.max_body_bytes,
  trustTenantHeader: false,
  metrics: async () => ({ contentType: observer.metricsType, text: await observer.metricsText() }),
  onDefect: (error) => {
    throw error;
  },
});
const { port } = await server.listen('127.0.0.1', 0);
process.send({ port });
