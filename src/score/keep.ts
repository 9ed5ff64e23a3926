/** Keep probability of every token of a text under a token classifier (LLMLingua-2, Pan et al. 2024). */
import { SluiceError } from '../core/errors.ts';
import { sentenceRanges } from '../tokenize/sentences.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import { sentenceChunks } from './chunks.ts';
import type { ScorerCore } from './create.ts';
import { runPasses } from './passes.ts';
import type { KeepScorer } from './types.ts';

/** Longest stretch of text per pass; with the two special tokens the 512 positions of the reference. */
const CHUNK_TOKENS = 510;

/** The scorer of the role `keep`; see `KeepScorer` for what its calls mean. */
export function createKeepScorer(core: ScorerCore): KeepScorer {
  const { tokenizer, manifest } = core;
  const contextLength = manifest.context_length;
  const opening = specialOf(tokenizer, ['[CLS]', '<s>'], core.id);
  const closing = specialOf(tokenizer, ['[SEP]', '</s>'], core.id);
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
      await runPasses(chunks.length, { parallel: core.parallel, signal }, async (pass) => {
        const { from, to } = chunks[pass.index] ?? { from: 0, to: 0 };
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

/** Id of the first of the literals that the tokenizer has (BERT's names, then RoBERTa's). */
function specialOf(tokenizer: TextTokenizer, literals: readonly string[], id: string): number {
  for (const literal of literals) {
    const found = tokenizer.specialId(literal);
    if (found !== null) return found;
  }
  throw new SluiceError(
    'MODEL_INVALID',
    `The tokenizer of ${id} has none of ${literals.join(', ')}`,
  );
}
