/** Parts encoded alone and put side by side: parallel windows and structured prompting. */
import { absent, causal } from './attention.ts';
import type { AttentionScheme, Pair } from './attention.ts';
import type { CacheState, LayerState } from './types.ts';

/**
 * Parallel Context Windows (arXiv 2212.10947, section 2): windows never meet because each is encoded alone; text
 * after them sees all. Every window starts at position 0, the text after them at the longest window's length.
 */
export function joinWindows(windows: readonly CacheState[]): CacheState {
  return join(windows, Math.max(0, ...windows.map((window) => window.length)));
}

/** Structured prompting (arXiv 2212.06713, section 2): groups end at one common position, where the text starts. */
export function joinGroups(groups: readonly CacheState[], commonEnd: number): CacheState {
  return join(groups, commonEnd);
}

function join(parts: readonly CacheState[], length: number): CacheState {
  const layers = (parts[0]?.layers ?? []).map((_, layer): LayerState => ({
    kind: 'tokens',
    entries: parts.flatMap((part) => {
      const state = part.layers[layer];
      return state?.kind === 'tokens' ? state.entries : [];
    }),
  }));
  return { length, layers, outputs: [], missing: parts.some((part) => part.missing) };
}

/** The mask that does the same in one run: parts (tags above 0) do not meet, text (tag 0) sees all. */
export function partsApart(pair: Pair): boolean {
  if (!causal(pair) || pair.keyTag === absent) return false;
  return pair.queryTag === 0 || pair.queryTag === pair.keyTag;
}

/**
 * Rescaled attention of structured prompting (section 2.2): for text after the groups, keys of that text count as
 * often as there are groups, i.e. ln(groups) is added to their logits.
 */
export function rescaledSelf(scheme: AttentionScheme, groups: number): AttentionScheme {
  return {
    ...scheme,
    visible: partsApart,
    logit: (query, stored, pair) => {
      const own = pair.queryTag === 0 && pair.keyTag === 0;
      return scheme.logit(query, stored, pair) + (own ? Math.log(groups) : 0);
    },
  };
}
