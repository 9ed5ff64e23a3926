/** A recording upstream on a real socket; the script says how it answers. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

export type UpstreamScript =
  /** A whole answer. */
  | {
      readonly type: 'answer';
      readonly status?: number;
      readonly headers?: readonly string[];
      readonly body?: string | Uint8Array;
    }
  /** Raw chunks, one write each, `gapMs` apart. */
  | {
      readonly type: 'chunks';
      readonly chunks: readonly (string | Uint8Array)[];
      readonly headers?: readonly string[];
      readonly gapMs?: number;
      readonly trailers?: readonly [string, string][];
    }
  /** Never answers. */
  | { readonly type: 'hang' }
  /** Sends a head and `chunks`, then nothing more. */
  | { readonly type: 'stall'; readonly chunks: readonly string[] }
  /** Sends a head and `chunks`, then breaks the connection: `reset` with RST, else with FIN. */
  | {
      readonly type: 'break';
      readonly chunks: readonly string[];
      readonly headers?: readonly string[];
      readonly reset: boolean;
    }
  /** Closes the connection without an answer. */
  | { readonly type: 'close' }
  /** Raw bytes on the socket. */
  | { readonly type: 'raw'; readonly bytes: string }
  | {
      readonly type: 'custom';
      readonly answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;
      /** Call before the body was read. */
      readonly early?: boolean;
    };

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly sha256: string;
  /** Resolves with the time (performance.now) at which the request's connection closed. */
  readonly closed: Promise<number>;
}

export interface FakeUpstream {
  readonly url: string;
  readonly port: number;
  script: UpstreamScript;
  readonly requests: RecordedRequest[];
  /** Resolves when `count` requests have been recorded. */
  arrived(count: number): Promise<RecordedRequest>;
  openSockets(): number;
  /** Breaks every connection and takes no new ones. */
  stop(): Promise<void>;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function startFakeUpstream(
  t: TestContext,
  script: UpstreamScript = { type: 'answer', body: '{"ok":true}' },
): Promise<FakeUpstream> {
  const sockets = new Set<Socket>();
  const waiting: (() => void)[] = [];
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    const closed = new Promise<number>((resolve) => {
      response.once('close', () => resolve(performance.now()));
    });
    const { script: current } = upstream;
    if (current.type === 'custom' && current.early === true) {
      record(request, Buffer.alloc(0), closed);
      current.answer(request, response, Buffer.alloc(0));
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      record(request, body, closed);
      play(upstream.script, request, response, body);
    });
  });
  const record = (request: IncomingMessage, body: Buffer, closed: Promise<number>): void => {
    upstream.requests.push({
      method: request.method ?? '',
      url: request.url ?? '',
      rawHeaders: request.rawHeaders,
      headers: request.headers,
      body,
      sha256: sha256(body),
      closed,
    });
    for (const wake of waiting.splice(0)) wake();
  };
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) =>
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, resolve),
  );
  const { port } = server.address() as AddressInfo;
  const stop = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  t.after(() => void stop());
  const upstream: FakeUpstream = {
    url: `http://127.0.0.1:${port}`,
    port,
    script,
    requests: [],
    async arrived(count) {
      while (upstream.requests.length < count) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      return upstream.requests[count - 1]!;
    },
    openSockets: () => sockets.size,
    stop,
  };
  return upstream;
}

function play(
  script: UpstreamScript,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): void {
  switch (script.type) {
    case 'answer': {
      const answer = script.body ?? '';
      const headers = script.headers ?? ['content-type', 'application/json'];
      response.writeHead(script.status ?? 200, [...headers]);
      response.end(answer);
      return;
    }
    case 'chunks':
      void playChunks(script, response);
      return;
    case 'hang':
      return;
    case 'stall':
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const chunk of script.chunks) response.write(chunk);
      return;
    case 'break': {
      response.writeHead(200, [...(script.headers ?? ['content-type', 'text/event-stream'])]);
      for (const chunk of script.chunks) response.write(chunk);
      setTimeout(() => {
        if (script.reset) request.socket.resetAndDestroy();
        else request.socket.destroy();
      }, 20);
      return;
    }
    case 'close':
      request.socket.destroy();
      return;
    case 'raw':
      request.socket.end(script.bytes);
      return;
    case 'custom':
      script.answer(request, response, body);
  }
}

async function playChunks(
  script: Extract<UpstreamScript, { type: 'chunks' }>,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(200, [...(script.headers ?? ['content-type', 'text/event-stream'])]);
  for (const chunk of script.chunks) {
    response.write(chunk);
    await new Promise<void>((resolve) => {
      if (script.gapMs === undefined) setImmediate(resolve);
      else setTimeout(resolve, script.gapMs);
    });
  }
  if (script.trailers !== undefined) response.addTrailers(script.trailers as [string, string][]);
  response.end();
}
