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
   * Batches from a number on that the engine still has, oldest first, as far as they came; null = it cannot be asked, or
   * did not answer. Never rejects.
   */
  replay(from: number): Promise<readonly KvEventBatch[] | null>;
}

/** Messages that wait in the socket; what finds no room is missing and is asked for again. */
const waitingMessages = 10_000;
const maxMessageBytes = 64 << 20;
/** The engine sends a replay at once, and drops what finds no room on the way. */
const waitingReplayed = 200_000;
/** Bytes of a replay that are kept, the newest. */
const maxReplayBytes = 128 << 20;
/** Times that a replay is asked for anew because something of it was lost. */
const maxRounds = 30;
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
    replay: (from) =>
      replayEndpoint === null
        ? Promise.resolve(null)
        : replay(replayEndpoint, from, replayMs).catch(() => null),
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

interface Kept {
  readonly batch: KvEventBatch;
  readonly bytes: number;
}

/**
 * The engine sends everything at once and drops what finds no room on the way, somewhere in the middle: what is missing
 * is asked for again, as long as that brings something.
 */
async function replay(
  endpoint: string,
  from: number,
  replayMs: number,
): Promise<readonly KvEventBatch[] | null> {
  const socket = new Dealer({
    ...connecting,
    receiveHighWaterMark: waitingReplayed,
    receiveTimeout: replayMs,
    sendTimeout: replayMs,
  });
  try {
    socket.connect(endpoint);
    const found = await collect(socket, from);
    if (found === null) return null;
    const all = [...found.values()].toSorted((a, b) => a.batch.sequence - b.batch.sequence);
    keepNewest(all);
    return all.map(({ batch }) => batch);
  } finally {
    socket.close();
  }
}

/** Batches by number; null = no answer. */
async function collect(socket: Dealer, from: number): Promise<Map<number, Kept> | null> {
  const found = new Map<number, Kept>();
  let start = from;
  for (let round = 0; round < maxRounds; round += 1) {
    const { kept, ended } = await ask(socket, start);
    if (round === 0 && kept.length === 0 && !ended) return null;
    for (const entry of kept) found.set(entry.batch.sequence, entry);
    const missing = firstMissing(found);
    // The engine may have it no more.
    if (missing === null || kept.length === 0 || (round > 0 && missing <= start)) break;
    start = missing;
  }
  return found;
}

/** The first number between those found that is not among them. */
function firstMissing(found: ReadonlyMap<number, Kept>): number | null {
  const numbers = Float64Array.from(found.keys()).toSorted();
  const hole = numbers.findIndex(
    (sequence, at) => at > 0 && sequence !== (numbers[at - 1] ?? 0) + 1,
  );
  return hole < 0 ? null : (numbers[hole - 1] ?? 0) + 1;
}

function keepNewest(kept: Kept[]): void {
  let bytes = kept.reduce((sum, entry) => sum + entry.bytes, 0);
  let gone = 0;
  for (; bytes > maxReplayBytes; gone += 1) bytes -= kept[gone]?.bytes ?? bytes;
  kept.splice(0, gone);
}

/** One answer, as far as it came. */
async function ask(
  socket: Dealer,
  from: number,
): Promise<{ readonly kept: Kept[]; readonly ended: boolean }> {
  const start = Buffer.alloc(8);
  start.writeBigInt64BE(BigInt(from));
  const kept: Kept[] = [];
  const turns = createTurns(null);
  let bytes = 0;
  try {
    await socket.send([Buffer.alloc(0), start]);
    for (;;) {
      const frames = await socket.receive();
      const batch = readBatch(frames);
      if (batch === 'end') return { kept, ended: true };
      const size = frames.at(-1)?.length ?? 0;
      if (batch !== null) kept.push({ batch, bytes: size });
      bytes += size;
      if (bytes > 2 * maxReplayBytes) {
        keepNewest(kept);
        bytes = maxReplayBytes;
      }
      await turns.pause();
    }
  } catch {
    // Too late: the mark at the end may be what was lost.
    return { kept, ended: false };
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
