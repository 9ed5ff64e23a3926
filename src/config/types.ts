/** The configuration after defaults; the same keys in the file, in `SLUICE_*` variables and in `createSluice`. */
import { backendKinds } from '../core/backend-kind.ts';
import type { MethodName, Tier } from '../core/method.ts';
import { survivorClasses } from '../core/survivor-class.ts';
import type { WindowLayout, WindowStrategy } from '../core/window-words.ts';

export { survivorClasses };

export const backendSettings = ['auto', ...backendKinds] as const;
export type BackendSetting = (typeof backendSettings)[number];

/** Starting points for `compress.*`; what is set explicitly wins over them. `presets.ts` holds their values. */
export const presetNames = ['fast', 'balanced', 'faithful'] as const;
export type PresetName = (typeof presetNames)[number];

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];

export const storeNames = ['memory', 'disk', 'redis'] as const;
export type StoreName = (typeof storeNames)[number];

export const saltNames = ['none', 'tenant'] as const;

export const windowModes = ['off', 'asked', 'auto'] as const;

export const windowLayouts = ['auto', 'question-first', 'text-first'] as const;

export interface Config {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Base URLs of upstream servers; empty = the embedded backend answers. Several are replicas of one model. */
  readonly upstream: readonly string[];
  /** `auto` = detected from the server's own answers. */
  readonly backend: BackendSetting;
  /** Folder of a local `tokenizer.json` of the backend's model; null = the shipped one, counts marked estimated. */
  readonly tokenizer: string | null;
  readonly preset: PresetName;
  readonly compress: {
    readonly enabled: boolean;
    readonly method: MethodName;
    /** What `auto` may spend on ranking sentences. */
    readonly tier: Tier;
    /** Share of tokens to keep, (0, 1]; clients can only ask for a higher one. */
    readonly rate: number;
    /** Spans below this many tokens are left alone. */
    readonly min_tokens: number;
    /** `pays` = new text goes out as it came where compressing it costs more than it saves. */
    readonly when: 'pays' | 'always';
    /** `open` = forward the original on failure; `closed` = answer with an error. */
    readonly on_failure: 'open' | 'closed';
    readonly survivors: {
      readonly classes: readonly (typeof survivorClasses)[number][];
      readonly literals: readonly string[];
      /** Regular expressions as text; each compiles with the flags `gu`. */
      readonly patterns: readonly string[];
    };
    /** Also compress completion prompts without recognisable sections. */
    readonly plain_text: boolean;
    /** Honour `sluice` fields inside bodies. */
    readonly body_wishes: boolean;
  };
  readonly score: {
    /** Folder of the causal scorer's manifest; null = the shipped scout. */
    readonly model: string | null;
    /** Folder of a token classifier for llmlingua2; null = the shipped one, if any. */
    readonly classifier: string | null;
    /** Folder of a sentence encoder; null = the shipped one, if any; `none` = without. */
    readonly vectors: string | null;
    /** Folder of a token table; null = the shipped one, if any; `none` = without. */
    readonly table: string | null;
    /** Folder of a cross-encoder; null = the shipped one, if any; `none` = without. */
    readonly pairs: string | null;
    /** Worker threads; threads x workers never exceeds the cores. */
    readonly workers: number;
    readonly threads: number;
    /** Chunks that may wait. */
    readonly queue: number;
    readonly cache_entries: number;
    /** Memory for sentence vectors, bytes. */
    readonly vector_bytes: number;
  };
  readonly embedded: {
    readonly model: string | null;
    readonly max_tokens: number;
    readonly queue: number;
  };
  readonly limits: {
    /** Bodies above this are passed through unread. */
    readonly inspect_bytes: number;
    /** Bodies on Sluice's own routes above this are refused (413). */
    readonly max_body_bytes: number;
    /** Units of messages with more UTF-16 units of compressible text than this are left alone. */
    readonly compress_chars: number;
    /** Time for compressing one request, milliseconds. */
    readonly compress_ms: number;
    readonly connect_ms: number;
    /** Time until the upstream's response head, milliseconds. */
    readonly upstream_head_ms: number;
    /** Silence inside a response body, milliseconds. */
    readonly upstream_idle_ms: number;
    readonly reports: number;
    readonly decisions_bytes: number;
    readonly originals_bytes: number;
  };
  readonly reuse: {
    /** Where decisions are kept that must be forwarded again. */
    readonly store: StoreName;
    /** Bound of the store on disk or in Redis, bytes. */
    readonly store_bytes: number;
    /** May hold a password: never logged, never in errors. */
    readonly redis_url: string | null;
    readonly redis_prefix: string;
    readonly max_conversations: number;
    /** Without use; null = room alone decides. */
    readonly ttl_seconds: number | null;
    /** Without use, after which the backend's cache counts as cold; null = by its kind or its provider's rules. */
    readonly cache_seconds: number | null;
    /** Endpoints of the engines' KV events, in the order of `upstream`; `none` = it has none; empty = nobody has. */
    readonly events: readonly string[];
    /** The same for the endpoints that repeat events. */
    readonly event_replays: readonly string[];
    readonly salt: (typeof saltNames)[number];
    /** What salts are derived from. Never logged. */
    readonly salt_secret: string | null;
    /** Header that names a request's conversation to a router behind Sluice; null = none. */
    readonly affinity_header: string | null;
    readonly pin_slots: boolean;
  };
  readonly windows: {
    /** `asked` = only where the client's header asks; `auto` = also where a request does not fit. */
    readonly mode: (typeof windowModes)[number];
    readonly strategy: WindowStrategy | 'auto';
    readonly layout: WindowLayout | 'auto';
    readonly max_windows: number;
    /** Prompt and answer tokens of all requests that one request may become. */
    readonly max_total_tokens: number;
    /** What they may cost; null = no bound. */
    readonly max_cost: number | null;
    /** Of a million tokens. */
    readonly input_price: number | null;
    readonly output_price: number | null;
    readonly concurrency: number;
    readonly answer_tokens: number;
    readonly record_tokens: number;
    /** Kept at least where a text does not fit at `compress.rate`; null = that. */
    readonly fit_rate: number | null;
    /** Context window of the model; null = as the backend tells. */
    readonly limit_tokens: number | null;
  };
  readonly sinks: {
    readonly enabled: boolean;
    /** Shares of the context window. */
    readonly start: number;
    readonly keep: number;
    readonly first_turns: number;
  };
  readonly tenant: {
    /** Take `x-sluice-tenant` from clients; only behind a trusted hop. */
    readonly trust_header: boolean;
  };
  readonly log: { readonly level: LogLevel };
  /** Absolute path of the folder that outlives restarts. */
  readonly state_dir: string;
}
