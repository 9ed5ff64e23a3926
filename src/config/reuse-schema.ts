/** The settings of what is remembered and reused. */
import { z } from 'zod';
import { saltNames, storeNames } from './types.ts';

const mebibyte = 1024 * 1024;
const text = z.string().min(1);
const byteCount = z
  .int()
  .min(1024)
  .max(4096 * mebibyte);

function isRedisUrl(value: string): boolean {
  return URL.canParse(value) && ['redis:', 'rediss:'].includes(new URL(value).protocol);
}

/** A field name (RFC 9110 section 5.1) that ends at the upstream and has no other meaning. */
function isAffinityHeader(value: string): boolean {
  return /^x-[a-z0-9-]{1,60}$/i.test(value) && !/^x-sluice-/i.test(value);
}

function isEventsEndpoint(value: string): boolean {
  return value === 'none' || /^(tcp:\/\/[^\s/]+:\d+|ipc:\/\/\S+)$/.test(value);
}

export const reuseSchema = z.strictObject({
  store: z
    .enum(storeNames)
    .nullable()
    .default(null)
    .describe(
      'Where forwarded texts are kept that are forwarded again: `memory`, `disk` (in `state_dir`), `redis` (shared by several Sluices); null = `disk` for `sluice serve` and where `state_dir` is set, else `memory`.',
    ),
  store_bytes: byteCount
    .default(512 * mebibyte)
    .describe('Room for them on disk, bytes; `limits.decisions_bytes` bounds memory.'),
  redis_url: text
    .refine(isRedisUrl)
    .nullable()
    .default(null)
    .meta({ expects: 'a redis:// or rediss:// URL' })
    .describe('Server for `reuse.store: redis`.'),
  redis_prefix: text.max(100).default('sluice:').describe('Beginning of every key in Redis.'),
  max_conversations: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .describe('Conversations that are remembered.'),
  ttl_seconds: z
    .int()
    .min(1)
    .max(31_536_000)
    .nullable()
    .default(null)
    .describe('Seconds without use after which Redis forgets a text; null = a week.'),
  cache_seconds: z
    .int()
    .min(1)
    .max(31_536_000)
    .nullable()
    .default(null)
    .describe(
      "Seconds without use after which the backend's cache counts as cold; null = by the backend's kind, or the provider's rules.",
    ),
  events: z
    .array(z.string().refine(isEventsEndpoint))
    .max(256)
    .default([])
    .meta({ expects: 'a list of tcp://host:port endpoints, or `none` where there is none' })
    .describe(
      "Where the upstreams publish their KV cache events (ZMQ; vLLM's `--kv-events-config`), in the order of `upstream`; empty = nowhere.",
    ),
  event_replays: z
    .array(z.string().refine(isEventsEndpoint))
    .max(256)
    .default([])
    .meta({ expects: 'a list of tcp://host:port endpoints, or `none` where there is none' })
    .describe(
      'Where they repeat events that were missed (`replay_endpoint`), in the order of `upstream`; empty = nowhere.',
    ),
  salt: z
    .enum(saltNames)
    .default('none')
    .describe(
      '`tenant` = every tenant gets a `cache_salt` of its own, so that none can find out by timing what others have sent.',
    ),
  salt_secret: text
    .min(16)
    .nullable()
    .default(null)
    .meta({ expects: 'a string of at least 16 characters' })
    .describe(
      'What salts are derived from; the same for all Sluices in front of the same servers. null = made once and kept in `state_dir`.',
    ),
  affinity_header: text
    .refine(isAffinityHeader)
    .nullable()
    .default(null)
    .meta({ expects: 'a header name that begins with x-' })
    .describe(
      'Header that tells a router behind Sluice which conversation a request belongs to: added to requests with `x-sluice-session`, its value derived from tenant and session.',
    ),
  pin_slots: z
    .boolean()
    .default(false)
    .describe('Give a conversation a slot of its own on llama.cpp servers (`id_slot`).'),
});
