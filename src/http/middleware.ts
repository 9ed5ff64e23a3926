/** `compressPrompt`: the gateway's compression inside an Express or Connect application. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SluiceError } from '../core/errors.ts';
import type { MethodName } from '../core/method.ts';
import type { RequestReport } from '../core/report.ts';
import type { Gateway, PrepareInput, Prepared, Wishes } from '../gateway/types.ts';
import { isObject } from './fields.ts';
import { splitRequestHeaders } from './headers.ts';
import { bufferBody, joinChunks } from './request-body.ts';
import { defaultTenant, readWishes } from './wishes.ts';

export interface CompressPromptOptions {
  readonly sluice: { readonly gateway: Gateway };
  /** Share of tokens to keep, (0, 1]; default: as configured. */
  readonly rate?: number;
  readonly targetTokens?: number;
  readonly method?: MethodName;
  /** Route whose body shape the requests have; default: the request's own path. */
  readonly path?: string;
  readonly tenant?: string;
}

/** Before a body parser: `body` is the raw bytes, and everything that was not compressed keeps its bytes. */
export interface RawBodyRequest extends IncomingMessage {
  body: Buffer;
  sluice: RequestReport | null;
}

/** After a body parser: `body` is a new object. Its bytes are gone: numbers and key order are what the parser made. */
export interface ParsedBodyRequest extends IncomingMessage {
  body: Readonly<Record<string, unknown>>;
  sluice: RequestReport | null;
}

interface AnyRequest extends IncomingMessage {
  body?: unknown;
  originalUrl?: string;
  sluice?: RequestReport | null;
}

export type CompressPromptHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => Promise<void>;

/**
 * Compresses the prompt of a dialect request and hands it on with `req.sluice` as its report. Requests on other paths
 * pass untouched. Before a body parser the raw bytes are read (see `RawBodyRequest`); after one the object is
 * replaced (see `ParsedBodyRequest`). Bodies above the gateway's limit pass unread.
 */
export function compressPrompt(options: CompressPromptOptions): CompressPromptHandler {
  return async function compressPromptHandler(request, response, next) {
    try {
      await handle(options, request, response);
    } catch (error) {
      if (SluiceError.isInstance(error) && error.code === 'ABORTED') return;
      next(error);
      return;
    }
    next();
  };
}

async function handle(
  options: CompressPromptOptions,
  request: AnyRequest,
  response: ServerResponse,
): Promise<void> {
  const { gateway } = options.sluice;
  const path = options.path ?? pathOf(request);
  if (request.method !== 'POST' || !gateway.isDialect(path)) return;
  const head = splitRequestHeaders(request.rawHeaders);
  const wishes = lessOf(options, readWishes(head.sluice));
  const parsed = request.body;
  const bytes =
    parsed === undefined ? await readRaw(gateway, request, head.contentLength) : bytesOf(parsed);
  if (bytes === null) return;
  const controller = new AbortController();
  const onClose = (): void => controller.abort();
  response.once('close', onClose);
  let prepared: Prepared;
  const input: PrepareInput = {
    path,
    contentEncoding: parsed === undefined ? head.contentEncoding : null,
    body: bytes,
    wishes,
    tenant: options.tenant ?? defaultTenant,
    signal: controller.signal,
  };
  try {
    prepared = await gateway.prepare(input);
  } finally {
    response.off('close', onClose);
  }
  settleAtEnd(gateway, prepared.id, response);
  replaceBody(request, parsed, prepared.body);
  request.sluice = gateway.report(prepared.id, input.tenant);
  const { responseHeaders } = prepared;
  for (let at = 0; at + 1 < responseHeaders.length; at += 2) {
    response.setHeader(responseHeaders[at] ?? '', responseHeaders[at + 1] ?? '');
  }
}

function pathOf(request: AnyRequest): string {
  // A mounted middleware sees a shortened `url`; the dialect is told by the whole path.
  const url = request.originalUrl ?? request.url ?? '/';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** The options and the client's headers together; where both speak, the one that compresses less wins. */
function lessOf(options: CompressPromptOptions, client: Wishes): Wishes {
  const rate = largest(options.rate, client.rate);
  const targetTokens = largest(options.targetTokens, client.targetTokens);
  const method = client.method ?? options.method;
  return {
    ...client,
    ...(rate === undefined ? {} : { rate }),
    ...(targetTokens === undefined ? {} : { targetTokens }),
    ...(method === undefined ? {} : { method }),
  };
}

function largest(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.max(one, other);
}

/** @throws SluiceError ABORTED, BODY_TOO_LARGE */
async function readRaw(
  gateway: Gateway,
  request: IncomingMessage,
  announced: number | null,
): Promise<Buffer | null> {
  if ((announced ?? 0) > gateway.inspectBytes) return null;
  const body = await bufferBody(request, { limit: gateway.inspectBytes, contiguous: announced });
  if (body === null) throw new SluiceError('ABORTED', 'The client went away');
  if (body.whole) return joinChunks(body.chunks);
  const message = `A chunked body passed ${gateway.inspectBytes} bytes`;
  throw new SluiceError('BODY_TOO_LARGE', message);
}

function bytesOf(parsed: unknown): Uint8Array | null {
  if (parsed instanceof Uint8Array) return parsed;
  if (typeof parsed === 'string') return Buffer.from(parsed);
  return isObject(parsed) ? Buffer.from(JSON.stringify(parsed)) : null;
}

function replaceBody(request: AnyRequest, parsed: unknown, body: Uint8Array): void {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (isObject(parsed) && !(parsed instanceof Uint8Array)) {
    request.body = JSON.parse(bytes.toString());
  } else if (typeof parsed === 'string') request.body = bytes.toString();
  else request.body = bytes;
  delete request.headers['transfer-encoding'];
  request.headers['content-length'] = String(bytes.byteLength);
}

function settleAtEnd(gateway: Gateway, id: string, response: ServerResponse): void {
  response.once('close', () => {
    const error = response.writableFinished ? null : 'ABORTED';
    gateway.settle(id, { status: response.statusCode, usage: null, error });
  });
}
