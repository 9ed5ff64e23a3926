/** A proxy server of ours in front of an upstream, with a fake gateway between. */
import type { TestContext } from 'node:test';
import { createRemoteBackend, type RemoteOptions } from '../../src/backends/remote.ts';
import { planExtensionSteps } from '../../src/context/extension/plan.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { createTurns } from '../../src/core/turns.ts';
import { createServer, type ServerDeps } from '../../src/http/server.ts';
import type { Gateway } from '../../src/gateway/types.ts';
import { createFakeGateway, type FakeGateway, type FakeGatewayOptions } from './fake-gateway.ts';

export interface TestProxy {
  readonly url: string;
  readonly port: number;
  readonly gateway: FakeGateway;
  readonly defects: unknown[];
}

export interface TestProxyOptions extends Omit<FakeGatewayOptions, 'backend'> {
  readonly upstream: string;
  readonly remote?: Partial<RemoteOptions>;
  readonly maxBodyBytes?: number;
  readonly trustTenantHeader?: boolean;
  readonly plan?: ServerDeps['plan'];
}

export async function startProxy(t: TestContext, options: TestProxyOptions): Promise<TestProxy> {
  const backend = await createRemoteBackend({
    url: options.upstream,
    kind: 'openai',
    connectMs: 2000,
    headMs: 30_000,
    idleMs: 30_000,
    tokenizer: null,
    ...options.remote,
  });
  const gateway = createFakeGateway({ ...options, backend });
  const served = await serveGateway(t, gateway, options);
  t.after(() => backend.close());
  return { ...served, gateway };
}

/** Serves any gateway on a free port until the test ends. */
export async function serveGateway(
  t: TestContext,
  gateway: Gateway,
  options: Pick<TestProxyOptions, 'maxBodyBytes' | 'trustTenantHeader' | 'plan'> = {},
): Promise<{ url: string; port: number; defects: unknown[] }> {
  const defects: unknown[] = [];
  const server = createServer({
    gateway,
    version: '0.0.0-test',
    openapi: 'openapi: 3.1.0\n',
    maxBodyBytes: options.maxBodyBytes ?? 1 << 20,
    trustTenantHeader: options.trustTenantHeader ?? false,
    plan: options.plan ?? noPlan,
    extend: (input, signal) => createTurns(signal).run(planExtensionSteps(input)),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'sluice_up 1\n' }),
    onDefect: (error) => defects.push(error),
  });
  const { port, url } = await server.listen('127.0.0.1', 0);
  t.after(() => server.close(0));
  return { url, port, defects };
}

const noPlan: ServerDeps['plan'] = () =>
  Promise.reject(new SluiceError('NOT_FOUND', 'This test plans nothing'));
