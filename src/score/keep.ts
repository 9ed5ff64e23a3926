/** Keep probability of every token of a text under a token classifier (LLMLingua-2, Pan et al. 2024). */
import { sentenceRanges } from '../tokenize/sentences.ts';
import { sentenceChunks } from './chunks.ts';
import { runEach } from './passes.ts';
import type { ScorerCore } from './scorer-core.ts';
import { specialId } from './special-ids.ts';
import type { KeepScorer } from './types.ts';

/** Longest stretch of text per pass; with the two special tokens the 512 positions of the reference. */
const CHUNK_TOKENS = 510;

/** The scorer of the role `keep`; see `KeepScorer` for what its calls mean. */
export function createKeepScorer(core: ScorerCore): KeepScorer {
  const { manifest } = core;
  const { tokenizer } = core.vocabulary;
  const contextLength = manifest.context_length;
  const opening = specialId(tokenizer, 'opening');
  const closing = specialId(tokenizer, 'closing');
  return {
    kind: 'keep',
    id: core.id,
    contextLength,
    encode: (text) => tokenizer.encode(text),
    decode: (ids) => tokenizer.decode(ids),
    async score(text, { signal = null } = {}) {
      const tokens = tokenizer.encode(text);
      const { ids, starts, ends } = tokens;
      const limit = Math.max(1, Math.min(CHUNK_TOKENS, contextLength - 2));
      const chunks = sentenceChunks(tokens, sentenceRanges(text), limit);
      const values = new Float32Array(ids.length);
      const limits = { parallel: core.parallel, signal };
      await runEach(chunks, limits, async ({ from, to }, pass) => {
        const input = Uint32Array.of(opening, ...ids.subarray(from, to), closing);
        const result = await core.pass(input, pass);
        values.set(result.subarray(1, 1 + to - from), from);
      });
      return { ids, starts, ends, values };
    },
    scoreIds: (ids, { signal = null } = {}) => core.pass(ids, { signal }),
    get tokensFed() {
      return core.tokensFed();
    },
  };
}
