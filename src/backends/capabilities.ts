/** What each kind of server is known to do, as data. null = depends on its configuration, or not known. */
import type { BackendCapabilities, BackendKind } from './types.ts';

const unknown: BackendCapabilities = {
  prefixCache: null,
  reportsCachedTokens: null,
  tokenizeRoute: null,
  contextWindow: null,
  refusesLength: null,
  noticesAbort: null,
};

/**
 * - vllm: prefix caching is on by default; `cached_tokens` needs `--enable-prompt-tokens-details`. Both streamed and
 *   plain requests were seen to stop within 160 ms of a closed connection.
 * - sglang: radix cache by default; `cached_tokens` needs `--enable-cache-report`. Refuses what is too long, but cuts it
 *   with `--allow-auto-truncate`.
 * - llamacpp: slots keep their prompt; every answer reports `cached_tokens`. A request without `stream` was seen to go on
 *   after its client had left.
 * - anthropic: caches only what the request marks with `cache_control`, and reports it.
 * - ollama: the runner keeps the last prompt's cache; usage does not say how much of it was used. A prompt beyond
 *   `num_ctx` keeps its first tokens and loses about half of the rest, without a word.
 */
const byKind: Readonly<Record<BackendKind, BackendCapabilities>> = {
  openai: unknown,
  vllm: {
    ...unknown,
    prefixCache: true,
    tokenizeRoute: '/tokenize',
    refusesLength: true,
    noticesAbort: true,
  },
  sglang: { ...unknown, prefixCache: true, noticesAbort: true },
  llamacpp: {
    ...unknown,
    prefixCache: true,
    reportsCachedTokens: true,
    tokenizeRoute: '/tokenize',
    refusesLength: true,
    noticesAbort: false,
  },
  ollama: { ...unknown, prefixCache: true, reportsCachedTokens: false, refusesLength: false },
  tgi: { ...unknown, tokenizeRoute: '/tokenize', refusesLength: true },
  anthropic: { ...unknown, prefixCache: false, reportsCachedTokens: true, refusesLength: true },
  embedded: {
    ...unknown,
    prefixCache: true,
    reportsCachedTokens: true,
    refusesLength: true,
    noticesAbort: true,
  },
};

export function capabilitiesOf(
  kind: BackendKind,
  contextWindow: number | null = null,
): BackendCapabilities {
  return { ...byKind[kind], contextWindow };
}
