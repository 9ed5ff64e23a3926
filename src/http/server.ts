/** The proxy server: decides by method and path alone who answers. */
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SluiceError } from '../core/errors.ts';
import { sendDialectError } from './dialect-error.ts';
import { isOwnPath } from './own-paths.ts';
import { createProxy, type Target } from './proxy.ts';
import { createRoutes, type RoutesDeps } from './routes.ts';

export interface ServerDeps extends RoutesDeps {
  /** Header that names a conversation to a router behind the proxy; null or left out = none. */
  readonly affinityHeader?: string | null;
  /** Told about defects of ours that were answered or worked around; never gets prompt text. */
  readonly onDefect: (error: unknown) => void;
}

export interface ProxyServer {
  /** Port 0 picks a free one. @returns the address that listens */
  listen(host: string, port: number): Promise<{ host: string; port: number; url: string }>;
  /** Stops accepting, lets running requests finish for `graceMs`, then breaks what is left. */
  close(graceMs?: number): Promise<void>;
}

/** Bytes that may wait in a client's socket before the upstream is paused. */
const socketBuffer = 64 * 1024;

export function createServer(deps: ServerDeps): ProxyServer {
  const proxy = createProxy(deps);
  const routes = createRoutes(deps);
  const server = createHttpServer(
    {
      highWaterMark: socketBuffer,
      // Longer than the idle time of usual client pools, so that it is the client that closes first.
      keepAliveTimeout: 75_000,
      // Uploads may take as long as they take; the head must come within a minute.
      requestTimeout: 0,
      headersTimeout: 60_000,
    },
    (request, response) => {
      const target = targetOf(request);
      if (target === null) {
        const message = `Request target '${(request.url ?? '').slice(0, 100)}' is not a path`;
        sendDialectError(response, new SluiceError('REQUEST_INVALID', message), []);
      } else if (isOwnPath(target.path)) routes(request, response);
      else void proxy(request, response, target);
    },
  );
  return {
    listen: (host, port) => listen(server, host, port),
    close: (graceMs = 10_000) => close(server, graceMs),
  };
}

/** Origin form, or the path of an absolute form, which a server must accept (RFC 9112 section 3.2.2). */
function targetOf(request: IncomingMessage): Target | null {
  let url = request.url ?? '';
  if (!url.startsWith('/')) {
    if (!URL.canParse(url)) return null;
    const { pathname, search } = new URL(url);
    url = pathname + search;
    request.url = url;
  }
  const query = url.indexOf('?');
  return { url, path: query === -1 ? url : url.slice(0, query) };
}

function listen(
  server: Server,
  host: string,
  port: number,
): Promise<{ host: string; port: number; url: string }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject);
      const address = server.address();
      const bound = isAddress(address) ? address.port : port;
      const name = host.includes(':') ? `[${host}]` : host;
      resolve({ host, port: bound, url: `http://${name}:${bound}` });
    });
  });
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
