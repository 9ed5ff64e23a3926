/** The real gateway over the real compressors that need no model, with a tokenizer without a vocabulary. */
import type { Backend } from '../../src/backends/types.ts';
import { createCompressor } from '../../src/compress/create.ts';
import { parseConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { Gateway } from '../../src/gateway/types.ts';
import { createObserver } from '../../src/observe/observer.ts';
import { createMemoryLedger } from '../../src/reuse/memory-ledger.ts';
import { testReuse } from './reuse.ts';
import { fakeTokenizer } from './fake-tokenizer.ts';
import { noScorers } from './fake-scorer.ts';

export function createModellessGateway(
  backend: Backend,
  compress: Readonly<Record<string, unknown>> = {},
): Gateway {
  const config = parseConfig({
    log: { level: 'silent' },
    compress: { method: 'extractive', rate: 0.5, min_tokens: 40, ...compress },
  });
  const tokenizer = fakeTokenizer();
  const observer = createObserver(config.log);
  return createGateway({
    config,
    backends: [backend],
    placement: null,
    tokenizer,
    policy: 'test',
    compressors: (method) => createCompressor(method, { tokenizer, scorers: noScorers }),
    reuse: testReuse(
      createMemoryLedger({ maxBytes: config.limits.decisions_bytes }),
      config.compress.rate,
    ),
    observer,
    clock: systemClock,
    checks: {},
    close: async () => observer.close(),
  });
}
