/** A proxy in a process of its own, for tests that look at its memory. Arguments: upstream URL, inspect bytes. */
import { createRemoteBackend } from '../../src/backends/remote.ts';
import { createServer } from '../../src/http/server.ts';
import { createFakeGateway } from './fake-gateway.ts';

const [, , upstream = '', inspectBytes = '0'] = process.argv;
const backend = await createRemoteBackend({
  url: upstream,
  kind: 'openai',
  connectMs: 2000,
  headMs: 60_000,
  idleMs: 60_000,
  tokenizer: null,
});
const gateway = createFakeGateway({ backend, inspectBytes: Number(inspectBytes) });
const server = createServer({
  gateway,
  version: 'test',
  openapi: '',
  maxBodyBytes: 1 << 20,
  trustTenantHeader: false,
  plan: () => Promise.reject(new Error('nothing is planned')),
  extend: () => Promise.reject(new Error('nothing is planned')),
  metrics: async () => ({ contentType: 'text/plain', text: '' }),
  onDefect: (error) => console.error(error),
});
const { url } = await server.listen('127.0.0.1', 0);
let peak = 0;
const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
process.on('message', (message) => {
  if (message === 'reset') peak = 0;
  global.gc?.();
  const rss = process.memoryUsage.rss();
  process.send?.({ rss, peak: Math.max(peak, rss) });
});
process.on('disconnect', () => {
  clearInterval(watch);
  process.exit(0);
});
process.send?.({ url });
