/** How long backends keep a prefix that nobody uses: what `cold` is believed from. */
import type { BackendKind } from '../core/backend-kind.ts';

const minute = 60_000;

/**
 * Milliseconds without use after which a cached prefix counts as gone; null = the engine says so by events, or only
 * room decides. Hosted providers: see the price table, which knows their models.
 * - vLLM, SGLang without events: 20 minutes is the tail of what block residency metrics show; room decides earlier
 * - llama.cpp: a slot keeps its prompt until another conversation takes it
 * - Ollama: the model is unloaded after its keep-alive
 * - TGI: no report of hits, so little is believed
 */
export const lifetimeMs: Readonly<Record<BackendKind, number | null>> = {
  vllm: 20 * minute,
  sglang: 20 * minute,
  llamacpp: null,
  ollama: 5 * minute,
  tgi: 2 * minute,
  openai: 5 * minute,
  anthropic: 5 * minute,
  embedded: null,
};

/** Is what was forwarded at `at` still to be expected? null = nothing is known. `lifetime` null = no such rule. */
export function isAlive(at: number | null, now: number, lifetime: number | null): boolean | null {
  if (at === null) return null;
  return lifetime === null ? true : now - at < lifetime;
}
