/** Surprisal of every token of a text under a causal model. */
import { causalChunks, type CausalChunk, prefixRoom } from './chunks.ts';
import { runEach } from './passes.ts';
import type { ScorerCore } from './scorer-core.ts';
import type { SurprisalScorer } from './types.ts';

/** The scorer of the role `surprisal`; see `SurprisalScorer` for what its calls mean. */
export function createSurprisalScorer(core: ScorerCore): SurprisalScorer {
  const { manifest } = core;
  const { tokenizer } = core.vocabulary;
  const bos = manifest.bos_token_id;
  const contextLength = manifest.context_length;
  return {
    kind: 'surprisal',
    id: core.id,
    contextLength,
    bosId: bos,
    encode: (text) => tokenizer.encode(text),
    decode: (ids) => tokenizer.decode(ids),
    async score(text, { signal = null, prefix = '' } = {}) {
      const { ids, starts, ends } = tokenizer.encode(text);
      const condition = tokenizer.encode(prefix).ids;
      // of a condition that is too long the end is kept: it stands next to the text
      const room = prefixRoom(contextLength);
      const lead = [...(bos === null ? [] : [bos]), ...(room === 0 ? [] : condition.slice(-room))];
      const values = new Float32Array(ids.length);
      const chunks = causalChunks(ids.length, contextLength);
      await runEach(chunks, { parallel: core.parallel, signal }, async (chunk, pass) => {
        const result = await core.pass(inputOf(lead, ids, chunk), pass);
        values.set(result.subarray(lead.length + chunk.from - chunk.context), chunk.from);
      });
      return { ids, starts, ends, values };
    },
    scoreIds: (ids, { signal = null } = {}) => core.pass(ids, { signal }),
    get tokensFed() {
      return core.tokensFed();
    },
  };
}

function inputOf(lead: readonly number[], ids: Uint32Array, chunk: CausalChunk): Uint32Array {
  const input = new Uint32Array(lead.length + chunk.to - chunk.context);
  input.set(lead);
  input.set(ids.subarray(chunk.context, chunk.to), lead.length);
  return input;
}
