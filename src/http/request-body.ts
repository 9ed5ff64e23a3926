/** Reading of request bodies: bounded, and without a copy where one chunk is the whole body. */
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';

/** Announced lengths up to this are gathered from chunks; above it the whole buffer is allocated once. */
const gatherBytes = 64 * 1024;
/** A client that sends nothing of its body for this long is cut off: what it has sent so far is held in memory. */
const silenceMs = 60_000;

export type BufferedBody =
  | { readonly whole: true; readonly bytes: Buffer }
  /** Longer than the limit: `start` was read, the rest is still in the request. */
  | { readonly whole: false; readonly start: Buffer };

export interface BufferOptions {
  /** `content-length`, or null for a chunked body. */
  readonly announced: number | null;
  /** Bytes that are read at most. */
  readonly limit: number;
  readonly silenceMs?: number;
}

/** Reads the body up to a limit. Resolves with null when the client went away, or fell silent, before the end. */
export function bufferBody(
  request: IncomingMessage,
  options: BufferOptions,
): Promise<BufferedBody | null> {
  const { announced, limit } = options;
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
      clearImmediate(later);
      if (timed) request.setTimeout(0);
      resolve(result);
    };
    // Most bodies arrive with their head; only the others are worth a timer. Without a listener it ends the socket.
    let timed = false;
    const later = setImmediate(() => {
      timed = true;
      request.setTimeout(options.silenceMs ?? silenceMs);
    });
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
