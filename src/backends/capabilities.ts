/** What each kind of server is known to do, as data. null = depends on its configuration, or not known. */
import type { BackendCapabilities, BackendKind } from './types.ts';

const unknown: BackendCapabilities = {
  prefixCache: null,
  reportsCachedTokens: null,
  tokenizeRoute: null,
  contextWindow: null,
  noticesAbort: null,
};

/**
 * - vllm: prefix caching is on by default; `cached_tokens` needs `--enable-prompt-tokens-details`. Both streamed and
 *   plain requests were seen to stop within 160 ms of a closed connection.
 * - sglang: radix cache by default; `cached_tokens` needs `--enable-cache-report`.
 * - llamacpp: slots keep their prompt; every answer reports `cached_tokens`. A request without `stream` was seen to go on
 *   after its client had left.
 * - anthropic: caches only what the request marks with `cache_control`, and reports it.
 * - ollama: the runner keeps the last prompt's cache; usage does not say how much of it was used.
 */
const byKind: Readonly<Record<BackendKind, BackendCapabilities>> = {
  openai: unknown,
  vllm: { ...unknown, prefixCache: true, tokenizeRoute: '/tokenize', noticesAbort: true },
  sglang: { ...unknown, prefixCache: true, noticesAbort: true },
  llamacpp: {
    ...unknown,
    prefixCache: true,
    reportsCachedTokens: true,
    tokenizeRoute: '/tokenize',
    noticesAbort: false,
  },
  ollama: { ...unknown, prefixCache: true, reportsCachedTokens: false },
  tgi: { ...unknown, tokenizeRoute: '/tokenize' },
  anthropic: { ...unknown, prefixCache: false, reportsCachedTokens: true },
  embedded: { ...unknown, prefixCache: true, reportsCachedTokens: true, noticesAbort: true },
};

export function capabilitiesOf(
  kind: BackendKind,
  contextWindow: number | null = null,
): BackendCapabilities {
  return { ...byKind[kind], contextWindow };
}
