/** A prompt as the chains that caches know it by: of its token ids, or of its bytes where those are not known. */
import { chainOf, chainOfBytes, type Chain } from './chain.ts';
import type { CacheShape } from './cache-shape.ts';
import { domainOf } from './domain.ts';
import { textBlockTokens } from './fleet-types.ts';
import type { BlockStored } from './kv-events.ts';
import type { PositionScheme } from './position.ts';
import { regime } from './regime.ts';
import type { VllmChains } from './vllm-chains.ts';

/** Whose KV a prompt may share. */
export interface CacheScope {
  readonly fingerprint: string;
  readonly salt: string | null;
  /** Adapter that the request names; null = the model itself. */
  readonly adapter: string | null;
}

/** The chain of a prompt on one server. By the engine's own hashes where those are known, else by ours. */
export function promptChain(
  tokens: Uint32Array,
  scope: CacheScope,
  {
    shape,
    position,
    engine,
  }: { shape: CacheShape; position: PositionScheme | null; engine: VllmChains },
): Chain {
  const { blockTokens, seed } = shape;
  const { salt } = scope;
  const name = position === null ? '' : regime(position, tokens.length);
  // How an adapter's blocks are hashed depends on its path, which nobody tells: they get our names and meet no event.
  if (shape.names === 'engine' && scope.adapter === null && name === '') {
    return engine.chain(tokens, { blockTokens, seed, salt });
  }
  return chainOf(tokens, { domain: domainFor(scope, name), blockTokens });
}

/** Bodies are compared this far; what is longer carries images. */
const maxTextBytes = 2 << 20;
const bytesPerToken = 4;

/** The chain of a request's bytes; `tokens` = length of its prompt where it is known. */
export function textChain(body: Uint8Array, scope: CacheScope, tokens: number | null): Chain {
  const chain = chainOfBytes(body.subarray(0, maxTextBytes), {
    domain: domainFor(scope, 'text'),
    chunkBytes: textBlockTokens * bytesPerToken,
    bytesPerToken,
  });
  return { ...chain, tokens: tokens ?? estimatedTokens(body) };
}

/** Tokens of a prompt by the length of its request's body. */
export function estimatedTokens(body: Uint8Array): number {
  return Math.max(1, Math.round(body.length / bytesPerToken));
}

/** Domain and extras of the blocks of an event, so that our names of them meet those of `promptChain`. */
export function eventOrigin(
  event: BlockStored,
  fingerprint: string,
): { readonly domain: Uint8Array; readonly extra?: (block: number) => string | null } {
  const { lora, extraKeys, parent } = event;
  const keysOf = (block: number): readonly unknown[] => {
    const keys = extraKeys?.[block] ?? [];
    // Name and path of the adapter stand in every block; the domain has it already.
    return lora !== null && keys[0] === lora ? keys.slice(2) : keys;
  };
  const first = parent === null ? keysOf(0) : [];
  const salt = first.length === 1 && typeof first[0] === 'string' ? first[0] : null;
  const domain = domainFor({ fingerprint, salt, adapter: lora }, '');
  if (extraKeys === null || extraKeys.every((keys) => keys === null)) return { domain };
  // Images and the like: such blocks are no prompt of plain token ids.
  const extra = (block: number): string | null => {
    const keys = keysOf(block);
    return keys.length === 0 || (block === 0 && salt !== null) ? null : keys.map(String).join(' ');
  };
  return { domain, extra };
}

function domainFor({ fingerprint, salt, adapter }: CacheScope, name: string): Uint8Array {
  return domainOf({
    fingerprint: {
      backend: fingerprint,
      model: '',
      revision: null,
      lora: adapter,
      tokenizer: null,
      kvDtype: null,
      kvEpoch: null,
      position: null,
      layout: null,
    },
    // An engine shares what is not salted, whoever asked.
    tenant: '',
    salt,
    regime: name,
  });
}
