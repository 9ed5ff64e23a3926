/** A load generator on bare sockets: it must cost little, since it shares the machine with what it measures. */
import { connect, type Socket } from 'node:net';
import type { Subject } from './passthrough-servers.ts';

const path = '/v1/chat/completions';

/** A chat body of about `bytes` bytes; the `stream` flag stands first. */
export function chatBody(bytes: number, stream: boolean): Buffer {
  const sentence = 'The quick brown fox jumps over the lazy dog, and 3 more do not. ';
  const head = `{"stream":${stream},"model":"tiny","messages":[{"role":"user","content":"`;
  const filler = sentence.repeat(Math.ceil(bytes / sentence.length));
  return Buffer.from(`${head}${filler.slice(0, Math.max(1, bytes - head.length - 4))}"}]}`);
}

export function requestBytes(subject: Subject, body: Buffer): Buffer {
  const head =
    `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n` +
    `accept: */*\r\nuser-agent: bench\r\n${subject.headers}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

interface Answered {
  readonly status: number;
  /** Milliseconds from the last byte written to the first byte of the body. */
  readonly firstByteMs: number;
}

/** A kept-alive connection that sends one request after the other. */
export interface Connection {
  exchange(request: Buffer): Promise<Answered>;
  close(): void;
}

export async function openConnection(port: number): Promise<Connection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return { exchange: (request) => exchange(socket, request), close: () => socket.destroy() };
}

function exchange(socket: Socket, request: Buffer): Promise<Answered> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed || socket.readableEnded) {
      reject(new Error('the server closed the idle connection'));
      return;
    }
    let head = '';
    let status = 0;
    let firstByteMs = 0;
    /** Body bytes still to come; -1 = chunked. */
    let left = 0;
    let inBody = false;
    const started = performance.now();
    const done = (): void => {
      socket.off('data', onData).off('close', onClose);
      resolve({ status, firstByteMs });
    };
    const onClose = (): void => reject(new Error('the connection closed in mid-answer'));
    const onBody = (chunk: Buffer): void => {
      if (chunk.length === 0) return;
      if (firstByteMs === 0) firstByteMs = performance.now() - started;
      if (left > 0) {
        left -= chunk.length;
        if (left <= 0) done();
      } else if (endsChunked(chunk)) done();
    };
    const onData = (chunk: Buffer): void => {
      if (inBody) {
        onBody(chunk);
        return;
      }
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      inBody = true;
      status = Number(head.slice(9, 12));
      const length = /\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end + 2));
      left = length === null ? -1 : Number(length[1]);
      onBody(Buffer.from(head.slice(end + 4), 'latin1'));
    };
    socket.on('data', onData).on('close', onClose);
    socket.write(request);
  });
}

/** The last chunk's five bytes always arrive at the end of a read here: nothing follows them. */
function endsChunked(chunk: Buffer): boolean {
  return chunk.length >= 5 && chunk.toString('latin1', chunk.length - 5) === '0\r\n\r\n';
}

/** Sends `count` requests over `connections`, as fast as they are answered. @throws when one is not a 200 */
export async function runRequests(
  connections: readonly Connection[],
  request: Buffer,
  count: number,
): Promise<void> {
  let left = count;
  await Promise.all(
    connections.map(async (connection) => {
      while (left > 0) {
        left -= 1;
        const { status } = await connection.exchange(request);
        if (status !== 200) throw new Error(`answered ${status}`);
      }
    }),
  );
}
