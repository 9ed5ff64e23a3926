/** Rendered prompts as a server tokenizes them: special tokens written in the text are those tokens. */
import { createHash } from 'node:crypto';
import { boundedCache } from '../core/bounded-cache.ts';
import type { Steps } from '../core/steps.ts';
import { addedTokenCutter } from './added.ts';
import { tokenBuffer } from './buffer.ts';
import type { TokenizerDefinition } from './definition.ts';
import type { Encoder } from './text-tokenizer.ts';
import type { PromptEncoder } from './types.ts';

/** Memory for the tokens of stretches that were seen, bytes. */
const cacheBytes = 32 << 20;
/** What an entry takes beside its tokens, about. */
const entryBytes = 150;
/** Shorter stretches (UTF-16 units) are encoded faster than they are looked up. */
const cachedLength = 64;
/** UTF-16 units of stretches that are looked up between two places to stop. */
const stride = 65_536;

/** @returns null for added tokens whose rules are not kept here */
export function createPromptEncoder(
  encoder: Encoder,
  { added, edges }: TokenizerDefinition,
): PromptEncoder | null {
  if (added.some(({ singleWord }) => singleWord)) return null;
  const cut = addedTokenCutter(added);
  const cache = boundedCache<Uint32Array>({
    maxEntries: Math.floor(cacheBytes / entryBytes),
    maxSize: cacheBytes,
    sizeOf: (ids) => ids.byteLength + entryBytes,
  });
  /** `first`: some rules treat the beginning of a text in another way. */
  function* encodeStretch(text: string, first: boolean): Steps<Uint32Array> {
    const key = text.length < cachedLength ? null : keyOf(text, first);
    const known = key === null ? undefined : cache.get(key);
    if (known !== undefined) return known;
    const into = tokenBuffer(text.length >> 2);
    yield* encoder.encode(text, first ? 0 : 1, into);
    const { ids } = into.finish();
    if (key !== null) cache.set(key, ids);
    return ids;
  }
  return {
    edges,
    *encodeSteps(text) {
      const parts: Uint32Array[] = [];
      let total = 0;
      let done = 0;
      for (const { token, from, to } of cut(text)) {
        const ids =
          token === null
            ? yield* encodeStretch(text.slice(from, to), from === 0)
            : Uint32Array.of(token);
        parts.push(ids);
        total += ids.length;
        done += to - from;
        if (done < stride) continue;
        yield;
        done = 0;
      }
      const all = new Uint32Array(total);
      let at = 0;
      for (const ids of parts) {
        all.set(ids, at);
        at += ids.length;
      }
      return all;
    },
  };
}

function keyOf(text: string, first: boolean): string {
  return `${first ? 1 : 0}${createHash('sha256').update(text).digest('base64')}`;
}
