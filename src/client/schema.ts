/** Generated from openapi.yaml by `npm run generate`; do not edit. */

export interface paths {
    readonly "/v1/chat/completions": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * OpenAI chat completions, compressed on the way in
         * @description The body is forwarded with document sections, tool results and demonstrations shortened; everything else keeps
         *     every byte. `sluice` fields (on the body and on content parts) are understood and removed. The answer is the
         *     backend's, streamed or not, plus `x-sluice-*` headers.
         */
        readonly post: operations["createChatCompletion"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/completions": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * OpenAI completions, compressed on the way in
         * @description As for chat completions. A prompt without recognisable sections is left alone unless `compress.plain_text` is
         *     configured.
         */
        readonly post: operations["createCompletion"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/compress": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Shorten texts, or the texts of a conversation
         * @description Two forms; `messages` decides which. The text form takes `text` or `context` and fails loudly: nothing else was
         *     asked for. The messages form speaks the contract of existing guardrail callers and never fails because of
         *     scoring: what could not be compressed comes back as it was.
         */
        readonly post: operations["compress"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/explain": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * What would happen to a request body
         * @description Takes the body of a dialect request (`messages` or `prompt`), forwards nothing, and answers every span with its
         *     offsets, its policy, the reason, and which words would be kept, dropped or pinned.
         */
        readonly post: operations["explain"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/plan": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * What a conversation would cost through Sluice, or what a longer context takes
         * @description Three forms; `model_config` or `requests` decides which. The messages form takes the last request of a conversation: its earlier
         *     requests are the messages up to each answer of the assistant. The requests form takes the bodies of all requests
         *     in order, at most 1000. Every request is planned as the proxy would decide it now, for a conversation that it has
         *     not seen before; nothing is forwarded, nothing is remembered. At most four plans are made at the same time.
         *     The extension form takes a model's `config.json` and a length: every scheme of positions that can carry the model
         *     there, with its bounds, costs and the flags that start a server with it (docs/extension.md).
         */
        readonly post: operations["plan"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/windows": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Answers a question about a text of any length
         * @description The text is compressed first; what still does not fit the model's context window is read in windows, by several
         *     requests that share their beginning, and answered from them. Nothing is cut silently: windows that were not asked
         *     or that failed are in the answer with the offsets of their text. The same happens on the dialect routes
         *     (`x-sluice-windows`), where the answer is streamed. Goes to the configured upstream with the caller's own
         *     credentials.
         */
        readonly post: operations["windows"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/retrieve/{hash}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * The original text behind a hash
         * @description Scoped to the tenant. Old entries are evicted (`limits.originals_bytes`).
         */
        readonly get: operations["retrieve"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/requests/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * The report of one request
         * @description Scoped to the tenant. Old reports are evicted (`limits.reports`).
         */
        readonly get: operations["getRequest"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/stats": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Totals of a tenant since the start */
        readonly get: operations["getStats"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/healthz": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Whether the process answers */
        readonly get: operations["getHealth"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/readyz": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Whether requests can be served
         * @description Ready when the models are warm, and the store and the backend answer.
         */
        readonly get: operations["getReadiness"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/metrics": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Metrics in Prometheus text format 0.0.4
         * @description Names begin with `sluice_`; process and Node metrics have their usual names.
         */
        readonly get: operations["getMetrics"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/openapi.yaml": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** This document */
        readonly get: operations["getSpecification"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/dashboard": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** A page about what Sluice does */
        readonly get: operations["getDashboard"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/compact": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * An inference body in, a smaller body of the same shape out
         * @description The contract of llm-d's router; the caller keeps its own body on anything but 200.
         */
        readonly post: operations["compact"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/llm/v1/compressPrompt": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Texts with ids, compressed by ranges of length
         * @description The contract of Kong's prompt compressor. Where `<LLMLINGUA>` tags stand in a text, only what is between them is
         *     compressed.
         */
        readonly post: operations["compressPrompt"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/status": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Readiness as Kong's prompt compressor asks for it */
        readonly get: operations["getStatus"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description - `compressed`: at least one text was decided anew and is shorter
         *     - `replayed`: every shortened text was decided by an earlier request
         *     - `unchanged`: looked at, nothing was worth changing
         *     - `bypassed`: not looked at; forwarded byte for byte
         *     - `failed-open`: compressing failed; the original bytes were forwarded
         * @enum {string}
         */
        readonly Decision: "compressed" | "replayed" | "unchanged" | "bypassed" | "failed-open";
        /**
         * @description Why a text was left alone; one vocabulary for headers, reports, metrics and logs.
         * @enum {string}
         */
        readonly SkipReason: "off-by-client" | "off-by-config" | "not-a-dialect" | "not-json" | "duplicate-key" | "lone-surrogate" | "too-deep" | "content-encoding" | "body-too-large" | "unexpected-shape" | "pinned" | "too-short" | "too-long" | "no-method" | "method-unavailable" | "not-worth-it" | "survivor-lost" | "deadline" | "queue-full" | "scorer-error" | "internal-error" | "client-gone" | "turn-left-out" | "window-left-out" | "window-failed" | "windows-off" | "windows-unfit";
        /**
         * @description `auto` picks per text.
         * @enum {string}
         */
        readonly MethodName: "auto" | "extractive" | "structural" | "selective-context" | "llmlingua" | "longllmlingua" | "llmlingua2";
        /**
         * @description What the characters are, whatever they are for.
         * @enum {string}
         */
        readonly ContentKind: "prose" | "code" | "json" | "log" | "diff" | "table" | "markup" | "search";
        /**
         * @description What the text is for.
         * @enum {string}
         */
        readonly SpanKind: "instruction" | "question" | "demonstration" | "document" | "history" | "tool-call" | "tool-result";
        /**
         * @description `droppable` = left out as a whole or not at all.
         * @enum {string}
         */
        readonly Policy: "pinned" | "compressible" | "droppable";
        /**
         * @description Why a text has its policy.
         * @enum {string}
         */
        readonly SpanReason: "system-prompt" | "tool-schema" | "tool-call" | "assistant-text" | "image" | "question" | "document-section" | "demonstration" | "tool-result" | "earlier-turn" | "code-block" | "declared" | "plain-prompt";
        /**
         * @description Why a word is kept or dropped.
         * @enum {string}
         */
        readonly KeepReason: "dropped" | "score" | "survivor" | "forced" | "structure" | "pinned";
        /**
         * @description Every code is described in docs/errors.md.
         * @enum {string}
         */
        readonly ErrorCode: "CONFIG_INVALID" | "REQUEST_INVALID" | "BODY_TOO_LARGE" | "BUDGET_IMPOSSIBLE" | "WINDOW_TOO_SMALL" | "METHOD_UNAVAILABLE" | "MODEL_INVALID" | "SCORER_FAILED" | "QUEUE_FULL" | "DEADLINE_EXCEEDED" | "UPSTREAM_REFUSED" | "UPSTREAM_TIMEOUT" | "UPSTREAM_REJECTED" | "UPSTREAM_RESET" | "NOT_FOUND" | "NOT_READY" | "ABORTED" | "INTERNAL";
        /** @description RFC 9457 problem document. */
        readonly Problem: {
            /**
             * Format: uri
             * @description `urn:sluice:error:CODE`
             */
            readonly type: string;
            readonly title: string;
            readonly status: number;
            /** @description What failed, on what, what was found; never text of a prompt. */
            readonly detail: string;
            readonly code: components["schemas"]["ErrorCode"];
            /** @description What to do about it. */
            readonly remedy: string;
            readonly request_id: string;
        };
        /** @description The shape that clients of the dialect read. */
        readonly DialectError: {
            readonly error?: {
                readonly message?: string;
                readonly type?: string | null;
                readonly param?: string | null;
                /** @description A code of docs/errors.md when the error is of Sluice. */
                readonly code?: string | number | null;
            } & {
                readonly [key: string]: unknown;
            };
        } & {
            readonly [key: string]: unknown;
        };
        /** @description Wishes inside a body or a content part; removed before forwarding. */
        readonly SluiceField: {
            readonly compress?: boolean;
            readonly rate?: number;
            readonly target_tokens?: number;
            readonly method?: components["schemas"]["MethodName"];
            readonly session?: string;
            readonly kind?: components["schemas"]["SpanKind"];
        } & {
            readonly [key: string]: unknown;
        };
        readonly ChatMessage: {
            readonly role: string;
            readonly content?: unknown;
        } & {
            readonly [key: string]: unknown;
        };
        /** @description The dialect's own schema; only what Sluice reads is named. */
        readonly ChatCompletionRequest: {
            readonly model?: string;
            readonly messages: readonly components["schemas"]["ChatMessage"][];
            readonly stream?: boolean | null;
            readonly sluice?: components["schemas"]["SluiceField"];
        } & {
            readonly [key: string]: unknown;
        };
        /** @description The dialect's own schema; only what Sluice reads is named. */
        readonly CompletionRequest: {
            readonly model?: string;
            readonly prompt: unknown;
            readonly stream?: boolean | null;
            readonly sluice?: components["schemas"]["SluiceField"];
        } & {
            readonly [key: string]: unknown;
        };
        /** @description Exactly one of `text` and `context`; a text is one segment, the entries of `context` share one budget. */
        readonly CompressTextRequest: {
            readonly text?: string;
            readonly context?: readonly string[];
            /** @description What the texts have to answer. */
            readonly question?: string;
            readonly instruction?: string;
            /** @description Share of the tokens to keep. */
            readonly rate?: number;
            /** @description Tokens that may remain; wins over `rate`. */
            readonly target_tokens?: number;
            readonly method?: components["schemas"]["MethodName"];
            readonly kind?: components["schemas"]["ContentKind"];
            /** @description Tokenizer that should count; another one than the loaded one is told in `report.notes`. */
            readonly tokenizer?: string;
            /** @description Adds the kept and dropped pieces to the report. */
            readonly explain?: boolean;
            /** @description Options of the reference libraries under their own names (docs of each method). */
            readonly options?: {
                readonly [key: string]: unknown;
            };
        };
        readonly CompressTextResponse: {
            /** @description Segments joined by a blank line. */
            readonly text: string;
            readonly context: readonly string[];
            readonly report: components["schemas"]["TextReport"];
        };
        /** @description One word or other smallest unit of a text. */
        readonly Piece: {
            /** @description UTF-16 offset. */
            readonly start: number;
            readonly end: number;
            readonly kept: boolean;
            readonly why: components["schemas"]["KeepReason"];
            /** @description The value that decided; its unit depends on the method. */
            readonly score: number | null;
        };
        readonly TextReport: {
            readonly tokens_before: number;
            readonly tokens_after: number;
            /** @description Tokenizer that counted. */
            readonly tokenizer: string;
            /** @description True when it stands in for the backend's own. */
            readonly estimated: boolean;
            readonly budget_tokens: number | null;
            readonly segments: readonly {
                readonly method: string | null;
                readonly content: components["schemas"]["ContentKind"];
                /** @description Why the segment came back whole. */
                readonly skipped: components["schemas"]["SkipReason"] | null;
                readonly tokens_before: number;
                readonly tokens_after: number;
                readonly pieces?: readonly components["schemas"]["Piece"][];
            }[];
            /** @description Order of the segments in `text`, as indices into the given ones. */
            readonly order: readonly number[];
            /** @description `budget-estimated`: the budget was met in tokens of the local tokenizer, the numbers here are the backend's. */
            readonly notes: readonly string[];
            readonly compress_ms: number;
        };
        readonly CompressMessagesRequest: {
            readonly messages: readonly components["schemas"]["ChatMessage"][];
            readonly model?: string;
            /** @description `target_ratio` and `session_id` have a meaning here; other keys are named in `report.ignored_config`. */
            readonly config?: {
                readonly target_ratio?: number;
                readonly session_id?: string;
            } & {
                readonly [key: string]: unknown;
            };
            readonly rate?: number;
            readonly target_tokens?: number;
            readonly method?: components["schemas"]["MethodName"];
        };
        readonly CompressMessagesResponse: {
            readonly messages: readonly components["schemas"]["ChatMessage"][];
            readonly tokens_before: number;
            readonly tokens_after: number;
            readonly tokens_saved: number;
            /** @description `tokens_after / tokens_before` */
            readonly compression_ratio: number;
            readonly transforms_applied: readonly string[];
            /** @description For `/v1/retrieve/{hash}`. */
            readonly ccr_hashes: readonly string[];
            readonly report: (components["schemas"]["RequestReport"] & {
                readonly ignored_config?: readonly string[];
            }) | null;
        };
        /**
         * @description Whose prices and caching rules count; default = the kind of the backend behind this Sluice.
         * @enum {string}
         */
        readonly BackendKind: "openai" | "vllm" | "sglang" | "llamacpp" | "ollama" | "tgi" | "anthropic" | "embedded";
        /** @description Prompt tokens a second of a server of one's own; default = as measured, else 5000. */
        readonly PrefillRate: number;
        /** @description Tokens of a cache block of a server of one's own; default = as the server says, else 16. */
        readonly BlockSize: number;
        readonly PlanMessagesRequest: {
            readonly messages: readonly components["schemas"]["ChatMessage"][];
            readonly model?: string;
            readonly max_tokens?: number | null;
            readonly max_completion_tokens?: number | null;
            readonly sluice?: components["schemas"]["SluiceField"];
            readonly backend?: components["schemas"]["BackendKind"];
            readonly prefill_rate?: components["schemas"]["PrefillRate"];
            readonly block_size?: components["schemas"]["BlockSize"];
        };
        readonly PlanRequestsRequest: {
            readonly requests: readonly components["schemas"]["ChatCompletionRequest"][];
            readonly backend?: components["schemas"]["BackendKind"];
            readonly prefill_rate?: components["schemas"]["PrefillRate"];
            readonly block_size?: components["schemas"]["BlockSize"];
        };
        readonly PlanExtensionRequest: {
            /** @description A Hugging Face config.json with rotary positions; unknown fields are fine. */
            readonly model_config: {
                readonly [key: string]: unknown;
            };
            /** @description Tokens of the longest prompt with its answer. */
            readonly length: number;
            readonly server?: components["schemas"]["PlanServer"];
        };
        /**
         * @description Left out = all.
         * @enum {string}
         */
        readonly PlanServer: "vllm" | "sglang" | "llamacpp" | "ollama";
        /** @enum {string} */
        readonly RopeType: "default" | "linear" | "ntk-static" | "dynamic" | "ntk-stepped" | "yarn" | "yarn-paper" | "llama3" | "longrope" | "adjusted-base";
        readonly ExtensionPlan: {
            /** @description As read from the configuration; lengths in tokens. */
            readonly model: {
                readonly family: string;
                readonly layers: number;
                readonly head_dim: number;
                /** @description Channels of a head that are rotated. */
                readonly rope_dim: number;
                readonly base: number;
                /** @description Before any scaling. */
                readonly trained_length: number;
                /** @description With the scaling of its own. */
                readonly configured_length: number;
                readonly scaling: components["schemas"]["RopeType"];
            };
            readonly length: number;
            /** @description Length / trained length. */
            readonly factor: number;
            /** @description Rotated channels that saw a whole period in training. */
            readonly critical_dimension: number;
            /** @description Bases for the length; null where the law says nothing. */
            readonly bases: {
                /** @description arXiv 2310.05209. */
                readonly perplexity: number | null;
                readonly perplexity_continuous: number | null;
                /** @description Smallest one by arXiv 2405.14591. */
                readonly retrieval: number;
            };
            readonly schemes: readonly components["schemas"]["SchemePlan"][];
            readonly cache: {
                /**
                 * @description What of a cached text may be used again: A any prefix, W while its last window is resident, S the state at the saved point.
                 * @enum {string}
                 */
                readonly reuse: "A" | "W" | "S" | "N" | "T";
                readonly dtype: string;
                readonly bytes_per_token: number;
                readonly bytes_at_length: number;
            };
            readonly prefill: {
                readonly linear_flops: number;
                readonly attention_flops: number;
                readonly total_flops: number;
            } | null;
            /** @description How much of a claimed length is of use, by what was published of other models. */
            readonly effective: {
                readonly estimate: {
                    readonly tokens: number;
                    readonly from: number;
                    readonly to: number;
                    readonly basis: string;
                };
                readonly published: readonly {
                    readonly model: string;
                    readonly claimed: number;
                    readonly effective: number | null;
                    readonly source: string;
                }[];
            };
            readonly notes: readonly string[];
        };
        readonly SchemePlan: {
            readonly type: components["schemas"]["RopeType"];
            readonly title: string;
            readonly source: string;
            /** @description What it does to prompts the model could take anyway. */
            readonly short_prompts: string;
            readonly tuning: string;
            /** @description What happens to cached keys and values. */
            readonly cache: string;
            /** @description For config.json. */
            readonly rope_parameters: {
                readonly [key: string]: unknown;
            };
            /** @description Radians per position, one per pair, for a sequence of the length. */
            readonly inverse_frequencies: readonly number[];
            /** @description Multiplies cos and sin. */
            readonly attention_factor: number;
            /** @description Pairs that turn differently from the model's own configuration in a prompt of the trained length. */
            readonly changed_pairs: number;
            readonly bounds: {
                /** @description Null where the law says nothing. */
                readonly perplexity: number | null;
                /** @description Looked at no further than the length and 1048576. */
                readonly retrieval: number;
                readonly retrieval_reached: boolean;
            };
            readonly servers: readonly components["schemas"]["ServerPlan"][];
        };
        readonly ServerPlan: {
            readonly server: components["schemas"]["PlanServer"];
            /**
             * @description runs with the arguments; needs-file the model file must be made with the scheme first; capped it starts, but serves the old length; refused it does not start, or knows no such scheme.
             * @enum {string}
             */
            readonly verdict: "runs" | "needs-file" | "capped" | "refused";
            readonly arguments: readonly string[];
            readonly environment: readonly {
                readonly name: string;
                readonly value: string;
            }[];
            /** @description A line for a shell. */
            readonly command: string | null;
            /** @description Row of docs/validity.md. */
            readonly cache_row: string | null;
            readonly evidence: string;
            readonly notes: readonly string[];
        };
        readonly PlannedTurn: {
            /** @description Counts from 1. */
            readonly turn: number;
            readonly mode: components["schemas"]["ReuseMode"] | null;
            readonly epoch: number | null;
            readonly decision: components["schemas"]["Decision"];
            readonly admission: components["schemas"]["AdmissionReason"] | null;
            /** @description Prompt tokens as the client sends them. */
            readonly tokens_before: number;
            /** @description Prompt tokens as they would be forwarded. */
            readonly tokens_after: number;
            /** @description Tokens that the backend can have cached from the turn before, without Sluice. */
            readonly reused_before: number;
            /** @description The same with Sluice. */
            readonly reused_after: number;
            /** @description In `unit` of the plan. */
            readonly cost_before: number;
            readonly cost_after: number;
        };
        readonly ConversationPlan: {
            readonly turns: readonly components["schemas"]["PlannedTurn"][];
            /**
             * @description `ms` of prefill and compressing, or the price of that many plain input tokens.
             * @enum {string}
             */
            readonly unit: "ms" | "input-tokens";
            readonly total: {
                readonly before: number;
                readonly after: number;
            };
            /** @description What the numbers rest on. */
            readonly assumptions: readonly string[];
        };
        readonly SpanReport: {
            /** @description RFC 6901 pointer of the JSON string. */
            readonly pointer: string;
            /** @description UTF-16 offset into the decoded string. */
            readonly start: number;
            readonly end: number;
            readonly kind: components["schemas"]["SpanKind"];
            readonly content: components["schemas"]["ContentKind"];
            readonly policy: components["schemas"]["Policy"];
            readonly reason: components["schemas"]["SpanReason"];
            /** @description Which rule decided. */
            readonly detail: string;
            readonly method: components["schemas"]["MethodName"] | null;
            readonly tokens_before: number | null;
            readonly tokens_after: number | null;
            /** @description True when an earlier request decided the forwarded bytes. */
            readonly replayed: boolean;
            readonly skipped: components["schemas"]["SkipReason"] | null;
            /** @description Hash for `/v1/retrieve/{hash}`. */
            readonly original: string | null;
        };
        readonly RequestReport: {
            readonly id: string;
            /** @description Milliseconds since the epoch of Unix. */
            readonly started_at: number;
            readonly tenant: string;
            readonly dialect: string | null;
            readonly backend: string | null;
            readonly decision: components["schemas"]["Decision"];
            readonly tokens_before: number | null;
            readonly tokens_after: number | null;
            /** @description Tokenizer that counted. */
            readonly tokenizer: string | null;
            /** @description True when another tokenizer than the backend's own counted; a server that counts is asked after its answer, so this may become false a moment later. */
            readonly estimated: boolean;
            readonly epoch: number | null;
            /** @description Prompt tokens that the backend was expected to have cached; null = not known. */
            readonly planned_reuse: number | null;
            /** @description Prompt tokens that it says it had; null = it does not tell. */
            readonly reported_reuse: number | null;
            /** @description How the request went on with its conversation; null = it was not looked at. */
            readonly reuse: components["schemas"]["ReuseReport"] | null;
            /** @description As the backend reports; null = not reported, never 0 for unknown. */
            readonly usage: {
                readonly prompt_tokens: number | null;
                readonly completion_tokens: number | null;
                readonly cached_tokens: number | null;
            } | null;
            /** @description Shortened further than configured, so that it fits the context window; null = not in this request. */
            readonly fit: components["schemas"]["FitReport"] | null;
            /** @description How the request was answered from windows; null = it went out in one piece. */
            readonly windows: components["schemas"]["WindowsReport"] | null;
            /** @description Turns of the conversation that were left out; null = none. */
            readonly sinks: components["schemas"]["SinksReport"] | null;
            readonly spans: readonly components["schemas"]["SpanReport"][];
            readonly skipped: components["schemas"]["SkipCounts"];
            /** @description Milliseconds. */
            readonly timings: {
                readonly read_ms: number | null;
                readonly compress_ms: number | null;
                readonly upstream_ms: number | null;
                readonly total_ms: number | null;
            };
            /** @description Status of the answer; null = not answered. */
            readonly status: number | null;
            /** @description Code of an error of Sluice. */
            readonly error: string | null;
        };
        /**
         * @description `select` = the most relevant and surest window answers; `vote` = equal answers are added up; `reduce` = records of
         *     evidence from all windows are answered together; `nbce` = naive Bayes over windows, token by token.
         * @enum {string}
         */
        readonly WindowStrategy: "select" | "vote" | "reduce" | "nbce";
        readonly WindowsReport: {
            /**
             * @description Counted as too long, refused by the backend, or asked for by the client.
             * @enum {string}
             */
            readonly cause: "too-long" | "refused" | "asked";
            readonly strategy: components["schemas"]["WindowStrategy"];
            /** @enum {string} */
            readonly layout: "question-first" | "text-first";
            /** @description Context window of the backend, as believed. */
            readonly limit_tokens: number | null;
            /** @description Tokens that the prompts of all windows begin with. */
            readonly shared_tokens: number;
            readonly windows: readonly components["schemas"]["WindowReport"][];
            /** @description Requests that the backend got, the final one included. */
            readonly calls: number;
            /** @description Sum over the requests before the final one, as reported. */
            readonly prompt_tokens: number;
            readonly completion_tokens: number;
            readonly cached_tokens: number;
            /** @description Of the same requests at the prices of the configuration, as if the provider had no cache; null = no prices. */
            readonly cost: number | null;
            readonly notes: readonly string[];
        };
        readonly WindowReport: {
            /** @description Where its text stands in the forwarded text (UTF-16 offsets into the strings of the body). */
            readonly places: readonly {
                readonly pointer: string;
                readonly start: number;
                readonly end: number;
            }[];
            readonly tokens: number;
            readonly relevance: number;
            readonly confidence: number | null;
            /** @enum {string} */
            readonly state: "chosen" | "answered" | "no-information" | "failed" | "left-out";
            readonly error: string | null;
            readonly prompt_tokens: number | null;
            readonly cached_tokens: number | null;
        };
        readonly FitReport: {
            /** @description Context window of the backend */
            readonly limit_tokens: number;
            /** @description Tokens that the newest text was to have at most. */
            readonly target_tokens: number;
            /** @description Share of the tokens that was kept at least. */
            readonly rate: number;
        };
        readonly SinksReport: {
            readonly turns: number;
            readonly messages: number;
            /** @description Tokens of the text that was left out. */
            readonly tokens: number;
            /** @description Index of the first message that was left out. */
            readonly from: number;
            /** @description Index of the first one after them. */
            readonly to: number;
            /** @description Cuts so far in the conversation; each begins an epoch. */
            readonly cuts: number;
            /** @description This request is the first one with this cut. */
            readonly fresh: boolean;
        };
        readonly WindowsRequest: {
            /** @description One text; this or `context`. */
            readonly text?: string;
            readonly context?: readonly string[];
            readonly question: string;
            /** @description Stands in front of everything, as system prompt of a chat. */
            readonly instruction?: string;
            /** @description Model of the upstream. */
            readonly model?: string;
            /**
             * @description Which of the upstream's routes is used; chats need a chat template.
             * @enum {string}
             */
            readonly api?: "chat" | "completions";
            readonly strategy?: components["schemas"]["WindowStrategy"];
            /** @description Split into so many windows, whether it fits or not; left out = only where it does not fit. */
            readonly windows?: number;
            /** @description Tokens of the answer. */
            readonly max_tokens?: number;
        };
        readonly WindowsResponse: {
            readonly answer: string;
            /** @description For `/v1/requests/{id}`. */
            readonly request_id: string;
            readonly model: string | null;
            /** @description Of the final request; sums over the others are in `windows`. */
            readonly usage: {
                readonly prompt_tokens: number | null;
                readonly completion_tokens: number | null;
                readonly cached_tokens: number | null;
            } | null;
            readonly tokens_before: number | null;
            readonly tokens_after: number | null;
            readonly skipped: components["schemas"]["SkipCounts"];
            /** @description null = the text fitted and went out in one piece. */
            readonly windows: components["schemas"]["WindowsReport"] | null;
        };
        readonly ReuseReport: {
            /** @description The conversation goes on, branches at an edit, is rewritten, or starts without anything cached. */
            readonly mode: components["schemas"]["ReuseMode"];
            /**
             * @description How the planned reuse is known; `exact` = from token ids and the engine's own events.
             * @enum {string}
             */
            readonly exactness: "exact" | "estimated" | "unknown";
            readonly admission: components["schemas"]["AdmissionReason"];
            /**
             * @description Why the forwarded prefix was kept or given up.
             * @enum {string}
             */
            readonly rewrite: "cold" | "break-even" | "limit" | "nothing-to-gain" | "below-high-water" | "above-low-water" | "too-few-turns" | "costs-more" | "session-loss";
            /** @description Why less was reused than the previous prompt could have given; null = nothing was missing, or nobody knows. */
            readonly miss_reason: components["schemas"]["MissReason"] | null;
            /** @description Regime of the model's position scheme; null = not known. */
            readonly regime: string | null;
            /** @description Replica that was chosen; null = there was nothing to choose. */
            readonly replica: string | null;
        };
        /**
         * @description Whether compressing the newest text pays.
         * @enum {string}
         */
        readonly AdmissionReason: "pays" | "nothing-new" | "costs-more" | "cacheable-minimum" | "session-loss";
        /** @enum {string} */
        readonly ReuseMode: "extend" | "branch" | "rewrite" | "cold";
        /** @enum {string} */
        readonly MissReason: "ttl" | "prefix-changed-by-client" | "rewritten" | "evicted" | "regime" | "block-floor" | "other-replica" | "below-minimum" | "unknown";
        /** @description Number of texts left alone, by reason. */
        readonly SkipCounts: {
            readonly [key: string]: number;
        };
        readonly ExplainResponse: {
            readonly dialect: string | null;
            readonly report: components["schemas"]["RequestReport"];
            readonly spans: readonly (components["schemas"]["SpanReport"] & {
                readonly pieces: readonly components["schemas"]["Piece"][];
            })[];
        };
        readonly Original: {
            readonly original_content: string;
        };
        readonly Totals: {
            readonly requests: number;
            readonly by_decision: {
                readonly [key: string]: number;
            };
            /** @description Inference requests, and calls of the routes that only compress. */
            readonly by_route: {
                readonly [key: string]: number;
            };
            readonly tokens_before: number;
            readonly tokens_after: number;
            /** @description The part of `tokens_before` that another tokenizer than the backend's counted. */
            readonly tokens_estimated: number;
            readonly skipped: components["schemas"]["SkipCounts"];
            /** @description As backends report. */
            readonly cached_tokens: number;
            /** @description As backends report. */
            readonly prompt_tokens_reported: number;
            readonly uptime_seconds: number;
            readonly reuse: components["schemas"]["ReuseTotals"];
            /** @description The servers behind this Sluice, where it chooses among them or watches one; for all tenants. */
            readonly replicas: readonly components["schemas"]["Replica"][];
        };
        readonly ReuseTotals: {
            readonly by_mode: {
                readonly [key: string]: number;
            };
            readonly by_miss: {
                readonly [key: string]: number;
            };
            /** @description Planned reuse, over the requests for which planned and reported are known. */
            readonly planned_tokens: number;
            /** @description Reported reuse of the same requests. */
            readonly reported_tokens: number;
            /** @description Sum of the differences between planned and reported, without sign. */
            readonly error_tokens: number;
            /** @description Conversations in memory */
            readonly conversations: number;
            /** @description Conversations that are not compressed any more because it cost more than it saved, of all tenants. */
            readonly stopped_sessions: number;
            /** @description Calls of the store of decisions that failed or came too late. */
            readonly store_errors: number;
        };
        readonly Replica: {
            readonly id: string;
            readonly healthy: boolean;
            readonly draining: boolean;
            /** @description Requests on their way. */
            readonly running: number;
            /** @description Prompt tokens that wait for their first token. */
            readonly queued_tokens: number;
            /** @description As measured. */
            readonly prefill_tokens_per_second: number | null;
            /** @description Blocks that it is believed to hold. */
            readonly index_blocks: number;
            /** @description Memory for knowing them. */
            readonly index_bytes: number;
            /**
             * @description Events of the engine about its cache; `lost` = they came before, and do not now.
             * @enum {string}
             */
            readonly feed: "live" | "lost" | "none";
        };
        readonly Health: {
            /** @constant */
            readonly status: "ok";
            readonly version: string;
        };
        /** @description What each check found. */
        readonly Checks: {
            readonly [key: string]: string;
        };
        readonly Readiness: {
            /** @enum {string} */
            readonly status: "ready" | "not ready";
            readonly checks: components["schemas"]["Checks"];
        };
        readonly Status: {
            /** @enum {string} */
            readonly status: "ok" | "not ready";
            /** @constant */
            readonly service: "sluice";
            readonly version: string;
            readonly device: string;
            readonly checks: components["schemas"]["Checks"];
        };
        readonly CompressPromptRequest: {
            readonly text: string | readonly ({
                readonly msg_id: number;
                readonly text: string;
            } & {
                readonly [key: string]: unknown;
            })[];
            /**
             * @default rate
             * @enum {string}
             */
            readonly compressor_type: "rate" | "target_token";
            readonly compression_ranges: readonly ({
                readonly min_tokens: number;
                readonly max_tokens: number;
                readonly value: number;
            } & {
                readonly [key: string]: unknown;
            })[];
            readonly model_name?: string;
        } & {
            readonly [key: string]: unknown;
        };
        readonly CompressPromptResponse: {
            readonly text: readonly {
                readonly msg_id: number;
                readonly compress_prompt: string;
                readonly compressor_results: {
                    readonly msg_id: number;
                    readonly original_token_count: number;
                    readonly compress_token_count: number;
                    readonly save_token_count: number;
                    readonly compress_value?: number;
                    /** @enum {string} */
                    readonly compress_type?: "rate" | "target_token";
                    readonly compressor_model?: string;
                    readonly information: string;
                };
            }[];
            /** @description Milliseconds. */
            readonly duration: number;
        };
    };
    responses: {
        /** @description A field or header is wrong; `detail` names it. */
        readonly RequestInvalid: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The model that the method needs is not installed. */
        readonly MethodUnavailable: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is above `limits.max_body_bytes`. */
        readonly BodyTooLarge: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The budget is no amount of text. */
        readonly BudgetImpossible: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The scorer's queue is full, or the scorer failed. */
        readonly Unavailable: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Compressing took longer than `limits.compress_ms`. */
        readonly DeadlineExceeded: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Nothing is known under this identifier. */
        readonly NotFound: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Any other error. */
        readonly Problem: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: {
        /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
        readonly Compress: "on" | "off";
        /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
        readonly Rate: number;
        /** @description Tokens that may remain. */
        readonly TargetTokens: number;
        /** @description How prose is compressed. */
        readonly Method: components["schemas"]["MethodName"];
        /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
        readonly Session: string;
        /**
         * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
         *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
         */
        readonly Windows: string;
        /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
        readonly Tenant: string;
    };
    requestBodies: never;
    headers: {
        /** @description Names the request in `/v1/requests/{id}`, in logs and in problem documents. */
        readonly RequestId: string;
        /** @description What was done. */
        readonly Decision: components["schemas"]["Decision"];
        /** @description Tokens of all texts as they came; left out when the body was not looked at. */
        readonly TokensBefore: number;
        /** @description Tokens of all texts as forwarded; left out when the body was not looked at. */
        readonly TokensAfter: number;
        /**
         * @description Why texts were left alone, as a list of `reason;n=count`.
         * @example pinned;n=2, too-short;n=1
         */
        readonly Skipped: string;
        /**
         * @description How the answer came of several windows, as `strategy;n=windows;asked=windows`; left out when the request went out
         *     in one piece.
         * @example select;n=5;asked=5
         */
        readonly WindowsHeader: string;
        /** @description Number of the stretch in which the forwarded prefix only grows; left out when not known. */
        readonly Epoch: number;
        /** @description Prompt tokens that the backend is expected to have cached; left out when not known. */
        readonly PlannedReuse: number;
        /** @description Kind and address of the backend that answered. */
        readonly Backend: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    readonly createChatCompletion: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
                readonly "x-sluice-compress"?: components["parameters"]["Compress"];
                /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
                readonly "x-sluice-rate"?: components["parameters"]["Rate"];
                /** @description Tokens that may remain. */
                readonly "x-sluice-target-tokens"?: components["parameters"]["TargetTokens"];
                /** @description How prose is compressed. */
                readonly "x-sluice-method"?: components["parameters"]["Method"];
                /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
                readonly "x-sluice-session"?: components["parameters"]["Session"];
                /**
                 * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
                 *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
                 */
                readonly "x-sluice-windows"?: components["parameters"]["Windows"];
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ChatCompletionRequest"];
            };
        };
        readonly responses: {
            /** @description The backend's own answer, unchanged. */
            readonly 200: {
                headers: {
                    readonly "x-sluice-request-id": components["headers"]["RequestId"];
                    readonly "x-sluice-decision": components["headers"]["Decision"];
                    readonly "x-sluice-tokens-before": components["headers"]["TokensBefore"];
                    readonly "x-sluice-tokens-after": components["headers"]["TokensAfter"];
                    readonly "x-sluice-skipped": components["headers"]["Skipped"];
                    readonly "x-sluice-windows": components["headers"]["WindowsHeader"];
                    readonly "x-sluice-epoch": components["headers"]["Epoch"];
                    readonly "x-sluice-planned-reuse": components["headers"]["PlannedReuse"];
                    readonly "x-sluice-backend": components["headers"]["Backend"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly [key: string]: unknown;
                    };
                    readonly "text/event-stream": string;
                };
            };
            /** @description The upstream's error as it came, or an error of Sluice in the dialect's own shape. */
            readonly default: {
                headers: {
                    readonly "x-sluice-request-id": components["headers"]["RequestId"];
                    readonly "x-sluice-decision": components["headers"]["Decision"];
                    readonly "x-sluice-tokens-before": components["headers"]["TokensBefore"];
                    readonly "x-sluice-tokens-after": components["headers"]["TokensAfter"];
                    readonly "x-sluice-skipped": components["headers"]["Skipped"];
                    readonly "x-sluice-windows": components["headers"]["WindowsHeader"];
                    readonly "x-sluice-epoch": components["headers"]["Epoch"];
                    readonly "x-sluice-planned-reuse": components["headers"]["PlannedReuse"];
                    readonly "x-sluice-backend": components["headers"]["Backend"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["DialectError"];
                };
            };
        };
    };
    readonly createCompletion: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
                readonly "x-sluice-compress"?: components["parameters"]["Compress"];
                /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
                readonly "x-sluice-rate"?: components["parameters"]["Rate"];
                /** @description Tokens that may remain. */
                readonly "x-sluice-target-tokens"?: components["parameters"]["TargetTokens"];
                /** @description How prose is compressed. */
                readonly "x-sluice-method"?: components["parameters"]["Method"];
                /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
                readonly "x-sluice-session"?: components["parameters"]["Session"];
                /**
                 * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
                 *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
                 */
                readonly "x-sluice-windows"?: components["parameters"]["Windows"];
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["CompletionRequest"];
            };
        };
        readonly responses: {
            /** @description The backend's own answer, unchanged. */
            readonly 200: {
                headers: {
                    readonly "x-sluice-request-id": components["headers"]["RequestId"];
                    readonly "x-sluice-decision": components["headers"]["Decision"];
                    readonly "x-sluice-tokens-before": components["headers"]["TokensBefore"];
                    readonly "x-sluice-tokens-after": components["headers"]["TokensAfter"];
                    readonly "x-sluice-skipped": components["headers"]["Skipped"];
                    readonly "x-sluice-windows": components["headers"]["WindowsHeader"];
                    readonly "x-sluice-epoch": components["headers"]["Epoch"];
                    readonly "x-sluice-planned-reuse": components["headers"]["PlannedReuse"];
                    readonly "x-sluice-backend": components["headers"]["Backend"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly [key: string]: unknown;
                    };
                    readonly "text/event-stream": string;
                };
            };
            /** @description The upstream's error as it came, or an error of Sluice in the dialect's own shape. */
            readonly default: {
                headers: {
                    readonly "x-sluice-request-id": components["headers"]["RequestId"];
                    readonly "x-sluice-decision": components["headers"]["Decision"];
                    readonly "x-sluice-tokens-before": components["headers"]["TokensBefore"];
                    readonly "x-sluice-tokens-after": components["headers"]["TokensAfter"];
                    readonly "x-sluice-skipped": components["headers"]["Skipped"];
                    readonly "x-sluice-windows": components["headers"]["WindowsHeader"];
                    readonly "x-sluice-epoch": components["headers"]["Epoch"];
                    readonly "x-sluice-planned-reuse": components["headers"]["PlannedReuse"];
                    readonly "x-sluice-backend": components["headers"]["Backend"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["DialectError"];
                };
            };
        };
    };
    readonly compress: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
                readonly "x-sluice-compress"?: components["parameters"]["Compress"];
                /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
                readonly "x-sluice-rate"?: components["parameters"]["Rate"];
                /** @description Tokens that may remain. */
                readonly "x-sluice-target-tokens"?: components["parameters"]["TargetTokens"];
                /** @description How prose is compressed. */
                readonly "x-sluice-method"?: components["parameters"]["Method"];
                /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
                readonly "x-sluice-session"?: components["parameters"]["Session"];
                /**
                 * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
                 *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
                 */
                readonly "x-sluice-windows"?: components["parameters"]["Windows"];
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["CompressTextRequest"] | components["schemas"]["CompressMessagesRequest"];
            };
        };
        readonly responses: {
            /** @description The shortened texts or messages, and the report. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["CompressTextResponse"] | components["schemas"]["CompressMessagesResponse"];
                };
            };
            readonly 400: components["responses"]["RequestInvalid"];
            readonly 409: components["responses"]["MethodUnavailable"];
            readonly 413: components["responses"]["BodyTooLarge"];
            readonly 422: components["responses"]["BudgetImpossible"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["DeadlineExceeded"];
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly explain: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
                readonly "x-sluice-compress"?: components["parameters"]["Compress"];
                /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
                readonly "x-sluice-rate"?: components["parameters"]["Rate"];
                /** @description Tokens that may remain. */
                readonly "x-sluice-target-tokens"?: components["parameters"]["TargetTokens"];
                /** @description How prose is compressed. */
                readonly "x-sluice-method"?: components["parameters"]["Method"];
                /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
                readonly "x-sluice-session"?: components["parameters"]["Session"];
                /**
                 * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
                 *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
                 */
                readonly "x-sluice-windows"?: components["parameters"]["Windows"];
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ChatCompletionRequest"] | components["schemas"]["CompletionRequest"];
            };
        };
        readonly responses: {
            /** @description The map of spans, and the report that the request would have. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ExplainResponse"];
                };
            };
            readonly 400: components["responses"]["RequestInvalid"];
            readonly 413: components["responses"]["BodyTooLarge"];
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly plan: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
                readonly "x-sluice-compress"?: components["parameters"]["Compress"];
                /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
                readonly "x-sluice-rate"?: components["parameters"]["Rate"];
                /** @description Tokens that may remain. */
                readonly "x-sluice-target-tokens"?: components["parameters"]["TargetTokens"];
                /** @description How prose is compressed. */
                readonly "x-sluice-method"?: components["parameters"]["Method"];
                /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
                readonly "x-sluice-session"?: components["parameters"]["Session"];
                /**
                 * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
                 *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
                 */
                readonly "x-sluice-windows"?: components["parameters"]["Windows"];
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["PlanMessagesRequest"] | components["schemas"]["PlanRequestsRequest"] | components["schemas"]["PlanExtensionRequest"];
            };
        };
        readonly responses: {
            /** @description The turns, their sum, and what the numbers rest on; or the plan of an extension. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ConversationPlan"] | components["schemas"]["ExtensionPlan"];
                };
            };
            readonly 400: components["responses"]["RequestInvalid"];
            readonly 413: components["responses"]["BodyTooLarge"];
            readonly 503: components["responses"]["Unavailable"];
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly windows: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
                readonly "x-sluice-compress"?: components["parameters"]["Compress"];
                /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
                readonly "x-sluice-rate"?: components["parameters"]["Rate"];
                /** @description Tokens that may remain. */
                readonly "x-sluice-target-tokens"?: components["parameters"]["TargetTokens"];
                /** @description How prose is compressed. */
                readonly "x-sluice-method"?: components["parameters"]["Method"];
                /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
                readonly "x-sluice-session"?: components["parameters"]["Session"];
                /**
                 * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
                 *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
                 */
                readonly "x-sluice-windows"?: components["parameters"]["Windows"];
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["WindowsRequest"];
            };
        };
        readonly responses: {
            /** @description The answer, and how it came about. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["WindowsResponse"];
                };
            };
            readonly 400: components["responses"]["RequestInvalid"];
            readonly 413: components["responses"]["BodyTooLarge"];
            /** @description What stands around the text leaves no room for it in the model's window. */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The upstream cannot be reached, or answered with an error. */
            readonly 502: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly retrieve: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path: {
                /**
                 * @description From `ccr_hashes`, or `original` of a span's report.
                 * @example 3b1f0c9a5d7e4f21
                 */
                readonly hash: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The text as it was before it was shortened. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Original"];
                };
            };
            readonly 404: components["responses"]["NotFound"];
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly getRequest: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path: {
                /**
                 * @description From the `x-sluice-request-id` response header.
                 * @example 6f1c1f4e-7a3b-4bb0-9a86-0f3f1f2b8c55
                 */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description What was done to the request, and why. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RequestReport"];
                };
            };
            readonly 404: components["responses"]["NotFound"];
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly getStats: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Running sums. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Totals"];
                };
            };
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly getHealth: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description It does. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    readonly getReadiness: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Ready. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Readiness"];
                };
            };
            /** @description Not ready; the checks say why. */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Readiness"];
                };
            };
        };
    };
    readonly getMetrics: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description All metrics. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "text/plain": string;
                };
            };
        };
    };
    readonly getSpecification: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The document. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/yaml": string;
                };
            };
        };
    };
    readonly getDashboard: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The page; it loads nothing from elsewhere. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "text/html": string;
                };
            };
        };
    };
    readonly compact: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description `off` = forward this request as it is; `on` = the default. Cannot switch on what the operator switched off. */
                readonly "x-sluice-compress"?: components["parameters"]["Compress"];
                /** @description Share of the tokens to keep. Only a higher one than the operator's has an effect on dialect routes. */
                readonly "x-sluice-rate"?: components["parameters"]["Rate"];
                /** @description Tokens that may remain. */
                readonly "x-sluice-target-tokens"?: components["parameters"]["TargetTokens"];
                /** @description How prose is compressed. */
                readonly "x-sluice-method"?: components["parameters"]["Method"];
                /** @description Names the conversation, for one whose earlier messages the client rewrites itself; else conversations are told by their messages. */
                readonly "x-sluice-session"?: components["parameters"]["Session"];
                /**
                 * @description Reading in windows, by several requests: `off` = never; `auto` = where the request does not fit the model; a
                 *     number = in so many windows, whether it fits or not, up to `windows.max_windows`.
                 */
                readonly "x-sluice-windows"?: components["parameters"]["Windows"];
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ChatCompletionRequest"] | components["schemas"]["CompletionRequest"];
            };
        };
        readonly responses: {
            /** @description The body to use instead. */
            readonly 200: {
                headers: {
                    readonly "x-sluice-request-id": components["headers"]["RequestId"];
                    readonly "x-sluice-decision": components["headers"]["Decision"];
                    readonly "x-sluice-tokens-before": components["headers"]["TokensBefore"];
                    readonly "x-sluice-tokens-after": components["headers"]["TokensAfter"];
                    readonly "x-sluice-skipped": components["headers"]["Skipped"];
                    readonly "x-sluice-windows": components["headers"]["WindowsHeader"];
                    readonly "x-sluice-epoch": components["headers"]["Epoch"];
                    readonly "x-sluice-planned-reuse": components["headers"]["PlannedReuse"];
                    readonly "x-sluice-backend": components["headers"]["Backend"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ChatCompletionRequest"] | components["schemas"]["CompletionRequest"];
                };
            };
            readonly 400: components["responses"]["RequestInvalid"];
            readonly 413: components["responses"]["BodyTooLarge"];
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly compressPrompt: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description Whose reports, originals and decisions. Read only where `tenant.trust_header` is configured. */
                readonly "x-sluice-tenant"?: components["parameters"]["Tenant"];
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["CompressPromptRequest"];
            };
        };
        readonly responses: {
            /** @description One result per text. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["CompressPromptResponse"];
                };
            };
            readonly 400: components["responses"]["RequestInvalid"];
            readonly 413: components["responses"]["BodyTooLarge"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["DeadlineExceeded"];
            readonly default: components["responses"]["Problem"];
        };
    };
    readonly getStatus: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description What is running, and whether it is ready. */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Status"];
                };
            };
        };
    };
}
