/** What happens to a request that is not for Sluice itself: compressed on dialect routes, else passed through. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { SluiceError } from '../core/errors.ts';
import type { Gateway, Prepared, Wishes } from '../gateway/types.ts';
import { affinityField } from './affinity.ts';
import { sendDialectError } from './dialect-error.ts';
import { splitRequestHeaders, type RequestHead } from './headers.ts';
import { relay, type RelayOptions } from './relay.ts';
import { anyMentionsSluice, bodyStream, bufferBody, joinChunks, uncopied } from './request-body.ts';
import { readTenant, readWishes } from './wishes.ts';

export interface ProxyDeps {
  readonly gateway: Gateway;
  /** Take `x-sluice-tenant` from clients. */
  readonly trustTenantHeader: boolean;
  /** Header that names a conversation to a router behind the proxy; null or left out = none. */
  readonly affinityHeader?: string | null;
  /** Told about defects of ours that did not stop the request. */
  readonly onDefect: (error: unknown) => void;
}

export interface Target {
  /** Path with query, starting with a slash. */
  readonly url: string;
  /** Path without query. */
  readonly path: string;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse<IncomingMessage>;
  readonly target: Target;
  readonly head: RequestHead;
  readonly tenant: string;
  readonly wishes: Wishes;
}

type BypassReason = Parameters<Gateway['bypass']>[1];

/** The proxy's request handler. It never throws: failures are answered in the dialect's error shape. */
export function createProxy(
  deps: ProxyDeps,
): (
  request: IncomingMessage,
  response: ServerResponse<IncomingMessage>,
  target: Target,
) => Promise<void> {
  return async function proxy(request, response, target) {
    try {
      const head = splitRequestHeaders(request.rawHeaders);
      if (head.upgrade?.toLowerCase().includes('websocket') === true) return refuseTunnel(response);
      const exchange: Exchange = {
        request,
        response,
        target,
        head,
        tenant: readTenant(head.sluice, deps.trustTenantHeader),
        wishes: readWishes(head.sluice),
      };
      nameConversation(exchange, deps.affinityHeader ?? null);
      if (request.method === 'POST' && deps.gateway.isDialect(target.path)) {
        await forwardDialect(deps, exchange);
      } else {
        const prepared = deps.gateway.bypass(target.path, 'not-a-dialect', exchange.tenant);
        send(deps, exchange, prepared, {
          body: hasBody(head) ? bodyStream(request, null) : null,
          length: head.contentLength,
        });
      }
    } catch (error) {
      fail(deps, response, error);
    }
  };
}

function nameConversation({ head, tenant, wishes }: Exchange, name: string | null): void {
  const { session } = wishes;
  if (name === null || session === undefined) return;
  head.forwarded.push(...affinityField(name, { tenant, session }, head.forwarded));
}

/** Tunnels would hide a conversation from every rule of this proxy; servers offer the same routes without them. */
function refuseTunnel(response: ServerResponse): void {
  const message = 'WebSocket connections are not tunnelled; use the HTTP routes';
  sendDialectError(response, new SluiceError('REQUEST_INVALID', message), ['connection', 'close']);
}

function fail(deps: ProxyDeps, response: ServerResponse<IncomingMessage>, error: unknown): void {
  const known = SluiceError.isInstance(error);
  if (!known) deps.onDefect(error);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const failure = known
    ? error
    : new SluiceError('INTERNAL', 'The request could not be handled', { cause: error });
  // The rest of the body is not read: the connection cannot carry another request.
  response.shouldKeepAlive = response.req.complete && response.shouldKeepAlive;
  sendDialectError(response, failure, ['x-sluice-request-id', randomUUID()]);
}

function hasBody(head: RequestHead): boolean {
  return head.chunked || (head.contentLength ?? 0) > 0;
}

/** Why the body of this request is not looked at, or null when it is. */
function bypassReason(gateway: Gateway, { head, wishes }: Exchange): BypassReason | null {
  // With several backends the body says which of them has its beginning; windows are made of it.
  const inWindows = gateway.windows && wishes.windows !== undefined && wishes.windows !== 'off';
  const needed = gateway.routes || inWindows;
  if (!gateway.enabled && !needed) return 'off-by-config';
  if (wishes.compress === false && !needed) return 'off-by-client';
  if (head.contentEncoding !== null) return 'content-encoding';
  return (head.contentLength ?? 0) > gateway.inspectBytes ? 'body-too-large' : null;
}

/**
 * With compression off a body is looked at only for `sluice` fields to remove, and only up to this many bytes: holding
 * back a longer one would cost its whole length in memory and collections. It is streamed through as it comes.
 */
const scannedBytes = 256 * 1024;

async function forwardDialect(deps: ProxyDeps, exchange: Exchange): Promise<void> {
  const { gateway } = deps;
  const { request, head, target, tenant } = exchange;
  const reason = bypassReason(gateway, exchange);
  const { inspectBytes } = gateway;
  const limit = reason === null ? inspectBytes : Math.min(inspectBytes, scannedBytes);
  if (head.contentEncoding !== null || (head.contentLength ?? 0) > limit) {
    const prepared = gateway.bypass(target.path, reason ?? 'body-too-large', tenant);
    send(deps, exchange, prepared, { body: bodyStream(request, null), length: head.contentLength });
    return;
  }
  const body = await bufferBody(request, {
    limit,
    // Only compression needs the body in one piece.
    contiguous: reason === null ? head.contentLength : null,
  });
  if (body === null) return;
  if (!body.whole) {
    const prepared = gateway.bypass(target.path, reason ?? 'body-too-large', tenant);
    send(deps, exchange, prepared, {
      body: bodyStream(request, body.start),
      length: head.contentLength,
    });
    return;
  }
  if (reason !== null && !anyMentionsSluice(body.chunks)) {
    const prepared = gateway.bypass(target.path, reason, tenant);
    send(deps, exchange, prepared, { body: uncopied(body.chunks), length: body.length });
    return;
  }
  const prepared = await prepare(deps, exchange, joinChunks(body.chunks));
  if (prepared === null) return;
  send(deps, exchange, prepared, { body: prepared.body, length: prepared.body.byteLength });
}

/** Null = the client went away meanwhile. */
async function prepare(
  deps: ProxyDeps,
  { response, target, head, wishes, tenant }: Exchange,
  body: Buffer,
): Promise<Prepared | null> {
  const controller = new AbortController();
  const onClose = (): void => controller.abort();
  response.once('close', onClose);
  try {
    const { signal } = controller;
    const { contentEncoding } = head;
    const { path } = target;
    const input = { path, contentEncoding, body, wishes, tenant, signal, forwards: true };
    const prepared = await deps.gateway.prepare(input);
    if (!signal.aborted) return prepared;
    deps.gateway.settle(prepared.id, { status: null, usage: null, error: 'ABORTED' });
    return null;
  } catch (error) {
    if (controller.signal.aborted) return null;
    if (SluiceError.isInstance(error)) throw error;
    // A defect of ours must not lose the request: what came goes out.
    deps.onDefect(error);
    const id = randomUUID();
    const headers = ['x-sluice-request-id', id, 'x-sluice-decision', 'failed-open'];
    const { backend } = deps.gateway;
    return { id, body, responseHeaders: headers, backend, progress: null };
  } finally {
    response.off('close', onClose);
  }
}

interface Forwarded {
  readonly body: Uint8Array | Readable | null;
  /** Bytes of the body; null = not known before its end. */
  readonly length: number | null;
}

function send(
  deps: ProxyDeps,
  exchange: Exchange,
  prepared: Prepared,
  { body, length }: Forwarded,
): void {
  const { request, response, target, head } = exchange;
  const headers = length === null ? head.forwarded : withLength(head.forwarded, length);
  const method = request.method ?? 'GET';
  const leg = (to: Prepared, forwarded: ForwardedRequest): Leg => ({
    backend: to.backend,
    request: forwarded,
    extraHeaders: () => to.progress?.headers() ?? to.responseHeaders,
    answering: () => to.progress?.answering(),
    elsewhere: () => {
      const next = to.progress?.elsewhere() ?? null;
      if (next === null) return null;
      const again = withLength(head.forwarded, next.body.byteLength);
      return leg(next, { ...forwarded, headers: again, body: next.body });
    },
  });
  relay({
    ...leg(prepared, { method, path: target.url, headers, body }),
    response,
    readUsage: method === 'POST' && deps.gateway.isDialect(target.path),
    settle: (outcome) => deps.gateway.settle(prepared.id, outcome),
  });
}

type ForwardedRequest = RelayOptions['request'];
type Leg = ReturnType<RelayOptions['elsewhere']> & {};

function withLength(headers: readonly string[], length: number): string[] {
  return [...headers, 'content-length', String(length)];
}
