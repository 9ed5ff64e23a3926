/** Reading of request bodies: bounded, and without a copy where one chunk is the whole body. */
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';

/** Announced lengths up to this are gathered from chunks; above it the whole buffer is allocated once. */
const gatherBytes = 64 * 1024;

export type BufferedBody =
  | { readonly whole: true; readonly bytes: Buffer }
  /** Longer than the limit: `start` was read, the rest is still in the request. */
  | { readonly whole: false; readonly start: Buffer };

/**
 * Reads the body up to `limit` bytes. Resolves with null when the client went away before the end.
 *
 * @param announced `content-length`, or null for a chunked body
 */
export function bufferBody(
  request: IncomingMessage,
  announced: number | null,
  limit: number,
): Promise<BufferedBody | null> {
  return new Promise((resolve) => {
    const target =
      announced !== null && announced > gatherBytes && announced <= limit
        ? Buffer.allocUnsafeSlow(announced)
        : null;
    let chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      if (target === null) chunks.push(chunk);
      else chunk.copy(target, length);
      length += chunk.length;
      if (length <= limit) return;
      request.pause();
      finish({ whole: false, start: Buffer.concat(chunks, length) });
    };
    const onEnd = (): void => {
      const only = chunks.length === 1 ? chunks[0] : undefined;
      finish({ whole: true, bytes: target ?? only ?? Buffer.concat(chunks, length) });
    };
    const onClose = (): void => finish(null);
    const finish = (result: BufferedBody | null): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      chunks = [];
      resolve(result);
    };
    request.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

/**
 * The request's body as a stream of its own: an upstream that answers early destroys the stream it reads from, and that
 * must not be the client's connection.
 */
export function bodyStream(request: IncomingMessage, start: Buffer | null): Readable {
  const stream = new PassThrough();
  if (start !== null) stream.write(start);
  // The rest of a body that nobody reads any more is discarded, so that the connection stays usable.
  stream.once('close', () => {
    if (!request.readableEnded) request.resume();
  });
  request.pipe(stream);
  return stream;
}
