/** The whole way through server, gateway and windows in front of a small model, without scoring models. */
import type { TestContext } from 'node:test';
import { createRemoteBackend } from '../../src/backends/remote.ts';
import { createCompressor } from '../../src/compress/create.ts';
import { parseConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { Gateway } from '../../src/gateway/types.ts';
import { createObserver } from '../../src/observe/observer.ts';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';
import { longInputTools } from '../../src/window-tools.ts';
import { fakeTokenizer } from './fake-tokenizer.ts';
import { noScorers } from './fake-scorer.ts';
import { serveGateway } from './proxy.ts';
import { testReuse } from './reuse.ts';
import { startSmallModel, type SmallModel, type SmallModelOptions } from './small-model.ts';

export interface WindowProxy {
  readonly url: string;
  readonly gateway: Gateway;
  readonly model: SmallModel;
  readonly metrics: () => Promise<string>;
}

export async function startWindowProxy(
  t: TestContext,
  options: SmallModelOptions & {
    readonly config?: Record<string, object>;
    /** Default: one that nothing is known of. */
    readonly kind?: 'openai' | 'ollama';
    /** The local tokenizer is not the server's. */
    readonly estimated?: boolean;
  },
): Promise<WindowProxy> {
  const model = await startSmallModel(t, options);
  const config = parseConfig({
    log: { level: 'silent' },
    compress: { enabled: true, method: 'extractive', rate: 1 },
    ...options.config,
    // What windows are tested with is not to be shortened before.
    windows: { fit_rate: null, ...options.config?.['windows'] },
  });
  const backend = await createRemoteBackend({
    url: model.url,
    kind: options.kind ?? 'openai',
    connectMs: 2000,
    headMs: 30_000,
    idleMs: 30_000,
    tokenizer: null,
  });
  // It is known what it is; the context window is what its list of models says.
  const told = options.told === undefined ? options.window : options.told;
  if (told !== null) {
    const body = { error: { message: `maximum context length is ${told} tokens` } };
    backend.refusedLength?.(400, Buffer.from(JSON.stringify(body)));
  }
  const tokenizer = { ...fakeTokenizer(), estimated: options.estimated ?? false };
  const observer = createObserver(config.log);
  const gateway = createGateway({
    config,
    backends: [backend],
    placement: null,
    tokenizer,
    policy: 'test',
    ...longInputTools,
    compressors: (method) => createCompressor(method, { tokenizer, scorers: noScorers }),
    reuse: testReuse(createMemoryLedger({ maxBytes: 64 << 20 }), config.compress.rate),
    observer,
    clock: systemClock,
    checks: {},
    close: async () => observer.close(),
  });
  const served = await serveGateway(t, gateway);
  t.after(() => backend.close());
  return { url: served.url, gateway, model, metrics: () => observer.metricsText() };
}
