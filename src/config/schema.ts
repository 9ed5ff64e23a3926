/**
 * The schema of every setting: type, range, default and description. Environment names, the nearest-key search,
 * error texts and `docs/configuration.md` are all derived from it.
 */
import { z } from 'zod';
import { methodNames, tierNames } from '../core/method.ts';
import { presets } from './presets.ts';
import { reuseSchema } from './reuse-schema.ts';
import { backendSettings, logLevels, presetNames, survivorClasses } from './types.ts';
import type { Config, StoreName } from './types.ts';
import { sinksSchema, windowsSchema } from './windows-schema.ts';

const mebibyte = 1024 * 1024;

/** `Config` before what depends on the machine is filled in: null stands for "decide here". */
export interface Settings extends Omit<Config, 'score' | 'reuse' | 'state_dir'> {
  readonly reuse: Omit<Config['reuse'], 'store'> & { readonly store: StoreName | null };
  readonly score: Omit<Config['score'], 'workers'> & { readonly workers: number | null };
  readonly state_dir: string | null;
}

const text = z.string().min(1);
const milliseconds = z.int().min(1).max(86_400_000);
const byteCount = z
  .int()
  .min(1024)
  .max(4096 * mebibyte);

function isUpstreamUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  const http = url.protocol === 'http:' || url.protocol === 'https:';
  return http && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
}

function compiles(pattern: string): boolean {
  try {
    new RegExp(pattern, 'gu');
    return true;
  } catch {
    return false;
  }
}

const survivors = z.strictObject({
  classes: z
    .array(z.enum(survivorClasses))
    .default([...survivorClasses])
    .describe('Classes of words that survive compression.'),
  literals: z
    .array(text)
    .max(1000)
    .default([])
    .describe('Strings that survive wherever they occur.'),
  patterns: z
    .array(text.max(1000).refine(compiles))
    .max(100)
    .default([])
    .meta({ expects: 'a list of regular expressions (flags gu)' })
    .describe('Regular expressions; every match survives.'),
});

const compress = z.strictObject({
  enabled: z.boolean().default(true).describe('false = forward everything as it came.'),
  method: z
    .enum(methodNames)
    .default(presets.balanced.method)
    .describe('How prose is compressed; `auto` picks per span.'),
  tier: z
    .enum(tierNames)
    .default(presets.balanced.tier)
    .describe(
      'What `auto` may spend on ranking sentences for a question: `express` = rules and a token table, `balanced` = sentence vectors as well, `thorough` = a cross-encoder as well.',
    ),
  rate: z
    .number()
    .gt(0)
    .max(1)
    .default(presets.balanced.rate)
    .describe('Share of the tokens to keep. Clients can only ask for a higher one.'),
  min_tokens: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(presets.balanced.min_tokens)
    .describe('Spans below this many tokens are left alone.'),
  when: z
    .enum(['pays', 'always'])
    .default('pays')
    .describe(
      'When new text is compressed. `pays` = while that costs less than it saves: prices and caching rules of hosted models, measured speeds otherwise; conversations in which it has lost go on uncompressed. `always` = whatever it costs.',
    ),
  on_failure: z
    .enum(['open', 'closed'])
    .default('open')
    .describe('`open` = forward the original when compressing fails; `closed` = answer an error.'),
  survivors: survivors.prefault({}),
  plain_text: z
    .boolean()
    .default(false)
    .describe('Also compress completion prompts without recognisable sections.'),
  body_wishes: z
    .boolean()
    .default(true)
    .describe('Honour `sluice` fields inside request bodies (they are removed in any case).'),
});

const score = z.strictObject({
  model: text
    .nullable()
    .default(null)
    .describe("Folder of the causal scorer's manifest; null = the shipped model."),
  classifier: text
    .nullable()
    .default(null)
    .describe(
      'Folder of a token classifier for `llmlingua2`; null = the shipped one, if any; `none` = without.',
    ),
  vectors: text
    .nullable()
    .default(null)
    .describe('Folder of a sentence encoder; null = the shipped one, if any; `none` = without.'),
  table: text
    .nullable()
    .default(null)
    .describe('Folder of a token table; null = the shipped one, if any; `none` = without.'),
  pairs: text
    .nullable()
    .default(null)
    .describe('Folder of a cross-encoder; null = the shipped one, if any; `none` = without.'),
  workers: z
    .int()
    .min(1)
    .max(1024)
    .nullable()
    .default(null)
    .describe('Worker threads that score; null = one core less than there are, over `threads`.'),
  threads: z
    .int()
    .min(1)
    .max(1024)
    .default(1)
    .describe('Threads of one worker; workers x threads never exceeds the cores.'),
  queue: z.int().min(1).max(1_000_000).default(256).describe('Chunks that may wait for a worker.'),
  cache_entries: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(4096)
    .describe('Scored chunks that are remembered.'),
  vector_bytes: byteCount
    .default(64 * mebibyte)
    .describe('Memory for sentence vectors that are remembered, bytes.'),
});

const embedded = z.strictObject({
  model: text
    .nullable()
    .default(null)
    .describe(
      'What the embedded backend serves: the folder of a model like the shipped one, or a `.gguf` file (needs the package node-llama-cpp installed beside Sluice); null = the shipped model.',
    ),
  max_tokens: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(512)
    .describe('Longest answer of the embedded backend, in tokens.'),
  queue: z
    .int()
    .min(1)
    .max(100_000)
    .default(64)
    .describe('Requests that may wait for the embedded backend.'),
});

const limits = z.strictObject({
  inspect_bytes: byteCount
    .default(32 * mebibyte)
    .describe('Bodies above this many bytes are passed through unread.'),
  max_body_bytes: byteCount
    .default(64 * mebibyte)
    .describe("Bodies above this many bytes are refused on Sluice's own routes (413)."),
  compress_chars: z
    .int()
    .min(1000)
    .max(1_000_000_000)
    .default(500_000)
    .describe('Texts with more UTF-16 units than this are left alone.'),
  compress_ms: milliseconds
    .default(2000)
    .describe('Time for compressing one request, milliseconds.'),
  connect_ms: milliseconds
    .default(5000)
    .describe('Time for connecting to the upstream, milliseconds.'),
  upstream_head_ms: milliseconds
    .default(600_000)
    .describe("Time until the upstream's response head, milliseconds."),
  upstream_idle_ms: milliseconds
    .default(300_000)
    .describe('Longest silence inside a response body, milliseconds.'),
  reports: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(2000)
    .describe('Request reports that are remembered.'),
  decisions_bytes: byteCount
    .default(128 * mebibyte)
    .describe('Memory for forwarded texts that are replayed, bytes.'),
  originals_bytes: byteCount
    .default(64 * mebibyte)
    .describe('Memory for originals behind `/v1/retrieve/{hash}`, bytes.'),
});

const settingsSchema = z.strictObject({
  host: text.default('127.0.0.1').describe('Address to listen on.'),
  port: z.int().min(0).max(65_535).default(8790).describe('Port to listen on; 0 = any free one.'),
  upstream: z
    .array(z.string().refine(isUpstreamUrl))
    .max(256)
    .default([])
    .meta({ expects: 'a list of http(s) URLs without user, password, query and fragment' })
    .describe(
      'Base URLs of upstream servers; none = the embedded backend answers. Several are replicas of one model: each request goes to the one that has most of its prompt cached and least to do.',
    ),
  backend: z
    .enum(backendSettings)
    .default('auto')
    .describe("Kind of the upstream; `auto` = detected from the server's own answers."),
  tokenizer: text
    .nullable()
    .default(null)
    .describe(
      "Folder of the upstream's model: its `tokenizer.json` counts; its chat template (`chat_template.jinja` or `tokenizer_config.json`) gives the exact tokens of a prompt, for forecasts of what is cached; its `config.json` says at which lengths the model computes positions in another way, so that nothing cached is expected across. The last two may be missing. null = the shipped tokenizer stands in, and reported counts are the server's own where it counts, else marked estimated.",
    ),
  preset: z
    .enum(presetNames)
    .default('balanced')
    .describe('Starting point for `compress.method`, `.tier`, `.rate` and `.min_tokens`.'),
  compress: compress.prefault({}),
  score: score.prefault({}),
  embedded: embedded.prefault({}),
  limits: limits.prefault({}),
  reuse: reuseSchema.prefault({}),
  windows: windowsSchema.prefault({}),
  sinks: sinksSchema.prefault({}),
  tenant: z
    .strictObject({
      trust_header: z
        .boolean()
        .default(false)
        .describe('Take `x-sluice-tenant` from clients; only behind a trusted hop.'),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(logLevels).default('info').describe('Least severe level that is logged.'),
    })
    .prefault({}),
  state_dir: text
    .nullable()
    .default(null)
    .describe(
      "Folder for what outlives restarts: with `reuse.store: disk`, the texts that were forwarded and are forwarded again. null = `sluice` in the user's state directory.",
    ),
});

/** The schema as JSON Schema (draft 2020-12) of what may be written into a file. */
export function settingsJsonSchema(): unknown {
  return z.toJSONSchema(settingsSchema, { io: 'input' });
}

/** The checked settings with defaults, or the dotted path of every value that is wrong. */
export function checkSettings(
  input: unknown,
): { readonly settings: Settings } | { readonly wrong: readonly string[] } {
  const parsed = settingsSchema.safeParse(input);
  if (parsed.success) return { settings: parsed.data };
  return { wrong: parsed.error.issues.map((issue) => issue.path.join('.')) };
}
