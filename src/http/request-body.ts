/** Reading of request bodies: bounded, and kept in the chunks that came from the socket until somebody needs one piece. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { mentionsSluice } from '../wire/read.ts';

/** Lengths up to this come in one or two chunks, which cost less than a buffer of their own. */
const gatherBytes = 64 * 1024;
/** Bytes of a streamed body that may wait for the upstream. */
const streamBuffer = 64 * 1024;
/** A client that sends nothing of its body for this long is cut off: what it has sent so far is held in memory. */
const silenceMs = 60_000;

export type BufferedBody =
  | { readonly whole: true; readonly chunks: readonly Buffer[]; readonly length: number }
  /** Longer than the limit: `start` was read, the rest is still in the request. */
  | { readonly whole: false; readonly start: Buffer };

export interface BufferOptions {
  /** Bytes that are read at most. */
  readonly limit: number;
  /** Announced length of a body that is needed in one piece: it is then read into one, which halves the peak. */
  readonly contiguous?: number | null;
  readonly silenceMs?: number;
}

/** Reads the body up to a limit. Resolves with null when the client went away, or fell silent, before the end. */
export function bufferBody(
  request: IncomingMessage,
  options: BufferOptions,
): Promise<BufferedBody | null> {
  const { limit } = options;
  return new Promise((resolve) => {
    const { contiguous = null } = options;
    const piece =
      contiguous !== null && contiguous > gatherBytes && contiguous <= limit
        ? Buffer.allocUnsafeSlow(contiguous)
        : null;
    let chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      if (piece === null) chunks.push(chunk);
      else chunk.copy(piece, length);
      length += chunk.length;
      if (length <= limit) return;
      request.pause();
      finish({ whole: false, start: Buffer.concat(chunks, length) });
    };
    const onEnd = (): void =>
      finish({ whole: true, chunks: piece === null ? chunks : [piece], length });
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
  const stream = new Readable({ highWaterMark: streamBuffer, read: () => void request.resume() });
  const onData = (chunk: Buffer): void => {
    if (!stream.push(chunk)) request.pause();
  };
  const onEnd = (): void => void stream.push(null);
  if (start !== null) stream.push(start);
  request.on('data', onData).on('end', onEnd);
  stream.once('close', () => {
    request.off('data', onData).off('end', onEnd);
    // The rest of a body that nobody reads any more is discarded, so that the connection stays usable.
    if (!request.readableEnded) request.resume();
  });
  return stream;
}

/** The body in one piece; no copy where it came in one. */
export function joinChunks(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

/**
 * The body as it came, for forwarding: a long one as a stream of its chunks, without a copy; a short one in one piece,
 * because the copy costs less than a stream.
 */
export function uncopied(chunks: readonly Buffer[]): Buffer | Readable {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (chunks.length <= 1 || length <= gatherBytes) return joinChunks(chunks);
  return new Readable({
    read() {
      for (const chunk of chunks) this.push(chunk);
      this.push(null);
    },
  });
}

/** Longer than anything that `mentionsSluice` looks for. */
const overlap = 16;

/** `mentionsSluice` over chunks, borders included. */
export function anyMentionsSluice(chunks: readonly Buffer[]): boolean {
  let before: Buffer | null = null;
  for (const chunk of chunks) {
    if (mentionsSluice(chunk)) return true;
    const end: Buffer =
      before === null || chunk.length >= overlap
        ? chunk.subarray(-overlap)
        : Buffer.concat([before, chunk]).subarray(-overlap);
    if (before !== null && mentionsSluice(Buffer.concat([before, chunk.subarray(0, overlap)]))) {
      return true;
    }
    before = end;
  }
  return false;
}
