/** One connection to Redis: every call ends in time, and while Redis is away no call waits for it. */
import { setTimeout as delay } from 'node:timers/promises';
import { createClient, ErrorReply } from '@redis/client';
import type { Clock } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import { healthy, nextHealth, type BreakerOptions, type ReplicaHealth } from '../breaker.ts';
import type { Script } from './redis-scripts.ts';
import { messageOf } from './words.ts';

export interface RedisConnectionOptions {
  readonly url: string;
  /** Milliseconds that a call may take. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Redis can be used (again). */
  readonly onReturn: () => void;
  /** Redis cannot be used any more; told once until it returns. */
  readonly onAway: (reason: string) => void;
}

/** Redis is away: nothing was sent, or no answer came in time. */
export class RedisAway extends Error {}

const breaker: BreakerOptions = { failures: 2, pauseMs: 250, maxPauseMs: 4000, probeMs: 4000 };
const lookMs = 100;
/** A probe holds up nobody, so it may take longer than a call. */
const probeTimeoutMs = 1000;
const maxQueued = 10_000;
/** A connection that says nothing for this long, not even to pings, is made anew. */
const silenceMs = 15_000;

/** What of the client is used. */
interface Client {
  readonly isReady: boolean;
  readonly isOpen: boolean;
  sendCommand(args: string[]): Promise<unknown>;
  on(event: 'ready' | 'error' | 'end', listener: (cause?: unknown) => void): unknown;
  connect(): Promise<unknown>;
  close(): Promise<void>;
  destroy(): void;
}

export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #client: Client;
  readonly #prober: NodeJS.Timeout;
  #health: ReplicaHealth = healthy;
  #reason = 'not connected yet';
  #away = false;
  #probing = false;

  /** Connects in the background, again and again. Throws when the URL is none. */
  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#client = clientOf(options);
    this.#client.on('ready', () => {
      this.#health = healthy;
      this.#returned();
    });
    this.#client.on('error', (cause) => this.#lost(describe(cause)));
    this.#client.connect().catch((cause: unknown) => this.#lost(describe(cause)));
    this.#prober = setInterval(() => void this.#probe(), lookMs).unref();
  }

  /** Why Redis is not asked now; null = it is. */
  get trouble(): string | null {
    return this.#client.isReady && this.#health.breaker === 'closed' ? null : this.#reason;
  }

  /** Waits for the first connection, for a bounded time. */
  async ready(ms: number): Promise<void> {
    const until = this.#options.clock.monotonic() + ms;
    while (!this.#client.isReady && this.#options.clock.monotonic() < until) await delay(10);
    if (!this.#client.isReady) this.#lost(this.#reason);
  }

  run({ text, sha }: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    return this.call(['EVALSHA', sha, ...rest]).catch((cause: unknown) => {
      if (cause instanceof ErrorReply && cause.message.startsWith('NOSCRIPT')) {
        return this.call(['EVAL', text, ...rest]);
      }
      throw cause;
    });
  }

  /**
   * @throws RedisAway when there is no answer in time or Redis is not asked
   * @throws ErrorReply when Redis answers with an error
   */
  async call(command: readonly string[]): Promise<unknown> {
    if (this.trouble !== null) throw new RedisAway(this.#reason);
    return this.#send(command, this.#options.timeoutMs);
  }

  /** Bounded as well: a Redis that does not answer is left. */
  async close(): Promise<void> {
    clearInterval(this.#prober);
    if (!this.#client.isOpen) return;
    await Promise.race([this.#client.close().catch(() => {}), delay(this.#options.timeoutMs)]);
    if (this.#client.isOpen) this.#client.destroy();
  }

  async #send(command: readonly string[], ms: number): Promise<unknown> {
    const late = new RedisAway(`no answer within ${ms} ms`);
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(late), ms);
      this.#client.sendCommand([...command]).then(resolve, reject);
    });
    try {
      const result = await answer;
      this.#health = nextHealth(this.#health, { type: 'success' }, this.#now(), breaker);
      return result;
    } catch (cause) {
      if (cause instanceof ErrorReply) throw cause;
      this.#health = nextHealth(this.#health, { type: 'failure' }, this.#now(), breaker);
      if (this.trouble !== null) this.#lost(describe(cause));
      throw cause instanceof RedisAway ? cause : new RedisAway(describe(cause), { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Looks whether a Redis that did not answer in time answers again. Losing the connection is the client's business. */
  async #probe(): Promise<void> {
    const { breaker: state, until } = this.#health;
    if (this.#probing || !this.#client.isReady || state === 'closed' || this.#now() < until) return;
    this.#probing = true;
    this.#health = { ...this.#health, breaker: 'probing', probedAt: this.#now() };
    try {
      await this.#send(['PING'], probeTimeoutMs);
      this.#returned();
    } catch (cause) {
      // An answer that is an error is an answer.
      if (cause instanceof ErrorReply) this.#health = healthy;
    } finally {
      this.#probing = false;
    }
  }

  #returned(): void {
    this.#away = false;
    this.#options.onReturn();
  }

  #lost(reason: string): void {
    this.#reason = reason;
    if (this.#away) return;
    this.#away = true;
    this.#options.onAway(reason);
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }
}

function clientOf({ url, timeoutMs }: RedisConnectionOptions): Client {
  try {
    return createClient({
      url,
      RESP: 2,
      disableOfflineQueue: true,
      commandsQueueMaxLength: maxQueued,
      maintNotifications: 'disabled',
      pingInterval: silenceMs / 3,
      socket: {
        socketTimeout: silenceMs,
        connectTimeout: Math.max(1000, timeoutMs),
        reconnectStrategy: (retries) => Math.min(2000, 50 * 2 ** Math.min(retries, 6)),
      },
    });
  } catch {
    // The URL may hold a password, and an error about it repeats it: it is no cause.
    throw new SluiceError('CONFIG_INVALID', 'The URL of Redis cannot be read');
  }
}

/** Several addresses that all refused come as one error without a message. */
function describe(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) return messageOf(cause.errors[0]);
  return messageOf(cause) === '' ? 'connection lost' : messageOf(cause);
}
