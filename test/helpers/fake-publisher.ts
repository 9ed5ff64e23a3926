/** An engine's publisher of KV events: the live socket and the one that repeats, as vLLM's. */
import type { TestContext } from 'node:test';
import { pack } from 'msgpackr';
import { Router, XPublisher } from 'zeromq';

export interface FakePublisher {
  readonly endpoint: string;
  readonly replayEndpoint: string;
  /** Sends the next batch; `lost` = only to those who ask again. */
  publish(events: readonly unknown[], how?: { readonly lost?: boolean }): Promise<void>;
  /** Sends frames as they are. */
  sendRaw(frames: readonly Uint8Array[]): Promise<void>;
  /** Resolves when somebody has subscribed, so that nothing that is published is lost. */
  subscribed(): Promise<void>;
  readonly replays: number[];
  close(): Promise<void>;
}

export interface FakePublisherOptions {
  /** Ports of an earlier one; left out = any. */
  readonly at?: { readonly endpoint: string; readonly replayEndpoint: string };
  /** Batches that are kept. */
  readonly keep?: number;
  /** Never answers a replay. */
  readonly mute?: boolean;
  /** Batches that get lost on the way of the replay with this number. */
  readonly loses?: (sequence: number, replay: number) => boolean;
}

export function sequenceFrame(sequence: number): Buffer {
  const frame = Buffer.alloc(8);
  frame.writeBigInt64BE(BigInt(sequence));
  return frame;
}

const topic = Buffer.from('kv');

export async function startFakePublisher(
  t: TestContext,
  { at, keep = 10_000, mute = false, loses = () => false }: FakePublisherOptions = {},
): Promise<FakePublisher> {
  const live = new XPublisher({ linger: 0 });
  const repeat = new Router({ linger: 0 });
  await live.bind(at?.endpoint ?? 'tcp://127.0.0.1:*');
  await repeat.bind(at?.replayEndpoint ?? 'tcp://127.0.0.1:*');
  // A subscription is a message that begins with 1.
  const first = (async (): Promise<void> => {
    for await (const [message] of live) if (message?.[0] === 1) return;
  })();
  const buffer: { sequence: number; payload: Buffer }[] = [];
  let next = 0;
  const replays: number[] = [];
  const serve = async (): Promise<void> => {
    for await (const [client, , start] of repeat) {
      if (client === undefined || start === undefined || mute) continue;
      const from = Number(start.readBigInt64BE());
      replays.push(from);
      for (const { sequence, payload } of buffer) {
        if (sequence >= from && !loses(sequence, replays.length - 1)) {
          await repeat.send([client, Buffer.alloc(0), topic, sequenceFrame(sequence), payload]);
        }
      }
      const end = [client, Buffer.alloc(0), Buffer.alloc(0), sequenceFrame(-1), Buffer.alloc(0)];
      await repeat.send(end);
    }
  };
  void serve();
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    live.close();
    repeat.close();
    // Ports are free when the library's own thread has closed them.
    await new Promise((resolve) => setTimeout(resolve, 100));
  };
  t.after(close);
  return {
    endpoint: live.lastEndpoint ?? '',
    replayEndpoint: repeat.lastEndpoint ?? '',
    replays,
    async publish(events, { lost = false } = {}) {
      const payload = pack([1.5, events, 0]);
      const sequence = next++;
      if (!lost) await live.send([topic, sequenceFrame(sequence), payload]);
      buffer.push({ sequence, payload });
      if (buffer.length > keep) buffer.shift();
    },
    sendRaw: (frames) => live.send([...frames].map((frame) => Buffer.from(frame))),
    subscribed: () => first,
    close,
  };
}
