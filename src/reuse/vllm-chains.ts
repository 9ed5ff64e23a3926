/** Chains by vLLM's hashes, of prompts that mostly begin as earlier ones did: only what is new is hashed. */
import type { Chain } from './chain.ts';
import { chainOfDigests, vllmBlockHashes } from './vllm-hash.ts';

export interface VllmChains {
  chain(
    tokens: Uint32Array,
    options: {
      readonly blockTokens: number;
      readonly seed: string | null;
      readonly salt: string | null;
    },
  ): Chain;
}

interface Hashed {
  /** Prompts of one name have equal digests as far as their tokens are equal. */
  readonly name: string;
  readonly tokens: Uint32Array;
  readonly digests: Uint8Array;
}

/** Each is compared with a new prompt until they differ, which is mostly at once. */
const maxPrompts = 64;

/** @param maxTokens bound of the prompts that are kept to compare with, together */
export function createVllmChains(maxTokens = 2 ** 20): VllmChains {
  /** Oldest first. */
  let kept: Hashed[] = [];
  return {
    chain(tokens, { blockTokens, seed, salt }) {
      const name = JSON.stringify([blockTokens, seed, salt]);
      const { best, known, outgrown } = longestKnown(kept, name, { tokens, blockTokens });
      const extra = (block: number) =>
        block === 0 && salt !== null ? [['cache_salt', salt]] : null;
      const digests = vllmBlockHashes(tokens, { blockTokens, seed, extra, known });
      // A prompt that this one goes on from will not be needed again.
      kept = kept.filter((prompt) => !(outgrown && prompt === best));
      kept.push({ name, tokens, digests });
      while (kept.length > maxPrompts || sizeOf(kept) > maxTokens) kept = kept.slice(1);
      return chainOfDigests(tokens, blockTokens, digests);
    },
  };
}

function sizeOf(prompts: readonly Hashed[]): number {
  return prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
}

function longestKnown(
  prompts: readonly Hashed[],
  name: string,
  { tokens, blockTokens }: { readonly tokens: Uint32Array; readonly blockTokens: number },
): { readonly best: Hashed | null; readonly known: Uint8Array; readonly outgrown: boolean } {
  let best: Hashed | null = null;
  let most = 0;
  for (const prompt of prompts) {
    const shared = prompt.name === name ? sharedTokens(prompt.tokens, tokens) : 0;
    if (shared <= most) continue;
    best = prompt;
    most = shared;
  }
  const known = best?.digests.subarray(0, Math.floor(most / blockTokens) * 32);
  return { best, known: known ?? new Uint8Array(0), outgrown: most === best?.tokens.length };
}

function sharedTokens(a: Uint32Array, b: Uint32Array): number {
  const limit = Math.min(a.length, b.length);
  let at = 0;
  while (at < limit && a[at] === b[at]) at += 1;
  return at;
}
