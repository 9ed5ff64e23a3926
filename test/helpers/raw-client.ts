/** Requests with node:http, where the test sees raw headers, chunks and how a response ended. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';

export interface RawAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly trailers: IncomingMessage['trailers'];
  readonly body: Buffer;
  /** False when the connection broke before the message was complete. */
  readonly complete: boolean;
}

export interface RawRequest {
  readonly url: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders | readonly string[];
  readonly body?: string | Uint8Array;
}

/** Sends one request on a connection of its own and reads the answer however it ends. */
export function send(options: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(options.url);
    const request = httpRequest(
      {
        hostname,
        port,
        method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
        path: options.path,
        headers: (options.headers ?? {}) as OutgoingHttpHeaders,
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => undefined);
        response.on('close', () =>
          resolve({
            status: response.statusCode ?? 0,
            statusText: response.statusMessage ?? '',
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            trailers: response.trailers,
            body: Buffer.concat(chunks),
            complete: response.complete,
          }),
        );
      },
    );
    request.on('error', reject);
    request.end(options.body);
  });
}
