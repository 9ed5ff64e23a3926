/** An HTTP hop that writes down what passes: between Sluice (or a client) and a real engine. */
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

export interface Recorded {
  readonly method: string;
  readonly url: string;
  /** Name and value pairs as they came, without those that belong to the hop. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** Resolves with the monotonic time at which the requester's connection was seen to close early. */
  readonly closedAt: Promise<number>;
}

export interface Recorder {
  readonly url: string;
  readonly requests: Recorded[];
  close(): Promise<void>;
}

const hop = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding']);

function pairs(raw: readonly string[]): (readonly [string, string])[] {
  const list: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    if (!hop.has(name)) list.push([name, raw[at + 1] ?? '']);
  }
  return list;
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function startRecorder(target: string): Promise<Recorder> {
  const requests: Recorded[] = [];
  const server: Server = createServer((incoming, outgoing) => {
    void (async () => {
      const body = await bodyOf(incoming);
      const closedAt = new Promise<number>((resolve) => {
        outgoing.once('close', () => {
          if (!outgoing.writableFinished) resolve(performance.now());
        });
      });
      requests.push({
        method: incoming.method ?? '',
        url: incoming.url ?? '',
        headers: pairs(incoming.rawHeaders),
        body,
        closedAt,
      });
      const forward = httpRequest(
        new URL(incoming.url ?? '/', target),
        {
          method: incoming.method ?? 'GET',
          // A connection of its own: an idle one may be closed by the engine just when it is used again.
          agent: false,
          headers: { ...incoming.headers, host: new URL(target).host },
        },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        },
      );
      outgoing.once('close', () => forward.destroy());
      forward.once('error', () => outgoing.destroy());
      forward.end(body);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
