/**
 * KV-cache events of vLLM and SGLang over ZeroMQ. The engine publishes `[topic, sequence, payload]`, the sequence as 8
 * bytes, big-endian, the payload as MessagePack `[time, [event...], data-parallel rank]`. Each rank has an endpoint and
 * sequence of its own. There is no snapshot for who comes late: a second socket repeats what the engine still has.
 */
import { Unpackr } from 'msgpackr';
import { Dealer, Subscriber } from 'zeromq';
import { SluiceError } from '../core/errors.ts';
import { createTurns } from '../core/turns.ts';

export interface KvEventFeedOptions {
  /** Where the engine publishes, e.g. `tcp://host:5557` for its `tcp://*:5557`. */
  readonly endpoint: string;
  /** Its `replay_endpoint` in the same way; null = it has none. */
  readonly replayEndpoint: string | null;
  /** Milliseconds until the next answer of a replay. */
  readonly replayMs?: number;
}

/** One decoded batch. Integers beyond 2^53 are bigint; events are left as the engine wrote them. */
export interface KvEventBatch {
  readonly sequence: number;
  readonly events: readonly unknown[];
}

export interface KvEventListener {
  onBatch(batch: KvEventBatch): void;
  /** `live`: connected; `lost`: connected before, not now. */
  onState(state: 'live' | 'lost'): void;
}

export interface KvEventFeed {
  /** Connects, and keeps trying for ever; returns what ends it. */
  subscribe(listener: KvEventListener): () => void;
  /**
   * Batches from a number on that the engine still has, oldest first; null = it cannot be asked, or did not answer.
   * Never rejects.
   */
  replay(from: number): Promise<readonly KvEventBatch[] | null>;
}

/** Messages that wait in the socket; what finds no room is missing and is asked for again. */
const waitingMessages = 10_000;
const maxMessageBytes = 64 << 20;
/** Bytes of a replay that are kept, the newest. */
const maxReplayBytes = 128 << 20;
const connecting = {
  receiveHighWaterMark: waitingMessages,
  maxMessageSize: maxMessageBytes,
  reconnectInterval: 100,
  reconnectMaxInterval: 10_000,
  // A host that goes away without a word is noticed.
  heartbeatInterval: 5000,
  heartbeatTimeout: 15_000,
  linger: 0,
};

/** @throws SluiceError CONFIG_INVALID for an endpoint that is none */
export function createKvEventFeed(options: KvEventFeedOptions): KvEventFeed {
  const { endpoint, replayEndpoint, replayMs = 3000 } = options;
  checkEndpoint(endpoint);
  if (replayEndpoint !== null) checkEndpoint(replayEndpoint);
  return {
    subscribe: (listener) => subscribe(endpoint, listener),
    replay: async (from) => {
      if (replayEndpoint === null) return null;
      try {
        return await replay(replayEndpoint, from, replayMs);
      } catch {
        return null;
      }
    },
  };
}

/** The library ends the process for addresses that it cannot read, so they are looked at before. */
function checkEndpoint(endpoint: string): void {
  if (/^tcp:\/\/(?:[\w.-]+|\[[\da-f:.]+\]):\d{1,5}$/i.test(endpoint) || /^ipc:\/\/./.test(endpoint))
    return;
  throw new SluiceError(
    'CONFIG_INVALID',
    `'${endpoint}' is no address of an event feed; expected tcp://host:port`,
  );
}

function subscribe(endpoint: string, listener: KvEventListener): () => void {
  const socket = new Subscriber(connecting);
  let connected = false;
  const tell = (state: 'live' | 'lost'): void => {
    const now = state === 'live';
    if (connected === now) return;
    connected = now;
    listener.onState(state);
  };
  const onLive = (): void => tell('live');
  const onLost = (): void => tell('lost');
  socket.events.on('handshake', onLive);
  socket.events.on('disconnect', onLost);
  socket.subscribe();
  socket.connect(endpoint);
  void receive(socket, listener);
  return () => {
    if (socket.closed) return;
    socket.events.off('handshake', onLive);
    socket.events.off('disconnect', onLost);
    socket.close();
  };
}

async function receive(socket: Subscriber, listener: KvEventListener): Promise<void> {
  const turns = createTurns(null);
  for await (const frames of socket) {
    const batch = readBatch(frames);
    // Without it there is a gap in the sequence, which the listener notices.
    if (batch !== null && batch !== 'end') listener.onBatch(batch);
    await turns.pause();
  }
}

async function replay(
  endpoint: string,
  from: number,
  replayMs: number,
): Promise<readonly KvEventBatch[]> {
  const socket = new Dealer({ ...connecting, receiveTimeout: replayMs, sendTimeout: replayMs });
  try {
    socket.connect(endpoint);
    const start = Buffer.alloc(8);
    start.writeBigInt64BE(BigInt(from));
    await socket.send([Buffer.alloc(0), start]);
    const turns = createTurns(null);
    const kept: { readonly batch: KvEventBatch; readonly size: number }[] = [];
    let bytes = 0;
    for (;;) {
      const frames = await socket.receive();
      const batch = readBatch(frames);
      if (batch === 'end') return kept.map((entry) => entry.batch);
      if (batch !== null) {
        const size = frames.at(-1)?.length ?? 0;
        kept.push({ batch, size });
        bytes += size;
      }
      while (bytes > maxReplayBytes) bytes -= kept.shift()?.size ?? bytes;
      await turns.pause();
    }
  } finally {
    socket.close();
  }
}

// Only what is asked for is decoded: no classes, and integers that a number cannot hold stay whole.
const unpackr = new Unpackr({ int64AsType: 'bigint', useRecords: false, mapsAsObjects: true });

/** `end` = the mark after a replay; null = no batch. Engines put a topic, or none, in front of sequence and payload. */
function readBatch(frames: readonly Buffer[]): KvEventBatch | 'end' | null {
  const [number, payload] = [frames.at(-2), frames.at(-1)];
  if (number?.length !== 8 || payload === undefined) return null;
  const sequence = Number(number.readBigInt64BE());
  if (sequence === -1 && payload.length === 0) return 'end';
  if (sequence < 0 || !Number.isSafeInteger(sequence)) return null;
  try {
    const batch: unknown = unpackr.unpack(payload);
    const events: unknown = Array.isArray(batch) ? batch[1] : null;
    return Array.isArray(events) ? { sequence, events } : null;
  } catch {
    return null;
  }
}
