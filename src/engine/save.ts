/** Saving a computed prefix and taking it back, on another day or in another process. */
import { SluiceError } from '../core/errors.ts';
import { blockKey, blockTokens } from './kv/blocks.ts';
import { decodePrefix, encodePrefix, fillBlock } from './kv/prefix-file.ts';
import type { PrefixOwner } from './kv/prefix-file.ts';
import { newSequence } from './kv/sequence.ts';
import type { Sequence } from './kv/sequence.ts';
import type { EngineRuntime } from './runtime.ts';

function ownerOf({ fingerprint, scheme, pool }: EngineRuntime): PrefixOwner {
  return { fingerprint, scheme: scheme.name, layout: pool.layout };
}

/**
 * Bytes of everything that is computed of a sequence.
 * @throws SluiceError REQUEST_INVALID when the KV is no function of the tokens: text behind parts, or a sequence of a
 *   scheme that has dropped what later tokens had seen
 */
export function savePrefix(runtime: EngineRuntime, sequence: Sequence): Uint8Array {
  const { tokens, length, regime, dropped, blocks, chain } = sequence;
  if (chain === null || sequence.origin !== 0) {
    throw new SluiceError(
      'REQUEST_INVALID',
      `KV under ${runtime.scheme.name} with ${dropped} dropped tokens depends on more than its tokens and cannot be saved`,
    );
  }
  const ids = Uint32Array.from(tokens.slice(0, length));
  return encodePrefix(ownerOf(runtime), { ids, regime, dropped, blocks });
}

/**
 * The sequence that was saved, ready to be continued or released (which makes it findable for later prompts).
 * @throws SluiceError REQUEST_INVALID when the bytes are damaged or belong to another model or scheme
 */
export function restorePrefix(runtime: EngineRuntime, bytes: Uint8Array): Sequence {
  const { pool } = runtime;
  const { ids, regime, dropped, pages } = decodePrefix(bytes, ownerOf(runtime));
  const held = pages.filter((page) => page !== null).length;
  if (pool.used + held > pool.capacity) {
    const found = `${held} pages; ${pool.capacity - pool.used} of ${pool.capacity} are free`;
    throw new SluiceError('QUEUE_FULL', `The saved prefix has ${found}`);
  }
  const sequence = newSequence(Array.from(ids), {});
  Object.assign(sequence, { regime, dropped, length: ids.length });
  sequence.chain = runtime.rootOf(sequence);
  for (const [index, page] of pages.entries()) {
    const own = ids.subarray(index * blockTokens, (index + 1) * blockTokens);
    const block = page === null ? null : pool.take(index * blockTokens);
    sequence.blocks.push(block);
    if (block !== null && page !== null) fillBlock(block, page, { ids: own, layout: pool.layout });
    if (own.length < blockTokens) break;
    if (block !== null) pool.publish(block, sequence.chain);
    sequence.chain = blockKey(sequence.chain, own);
  }
  return sequence;
}
